"""A sentence encoder without training: the cosine of a checkpoint's vectors of context and product text.

A text's vector is the mean of its pieces' last hidden states, as in Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019); a context's
is the mean of its turns' unit vectors.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.errors import ConfigError
from semantic.config.schema import PositiveInt
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.masking import masked_mean
from semantic.encoders.layers.packing import by_length
from semantic.encoders.text import ContextualWords
from semantic.encoders.words import BatchWords
from semantic.models.floors.untrained import Untrained, UntrainedConfig
from semantic.models.interface import ProductRows


class SentencesConfig(UntrainedConfig):
    """Which checkpoint, and how much of a context."""

    name: str = Field("sentences", description="this model, by its short name")
    turns: PositiveInt | None = Field(None, description="last turns of the context that are read; null: all of it")


class Sentences(Untrained):
    """The ranking; see the head of this file."""

    Config = SentencesConfig
    config: SentencesConfig
    marks: Tensor

    def __init__(self, config: SentencesConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.text_encoder is None:
            raise ConfigError("model.text.checkpoint: expected a sentence encoder, a folder or a hub name, got null")
        self.words = ContextualWords(spec.text_encoder).requires_grad_(False)
        self.width = self.words.words.embedding_dim
        self.register_buffer(
            "marks", torch.full((2,), -1)
        )  # the pieces that stand before and after a text; -1: none do

    def initialise(self, text_encoder: nn.Module | None) -> None:
        assert text_encoder is not None
        self.words.encoder.load_state_dict(text_encoder.state_dict())
        if self.tokenizer is not None:
            marks = self.tokenizer.encode("").ids  # what its own form of a text puts around nothing
            if len(marks) == 2:
                self.marks = torch.tensor(marks)

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (self.width,)

    def read(self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]) -> Float[Tensor, "text width"]:
        """The unit vectors of texts; zeros of an empty one."""
        table = self.words.words.weight
        vectors = by_length(self._encode, tokens, keep, table)
        return F.normalize(vectors, dim=1)

    def _encode(self, tokens: Tensor, keep: Tensor) -> Tensor:
        if bool((self.marks >= 0).all()):
            tokens, keep = tokens[:, : self.spec.positions - 2], keep[:, : self.spec.positions - 2]
            end = keep.sum(1, keepdim=True)
            tokens = F.pad(tokens, (0, 1), value=self.spec.pad).scatter(1, end, self.marks[1].expand_as(end))
            keep = F.pad(keep, (0, 1), value=False).scatter(1, end, True)
            tokens = torch.cat([self.marks[0].expand(len(tokens), 1), tokens], dim=1)
            keep = F.pad(keep, (1, 0), value=True)
        with torch.no_grad():
            return masked_mean(self.words(BatchWords(self.words.words.weight), tokens, keep), keep)

    def encode_products(self, products: Products) -> Float[Tensor, "product width"]:
        return self.read(products.tokens, products.keep)

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query width"]:
        turns, keep = contexts.each_turn(self.read(contexts.turn_tokens, contexts.turn_keep))
        if self.config.turns is not None:
            turns, keep = turns[:, -self.config.turns :], keep[:, -self.config.turns :]
        return masked_mean(turns, keep)

    def score(self, query: Float[Tensor, "query width"], products: ProductRows) -> Float[Tensor, "query candidate"]:
        return products.cosines(query)
