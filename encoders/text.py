"""Text encoders: word tables or a contextual encoder, under an attention stack and a pool."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.packing import by_length
from semantic.encoders.layers.pooling import Pool
from semantic.encoders.words import BatchWords, WordTables


class ContextualWords(nn.Module):
    """The last hidden states of a BERT-family encoder, which is fine-tuned with the rest of the model.

    `config` is that of transformers, as a dictionary.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel  # here, as the import takes a second and most runs use tables

        own = AutoConfig.for_model(**config)  # by its model_type
        self.encoder = AutoModel.from_config(own, trust_remote_code=False)

    @property
    def words(self) -> nn.Embedding:
        """The encoder's word table, which also embeds slot keys and values."""
        return self.encoder.get_input_embeddings()

    def forward(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        del vocabulary  # the encoder looks up its words itself
        return self.encoder(input_ids=tokens, attention_mask=keep.long()).last_hidden_state


class TextEncoder(nn.Module):
    """u = Pool(Attn(words)), one vector for each text; an empty text gives zeros and is not encoded."""

    words: WordTables | ContextualWords

    def __init__(self, words: WordTables | ContextualWords, attention: Attention, pool: Pool) -> None:
        super().__init__()
        self.words = words
        self.attention = attention
        self.pool = pool

    def forward(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text dim"]:
        def encode(tokens: Tensor, keep: Tensor) -> Tensor:
            return self.pool(self._encode(vocabulary, tokens, keep), keep)

        return by_length(encode, tokens, keep, vocabulary.table)

    def words_in_context(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        """Attn(words), a vector for each word; what stands where `keep` is False means nothing."""
        return by_length(lambda t, k: self._encode(vocabulary, t, k), tokens, keep, vocabulary.table, items=True)

    def _encode(self, vocabulary: BatchWords, tokens: Tensor, keep: Tensor) -> Float[Tensor, "text token dim"]:
        return self.attention(self.words(vocabulary, tokens, keep), keep=keep)
