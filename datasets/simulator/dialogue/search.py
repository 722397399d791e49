"""A search for one garment: its current criteria, its hidden goal, and its belief state."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import UNKNOWN, Catalogue
from semantic.datasets.simulator.catalogue.slots import slot_of


@dataclass
class Reference:
    """What a user turn says about a product shown: the attributes it likes and dislikes, none in a question."""

    product: int
    likes: tuple[str, ...] = ()
    dislikes: tuple[str, ...] = ()


@dataclass
class Search:
    """The current criteria, `likes` and `dislikes`, and the goal.

    The goal `target` is a product that satisfies the criteria; its values become the shopper's next criteria.
    """

    catalogue: Catalogue
    target: int
    likes: dict[str, str] = field(default_factory=dict)
    dislikes: dict[str, list[str]] = field(default_factory=dict)
    shown: list[int] = field(default_factory=list)  # the photos the shopper can point at
    seen: list[int] = field(default_factory=list)  # every photo of the search so far
    references: list[Reference] = field(default_factory=list)  # of the turn being said

    @property
    def kind(self) -> str | None:
        return self.likes.get("type")

    def satisfying(self, without: str | None = None) -> np.ndarray:
        """bool [product]: whether the criteria hold, except for the liked value of the attribute `without`."""
        likes = {name: value for name, value in self.likes.items() if name != without}
        return self.catalogue.satisfying(likes, self.dislikes)

    def unseen(self) -> np.ndarray:
        """The rows of the products that satisfy the criteria and were not shown yet."""
        mask = self.satisfying()
        mask[self.seen] = False
        return np.flatnonzero(mask)

    def counts(self, attribute: str, mask: np.ndarray) -> Iterator[tuple[str, int]]:
        """Each value of an attribute and how many products of `mask` have it."""
        codes = self.catalogue.codes[attribute][mask]
        values = self.catalogue.values[attribute]
        yield from zip(values, np.bincount(codes[codes != UNKNOWN], minlength=len(values)).tolist(), strict=True)

    def value(self, row: int, attribute: str) -> str | None:
        return self.catalogue.value(row, attribute)

    def open_attributes(self) -> list[str]:
        """The attributes without a liked value."""
        return [name for name in self.catalogue.attributes if name not in self.likes]

    def slot(self, attribute: str) -> str:
        return slot_of(attribute, self.kind)

    def retarget(self, rng: np.random.Generator) -> None:
        """Draw a new goal where the old one no longer satisfies the criteria."""
        mask = self.satisfying()
        if not mask[self.target]:
            self.target = int(rng.choice(np.flatnonzero(mask)))

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The `ds` of a user turn, where `object` is a product's row; the writer replaces it by the URL."""
        informable = [self._entry(name, value, "Like") for name, value in self.likes.items()]
        for name, values in self.dislikes.items():
            informable += [self._entry(name, value, "Dislike") for value in values]
        requestable = [
            {
                "object": reference.product,
                "likes": [self.slot(name) for name in reference.likes],
                "dislikes": [self.slot(name) for name in reference.dislikes],
            }
            for reference in self.references
        ]
        return {"informable": informable, "requestable": requestable}

    def _entry(self, attribute: str, value: str, sentiment: str) -> dict[str, list[str]]:
        return {"slot": [self.slot(attribute)], "values": [value], "sentiment": [sentiment]}
