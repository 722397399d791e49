"""The prepared store: all data that training and evaluation read, memory-mapped."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semantic.datasets.store.arrays import ROW_GROUP
from semantic.runtime.errors import DataError

FORMAT = "semantic-store"
VERSION = 2
MANIFEST = "manifest.json"
BLOCK = ROW_GROUP
"""Rows of a text column that `Store.all_texts` reads at once."""

FILES = (
    "products.parquet",
    "photos.npy",
    "has_photo.npy",
    "dialogues.parquet",
    "dialogue_digests.npy",
    "turns.parquet",
    "turn_images.npy",
    "turn_images_offsets.npy",
    "turn_states.npy",
    "state_values.parquet",
    "example_turns.npy",
    "positives.npy",
    "positives_offsets.npy",
    "negatives.npy",
    "negatives_offsets.npy",
)
"""Every file of a store except the manifest."""


@dataclass(frozen=True)
class Split:
    """The examples of one split: rows `start` to `stop` (excluded) of the store's examples."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def examples(self) -> range:
        return range(self.start, self.stop)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, which is read 1 MiB at a time."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store. DataError where `path` is no store, or a store of another version."""
    file = path / MANIFEST
    if not file.is_file():
        found = "an unfinished store" if (path / "partial").is_dir() else "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: expected a prepared store (a folder with {MANIFEST}), found {found} without one")
    try:
        manifest = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"{file}: expected the manifest of a store, found no valid JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{file}: expected format {FORMAT!r}, found another kind of file")
    if manifest.get("version") != VERSION:
        raise DataError(
            f"{file}: expected store version {VERSION}, found {manifest.get('version')!r}; prepare it again"
        )
    absent = [key for key in ("source", "slots", "splits", "products", "sizes", "checksums") if key not in manifest]
    if absent:
        raise DataError(f"{file}: expected the keys of a store's manifest, found none named {', '.join(absent)}")
    return manifest


