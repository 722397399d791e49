"""The dialogues and examples of a prepared store, written while dialogue files are read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semantic.datasets.preparing.parsing import ReadDialogue, ReadTurn, read_files
from semantic.datasets.preparing.resolving import Resolver
from semantic.datasets.preparing.workers import Workers
from semantic.datasets.reading.corpus import Corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.records import BeliefState
from semantic.datasets.reading.turns import file_names
from semantic.datasets.store.arrays import GrowingArray, GrowingLists, GrowingTable
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report

FILES_AT_ONCE = 32
"""Dialogue files of one task of a worker process."""

UNSET = "none"
"""The value text of a slot that is not set."""

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
    """The most positives and negatives an example keeps: the first that are products of the store."""

    positives: int = 5
    negatives: int = 1000

    def __post_init__(self) -> None:
        for name in ("positives", "negatives"):
            if getattr(self, name) < 1:
                raise DataError(f"limits.{name}: expected at least 1, found {getattr(self, name)}")


def prepare_dialogues(
    corpus: Corpus,
    folder: Path,
    rows: Mapping[str, int],
    limits: Limits,
    faults: Faults,
    progress: Report,
    workers: Workers,
) -> dict[str, dict[str, int]]:
    """Write the dialogue and example files into `folder` and return the counts of each split.

    An example is a merged system turn with a turn before it and at least one positive and one negative among `rows`.
    Only a few dialogues are in memory at a time, beside the names of all files.
    """
    names = {split: file_names(corpus.folders[split]) for split in corpus.splits}
    total, done = sum(map(len, names.values())), 0
    read = partial(read_files, read_state=corpus.read_state, on_error=faults.on_error)
    writer = _Writer(corpus, folder, rows, limits, faults)
    try:
        for split in names:
            writer.open_split(split)
            for files in workers.map(read, _tasks(corpus.folders[split], names[split])):
                for file in files:
                    faults.merge(file.counts, file.examples)
                    if file.dialogue is not None:
                        writer.write(file.dialogue)
                    done += 1
                    progress("dialogues", done, total)
        writer.close()
    finally:
        writer.release()
    return writer.counts


def dialogue_digest(turns: Sequence[ReadTurn], image_name: Callable[[Any], str]) -> int:
    """64 bits that tell what is said and shown in a dialogue, the same in every generation of MMD's files.

    BLAKE2b of the merged turns: speaker, text, names of the images, apart by characters that texts do not hold. States and
    negatives are no part: v3 is v2 with states.
    """
    said = "\x1e".join("\x1f".join((turn.speaker, turn.text, *map(image_name, turn.images))) for turn in turns)
    return int.from_bytes(blake2b(said.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def _tasks(folder: Path, names: Sequence[str]) -> Iterator[tuple[Path, Sequence[str]]]:
    for start in range(0, len(names), FILES_AT_ONCE):
        yield folder, names[start : start + FILES_AT_ONCE]


@dataclass
class _Writer:
    """The dialogue and example files of a store, and their counts."""

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
        self.digests = GrowingArray(folder / "dialogue_digests.npy", np.uint64)
        self.positives = GrowingLists(folder, "positives")
        self.negatives = GrowingLists(folder, "negatives")
        self.values = {UNSET: 0}
        self.resolve = Resolver(self.corpus.image_name, self.rows)
        self.first = np.empty(len(self.rows), np.int64)  # a place for each product, for `_distinct` and `_without`
        self.split = ""

    def open_split(self, split: str) -> None:
        self.split = split
        self.counts[split] = dict.fromkeys(COUNTS, 0)

    def write(self, dialogue: ReadDialogue) -> None:
        where = f"{self.split} dialogue {dialogue.name!r}"
        self._count(dialogues=1, dialogues_with_states=int(dialogue.states > 0), states=dialogue.states)
        self._count(turns=dialogue.turns, merged_turns=len(dialogue.merged))
        first, images = self.turns.rows, []
        for index, turn in enumerate(dialogue.merged):
            place = f"{where} merged turn {index}"
            self.turns.append(turn.speaker, turn.act, turn.text, turn.merged)
            shown = self.resolve(turn.images, partial(self._dead, place=place))
            images.append(shown)
            if turn.recommends:
                self._count(recommendation_turns=1)
                self._example(turn, index, first + index, shown, place)
        self.images.extend(images)
        self.states.append([self._state(turn.state) for turn in dialogue.merged])
        self.dialogues.append(dialogue.name, self.split, first, len(dialogue.merged))
        self.digests.append([dialogue_digest(dialogue.merged, self.corpus.image_name)])

    def _example(self, turn: ReadTurn, index: int, row: int, shown: np.ndarray, place: str) -> None:
        positives = self._distinct(shown)
        others = self._distinct(self.resolve(turn.negatives, partial(self._dead, place=place)))
        negatives = self._without(positives, others)
        for _ in range(len(others) - len(negatives)):
            self.faults.note("negative that is also a positive", place)
        for reason, rejected in (
            ("recommendation without context", index == 0),
            ("recommendation without negatives", not turn.negatives),
            ("recommendation without a positive that resolves", not len(positives)),
            ("recommendation without a negative that resolves", not len(negatives)),
        ):
            if rejected:
                self.faults.note(reason, place)
                return
        positives, negatives = positives[: self.limits.positives], negatives[: self.limits.negatives]
        self.examples.append([[self.dialogues.rows, row]])
        self.positives.append(positives)
        self.negatives.append(negatives)
        self._count(examples=1, positives=len(positives), negatives=len(negatives))

    def _distinct(self, rows: np.ndarray) -> np.ndarray:
        """The rows without repeats, in the order of their first places. Faster than sorting a thousand rows."""
        places = np.arange(len(rows))
        self.first[rows[::-1]] = places[::-1]  # of repeated rows the last assignment stays, which is the first place
        return rows[self.first[rows] == places]

    def _without(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Those of `others` that are not among `rows`; `others` must come from the last call of `_distinct`."""
        self.first[rows] = -1
        return others[self.first[others] >= 0]

    def _dead(self, name: str, place: str) -> None:
        reason = self.corpus.missing_reason(name)
        if reason is not None:  # a product that was dropped is counted already
            self.faults.note(reason, place, name)

    def _state(self, state: BeliefState | None) -> list[int]:
        if state is None:
            return [-1] * len(self.corpus.slots)
        return [self.values.setdefault(state.get(slot, UNSET), len(self.values)) for slot in self.corpus.slots]

    def _count(self, **amounts: int) -> None:
        for name, amount in amounts.items():
            self.counts[self.split][name] += amount

    def close(self) -> None:
        for file in self._files():
            file.close()
        values = GrowingTable(self.folder / "state_values.parquet", {"value": pa.string()})
        try:
            for value in self.values:
                values.append(value)
            values.close()
        finally:
            values.release()

    def release(self) -> None:
        for file in self._files():
            file.release()

    def _files(self) -> tuple[Any, ...]:
        lists = self.images, self.positives, self.negatives
        return self.dialogues, self.turns, self.states, self.examples, self.digests, *lists
