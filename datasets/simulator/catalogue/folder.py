"""The user's own catalogue in place of a drawn one: a folder with catalogue.csv and photos."""

import csv
import os
from pathlib import Path

import numpy as np

from semantic.datasets.simulator.catalogue.catalogue import Catalogue, encode
from semantic.datasets.simulator.catalogue.slots import CRITERIA
from semantic.runtime.errors import DataError

TABLE = "catalogue.csv"
PHOTOS = (".jpg", ".jpeg", ".png")
OTHER_NAMES = {"color": "colour", "print": "pattern", "sleeves": "sleeve", "neck": "neckline", "category": "type"}
FACTS = ("price", "care", "sizes")
MISSING = frozenset({"", "unk", "unknown", "none", "nan", "n/a", "-"})


def read_catalogue(folder: Path, products: int | None, seed: int) -> Catalogue:
    """The catalogue of a folder; at most `products` of its products, drawn by the seed, in the table's order.

    `catalogue.csv` (UTF-8, with a header) has a column `type`, and a column `file` (a photo's path within the folder)
    or `name` (the photo is `<name>.jpg`, `.jpeg` or `.png`). Columns for other attributes of `CRITERIA` give dialogues
    more criteria. Columns `price`, `care` and `sizes` answer questions; further columns only go into the texts. An
    empty cell, "unk" or the like is an unknown value.
    """
    header, rows = _read_table(folder / TABLE)
    if products is not None and products < len(rows):
        kept = sorted(np.random.default_rng([seed, 1]).choice(len(rows), products, replace=False).tolist())
        rows = [rows[place] for place in kept]
    photos = [_photo(folder, line, row) for line, row in rows]
    _refuse_repeats(folder / TABLE, rows, photos)
    columns = {name: [_known(row[name]) for _, row in rows] for name in CRITERIA if name in header}
    values, codes = encode(columns)
    if "type" not in codes:
        raise DataError(f"{folder / TABLE}: expected a type for at least one product, found none")
    return Catalogue(
        names=[_stem(photo) for photo in photos],
        texts=[{key: value for key, value in row.items() if key != "file"} for _, row in rows],
        values=values,
        codes=codes,
        facts=_facts(header, rows),
        photos=photos,
    )


Row = tuple[int, dict[str, str]]
"""The line of the file where the row ends, and column -> cell."""


def _read_table(path: Path) -> tuple[list[str], list[Row]]:
    if not os.path.isfile(path):
        raise DataError(f"{path.parent}: expected a catalogue with a file {TABLE}, found none")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [_column(cell) for cell in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file in UTF-8, found {error}") from error
    except OSError as error:
        raise DataError(f"{path}: expected a file that can be read, found: {error.strerror}") from error
    if not header or not rows:
        raise DataError(
            f"{path}: expected a header and at least one product, found {'no product' if header else 'an empty file'}"
        )
    if "type" not in header or not {"name", "file"} & set(header):
        raise DataError(f"{path}: expected the column type and one of name and file, found {', '.join(header)}")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: expected each column once, found {', '.join(repeated)} twice")
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(f"{path} line {line}: expected {len(header)} cells, found {len(cells)}")
    return header, [(line, dict(zip(header, (cell.strip() for cell in cells), strict=True))) for line, cells in rows]


def _column(cell: str) -> str:
    name = cell.strip().lower()
    return OTHER_NAMES.get(name, name)


def _known(cell: str) -> str | None:
    """The value of a cell in lower case, None where it is missing."""
    value = " ".join(cell.lower().split())
    return None if value in MISSING else value


def _photo(folder: Path, line: int, row: dict[str, str]) -> Path:
    where = f"{folder / TABLE} line {line}"
    if row.get("file"):
        photo = _inside(folder, row["file"], where)
        if photo.suffix.lower() not in PHOTOS:
            raise DataError(f"{where}: expected a photo ending in {', '.join(PHOTOS)}, found {row['file']!r}")
        if not os.path.isfile(photo):
            raise DataError(f"{where}: expected a photo {row['file']!r} in {folder}, found no such file")
        return photo
    if not row.get("name"):
        raise DataError(f"{where}: expected a name or a file, found neither")
    for suffix in PHOTOS:
        photo = _inside(folder, f"{row['name']}{suffix}", where)
        if os.path.isfile(photo):
            return photo
    raise DataError(
        f"{where}: expected a photo {row['name']!r} ending in {', '.join(PHOTOS)} in {folder}, found no such file"
    )


def _inside(folder: Path, name: str, where: str) -> Path:
    """The path of a photo; DataError for a name that leads out of the folder. Links are followed wherever they lead."""
    path = Path(name)
    if path.anchor or ".." in path.parts:
        raise DataError(f"{where}: expected a photo within {folder}, found {name!r}")
    return folder / path


def _stem(photo: Path) -> str:
    """A product's name: its photo's stem, with "_" for spaces, which `url2img.txt` cannot hold."""
    return "_".join(photo.stem.split())


def _refuse_repeats(table: Path, rows: list[Row], photos: list[Path]) -> None:
    """DataError where two products have the same name."""
    lines: dict[str, int] = {}
    for (line, _), photo in zip(rows, photos, strict=True):
        stem = _stem(photo)
        if stem in lines:
            raise DataError(
                f"{table} line {line}: expected a photo of its own, found {stem!r} of line {lines[stem]} again"
            )
        lines[stem] = line


def _facts(header: list[str], rows: list[Row]) -> dict[str, list[str]]:
    """The columns that answer questions, those that are known for every product."""
    columns = {name: [row[name] for _, row in rows] for name in FACTS if name in header}
    return {name: cells for name, cells in columns.items() if all(_known(cell) for cell in cells)}
