"""The paper's Attn: a stack of post-norm multi-head attention layers, for self- and cross-attention."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class AttentionLayer(nn.Module):
    """A post-norm layer: y = LN(q + MultiHead(q, m, m)); out = LN(y + W2 ReLU(W1 y)).

    The layer of "Attention is all you need" with the residual on the query side, as in equations 1 to 4 of the
    SeMANTIC paper. Keys outside `keep` are masked. Dropout acts on the attention weights and on both branches.
    """

    def __init__(self, dim: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"attention: expected a dim divisible by heads, got dim {dim} and {heads} heads")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, inner)
        self.contract = nn.Linear(inner, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Float[Tensor, "batch query dim"],
        memory: Float[Tensor, "batch key dim"],
        keep: Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch query dim"]:
        """The output for each query. A row whose keys are all masked attends to all of them: mask its output later."""
        mask = None
        if keep is not None:
            mask = (keep | ~keep.any(-1, keepdim=True))[:, None, None, :]
        attended = F.scaled_dot_product_attention(
            self._split(self.query(query)),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=mask,
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        attended = attended.transpose(1, 2).flatten(2)
        hidden = self.attention_norm(query + self.dropout(self.out(attended)))
        return self.feedforward_norm(hidden + self.dropout(self.contract(torch.relu(self.expand(hidden)))))

    def _split(self, x: Float[Tensor, "batch item dim"]) -> Float[Tensor, "batch head item head_dim"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """`layers` attention layers over a query and a memory.

    In self-attention, each layer attends to the output of the layer before (`memory="updated"`, the usual stack) or to
    the stack's input (`memory="input"`, the released code). In cross-attention both are the same. Zero layers return the
    query.
    """

    def __init__(self, dim: int, heads: int, inner: int, layers: int, dropout: float, memory: str = "updated") -> None:
        super().__init__()
        if memory not in ("updated", "input"):
            raise ValueError(f"attention memory: expected 'updated' or 'input', got {memory!r}")
        self.layers = nn.ModuleList(AttentionLayer(dim, heads, inner, dropout) for _ in range(layers))
        self.memory = memory

    def forward(
        self,
        query: Float[Tensor, "batch query dim"],
        memory: Float[Tensor, "batch key dim"] | None = None,
        keep: Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch query dim"]:
        """The last layer's output: self-attention where `memory` is None, else cross-attention; `keep` masks the keys."""
        if memory is None and self.memory == "input":
            memory = query
        hidden = query
        for layer in self.layers:
            hidden = layer(hidden, hidden if memory is None else memory, keep)
        return hidden
