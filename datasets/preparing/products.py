"""The products of a prepared store: which are kept, their texts and their photos. Written in blocks, with a journal."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semantic.datasets.preparing.photos import CROP, RESIZE, PhotoError, decode_photo
from semantic.datasets.preparing.workers import Workers
from semantic.datasets.reading.corpus import Corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.store.arrays import GrowingArray, GrowingTable
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report

BLOCK = 256
"""Products of a block: one task of a worker process, and one line of the journal."""

ENTRY = frozenset({"read", "rows", "texts", "counts", "examples"})
"""The keys of a block's line in the journal."""

JOURNAL, TEXTS, PHOTOS = "journal.jsonl", "products.jsonl", "photos.npy"
JOURNAL_TEMPORARY = "journal.tmp"


@dataclass(frozen=True)
class ProductSettings:
    """The settings that decide which products are kept, and their pixels."""

    missing_photo: str = "drop"  # a product without a readable photo: "drop" leaves it out, "mask" gives it zeros
    photo_resize: int = RESIZE
    photo_size: int = CROP

    def __post_init__(self) -> None:
        if self.missing_photo not in ("drop", "mask"):
            raise DataError(f"missing_photo: expected drop or mask, found {self.missing_photo!r}")
        if not 0 < self.photo_size <= self.photo_resize:
            raise DataError(
                f"photo_size: expected 1 to photo_resize ({self.photo_resize}) pixels, found {self.photo_size}"
            )


@dataclass(frozen=True)
class PreparedProducts:
    """The row of each product by its name, and the manifest's counts."""

    rows: dict[str, int]
    counts: dict[str, int]


def prepare_products(
    corpus: Corpus,
    folder: Path,
    settings: ProductSettings,
    digest: str,
    faults: Faults,
    progress: Report,
    workers: Workers,
) -> PreparedProducts:
    """Write photos.npy, has_photo.npy and products.parquet into `folder`, after the blocks of a journal found there.

    Kept are, in catalogue order, the products with a text and, under "drop", with a photo that decodes. After each
    block, a line of the journal says how far the files are valid.
    """
    names = corpus.product_names()
    journal = _Journal(folder / JOURNAL, {"catalogue": digest, **asdict(settings)})
    for entry in journal.entries:
        faults.merge(entry["counts"], entry["examples"])
    last = journal.entries[-1] if journal.entries else {"read": 0, "rows": 0, "texts": 0}
    photos = GrowingArray(folder / PHOTOS, np.uint8, (settings.photo_size, settings.photo_size, 3), _rows(journal))
    texts = open(folder / TEXTS, "r+b" if journal.entries else "wb")  # noqa: SIM115 (closed below)
    try:
        texts.truncate(last["texts"])
        texts.seek(0, os.SEEK_END)
        read = last["read"]
        for block in workers.map(partial(_decoded, settings=settings), _blocks(corpus, names[read:])):
            found = Faults(faults.on_error)
            for loaded in block:
                _write(loaded, settings, photos, texts, found)
            photos.flush()
            texts.flush()
            faults.merge(found.counts, found.examples)
            read += len(block)
            journal.append(
                {"read": read, "rows": photos.rows, "texts": texts.tell(), "counts": found.counts}
                | {"examples": found.examples}
            )
            progress("photos", read, len(names))
        photos.close()
    finally:
        photos.release()
        texts.close()
    return _finish(folder, len(names))


def _rows(journal: "_Journal") -> int | None:
    return journal.entries[-1]["rows"] if journal.entries else None