class Store:
    """A prepared store, opened for reading.

    Products, turns, dialogues and examples are numbered by row. Arrays are memory-mapped; the columns of tables are
    read on first use and kept in memory.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        for name in FILES:
            file, expected = self.path / name, self.manifest["sizes"][name]
            size = file.stat().st_size if file.is_file() else None
            if size != expected:
                found = "no such file" if size is None else f"{size} bytes"
                raise DataError(f"{file}: expected {expected} bytes, found {found}; prepare the store again")
        self.slots: tuple[str, ...] = tuple(self.manifest["slots"])
        self.splits: tuple[str, ...] = tuple(self.manifest["splits"])
        self.photos = self._array("photos.npy")  # uint8 [product, size, size, 3]
        self.has_photo = self._array("has_photo.npy")  # bool [product]
        self.dialogue_digests = self._array("dialogue_digests.npy")  # uint64 [dialogue], equal for equal content
        self.turn_states = self._array("turn_states.npy")  # int32 [turn, slot], -1: no state on this turn
        self.turn_image_values = self._array("turn_images.npy")
        self.turn_image_offsets = self._array("turn_images_offsets.npy")
        self.example_turns = self._array("example_turns.npy")  # int64 [example, 2]: dialogue row, target turn row
        self.positive_values = self._array("positives.npy")
        self.positive_offsets = self._array("positives_offsets.npy")
        self.negative_values = self._array("negatives.npy")
        self.negative_offsets = self._array("negatives_offsets.npy")
        self._ranges = dict(_ranges(self.manifest["splits"]))

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        """Pickle the path alone: worker processes open the store themselves. A memory map is pickled with its content."""
        return Store, (self.path,)

    def _array(self, name: str) -> np.ndarray:
        return np.load(self.path / name, mmap_mode="r", allow_pickle=False)

    def _column(self, table: str, name: str) -> pa.ChunkedArray:
        return pq.read_table(self.path / f"{table}.parquet", columns=[name]).column(0)

    def _strings(self, table: str, name: str) -> list[Any]:
        return self._column(table, name).to_pylist()

    def _numbers(self, table: str, name: str) -> np.ndarray:
        return self._column(table, name).to_numpy().astype(np.int64)

    def rows(self, table: str) -> int:
        """The number of rows of a table: "products", "dialogues", "turns" or "state_values"."""
        return pq.read_metadata(self.path / f"{table}.parquet").num_rows

    def texts(self, table: str, column: str, start: int, stop: int) -> list[str]:
        """Rows `start` to `stop` (excluded) of a text column, a missing text as "". Only their row groups are read."""
        file, texts, first = pq.ParquetFile(self.path / f"{table}.parquet"), [], 0
        for group in range(file.num_row_groups):
            after = first + file.metadata.row_group(group).num_rows
            if first < stop and after > start:
                rows = file.read_row_group(group, [column]).column(0)
                texts += rows.slice(max(0, start - first), min(stop, after) - max(start, first)).to_pylist()
            first = after
        return [text or "" for text in texts]

    def all_texts(self, table: str, column: str) -> Iterator[str]:
        """Every row of a text column, with at most `BLOCK` of them in memory."""
        for start in range(0, self.rows(table), BLOCK):
            yield from self.texts(table, column, start, start + BLOCK)

    def product_column(self, column: str, rows: Sequence[int]) -> list[str]:
        """The "name" or "text" of the products `rows`, without Python strings of the others."""
        values = self._column("products", column).take(pa.array(rows, pa.int64()))
        return [text or "" for text in values.to_pylist()]

    def product_rows(self, names: Iterable[str]) -> dict[str, int]:
        """Name -> row of those `names` that are products, without Python strings of the others."""
        wanted = pa.array(sorted(set(names)), pa.string())
        found = pc.index_in(wanted, self._column("products", "name").combine_chunks()).to_pylist()
        return {name: row for name, row in zip(wanted.to_pylist(), found, strict=True) if row is not None}

    @property
    def num_products(self) -> int:
        return len(self.has_photo)

    @cached_property
    def product_names(self) -> list[str]:
        return self._strings("products", "name")

    @cached_property
    def product_texts(self) -> list[str]:
        return [text or "" for text in self._strings("products", "text")]

    @cached_property
    def turn_texts(self) -> list[str]:
        return self._strings("turns", "text")

    @cached_property
    def turn_speakers(self) -> list[str]:
        return self._strings("turns", "speaker")

    @cached_property
    def turn_acts(self) -> list[str]:
        return self._strings("turns", "act")

    @cached_property
    def turn_merged(self) -> np.ndarray:
        """How many turns of the file each turn was merged from, int64 [turn]."""
        return self._numbers("turns", "merged")

    @cached_property
    def dialogue_names(self) -> list[str]:
        return self._strings("dialogues", "name")

    @cached_property
    def state_values(self) -> list[str]:
        """The value texts that `turn_states` numbers; row 0 is "none"."""
        return self._strings("state_values", "value")

    @cached_property
    def dialogue_first_turn(self) -> np.ndarray:
        return self._numbers("dialogues", "first_turn")

    @cached_property
    def dialogue_turns(self) -> np.ndarray:
        return self._numbers("dialogues", "turns")

    @cached_property
    def _dialogue_splits(self) -> list[str]:
        return self._strings("dialogues", "split")

    def dialogue_split(self, row: int) -> str:
        return self._dialogue_splits[row]

    def turn_images(self, turn: int) -> np.ndarray:
        """The products shown in a turn, int32 [n], in the order of the file."""
        return self.turn_image_values[self.turn_image_offsets[turn] : self.turn_image_offsets[turn + 1]]

    def positives(self, example: int) -> np.ndarray:
        return self.positive_values[self.positive_offsets[example] : self.positive_offsets[example + 1]]

    def negatives(self, example: int) -> np.ndarray:
        return self.negative_values[self.negative_offsets[example] : self.negative_offsets[example + 1]]

    def split(self, name: str) -> Split:
        if name not in self._ranges:
            raise DataError(f"{self.path}: expected a split of {', '.join(self.splits)}, found {name!r}")
        return self._ranges[name]

    def verify(self) -> None:
        """Compare every file with its checksum in the manifest. DataError names the first that differs."""
        for name, expected in self.manifest["checksums"].items():
            found = file_digest(self.path / name)
            if found != expected:
                raise DataError(f"{self.path / name}: expected SHA-256 {expected}, found {found}; the file was changed")


def _ranges(splits: dict[str, dict[str, int]]) -> Iterator[tuple[str, Split]]:
    start = 0
    for name, counts in splits.items():
        yield name, Split(name, start, start + counts["examples"])
        start += counts["examples"]


def open_store(path: Path | str) -> Store:
    """The prepared store in a folder; opening takes under a second at any size."""
    return Store(path)
