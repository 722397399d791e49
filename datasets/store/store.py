"""The prepared store: all data that training and evaluation read, memory-mapped."""

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semantic.datasets.store.arrays import ROW_GROUP
from semantic.runtime.claims import tidy, write_shared
from semantic.runtime.digests import SEAL, file_digest, is_broken, value_digest, with_seal
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report, no_report

T = TypeVar("T")

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

VERIFIED = "verified"
"""Folder of a store: which of its files a machine has compared with their checksums, a file a machine."""


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


def file_digests(folder: Path, names: Sequence[str], progress: Report = no_report) -> dict[str, str]:
    """The SHA-256 of files of a folder, which are read side by side, 1 MiB at a time."""
    digests: dict[str, str] = {}
    progress("checksums", 0, len(names))
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # hashing leaves the interpreter to others
        for name, digest in zip(names, threads.map(lambda name: file_digest(folder / name), names), strict=True):
            digests[name] = digest
            progress("checksums", len(digests), len(names))
    return digests


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its two digests: `identity` of what the store holds (checksums, slots, splits), wherever it came
    from, and `seal` of the manifest itself.
    """
    content = {key: manifest[key] for key in ("version", "checksums", "slots", "splits")}
    return with_seal({**manifest, "identity": value_digest(content)})


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store. DataError where `path` is no store, or a store of another version."""
    file = path / MANIFEST
    if not file.is_file():
        found = "a folder without one" if path.is_dir() else "a file" if path.exists() else "nothing"
        if (path / "partial").is_dir():
            found = "an unfinished store without one; the same `prepare` goes on"
        raise DataError(f"{path}: expected a prepared store (a folder with {MANIFEST}), found {found}")
    try:
        manifest = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: expected the manifest of a store, found no valid JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{file}: expected format {FORMAT!r}, found another kind of file")
    if manifest.get("version") != VERSION:
        raise DataError(
            f"{file}: expected store version {VERSION}, found {manifest.get('version')!r}; prepare it again"
        )
    if SEAL not in manifest or is_broken(manifest):
        raise DataError(
            f"{file}: expected the manifest that was written, found one changed since; prepare the store again"
        )
    return manifest


