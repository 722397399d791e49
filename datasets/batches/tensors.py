"""Tensors of contexts, products and examples: each turn and each product of a batch is in it once, and examples point at them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

NONE = -1
"""Marks a padded turn, photo or candidate in the index tensors."""


T = TypeVar("T")


def map_tensors(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """A dataclass with every tensor in it changed, in dataclasses within it too; a lone tensor is changed itself."""
    if isinstance(value, Tensor):
        return change(value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: map_tensors(getattr(value, f.name), change) for f in fields(value)})
    return value


class Movable:
    """A dataclass of tensors that can be copied to a device."""

    def to(self: T, device: torch.device) -> T:
        """The same on `device`; from pinned memory the copy runs while the device works."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: T) -> T:
        """The same in memory that a device can copy from by itself; torch's data loader calls this."""
        return map_tensors(self, Tensor.pin_memory)


@dataclass(frozen=True)
class Contexts(Movable):
    """The context windows of a batch: unique turns with their word pieces and photos, and each example's turns.

    `photos` are uint8 pictures, or float features [photo, feature] where those are computed beforehand; `photo_tokens` are the
    texts of the products that they show. `state_tokens` are
    the gold slot values of the last turn, "none" where unset or not known: no model may read them to rank.
    """

    turn_tokens: Int[Tensor, "turn token"]
    turn_keep: Bool[Tensor, "turn token"]
    turn_photos: Int[Tensor, "turn photo"]
    photos: UInt8[Tensor, "picture height width 3"] | Float[Tensor, "picture feature"]
    photo_tokens: Int[Tensor, "picture word"]
    photo_keep: Bool[Tensor, "picture word"]
    turns: Int[Tensor, "batch context"]
    state_tokens: Int[Tensor, "batch slot piece"]
    state_keep: Bool[Tensor, "batch slot piece"]

    def each_turn(self, vectors: Shaped[Tensor, "turn *dim"]) -> tuple[Tensor, Bool[Tensor, "batch context"]]:
        """What belongs to each turn of each context [batch, context, ...], zeros where there is no turn; and where there is one."""
        keep = self.turns >= 0
        found = vectors[self.turns.clamp(min=0)]
        return found.masked_fill(~keep.view(*keep.shape, *[1] * (found.dim() - 2)), 0.0), keep


@dataclass(frozen=True)
class Products(Movable):
    """Unique products: word pieces of their texts, and their photos (or features of them)."""

    tokens: Int[Tensor, "product token"]
    keep: Bool[Tensor, "product token"]
    photos: UInt8[Tensor, "product height width 3"] | Float[Tensor, "product feature"]
    has_photo: Bool[Tensor, "product"]


@dataclass(frozen=True)
class Batch(Movable):
    """Examples with their candidates: `candidates` point into `products`, `positive` marks the shown ones.

    `candidates` None: every product is a candidate of every example.
    """

    contexts: Contexts
    products: Products
    candidates: Int[Tensor, "batch candidate"] | None
    positive: Bool[Tensor, "batch candidate"]

    @property
    def keep(self) -> Bool[Tensor, "batch candidate"]:
        return torch.ones_like(self.positive) if self.candidates is None else self.candidates != NONE
