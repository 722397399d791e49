"""A bag of word vectors: two towers without a layer, which a softmax over shared negatives trains. The strong floor.

    text        u = mean of W_emb[w] over its words
    context     c = sum_t b_t u_t,   b = softmax over the turns of learned numbers
    product     p = u of its text
    relevance   cos(c, p);   -log softmax of scale cos over shared negatives, with a learned scale

The method for small data grew from it; neither photo nor dialogue state is read.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.batching.shards import Shard
from semantic.config.schema import ModelConfig, Share
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.bag import drop_words
from semantic.encoders.layers.masking import masked_mean, masked_softmax
from semantic.models.interface import Loss, Model, ProductRows
from semantic.models.losses import Ranking, SampledSoftmax, log_scale
from semantic.models.word_vectors import WordSource, load_words, word_table


class BagConfig(ModelConfig):
    """The choices of the bag."""

    name: str = Field("bag", description="this model, by its short name")
    text: WordSource = WordSource()
    dropout: Share = Field(0.1, description="share of a turn's words that are left out in training")
    ranking: Ranking = Field(SampledSoftmax(), description="the loss")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "floor": {"training": {"shared_negatives": 256, "learning_rate": 4e-3, "warmup_ratio": 0.05}}
    }


class Bag(Model):
    """The model; see the head of this file."""

    Config = BagConfig
    config: BagConfig

    def __init__(self, config: BagConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.words = word_table(config.text, spec)
        self.turns = nn.Parameter(torch.zeros(spec.context_turns))
        self.log_scale = log_scale(config.ranking)

    def initialise(self, text_encoder: nn.Module | None) -> None:
        load_words(self.words, self.config.text, text_encoder, self.tokenizer)

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (self.words.embedding_dim,)

    def read(self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]) -> Float[Tensor, "text dim"]:
        return masked_mean(self.words(tokens), keep)

    def encode_products(self, products: Products) -> Float[Tensor, "product dim"]:
        return self.read(products.tokens, products.keep)

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        kept = drop_words(contexts.turn_keep, self.config.dropout if self.training else 0.0)
        turns, keep = contexts.each_turn(self.read(contexts.turn_tokens, kept))
        weights = masked_softmax(self.turns[-keep.shape[1] :].expand_as(keep), keep)
        return (weights.unsqueeze(1) @ turns).squeeze(1)

    def score(self, query: Float[Tensor, "query dim"], products: ProductRows) -> Float[Tensor, "query candidate"]:
        return products.cosines(query)

    def loss(self, shard: Shard) -> Loss:
        return self.loss_of_ranking(shard)
