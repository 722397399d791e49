"""MMD's tables of products: photo files and ids by URL, and the raw catalogue of v1."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semantic.datasets.reading.text import product_text
from semantic.datasets.reading.turns import read_json
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report

ID_TABLES = ("cleaned_image_id.json", "image_id.json")


def read_url_files(path: Path) -> dict[str, str]:
    """URL -> photo file from the lines `URL file` of `url2img.txt`, in their order; lines without a file are left out."""
    files = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split(maxsplit=1)
            if len(words) == 2:
                files[words[0]] = words[1].strip()
    return files


def read_image_ids(path: Path) -> dict[str, int]:
    """URL -> image id, from the first element of the list in the file."""
    table = read_json(path)
    first = table[0] if isinstance(table, list) and table else table
    if not isinstance(first, dict):
        raise DataError(f"{path}: expected a list whose first element maps URL to id, found {type(first).__name__}")
    try:
        return {url: int(number) for url, number in first.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: expected a number for each URL, found: {error}") from error


class RawCatalogue:
    """The products in v1's `raw_catalog/<site>/public_jsons/*.json`, one a file, keys in any case.

    `entries` maps "<site>/<stem>" to the file, in sorted order. `by_url` maps a photo's URL to the first entry that
    lists it. `malformed` maps each file left out to what is wrong with it. Opening reads every file once.
    """

    def __init__(self, folder: Path, progress: Report) -> None:
        self.entries: dict[str, Path] = {}
        self.by_url: dict[str, str] = {}
        self.malformed: dict[Path, str] = {}
        paths = sorted(folder.glob("*/public_jsons/*.json"))
        for done, path in enumerate(paths, 1):
            name = f"{path.parent.parent.name}/{path.stem}"
            try:
                content = _read_entry(path)
            except DataError as error:
                self.malformed[path] = str(error).removeprefix(f"{path}: ")
            else:
                self.entries[name] = path
                for url in _strings([content.get("image_filename"), content.get("image_filename_all")]):
                    self.by_url.setdefault(url, name)
            progress("raw catalogue", done, len(paths))

    def text(self, name: str) -> str | None:
        """The product text of an entry's flat values."""
        content = _read_entry(self.entries[name])
        return product_text({key: value for key, value in content.items() if not key.startswith("image_filename")})


def _strings(value: Any) -> Iterator[str]:
    """Every text in nested lists and objects. The format says {orientation: [URL]}, but real files vary."""
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _read_entry(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with one product, found {type(content).__name__}")
    return {str(key).lower(): value for key, value in content.items()}
