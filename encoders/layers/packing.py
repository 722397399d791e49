"""Encoding of rows in groups of similar length, so that little time is spent on padding."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

GROUPS = 6
"""The most groups of a batch."""
SMALLEST = 32
"""The fewest rows of a group but the last: smaller matrix products waste more time than padding."""


def by_length(
    encode: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    keep: Bool[Tensor, "row item"],
    like: Float[Tensor, "*any"],
    *,
    items: bool = False,
) -> Float[Tensor, "row *item dim"]:
    """encode(x, keep) of each row, with x [row, item, ...] cut to the longest row of its group: a vector a row, or with `items` a
    vector for each item, where those cut off are zeros.

    A row with nothing kept gives zeros. `encode` must treat each row by itself and ignore items where `keep` is False.
    Rows are sorted by their last kept item and divided into at most GROUPS groups of equal size. Where nothing is kept in
    any row, the result has the width and type of `like`.
    """
    ends = (keep * torch.arange(1, keep.shape[1] + 1, device=keep.device)).amax(1)
    order = ends.argsort(stable=True)
    lengths = ends[order].tolist()
    empty = lengths.count(0)
    if empty == len(lengths):
        return like.new_zeros(*(keep.shape if items else keep.shape[:1]), like.shape[-1])
    size = max(SMALLEST, -(-(len(lengths) - empty) // GROUPS))
    encoded = []
    for start in range(empty, len(lengths), size):
        rows = order[start : start + size]
        longest = lengths[min(start + size, len(lengths)) - 1]
        group = encode(x[rows, :longest], keep[rows, :longest])
        encoded.append(F.pad(group, (0, 0, 0, keep.shape[1] - longest)) if items else group)
    found = torch.cat(encoded)
    return found.new_zeros(len(keep), *found.shape[1:]).index_copy(0, order[empty:], found)
