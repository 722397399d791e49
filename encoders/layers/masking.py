"""Masked reductions. `keep` is True where data is real."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_sum(x: Float[Tensor, "*batch item dim"], keep: Bool[Tensor, "*batch item"]) -> Float[Tensor, "*batch dim"]:
    """sum_i keep_i x_i, zero where nothing is kept. Masked entries may hold anything, also NaN."""
    return x.masked_fill(~keep.unsqueeze(-1), 0.0).sum(-2)


def masked_mean(x: Float[Tensor, "*batch item dim"], keep: Bool[Tensor, "*batch item"]) -> Float[Tensor, "*batch dim"]:
    """The mean over the kept items, zero where nothing is kept."""
    return masked_sum(x, keep) / keep.sum(-1, keepdim=True).clamp(min=1)


def masked_softmax(
    scores: Float[Tensor, "*batch item"], keep: Bool[Tensor, "*batch item"]
) -> Float[Tensor, "*batch item"]:
    """The softmax over the kept items; an all-masked row gives zeros."""
    empty = ~keep.any(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~(keep | empty), float("-inf")), dim=-1)
    return weights.masked_fill(~keep, 0.0)


def mean_or(
    vectors: Float[Tensor, "*batch item dim"], keep: Bool[Tensor, "*batch item"], absent: Float[Tensor, "dim"]
) -> Float[Tensor, "*batch dim"]:
    """The mean over the kept items, `absent` where nothing is kept."""
    return torch.where(keep.any(-1, keepdim=True), masked_mean(vectors, keep), absent)
