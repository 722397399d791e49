"""Text into vectors: word tables, or a whole contextual encoder, under an attention stack and a pool."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig

from semantic.encoders.attention import Attention
from semantic.encoders.packing import by_length
from semantic.encoders.pooling import Pool
from semantic.encoders.words import BatchWords, WordTables


class ContextualWords(nn.Module):
    """The last hidden states of a BERT-family encoder, fine-tuned with the rest."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel  # a second to import, and most runs use tables only

        # A configuration that was JSON once has lost its own class; its model_type names it.
        whole = AutoConfig.for_model(**{**config.to_dict(), "model_type": config.model_type})
        self.encoder = AutoModel.from_config(whole)

    @property
    def words(self) -> nn.Embedding:
        """The word table beneath, which slot keys and values are read from."""
        return self.encoder.get_input_embeddings()

    def forward(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        del vocabulary  # the encoder looks its words up itself
        return self.encoder(input_ids=tokens, attention_mask=keep.long()).last_hidden_state


class TextEncoder(nn.Module):
    """u = Pool(Attn(words)): one vector a text; an empty text gives zeros and costs nothing."""

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
            return self.pool(self.attention(self.words(vocabulary, tokens, keep), keep=keep), keep)

        return by_length(encode, tokens, keep, vocabulary.table)
