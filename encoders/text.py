"""Text into vectors: word and position tables, or a whole contextual encoder, under an attention stack and a pool."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig

from semantic.encoders.attention import Attention
from semantic.encoders.packing import by_length
from semantic.encoders.pooling import Pool


class WordTables(nn.Module):
    """x_i = W_emb[w_i] + PE(i): BERT's word and position tables, trained; neither segment table nor LayerNorm."""

    def __init__(self, vocabulary: int, positions: int, dim: int, pad: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, dim, padding_idx=pad)
        self.positions = nn.Embedding(positions, dim)

    def forward(
        self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        del keep  # a table looks at one token at a time
        if tokens.shape[-1] > self.positions.num_embeddings:
            raise ValueError(
                f"word tables: expected at most {self.positions.num_embeddings} positions, got {tokens.shape[-1]} tokens"
            )
        return self.words(tokens) + self.positions.weight[: tokens.shape[-1]]


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
        self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        return self.encoder(input_ids=tokens, attention_mask=keep.long()).last_hidden_state


class TextEncoder(nn.Module):
    """u = Pool(Attn(words)): one vector a text; an empty text gives zeros and costs nothing."""

    words: WordTables | ContextualWords

    def __init__(self, words: WordTables | ContextualWords, attention: Attention, pool: Pool) -> None:
        super().__init__()
        self.words = words
        self.attention = attention
        self.pool = pool

    def forward(self, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]) -> Float[Tensor, "text dim"]:
        return by_length(self._encode, tokens, keep, self.words.words.weight)

    def _encode(self, tokens: Tensor, keep: Tensor) -> Tensor:
        return self.pool(self.attention(self.words(tokens, keep), keep=keep), keep)
