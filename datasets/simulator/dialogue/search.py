"""One search for a garment: the criteria in force, the hidden goal, and the belief state they make."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import UNKNOWN, Catalogue
from semantic.datasets.simulator.catalogue.garments import FOOTWEAR
from semantic.datasets.simulator.dialogue.slots import slot_of


@dataclass
class Reference:
    """What a user turn says of a product shown: the attributes liked and disliked about it, none for a mere question."""

    product: int
    likes: tuple[str, ...] = ()
    dislikes: tuple[str, ...] = ()


@dataclass
class Search:
    """Criteria said so far. `target` is the goal, a product that satisfies them: the shopper's next wishes are its values."""

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
        """bool [product]: the criteria in force hold; the value liked for the attribute `without` is left out."""
        likes = {name: value for name, value in self.likes.items() if name != without}
        return self.catalogue.satisfying(likes, self.dislikes)

    def unseen(self) -> np.ndarray:
        """Rows of the products that satisfy the criteria and were not shown yet."""
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
        """Attributes nothing was asked of yet."""
        return [name for name in self.catalogue.attributes if name not in self.likes]

    def slot(self, attribute: str) -> str:
        return slot_of(attribute, self.kind in FOOTWEAR)

    def retarget(self, rng: np.random.Generator) -> None:
        """A goal that no longer satisfies the criteria gives way to one that does."""
        mask = self.satisfying()
        if not mask[self.target]:
            self.target = int(rng.choice(np.flatnonzero(mask)))

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The `ds` of a user turn; `object` is a product's row, which the writer turns into its URL."""
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
