"""What the files of every layout become: frozen records of dialogues, turns and products."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BeliefState = Mapping[str, str]
"""Slot key -> value text, normalised, for the slots that are set. An empty mapping is a labelled state with nothing set."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as it stands in a file.

    `images` are names of the products shown; on a system turn they are the positives of a recommendation and
    `negatives` the products that were not shown. `state` is None where the file carries none.
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
    """A product of the catalogue: a name unique in it, its normalised text, and its photo; either may be missing."""

    name: str
    text: str | None
    photo: Path | None
