"""The reader of the SIMMC layout."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from semantic.datasets.reading.faults import Faults, Found, kind, shown
from semantic.datasets.reading.files import read_table, repeated_keys
from semantic.datasets.reading.records import BeliefState, Dialogue, Product
from semantic.datasets.reading.text import TextError, encodable, product_text, state_value_text
from semantic.datasets.reading.turns import ReadState, file_names, read_split
from semantic.runtime.errors import DataError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
IGNORED_SLOTS = frozenset({"size"})
"""Slots of SIMMC's states that the method leaves out: `availableSizes` says the same."""


class SimmcCorpus:
    """The reader of `{split}/<n>.json`, `images/<name>.jpg|.jpeg|.png` and `img_attrs/img_attrs.json`.

    Every subfolder with JSON files is a split: train, valid and test first, then the others by name. States are the
    `dst.slot_values` of user turns. Catalogue order is the order of `img_attrs.json`.
    """

    layout = "simmc"

    def __init__(self, root: Path | str, slots: tuple[str, ...]) -> None:
        self.root = Path(root)
        self.slots = tuple(slots)
        attributes = self.root / "img_attrs" / "img_attrs.json"
        folders = _split_folders(self.root)
        if not attributes.is_file() or not folders:
            raise DataError(
                f"{self.root}: expected the SIMMC layout (img_attrs/img_attrs.json and folders such as train, valid, "
                f"test with one dialogue a JSON file), found {_listing(self.root)}"
            )
        self.folders: Mapping[str, Path] = {folder.name: folder for folder in folders}
        self.splits = tuple(self.folders)
        self.read_state: ReadState = partial(simmc_state, slots=self.slots)
        self._attributes, self._found = attributes, Found()
        texts = self._texts = self._read_texts()
        images = self.root / "images"
        # Listing the folder once is faster than testing three paths for each product.
        files = {path.name for path in images.iterdir()} if images.is_dir() else set()
        self._photos = {
            name: images / file for name in texts for suffix in PHOTO_SUFFIXES[::-1] if (file := name + suffix) in files
        }

    def _read_texts(self) -> dict[str, Any]:
        """Name -> text, without the products whose name stands twice or cannot be stored."""
        texts = read_table(self._attributes)
        if not isinstance(texts, dict):
            found = kind(texts)
            raise DataError(f"{self._attributes}: expected an object of product names and texts, found {found}")
        kept, repeated = {}, repeated_keys(texts)
        for name, text in texts.items():
            if name in repeated:
                self._refuse(name, "expected each product once, found it twice")
            elif not encodable(name):
                self._refuse(name, "expected a name that UTF-8 can hold, found a lone surrogate")
            else:
                kept[name] = text
        return kept

    def _refuse(self, name: str, detail: str) -> None:
        self._found.fault("malformed product", f"{self._attributes}: product {shown(name)}", detail)

    def product_sources(self) -> Sequence[Path]:
        return self.root / "img_attrs", self.root / "images"

    def report_malformed_products(self, faults: Faults) -> None:
        self._found.report(faults)

    def product_names(self) -> Sequence[str]:
        return list(self._texts)

    def product(self, name: str) -> Product:
        return Product(name, self._text(name), self._photos.get(name))

    def _text(self, name: str) -> str | None:
        text = self._texts[name]
        if text is None:
            return None
        try:
            if not isinstance(text, str | dict):
                raise TextError(f"expected a text or an object of texts, found {kind(text)}")
            return product_text(text)
        except TextError as error:
            raise DataError(f"{self._attributes}: product {shown(name)}: {error}") from error

    def missing_reason(self, name: str) -> str | None:
        return None if name in self._texts else "image name without a product"

    def image_name(self, image: int | str) -> str:
        return str(image)

    def dialogues(self, split: str, faults: Faults | None = None) -> Iterator[Dialogue]:
        return read_split(self.folders[split], faults or Faults(), self.read_state, self.image_name)


def simmc_state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    """The turn's belief state from `dst.slot_values`, or None where it has no `dst`.

    A slot outside the schema is a fault, but `size` outside it only a note; either is left out. A `dst`, `slot_values` or
    value of another kind than expected is a fault, and the turn has no state: one with a slot left out would teach that
    the slot is unset.
    """
    try:
        return _state(turn, slots, where, faults)
    except TextError as error:
        faults.fault("malformed state", where, f"dst: {error}")
        return None


def _state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    dst = turn.get("dst")
    if dst is None:
        return None
    if not isinstance(dst, dict):
        raise TextError(f"expected an object, found {kind(dst)}")
    values = dst.get("slot_values")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise TextError(f"expected an object under slot_values, found {kind(values)}")
    state = {}
    for slot, value in values.items():
        if slot in IGNORED_SLOTS and slot not in slots:
            faults.note(f"slot {slot!r} left out", where)
        elif slot not in slots:
            faults.fault("unknown slot", where, f"expected a slot of {', '.join(slots)}, found {shown(slot)}")
        elif text := state_value_text(value):
            state[slot] = text
    return state


def _split_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    usual = ("train", "valid", "test")
    others = sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir() and path.name not in (*usual, "images", "img_attrs") and file_names(path)
    )
    for name in others:
        if not encodable(name):
            raise DataError(f"{root}: expected folders with names in UTF-8, found {shown(name)}")
    return [root / name for name in (*(name for name in usual if (root / name).is_dir()), *others)]


def _listing(root: Path) -> str:
    if not root.is_dir():
        return "no such folder"
    return ", ".join(sorted(path.name for path in root.iterdir())[:12]) or "an empty folder"
