"""The paper's Attn: a stack of multi-head attention layers, for self- and cross-attention."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class AttentionLayer(nn.Module):
    """One layer, with the residual on the query side.

        norm="post"     y = LN(q + MultiHead(q, m, m));              out = LN(y + W2 ReLU(W1 y))
        norm="pre"      y = q + MultiHead(LN(q), LN(m), LN(m));      out = y + W2 ReLU(W1 LN(y))

    The first is the layer of "Attention is all you need", as in equations 1 to 4 of the SeMANTIC paper. With start="identity"
    the last map of both branches starts at zero: a pre-norm layer then returns its query, and learns from there. Keys outside
    `keep` are masked. Dropout acts on the attention weights and on both branches.
    """

    def __init__(
        self, dim: int, heads: int, inner: int, dropout: float, norm: str = "post", start: str = "random"
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"attention: expected a dim divisible by heads, got dim {dim} and {heads} heads")
        if norm not in ("post", "pre"):
            raise ValueError(f"attention norm: expected 'post' or 'pre', got {norm!r}")
        if start not in ("random", "identity"):
            raise ValueError(f"attention start: expected 'random' or 'identity', got {start!r}")
        self.heads = heads
        self.norm = norm
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, inner)
        self.contract = nn.Linear(inner, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        if start == "identity":
            for branch in (self.out, self.contract):
                nn.init.zeros_(branch.weight)
                nn.init.zeros_(branch.bias)

    def forward(
        self,
        query: Float[Tensor, "batch query dim"],
        memory: Float[Tensor, "batch key dim"],
        keep: Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch query dim"]:
        """The output for each query. A row whose keys are all masked attends to all of them: mask its output later."""
        if self.norm == "post":
            hidden = self.attention_norm(query + self._attend(query, memory, keep))
            return self.feedforward_norm(hidden + self._feed_forward(hidden))
        asked = self.attention_norm(query)
        hidden = query + self._attend(asked, asked if memory is query else self.attention_norm(memory), keep)
        return hidden + self._feed_forward(self.feedforward_norm(hidden))

    def _attend(self, query: Tensor, memory: Tensor, keep: Tensor | None) -> Tensor:
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
        return self.dropout(self.out(attended.transpose(1, 2).flatten(2)))

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(self.contract(torch.relu(self.expand(hidden))))

    def _split(self, x: Float[Tensor, "batch item dim"]) -> Float[Tensor, "batch head item head_dim"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """`layers` attention layers over a query and a memory.

    In self-attention, each layer attends to the output of the layer before (`memory="updated"`, the usual stack) or to
    the stack's input (`memory="input"`, the released code). In cross-attention both are the same. Zero layers return the
    query.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        inner: int,
        layers: int,
        dropout: float,
        memory: str = "updated",
        norm: str = "post",
        start: str = "random",
    ) -> None:
        super().__init__()
        if memory not in ("updated", "input"):
            raise ValueError(f"attention memory: expected 'updated' or 'input', got {memory!r}")
        self.layers = nn.ModuleList(AttentionLayer(dim, heads, inner, dropout, norm, start) for _ in range(layers))
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
