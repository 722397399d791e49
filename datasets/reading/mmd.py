"""The reader of MMD's three generations of files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from semantic.datasets.reading.faults import Faults, Found, kind
from semantic.datasets.reading.files import absent, read_json
from semantic.datasets.reading.mmd_catalogue import (
    ID_DIGITS,
    ID_TABLES,
    RawCatalogue,
    image_id,
    read_image_ids,
    read_url_files,
    text_of,
)
from semantic.datasets.reading.mmd_states import mmd_state
from semantic.datasets.reading.records import Dialogue, Product
from semantic.datasets.reading.turns import ReadState, file_names, read_split
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report, no_report

WITH_STATES, WITHOUT_STATES = "MMD2withDST", "MMD2woDST"
SPLITS = ("train", "valid", "test")
V2_SPLITS = ("train", "fewshot", "valid", "test")
_ID_NAME = re.compile(r"id (-?\d+)", re.ASCII)
"""The name of an image id that leads to no product."""


def mmd_generation(root: Path) -> str | None:
    """The generation by the folders under `root`: "mmd-v1", "mmd-v2", "mmd-v3", "mmd-v3+v2", or None for no MMD."""
    v3, v2 = (_folders(root / name, splits) for name, splits in ((WITH_STATES, SPLITS), (WITHOUT_STATES, V2_SPLITS)))
    if v3 or v2:
        return "mmd-v3+v2" if v3 and v2 else "mmd-v3" if v3 else "mmd-v2"
    return "mmd-v1" if any(file_names(folder) for folder in _folders(root, SPLITS).values()) else None


class MmdCorpus:
    """The reader of a folder of MMD v1, v2 or v3, whichever `root` holds.

    A product is a photo: its name is the stem of the photo file, and catalogue order is the order of `url2img.txt`.
    v1 without `url2img.txt` takes its products from the raw catalogue, without photos. Where v3 and v2 folders lie
    side by side, the splits of v2 are named `v2_train`, `v2_fewshot`, `v2_valid` and `v2_test`. An image that leads to
    no product is named by its URL or as "id <number>". Opening v1 reads its whole raw catalogue once.
    """

    def __init__(self, root: Path | str, slots: tuple[str, ...], progress: Report = no_report) -> None:
        self.root = Path(root)
        self.slots = tuple(slots)
        generation = mmd_generation(self.root)
        if generation is None:
            raise DataError(
                f"{self.root}: expected dialogues of MMD, found none; looked for "
                f"{WITH_STATES}/{{{','.join(SPLITS)}}} (v3), {WITHOUT_STATES}/{{{','.join(V2_SPLITS)}}} (v2) and "
                f"{{{','.join(SPLITS)}}}/*.json (v1)"
            )
        self.layout = generation
        self.folders: Mapping[str, Path] = _split_folders(self.root, generation)
        self.splits = tuple(self.folders)
        self.read_state: ReadState = partial(mmd_state, slots=self.slots)
        self._texts = self.root / "knowledge" / "products_format"
        self._images = self.root / "images" / "images"
        self._found = Found()
        self._raw: RawCatalogue | None = None
        self._photos: dict[str, str] = {}  # product -> photo file
        self._by_url: dict[str, str] = {}  # URL -> product (v1)
        self._by_id: dict[int, str] = {}  # id -> product (v2, v3)
        self._known_ids: set[int] = set()  # ids that have a URL
        self._entries: dict[str, str] = {}  # product -> entry of the raw catalogue (v1)
        if generation == "mmd-v1":
            self._open_v1(progress)
        else:
            self._open_ids()

    def _open_ids(self) -> None:
        tables = [self.root / name for name in ID_TABLES if (self.root / name).is_file()]
        lines = self.root / "url2img.txt"
        missing = [] if tables else [" or ".join(ID_TABLES)]
        missing += [
            name
            for path, name in ((lines, lines.name), (self._texts, "knowledge/products_format"))
            if not path.exists()
        ]
        if missing:
            raise DataError(
                f"{self.root}: expected {' or '.join(ID_TABLES)}, url2img.txt and knowledge/products_format beside the "
                f"dialogues of {self.layout}, found no {', no '.join(missing)}"
            )
        products = self._read_photos(lines)
        for url, number in read_image_ids(tables[0], self._found).items():
            self._known_ids.add(number)
            if url in products:
                if self._by_id.get(number, products[url]) != products[url]:
                    self._found.note("image id of two products", f"{tables[0]}: id {number}")
                self._by_id[number] = products[url]

    def _open_v1(self, progress: Report) -> None:
        self._raw = RawCatalogue(self.root / "raw_catalog", progress, self._found)
        lines = self.root / "url2img.txt"
        if lines.is_file():
            self._by_url = self._read_photos(lines)
            for url, product in self._by_url.items():
                if url in self._raw.by_url:
                    self._entries.setdefault(product, self._raw.by_url[url])
        else:
            self._entries = {name: name for name in self._raw.entries}
            self._by_url = self._raw.by_url

    def _read_photos(self, lines: Path) -> dict[str, str]:
        """URL -> product, the stem of its photo file. Of several files with one stem, the first is the photo."""
        products = {}
        for url, file in read_url_files(lines, self._found).items():
            products[url] = Path(file).stem
            self._photos.setdefault(products[url], file)
        return products

    def product_sources(self) -> Sequence[Path]:
        tables = [self.root / name for name in (*ID_TABLES, "url2img.txt")]
        return *tables, self.root / "raw_catalog", self._texts, self._images

    def report_malformed_products(self, faults: Faults) -> None:
        self._found.report(faults)

    def product_names(self) -> Sequence[str]:
        return list(self._photos or self._entries)

    def product(self, name: str) -> Product:
        photo = self._images / self._photos[name] if name in self._photos else None
        return Product(name, self._text(name), photo)

    def _text(self, name: str) -> str | None:
        if self._raw is not None:
            return self._raw.text(self._entries[name]) if name in self._entries else None
        path = self._texts / f"{name}.json"
        if absent(path):
            return None
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError(f"{path}: expected an object of texts, found {kind(content)}")
        return text_of(path, content)

    def missing_reason(self, name: str) -> str | None:
        if name in self._photos or name in self._entries:
            return None
        number = _ID_NAME.fullmatch(name)
        if number is None:
            return "URL without file"
        known = len(number[1]) <= ID_DIGITS and int(number[1]) in self._known_ids
        return "URL without file" if known else "image id without URL"

    def image_name(self, image: int | str) -> str:
        if isinstance(image, str):
            if not image.isdecimal():
                return self._by_url.get(image, image)
            number = image_id(image)
            if number is None:
                return f"id {image}"  # too long to be in a table
            image = number
        return self._by_id.get(image) or f"id {int(image)}"

    def dialogues(self, split: str, faults: Faults | None = None) -> Iterator[Dialogue]:
        return read_split(self.folders[split], faults or Faults(), self.read_state, self.image_name)


def _folders(root: Path, splits: tuple[str, ...]) -> dict[str, Path]:
    return {split: root / split for split in splits if (root / split).is_dir()}


def _split_folders(root: Path, generation: str) -> dict[str, Path]:
    if generation == "mmd-v1":
        return _folders(root, SPLITS)
    v2 = _folders(root / WITHOUT_STATES, V2_SPLITS)
    if generation == "mmd-v2":
        return v2
    v3 = _folders(root / WITH_STATES, SPLITS)
    return v3 | {f"v2_{split}": folder for split, folder in v2.items()}
