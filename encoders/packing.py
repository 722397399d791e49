"""Sets of different lengths encoded in groups of similar length, so that padding costs nothing."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

GROUPS = 6
SMALLEST = 32
"""Rows of a group at least: smaller matrix products waste more than padding does."""


def by_length(
    encode: Callable[[Tensor, Tensor], Tensor], x: Tensor, keep: Bool[Tensor, "row item"], like: Float[Tensor, "*any"]
) -> Float[Tensor, "row dim"]:
    """encode(x, keep) row by row, x [row, item, ...] cut to the longest row of its group; a row with nothing kept gives zeros.

    `encode` must map every row by itself and see nothing where `keep` is False. Rows are sorted by their last kept place and
    cut into at most six groups of equal size. `like` has the width of the result, which tells it where no row is kept.
    """
    ends = (keep * torch.arange(1, keep.shape[1] + 1, device=keep.device)).amax(1)
    order = ends.argsort(stable=True)
    lengths = ends[order].tolist()
    empty = lengths.count(0)
    if empty == len(lengths):
        return like.new_zeros(len(keep), like.shape[-1])
    size = max(SMALLEST, -(-(len(lengths) - empty) // GROUPS))
    encoded = []
    for start in range(empty, len(lengths), size):
        rows = order[start : start + size]
        longest = lengths[min(start + size, len(lengths)) - 1]
        encoded.append(encode(x[rows, :longest], keep[rows, :longest]))
    found = torch.cat(encoded)
    return found.new_zeros(len(keep), found.shape[-1]).index_copy(0, order[empty:], found)
