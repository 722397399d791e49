"""The catalogue of a simulation: the true attributes of its products as integer columns, and their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semantic.datasets.simulator.catalogue.slots import CRITERIA

UNKNOWN = -1


@dataclass
class Catalogue:
    """Products, numbered by row.

    `codes[attribute]`, int32 [product], are indices into `values[attribute]`, `UNKNOWN` where a product has no known
    value. Dialogues follow these codes; `texts`, the contents of the products' files, may leave values out.
    """

    names: list[str]
    texts: list[dict[str, str]]
    values: dict[str, tuple[str, ...]]
    codes: dict[str, np.ndarray]
    facts: dict[str, list[str]] = field(default_factory=dict)  # price, care, sizes: answers to questions, no criteria
    photos: list[Path] = field(default_factory=list)  # of the user's own catalogue; empty where they are rendered

    def __len__(self) -> int:
        return len(self.names)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that at least one product has, which dialogues can be about."""
        return tuple(name for name in CRITERIA if name in self.codes)

    def value(self, row: int, attribute: str) -> str | None:
        code = self.codes[attribute][row] if attribute in self.codes else UNKNOWN
        return None if code == UNKNOWN else self.values[attribute][code]

    def item(self, row: int) -> dict[str, str]:
        """The known attributes of a product."""
        found = ((name, self.value(row, name)) for name in self.attributes)
        return {name: value for name, value in found if value is not None}

    def has(self, attribute: str, value: str) -> np.ndarray:
        """bool [product]: whether `attribute` is known to be `value`. A unisex product is for women and for men."""
        codes, values = self.codes[attribute], self.values[attribute]
        held = codes == (values.index(value) if value in values else len(values))
        if attribute == "gender" and value != "unisex" and "unisex" in values:
            held |= codes == values.index("unisex")
        return held

    def satisfying(self, likes: Mapping[str, str], dislikes: Mapping[str, Sequence[str]]) -> np.ndarray:
        """bool [product]: whether every liked value is known to hold and no disliked value is."""
        mask = np.ones(len(self), dtype=bool)
        for attribute, value in likes.items():
            mask &= self.has(attribute, value)
        for attribute, unwanted in dislikes.items():
            for value in unwanted:
                mask &= ~self.has(attribute, value)
        return mask


def encode(columns: Mapping[str, Sequence[str | None]]) -> tuple[dict[str, tuple[str, ...]], dict[str, np.ndarray]]:
    """The sorted values and the codes of each column; None is unknown. Columns without a value are left out."""
    values: dict[str, tuple[str, ...]] = {}
    codes: dict[str, np.ndarray] = {}
    for attribute, column in columns.items():
        known = tuple(sorted({word for word in column if word is not None}))
        if known:
            index: dict[str | None, int] = {word: code for code, word in enumerate(known)} | {None: UNKNOWN}
            values[attribute] = known
            codes[attribute] = np.array([index[word] for word in column], dtype=np.int32)
    return values, codes
