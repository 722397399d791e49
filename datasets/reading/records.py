"""Frozen records of dialogues, turns and products, the same for every layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BeliefState = Mapping[str, str]
"""Slot key -> normalised value text of the slots that are set. An empty mapping is a labelled state with no slot set."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a file.

    `images` are the names of the products shown. On a system turn they are the positives of a recommendation, and
    `negatives` are products not shown. `state` is None where the file has none.
    """

    speaker: str  # "user" or "system"
    act: str  # the file's `type`
    text: str
    images: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    state: BeliefState | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue: its name within its split (the file's stem) and its turns in order."""

    name: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue: its unique name, its normalised text and its photo file, None where missing."""

    name: str
    text: str | None
    photo: Path | None
