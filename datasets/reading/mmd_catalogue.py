"""MMD's tables of products: photo files and ids by URL, and the raw catalogue of v1."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semantic.datasets.reading.faults import Found, kind, shown
from semantic.datasets.reading.files import check_regular, read_json, read_table, readable, repeated_keys
from semantic.datasets.reading.text import TextError, encodable, product_text
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report

ID_TABLES = ("cleaned_image_id.json", "image_id.json")
ID_DIGITS = 18
"""The most digits of an image id. Longer numbers are in no table, and Python refuses to read thousands of digits."""

MALFORMED = "malformed product"
LONGEST_NAME = 250
"""The most bytes of a photo file's name. File systems take 255, and the product's text has another suffix."""

_PLAIN = re.compile(r"\w[^/\\:\0]{0,199}")
"""The name of a file that lies in the very folder, as nearly all do: a quick test that spares a slow one."""


def read_url_files(path: Path, found: Found) -> dict[str, str]:
    """URL -> photo file from the lines `URL file` of `url2img.txt`, in their order; lines without a file are left out.

    A line that is no UTF-8, or whose file would not lie in the folder of photos, is a fault and left out. A URL with
    another file than before is a note; the last line counts.
    """
    check_regular(path, None)
    files: dict[str, str] = {}
    with readable(path), open(path, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            words = line.split(maxsplit=1)
            if len(words) < 2:
                continue
            url, file = words[0], words[1].strip()
            plain = line.isascii() and _PLAIN.fullmatch(file)
            if not plain and (fault := _file_fault(line, file)):
                found.fault(MALFORMED, f"{path} line {number}", fault)
            elif files.setdefault(url, file) != file:
                found.note("URL with two photo files", f"{path} line {number}", f"{shown(files[url])}, {shown(file)}")
                files[url] = file
    return files


def _file_fault(line: str, file: str) -> str | None:
    """What is wrong with a line of `url2img.txt` and the photo file in it; None where nothing is."""
    if not encodable(line) or "\0" in line:
        return f"expected a URL and a file name in UTF-8, found {shown(line)}"
    path = Path(file)
    if path.anchor or ".." in path.parts or not path.stem:
        return f"expected a photo file within images/images, found {shown(file)}"
    if len(path.name.encode()) > LONGEST_NAME:
        return f"expected a file name of at most {LONGEST_NAME} bytes, found {shown(path.name)}"
    return None


def read_image_ids(path: Path, found: Found) -> dict[str, int]:
    """URL -> image id, from the first element of the list in the file. An entry that is no id is a fault and left out."""
    table = read_table(path)
    first = table[0] if isinstance(table, list) and table else table
    if not isinstance(first, dict):
        raise DataError(f"{path}: expected a list whose first element maps URL to id, found {kind(first)}")
    repeated = repeated_keys(first)
    if not repeated and set(map(type, first.values())) <= {int}:  # the usual case, tested at once
        return first
    ids = {}
    for url, value in first.items():
        number = image_id(value)
        if url in repeated:
            found.fault(MALFORMED, f"{path}: URL {shown(url)}", "expected each URL once, found it twice")
        elif number is None:
            found.fault(MALFORMED, f"{path}: URL {shown(url)}", f"expected a number, found {shown(value)}")
        else:
            ids[url] = number
    return ids


def image_id(value: Any) -> int | None:
    """The image id that a value of a JSON file is or spells; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= ID_DIGITS:
        return int(value)
    return value if type(value) is int else None  # a truth value is an int, too


class RawCatalogue:
    """The products in v1's `raw_catalog/<site>/public_jsons/*.json`, one a file, keys in any case.

    `entries` maps "<site>/<stem>" to the file, in sorted order. `by_url` maps a photo's URL to the first entry that
    lists it. A malformed file is a fault and left out. Opening reads every file once.
    """

    def __init__(self, folder: Path, progress: Report, found: Found) -> None:
        self.entries: dict[str, Path] = {}
        self.by_url: dict[str, str] = {}
        paths = sorted(folder.glob("*/public_jsons/*.json"))
        for done, path in enumerate(paths, 1):
            name = f"{path.parent.parent.name}/{path.stem}"
            try:
                content = _read_entry(path)
                if not encodable(name):
                    raise DataError(f"{path}: expected a file name in UTF-8, found {shown(path.name)}")
            except DataError as error:
                found.fault("malformed product file", str(path), str(error).removeprefix(f"{path}: "))
            else:
                self.entries[name] = path
                for url in _strings([content.get("image_filename"), content.get("image_filename_all")]):
                    self.by_url.setdefault(url, name)
            progress("raw catalogue", done, len(paths))

    def text(self, name: str) -> str | None:
        """The product text of an entry's flat values. DataError for a malformed file."""
        content = _read_entry(self.entries[name])
        flat = {key: value for key, value in content.items() if not key.startswith("image_filename")}
        return text_of(self.entries[name], flat)


def text_of(path: Path, content: dict[str, Any]) -> str | None:
    """The product text of what is in a product's file. DataError, with the file's name, where it is none."""
    try:
        return product_text(content)
    except TextError as error:
        raise DataError(f"{path}: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    """Every text in nested lists and objects. The format says {orientation: [URL]}, but real files vary."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and value.strip():
            yield value.strip()
        elif isinstance(value, dict | list):
            waiting.extend(reversed(list(value.values()) if isinstance(value, dict) else value))


def _read_entry(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with one product, found {kind(content)}")
    return {str(key).lower(): value for key, value in content.items()}
