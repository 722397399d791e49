"""A catalogue the user simulator shops in: true attributes as integer columns, and what its files will tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semantic.datasets.simulator.dialogue.slots import CRITERIA

UNKNOWN = -1


@dataclass
class Catalogue:
    """Products by row.

    `codes[attribute]` is int32 [product], an index into `values[attribute]`, `UNKNOWN` where the product has no such
    attribute. They are the truth the dialogues obey; `texts` is what a product's file says, which may be less.
    """

    names: list[str]
    texts: list[dict[str, str]]
    values: dict[str, tuple[str, ...]]
    codes: dict[str, np.ndarray]
    facts: dict[str, list[str]] = field(default_factory=dict)  # price, care, sizes: asked about, never asked for
    photos: list[Path] = field(default_factory=list)  # of a real catalogue; none where they are to be rendered

    def __len__(self) -> int:
        return len(self.names)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes dialogues can speak about, those at least one product has."""
        return tuple(name for name in CRITERIA if name in self.codes)

    def value(self, row: int, attribute: str) -> str | None:
        code = self.codes[attribute][row] if attribute in self.codes else UNKNOWN
        return None if code == UNKNOWN else self.values[attribute][code]

    def item(self, row: int) -> dict[str, str]:
        """The attributes of a product that are known."""
        found = ((name, self.value(row, name)) for name in self.attributes)
        return {name: value for name, value in found if value is not None}

    def has(self, attribute: str, value: str) -> np.ndarray:
        """bool [product]: where `attribute` is known to be `value`. A unisex product suits women and men."""
        codes, values = self.codes[attribute], self.values[attribute]
        held = codes == (values.index(value) if value in values else len(values))
        if attribute == "gender" and value != "unisex" and "unisex" in values:
            held |= codes == values.index("unisex")
        return held

    def satisfying(self, likes: Mapping[str, str], dislikes: Mapping[str, Sequence[str]]) -> np.ndarray:
        """bool [product]: every liked value known to hold, no disliked value known to hold."""
        mask = np.ones(len(self), dtype=bool)
        for attribute, value in likes.items():
            mask &= self.has(attribute, value)
        for attribute, unwanted in dislikes.items():
            for value in unwanted:
                mask &= ~self.has(attribute, value)
        return mask


def encode(columns: Mapping[str, Sequence[str | None]]) -> tuple[dict[str, tuple[str, ...]], dict[str, np.ndarray]]:
    """Values (sorted) and codes of each column of words, None for unknown. Columns without any value are left out."""
    values: dict[str, tuple[str, ...]] = {}
    codes: dict[str, np.ndarray] = {}
    for attribute, column in columns.items():
        known = tuple(sorted({word for word in column if word is not None}))
        if known:
            index: dict[str | None, int] = {word: code for code, word in enumerate(known)} | {None: UNKNOWN}
            values[attribute] = known
            codes[attribute] = np.array([index[word] for word in column], dtype=np.int32)
    return values, codes
