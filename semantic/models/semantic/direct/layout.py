"""A batch laid out in full, as the code published with the paper takes it: every padded place is there to be computed."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from semantic.batching.inputs import InputSpec
from semantic.datasets.batches.tensors import NONE, Batch


@dataclass(frozen=True)
class FullBatch:
    """Examples with all their turn, photo, token and candidate places; nothing is shared between examples.

    A place that holds no photo holds a black one (or features of zeros).
    """

    turn_tokens: Int[Tensor, "batch turn token"]
    turn_keep: Bool[Tensor, "batch turn token"]
    turn_photos: UInt8[Tensor, "batch turn photo height width 3"] | Float[Tensor, "batch turn photo feature"]
    photo_keep: Bool[Tensor, "batch turn photo"]
    shown_tokens: Int[Tensor, "batch turn photo product_token"]
    shown_keep: Bool[Tensor, "batch turn photo product_token"]
    turn_real: Bool[Tensor, "batch turn"]
    state_tokens: Int[Tensor, "batch slot piece"]
    state_keep: Bool[Tensor, "batch slot piece"]
    product_tokens: Int[Tensor, "batch candidate product_token"]
    product_keep: Bool[Tensor, "batch candidate product_token"]
    product_photos: UInt8[Tensor, "batch candidate height width 3"] | Float[Tensor, "batch candidate feature"]
    has_photo: Bool[Tensor, "batch candidate"]


def lay_out(batch: Batch, spec: InputSpec) -> FullBatch:
    """The batch padded to the windows of `spec`, each candidate and each turn written out where it is used.

    A padded candidate is computed as product 0.
    """
    contexts, products = batch.contexts, batch.products
    turns = _left_padded(contexts.turns, spec.context_turns)
    real, at = turns != NONE, turns.clamp(min=0)
    keep = contexts.turn_keep[at] & real.unsqueeze(-1)
    shown = contexts.turn_photos[at].masked_fill(~real.unsqueeze(-1), NONE)
    shown = _right_padded(shown, spec.photos_per_turn, NONE)
    if batch.candidates is None:
        candidates = torch.arange(len(products.tokens), device=turns.device).expand(len(turns), -1)
    else:
        candidates = batch.candidates.clamp(min=0)
    return FullBatch(
        _right_padded(contexts.turn_tokens[at], spec.turn_tokens, spec.pad),
        _right_padded(keep, spec.turn_tokens, False),
        _written_out(contexts.photos, shown),
        shown != NONE,
        _written_out(_right_padded(contexts.photo_tokens, spec.product_tokens, spec.pad), shown),
        _written_out(_right_padded(contexts.photo_keep, spec.product_tokens, False), shown),
        real,
        contexts.state_tokens,
        contexts.state_keep,
        _right_padded(products.tokens, spec.product_tokens, spec.pad)[candidates],
        _right_padded(products.keep, spec.product_tokens, False)[candidates],
        products.photos[candidates],
        products.has_photo[candidates],
    )


def _written_out(rows: Tensor, shown: Int[Tensor, "*place"]) -> Tensor:
    """`rows[shown]`, zeros where `shown` is NONE."""
    if not len(rows):
        return rows.new_zeros(*shown.shape, *rows.shape[1:])
    empty = (shown == NONE).view(*shown.shape, *[1] * (rows.dim() - 1))
    return rows[shown.clamp(min=0)].masked_fill(empty, 0)


def _right_padded(x: Tensor, length: int, filler: int | bool) -> Tensor:
    missing = max(0, length - x.shape[-1])
    return torch.cat([x, x.new_full((*x.shape[:-1], missing), filler)], dim=-1)


def _left_padded(turns: Int[Tensor, "batch turn"], length: int) -> Int[Tensor, "batch window"]:
    missing = max(0, length - turns.shape[1])
    return torch.cat([turns.new_full((len(turns), missing), NONE), turns], dim=1)