class _Journal:
    """A file of JSON lines: the settings, then for each finished block products read, rows and bytes written, rejects."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self.entries: list[dict[str, Any]] = []
        lines = _whole_lines(path)
        if lines:
            if lines[0] != settings:
                changed = ", ".join(key for key in settings if lines[0].get(key) != settings[key])
                raise DataError(
                    f"{path.parent.parent}: expected an unfinished store of the same source and settings, found one "
                    f"that differs in {changed}; choose another folder or pass --overwrite"
                )
            photos, texts = path.with_name(PHOTOS), path.with_name(TEXTS)
            for entry in lines[1:]:
                # After a power cut the journal may be ahead of the data.
                row = settings["photo_size"] ** 2 * 3
                if entry.keys() >= ENTRY and _size(photos) >= entry["rows"] * row and _size(texts) >= entry["texts"]:
                    self.entries.append(entry)
        self._rewrite([settings, *self.entries])

    def append(self, entry: dict[str, Any]) -> None:
        with open(self._path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        temporary = self._path.with_name(JOURNAL_TEMPORARY)
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))
        temporary.replace(self._path)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The journal's lines before the first that a crash left unreadable or incomplete."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(errors="replace").split("\n")[:-1]:
            try:
                content = json.loads(line)
            except ValueError:
                break
            if not isinstance(content, dict):
                break
            lines.append(content)
    return lines


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


@dataclass(frozen=True)
class _Loaded:
    """A product on its way into the store."""

    name: str
    text: str | None = None
    photo: Path | None = None  # to be decoded
    pixels: np.ndarray | None = None
    reason: str | None = None  # why text or photo is missing
    detail: str = ""


def _blocks(corpus: Corpus, names: Sequence[str]) -> Iterator[list[_Loaded]]:
    for start in range(0, len(names), BLOCK):
        yield [_load(corpus, name) for name in names[start : start + BLOCK]]


def _load(corpus: Corpus, name: str) -> _Loaded:
    try:
        product = corpus.product(name)
    except DataError as error:
        return _Loaded(name, reason="malformed product file", detail=str(error))
    if product.text is None:
        return _Loaded(name, reason="no product text")
    return _Loaded(name, product.text, product.photo, reason="no photo file" if product.photo is None else None)


def _decoded(block: list[_Loaded], settings: ProductSettings) -> list[_Loaded]:
    """The block with the pixels of its photos, or the reason why a photo has none."""
    return [loaded if loaded.photo is None else _decode(loaded, loaded.photo, settings) for loaded in block]


def _decode(loaded: _Loaded, photo: Path, settings: ProductSettings) -> _Loaded:
    try:
        return replace(loaded, pixels=decode_photo(photo, settings.photo_resize, settings.photo_size))
    except FileNotFoundError:
        return replace(loaded, reason="no photo file", detail=photo.name)
    except PhotoError as error:
        return replace(loaded, reason="photo does not decode", detail=str(error))


def _write(loaded: _Loaded, settings: ProductSettings, photos: GrowingArray, texts: Any, faults: Faults) -> None:
    if loaded.reason == "malformed product file":
        faults.fault(loaded.reason, f"product {loaded.name!r}", loaded.detail)
    elif loaded.reason is not None:
        faults.note(loaded.reason, f"product {loaded.name!r}", loaded.detail)
    if loaded.text is None or (loaded.pixels is None and settings.missing_photo == "drop"):
        return
    size = settings.photo_size
    photos.append(np.zeros((1, size, size, 3), np.uint8) if loaded.pixels is None else loaded.pixels[None])
    line = json.dumps([loaded.name, loaded.text, loaded.pixels is not None])
    texts.write(line.encode() + b"\n")


def _product(line: str, folder: Path) -> tuple[str, str, bool]:
    try:
        name, text, photo = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{folder / TEXTS}: expected the products that an earlier call kept, found a damaged line; pass --overwrite"
        ) from error
    return name, text, photo


def _finish(folder: Path, catalogue: int) -> PreparedProducts:
    rows: dict[str, int] = {}
    photos: list[bool] = []
    table = GrowingTable(folder / "products.parquet", {"name": pa.string(), "text": pa.string()})
    has_photo = GrowingArray(folder / "has_photo.npy", np.bool_)
    try:
        with open(folder / TEXTS) as texts:
            for line in texts:
                name, text, photo = _product(line, folder)
                rows[name] = len(rows)
                table.append(name, text)
                photos.append(photo)
        has_photo.append(photos)
        table.close()
        has_photo.close()
    finally:
        table.release()
        has_photo.release()
    return PreparedProducts(
        rows,
        {
            "catalogue": catalogue,
            "total": len(rows),
            "with_text": len(rows),
            "with_photo": sum(photos),
            "masked_photos": len(rows) - sum(photos),
        },
    )
