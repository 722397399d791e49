"""The dialogues and examples of a prepared store, written as they are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semantic.datasets.arrays import GrowingArray, GrowingLists, GrowingTable
from semantic.datasets.corpus import Corpus
from semantic.datasets.errors import DataError
from semantic.datasets.faults import Faults
from semantic.datasets.merging import merge_turns
from semantic.datasets.progress import Progress
from semantic.datasets.records import BeliefState, Dialogue, Turn

UNSET = "none"

COUNTS = (
    "dialogues",
    "dialogues_with_states",
    "turns",
    "merged_turns",
    "states",
    "recommendation_turns",
    "examples",
    "positives",
    "negatives",
)


@dataclass(frozen=True)
class Limits:
    """How many candidates an example keeps, the first ones that resolve."""

    positives: int = 5
    negatives: int = 1000

    def __post_init__(self) -> None:
        for name in ("positives", "negatives"):
            if getattr(self, name) < 1:
                raise DataError(f"limits.{name}: expected at least 1, found {getattr(self, name)}")


def prepare_dialogues(
    corpus: Corpus, folder: Path, rows: Mapping[str, int], limits: Limits, faults: Faults, progress: Progress
) -> dict[str, dict[str, int]]:
    """Write the dialogue and example files into `folder`; returned are the counts of each split.

    One dialogue at a time is in memory. An example is a merged system turn with a turn before it and at least one
    positive and one negative among `rows`.
    """
    files = {split: corpus.dialogue_files(split) for split in corpus.splits}
    total, done = sum(map(len, files.values())), 0
    writer = _Writer(corpus, folder, rows, limits, faults)
    try:
        for split, paths in files.items():
            writer.open_split(split)
            for path in paths:
                dialogue = corpus.dialogue(path, faults)
                if dialogue is not None:
                    writer.write(dialogue)
                done += 1
                progress("dialogues", done, total)
        writer.close()
    finally:
        writer.release()
    return writer.counts


@dataclass
class _Writer:
    corpus: Corpus
    folder: Path
    rows: Mapping[str, int]
    limits: Limits
    faults: Faults
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text, integer, folder = pa.string(), pa.int64(), self.folder
        self.dialogues = GrowingTable(
            folder / "dialogues.parquet", {"name": text, "split": text, "first_turn": integer, "turns": integer}
        )
        self.turns = GrowingTable(
            folder / "turns.parquet", {"speaker": text, "act": text, "text": text, "merged": pa.int32()}
        )
        self.images = GrowingLists(folder, "turn_images")
        self.states = GrowingArray(folder / "turn_states.npy", np.int32, (len(self.corpus.slots),))
        self.examples = GrowingArray(folder / "example_turns.npy", np.int64, (2,))
        self.positives = GrowingLists(folder, "positives")
        self.negatives = GrowingLists(folder, "negatives")
        self.values = {UNSET: 0}
        self.dead: set[str] = set()
        self.split = ""

    def open_split(self, split: str) -> None:
        self.split = split
        self.counts[split] = dict.fromkeys(COUNTS, 0)

    def write(self, dialogue: Dialogue) -> None:
        where = f"{self.split} dialogue {dialogue.name!r}"
        merged = merge_turns(dialogue.turns)
        states = sum(turn.state is not None for turn in dialogue.turns)
        self._count(dialogues=1, dialogues_with_states=int(states > 0), states=states)
        self._count(turns=len(dialogue.turns), merged_turns=len(merged))
        first = self.turns.rows
        for index, (turn, size) in enumerate((item.turn, item.merged) for item in merged):
            place = f"{where} merged turn {index}"
            self.turns.append(turn.speaker, turn.act, turn.text, size)
            shown = self._resolve(turn.images, place)
            self.images.append(shown)
            self.states.append(self._state(turn.state))
            if turn.speaker == "system" and turn.images:
                self._count(recommendation_turns=1)
                self._example(turn, index, first + index, shown, place)
        self.dialogues.append(dialogue.name, self.split, first, len(merged))

    def _example(self, turn: Turn, index: int, row: int, shown: list[int], place: str) -> None:
        positives = list(dict.fromkeys(shown))
        others = list(dict.fromkeys(self._resolve(turn.negatives, place)))
        shown_as_positive = set(positives)
        negatives = [product for product in others if product not in shown_as_positive]
        for _ in range(len(others) - len(negatives)):
            self.faults.note("negative that is also a positive", place)
        for reason, rejected in (
            ("recommendation without context", index == 0),
            ("recommendation without negatives", not turn.negatives),
            ("recommendation without a positive that resolves", not positives),
            ("recommendation without a negative that resolves", not negatives),
        ):
            if rejected:
                self.faults.note(reason, place)
                return
        positives, negatives = positives[: self.limits.positives], negatives[: self.limits.negatives]
        self.examples.append([[self.dialogues.rows, row]])
        self.positives.append(positives)
        self.negatives.append(negatives)
        self._count(examples=1, positives=len(positives), negatives=len(negatives))

    def _resolve(self, names: Iterable[str], place: str) -> list[int]:
        """Product rows of the names that have one. A dead reference is counted once, however often it is named."""
        found = []
        for name in names:
            row = self.rows.get(name)
            if row is not None:
                found.append(row)
            elif name not in self.dead:
                self.dead.add(name)
                reason = self.corpus.missing_reason(name)
                if reason is not None:  # products of the catalogue that were dropped are counted already
                    self.faults.note(reason, place, name)
        return found

    def _state(self, state: BeliefState | None) -> list[int]:
        if state is None:
            return [-1] * len(self.corpus.slots)
        return [self.values.setdefault(state.get(slot, UNSET), len(self.values)) for slot in self.corpus.slots]

    def _count(self, **amounts: int) -> None:
        for name, amount in amounts.items():
            self.counts[self.split][name] += amount

    def close(self) -> None:
        for part in self._parts():
            part.close()
        values = GrowingTable(self.folder / "state_values.parquet", {"value": pa.string()})
        try:
            for value in self.values:
                values.append(value)
            values.close()
        finally:
            values.release()

    def release(self) -> None:
        for part in self._parts():
            part.release()

    def _parts(self) -> tuple[Any, ...]:
        return self.dialogues, self.turns, self.images, self.states, self.examples, self.positives, self.negatives
