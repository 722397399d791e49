"""Attention over the edges of a graph."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from semantic.encoders.layers.masking import masked_softmax


def sparsemax(scores: Float[Tensor, "*batch item"], keep: Bool[Tensor, "*batch item"]) -> Float[Tensor, "*batch item"]:
    """The nearest point to the kept scores among distributions, where low scores get zero; an all-masked row gives zeros.

    max(0, z_i - tau), tau such that they add up to 1 (Martins and Astudillo, "From Softmax to Sparsemax", ICML 2016).
    """
    held = scores.masked_fill(~keep, torch.finfo(scores.dtype).min / 4)
    highest = held.sort(dim=-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    highest = highest - highest[..., :1]  # no sum then loses the differences
    support = (1 + count * highest > highest.cumsum(-1)).sum(-1, keepdim=True)
    tau = (highest.cumsum(-1).gather(-1, support - 1) - 1) / support
    weights = (held - held.amax(-1, keepdim=True) - tau).clamp(min=0.0)
    return weights.masked_fill(~keep, 0.0)


class GraphAttention(nn.Module):
    """h_i' = f(|| over heads of sum_j a_ij W h_j),   a_ij = softmax over the neighbours j of LeakyReLU_0.2(s . W h_i + t . W h_j).

    Velickovic et al., "Graph Attention Networks", ICLR 2018. A node is a neighbour of itself. f is ELU, or nothing for a `last`
    layer; with `residual` the input, mapped to the width, is added. `weights="sparsemax"` gives most neighbours none.
    """

    def __init__(
        self,
        inputs: int,
        head_dim: int,
        heads: int,
        dropout: float = 0.0,
        *,
        last: bool = False,
        residual: bool = True,
        weights: Literal["softmax", "sparsemax"] = "softmax",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.width = head_dim * heads
        self.last = last
        self.map = nn.Linear(inputs, self.width, bias=False)
        self.source = nn.Parameter(torch.empty(heads, head_dim))
        self.target = nn.Parameter(torch.empty(heads, head_dim))
        for vector in (self.source, self.target):
            nn.init.xavier_uniform_(vector)
        self.skip = nn.Linear(inputs, self.width, bias=False) if residual else None
        self.dropout = nn.Dropout(dropout)
        self.weigh = {"softmax": masked_softmax, "sparsemax": sparsemax}[weights]

    def forward(
        self, x: Float[Tensor, "batch node inputs"], edges: Bool[Tensor, "batch node node"]
    ) -> Float[Tensor, "batch node width"]:
        """The nodes after the layer; `edges[b, i, j]`: i reads j. Nodes that are padding read themselves alone: nobody reads them."""
        mapped = self.map(x).unflatten(-1, (self.heads, -1))  # [batch, node, head, dim]
        asks, answers = (mapped * self.target).sum(-1), (mapped * self.source).sum(-1)
        scores = F.leaky_relu(asks.unsqueeze(2) + answers.unsqueeze(1), 0.2).permute(0, 3, 1, 2)
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        attention = self.dropout(self.weigh(scores, (edges | itself).unsqueeze(1).expand_as(scores)))
        read = (attention @ mapped.transpose(1, 2)).transpose(1, 2).flatten(2)
        if not self.last:
            read = F.elu(read)
        return read if self.skip is None else read + self.skip(x)


class GraphStack(nn.Module):
    """Layers of graph attention over nodes of `dim` numbers: of several heads, and the last one of a single head."""

    def __init__(
        self, dim: int, heads: int, layers: int, dropout: float, weights: Literal["softmax", "sparsemax"] = "softmax"
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"graph attention: expected a dim divisible by heads, got dim {dim} and {heads} heads")
        counts = [heads] * (layers - 1) + [1] * min(layers, 1)
        self.layers = nn.ModuleList(
            GraphAttention(dim, dim // count, count, dropout, last=place == layers - 1, weights=weights)
            for place, count in enumerate(counts)
        )

    def forward(
        self, x: Float[Tensor, "batch node dim"], edges: Bool[Tensor, "batch node node"]
    ) -> Float[Tensor, "batch node dim"]:
        for layer in self.layers:
            x = layer(x, edges)
        return x
