"""Dialogue files reduced to what a store needs, small enough to come back from a worker process."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.merging import MergedTurn, merge_turns
from semantic.datasets.reading.records import BeliefState, Dialogue
from semantic.datasets.reading.turns import ReadState, read_dialogue

Images = array | tuple[Any, ...]
"""A turn's images as in the file: 32-bit integers where all of them fit, else numbers and strings."""


class ReadTurn(NamedTuple):
    """A merged turn. Only a recommendation keeps its `negatives`."""

    speaker: str
    act: str
    text: str
    merged: int
    state: BeliefState | None
    images: Images
    negatives: Images

    @property
    def recommends(self) -> bool:
        return self.speaker == "system" and len(self.images) > 0


class ReadDialogue(NamedTuple):
    """A dialogue, named by the stem of its file; `turns` and `states` are counts before merging."""

    name: str
    turns: int
    states: int
    merged: list[ReadTurn]


class ReadFile(NamedTuple):
    """The dialogue of a file, if it has one, and the counts and examples of its faults (see `Faults.merge`)."""

    dialogue: ReadDialogue | None
    counts: dict[str, int]
    examples: list[dict[str, str]]


def read_files(files: tuple[Path, Sequence[str]], read_state: ReadState, on_error: str) -> list[ReadFile]:
    """The dialogues in some `files` (folder, names) of a split. DataError for the first fault under "stop"."""
    folder, names = files
    return [_read_file(folder / name, read_state, on_error) for name in names]


def _read_file(path: Path, read_state: ReadState, on_error: str) -> ReadFile:
    faults = Faults(on_error)
    dialogue = read_dialogue(path, faults, read_state)
    return ReadFile(None if dialogue is None else _light(dialogue), faults.counts, faults.examples)


def _light(dialogue: Dialogue) -> ReadDialogue:
    states = sum(turn.state is not None for turn in dialogue.turns)
    return ReadDialogue(
        dialogue.name, len(dialogue.turns), states, [_light_turn(turn) for turn in merge_turns(dialogue.turns)]
    )


def _light_turn(merged: MergedTurn) -> ReadTurn:
    turn = merged.turn
    negatives = turn.negatives if turn.speaker == "system" and turn.images else ()
    return ReadTurn(
        turn.speaker, turn.act, turn.text, merged.merged, turn.state, packed(turn.images), packed(negatives)
    )


def packed(images: tuple[Any, ...]) -> Images:
    """The images as an array of 32-bit integers where all of them fit, else as they are."""
    try:
        return array("i", images)
    except (TypeError, OverflowError):
        return images