class Store:
    """A prepared store, opened for reading.

    Products, turns, dialogues and examples are numbered by row. Arrays are memory-mapped; the columns of tables are
    read on first use and kept in memory.
    """

    def __init__(self, path: Path | str, identity: str | None = None) -> None:
        self.path = Path(path)
        self._opened = self._stamp()
        self.manifest = read_manifest(self.path)
        if identity not in (None, self.identity):
            raise DataError(f"{self.path}: expected the store that was there before, found another in its place")
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
        self.turn_states = self._array("turn_states.npy")  # int32 [turn, slot], -1: no state on this turn
        self.dialogue_digests = self._array("dialogue_digests.npy")  # uint64 [dialogue]: what is said and shown in it
        self.turn_image_values = self._array("turn_images.npy")
        self.turn_image_offsets = self._array("turn_images_offsets.npy")
        self.example_turns = self._array("example_turns.npy")  # int64 [example, 2]: dialogue row, target turn row
        self.positive_values = self._array("positives.npy")
        self.positive_offsets = self._array("positives_offsets.npy")
        self.negative_values = self._array("negatives.npy")
        self.negative_offsets = self._array("negatives_offsets.npy")
        self._ranges = dict(_ranges(self.manifest["splits"]))
        self._check_same()

    def __reduce__(self) -> tuple[type["Store"], tuple[Path, str]]:
        """Pickle the path alone: worker processes open the store themselves. A memory map is pickled with its content."""
        return Store, (self.path, self.identity)

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {len(self.split(name).examples):,}" for name in self._ranges)
        return f"Store({str(self.path)!r}: {self.num_products:,} products; examples of {splits})"

    @property
    def slot_words(self) -> dict[str, str]:
        """What the keys of the user's own slots are embedded as; empty where the store has none."""
        return self.manifest.get("slot_words") or {}

    @property
    def identity(self) -> str:
        """The digest of what the store holds: equal for the same content in another folder."""
        return self.manifest["identity"]

    def _stamp(self) -> tuple[int, int] | None:
        """What changes when another store takes the place of this one."""
        try:
            now = (self.path / MANIFEST).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return now.st_ino, now.st_mtime_ns

    def _check_same(self) -> None:
        """DataError where the store was replaced since it was opened: what is mapped is the old one, what is read now is not."""
        if self._stamp() != self._opened:
            raise DataError(f"{self.path}: expected the store that was opened, found that it was replaced meanwhile")

    def _array(self, name: str) -> np.ndarray:
        try:
            # Of a Path, numpy would follow every link to the root; a fifth of the time of opening.
            return np.load(os.fspath(self.path / name), mmap_mode="r", allow_pickle=False)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # numpy fails in many ways, and of any other file says that it is pickled
            found = "another kind of file" if "pickle" in str(error) else " ".join(str(error).split())[:200]
            raise DataError(f"{self.path / name}: expected an array, found {found}; prepare the store again") from None

    def _column(self, table: str, name: str) -> pa.ChunkedArray:
        return self._read(table, lambda file: pq.read_table(file, columns=[name]).column(0))

    def _read(self, table: str, read: Callable[[Path], T]) -> T:
        file = self.path / f"{table}.parquet"
        try:
            found = read(file)
        except (pa.ArrowException, OSError) as error:
            first = str(error).splitlines()[0]
            raise DataError(f"{file}: expected a table of the store, found {first}; prepare the store again") from None
        self._check_same()
        return found

    def _strings(self, table: str, name: str) -> list[Any]:
        return self._column(table, name).to_pylist()

    def _numbers(self, table: str, name: str) -> np.ndarray:
        return self._column(table, name).to_numpy().astype(np.int64)

    def rows(self, table: str) -> int:
        """The number of rows of a table: "products", "dialogues", "turns" or "state_values"."""
        return self._read(table, lambda file: pq.read_metadata(file).num_rows)

    def texts(self, table: str, column: str, start: int, stop: int) -> list[str]:
        """Rows `start` to `stop` (excluded) of a text column, a missing text as "". Only their row groups are read."""
        return self._read(table, lambda file: _rows(pq.ParquetFile(file), column, start, stop))

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

    def verify(self, progress: Report = no_report) -> None:
        """Compare every file with its checksum in the manifest. DataError names those that differ."""
        stamps = self._file_stamps()
        found = file_digests(self.path, FILES, progress)
        changed = [name for name, digest in found.items() if digest != self.manifest["checksums"][name]]
        if changed:
            raise DataError(
                f"{self.path}: expected the content that was prepared, found {', '.join(changed)} changed; prepare the "
                "store again"
            )
        self.record_verified(stamps)

    def verify_once(self, progress: Report = no_report) -> None:
        """`verify`, unless this machine has done so and no file was touched since."""
        try:
            before = json.loads(self._verified.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if before != {"identity": self.identity, "files": self._file_stamps()}:
            self.verify(progress)
        tidy(self._verified)

    def record_verified(self, stamps: Mapping[str, list[int]] | None = None) -> None:
        """Note for `verify_once` that the files, or those that had these stamps, are the ones that were prepared."""
        noted = json.dumps({"identity": self.identity, "files": stamps or self._file_stamps()})
        with suppress(OSError):  # a store that cannot be written to is verified anew each time
            write_shared(self._verified, noted)

    @property
    def _verified(self) -> Path:
        return self.path / VERIFIED / f"{platform.node() or 'machine'}.json"

    def _file_stamps(self) -> dict[str, list[int]]:
        stats = {name: (self.path / name).stat() for name in FILES}
        return {name: [stat.st_ino, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _rows(file: pq.ParquetFile, column: str, start: int, stop: int) -> list[str]:
    texts, first = [], 0
    for group in range(file.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        if first < stop and after > start:
            rows = file.read_row_group(group, [column]).column(0)
            texts += rows.slice(max(0, start - first), min(stop, after) - max(start, first)).to_pylist()
        first = after
    return [text or "" for text in texts]


def _ranges(splits: dict[str, dict[str, int]]) -> Iterator[tuple[str, Split]]:
    start = 0
    for name, counts in splits.items():
        yield name, Split(name, start, start + counts["examples"])
        start += counts["examples"]


def open_store(path: Path | str) -> Store:
    """The prepared store in a folder; opening takes under a second at any size."""
    return Store(path)
