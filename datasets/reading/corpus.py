"""The interface of every reader, and the choice of the reader for a folder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.files import readable
from semantic.datasets.reading.mmd import MmdCorpus, mmd_generation
from semantic.datasets.reading.records import Dialogue, Product
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.reading.turns import ReadState
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report, no_report


class Corpus(Protocol):
    """A reader: a folder of dialogues and products, read lazily.

    Product names are unique and in catalogue order. Turns name the products they show; a name that is not in the
    catalogue is a dead reference. The dialogue files of a split are in `folders[split]`. Where there are many, worker
    processes read them by `turns.read_dialogue` with `read_state`. Their images are then as in the file, numbers or
    strings, and `image_name` names them.
    """

    layout: str
    root: Path
    slots: tuple[str, ...]
    splits: tuple[str, ...]
    folders: Mapping[str, Path]
    read_state: ReadState

    def product_sources(self) -> Sequence[Path]:
        """The files and folders that products, their texts and photos, and the names of images are read from."""

    def report_malformed_products(self, faults: Faults) -> None:
        """Report what was left out of the catalogue, or is doubtful, as the folder was opened: faults and notes."""

    def product_names(self) -> Sequence[str]: ...

    def product(self, name: str) -> Product:
        """The product of a name in the catalogue. Thread-safe. DataError for a malformed text."""

    def missing_reason(self, name: str) -> str | None:
        """Why a name is a dead reference; None for a product of the catalogue."""

    def image_name(self, image: int | str) -> str:
        """The name of the product, or of the dead reference, behind an image of a dialogue file."""

    def dialogues(self, split: str, faults: Faults | None = None) -> Iterator[Dialogue]:
        """The dialogues of a split in the order of their file names, images named; see `turns.read_dialogue`."""


def detect_layout(root: Path | str) -> str:
    """The layout by the folders under `root`: "simmc", "mmd-v1", "mmd-v2", "mmd-v3" or "mmd-v3+v2"."""
    root = Path(root)
    with readable(root):
        if (root / "img_attrs").is_dir():
            return "simmc"
        generation = mmd_generation(root)
    if generation is None:
        raise DataError(
            f"{root}: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2woDST "
            f"(MMD v2), and train, valid or test with dialogues (MMD v1)"
        )
    return generation


def open_corpus(
    root: Path | str, slots: tuple[str, ...], layout: str | None = None, progress: Report = no_report
) -> Corpus:
    """The reader of a folder. DataError unless its layout is a `layout` ("mmd" or "simmc"; None accepts any)."""
    found = detect_layout(root)
    if layout is not None and not found.startswith(layout):
        raise DataError(f"{root}: expected the {layout} layout, found {found}")
    with readable(Path(root)):
        return SimmcCorpus(root, slots) if found == "simmc" else MmdCorpus(root, slots, progress)
