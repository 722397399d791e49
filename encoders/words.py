"""Word and position tables, and the rows of a word table that one batch needs."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class BatchWords:
    """The rows of a word table that a batch needs: one gather and one scatter a step, however often words are looked up."""

    table: Float[Tensor, "row dim"]
    row: Int[Tensor, "word"] | None = None  # row of each token id; None where `table` is the whole word table
    pad: int | None = None  # the row of a whole table that gets no gradient

    @classmethod
    def of(cls, table: nn.Embedding, *tokens: Int[Tensor, "..."]) -> "BatchWords":
        """The rows of every word in `tokens`. The padding row gets no gradient, as in `table` itself."""
        words = torch.unique(torch.cat([ids.flatten() for ids in tokens]))
        row = words.new_zeros(table.num_embeddings)
        row[words] = torch.arange(len(words), device=words.device)
        return cls(table(words), row)

    def at(self, tokens: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The rows of `tokens` in `table`."""
        return tokens if self.row is None else self.row[tokens]

    def __call__(self, tokens: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        """The embeddings of `tokens`."""
        return F.embedding(self.at(tokens), self.table, padding_idx=self.pad)


class WordTables(nn.Module):
    """x_i = W_emb[w_i] + PE(i): BERT's word and position tables, trained, without its segment table and LayerNorm."""

    def __init__(self, vocabulary: int, positions: int, dim: int, pad: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, dim, padding_idx=pad)
        self.positions = nn.Embedding(positions, dim)

    def forward(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        """x_i for each token; `vocabulary` must hold rows of this word table."""
        del keep  # each token is looked up by itself
        if tokens.shape[-1] > self.positions.num_embeddings:
            raise ValueError(
                f"word tables: expected at most {self.positions.num_embeddings} positions, got {tokens.shape[-1]} tokens"
            )
        return vocabulary(tokens) + self.positions.weight[: tokens.shape[-1]]
