"""Dialogue files as what a store needs of them, light enough to come from another process."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.merging import MergedTurn, merge_turns
from semantic.datasets.reading.records import BeliefState, Dialogue
from semantic.datasets.reading.turns import ReadState, read_dialogue

Images = array | tuple[Any, ...]
"""A turn's images as the file has them: 32-bit integers where all are such numbers, else numbers and strings."""


class ReadTurn(NamedTuple):
    """A merged turn. `negatives` are those of a recommendation; those of other turns are left out."""

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
    """A dialogue by its file's stem; `turns` and `states` count before turns are merged."""

    name: str
    turns: int
    states: int
    merged: list[ReadTurn]


class ReadFile(NamedTuple):
    """What came of a file: a dialogue or none, and what was wrong with it (see `Faults.merge`)."""

    dialogue: ReadDialogue | None
    counts: dict[str, int]
    examples: list[dict[str, str]]


def read_files(files: tuple[Path, Sequence[str]], read_state: ReadState, on_error: str) -> list[ReadFile]:
    """The dialogues in some files (folder, names) of a split. DataError under "stop" for the first fault."""
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
    """The images in four bytes each where all are integers that fit."""
    try:
        return array("i", images)
    except (TypeError, OverflowError):
        return images
