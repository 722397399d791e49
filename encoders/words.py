"""The word table: each word's vector, each place's, and the part of the table that one batch needs."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class BatchWords:
    """The rows of a word table that a batch needs: one gather and one scatter a step, however often words are looked up."""

    table: Float[Tensor, "row dim"]
    row: Int[Tensor, "word"] | None = None  # vocabulary id -> row; None: the whole table
    pad: int | None = None  # of a whole table: the row that gets no gradient

    @classmethod
    def of(cls, table: nn.Embedding, *tokens: Int[Tensor, "..."]) -> "BatchWords":
        """The rows of every word in `tokens`; the table's pad row gets no gradient, as in the table itself."""
        words = torch.unique(torch.cat([part.flatten() for part in tokens]))
        row = words.new_zeros(table.num_embeddings)
        row[words] = torch.arange(len(words), device=words.device)
        return cls(table(words), row)

    def at(self, tokens: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The rows of words."""
        return tokens if self.row is None else self.row[tokens]

    def __call__(self, tokens: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        """The embeddings of words."""
        return F.embedding(self.at(tokens), self.table, padding_idx=self.pad)


class WordTables(nn.Module):
    """x_i = W_emb[w_i] + PE(i): BERT's word and position tables, trained; neither segment table nor LayerNorm."""

    def __init__(self, vocabulary: int, positions: int, dim: int, pad: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, dim, padding_idx=pad)
        self.positions = nn.Embedding(positions, dim)

    def forward(
        self, vocabulary: BatchWords, tokens: Int[Tensor, "text token"], keep: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token dim"]:
        """`vocabulary` is of this table."""
        del keep  # a table looks at one token at a time
        if tokens.shape[-1] > self.positions.num_embeddings:
            raise ValueError(
                f"word tables: expected at most {self.positions.num_embeddings} positions, got {tokens.shape[-1]} tokens"
            )
        return vocabulary(tokens) + self.positions.weight[: tokens.shape[-1]]
