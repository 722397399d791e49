"""The reader of the SIMMC layout."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.records import BeliefState, Dialogue, Product
from semantic.datasets.reading.text import product_text, state_value_text
from semantic.datasets.reading.turns import ReadState, read_json, read_split
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
        texts = read_json(attributes)
        if not isinstance(texts, dict):
            raise DataError(
                f"{attributes}: expected an object of product names and texts, found {type(texts).__name__}"
            )
        self._texts: dict[str, Any] = texts
        images = self.root / "images"
        # Listing the folder once is faster than testing three paths for each product.
        files = {path.name for path in images.iterdir()} if images.is_dir() else set()
        self._photos = {
            name: images / file for name in texts for suffix in PHOTO_SUFFIXES[::-1] if (file := name + suffix) in files
        }

    def product_sources(self) -> Sequence[Path]:
        return self.root / "img_attrs", self.root / "images"

    def report_malformed_products(self, faults: Faults) -> None:
        """Does nothing: all texts are in one file, so opening leaves no product out."""

    def product_names(self) -> Sequence[str]:
        return list(self._texts)

    def product(self, name: str) -> Product:
        text = self._texts[name]
        return Product(name, product_text(text) if isinstance(text, str | dict) else None, self._photos.get(name))

    def missing_reason(self, name: str) -> str | None:
        return None if name in self._texts else "image name without a product"

    def image_name(self, image: int | str) -> str:
        return str(image)

    def dialogues(self, split: str, faults: Faults | None = None) -> Iterator[Dialogue]:
        return read_split(self.folders[split], faults or Faults(), self.read_state, self.image_name)


def simmc_state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    """The turn's belief state from `dst.slot_values`, or None where it has no `dst`.

    A slot outside the schema is a fault, but `size` outside it only a note.
    """
    dst = turn.get("dst")
    if not isinstance(dst, dict):
        return None
    state = {}
    for slot, value in (dst.get("slot_values") or {}).items():
        if slot in IGNORED_SLOTS and slot not in slots:
            faults.note(f"slot {slot!r} left out", where)
        elif slot not in slots:
            faults.fault("unknown slot", where, f"expected a slot of {', '.join(slots)}, found {slot!r}")
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
        if path.is_dir() and path.name not in (*usual, "images", "img_attrs") and any(path.glob("*.json"))
    )
    return [root / name for name in (*(name for name in usual if (root / name).is_dir()), *others)]


def _listing(root: Path) -> str:
    if not root.is_dir():
        return "no such folder"
    return ", ".join(sorted(path.name for path in root.iterdir())[:12]) or "an empty folder"
