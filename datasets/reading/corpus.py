"""What every reader offers to `prepare`, and which reader a folder needs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.mmd import MmdCorpus, mmd_generation
from semantic.datasets.reading.records import Dialogue, Product
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.reading.turns import ReadState
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report, no_report


class Corpus(Protocol):
    """A folder of dialogues and products, read lazily.

    Product names are unique and in catalogue order. Turns name the products they show; a name that is not in the
    catalogue is a dead reference, and `missing_reason` says which kind (None for a name that is there). Files of
    dialogues, at `folders[split]`, are read by `turns.read_dialogue` with `read_state`, in other processes where there
    are many; what they have for an image, a number or a string, `image_name` turns into a name.
    """

    layout: str
    root: Path
    slots: tuple[str, ...]
    splits: tuple[str, ...]
    folders: Mapping[str, Path]
    read_state: ReadState

    def report(self, faults: Faults) -> None:
        """Say what was left out of the catalogue when the folder was opened."""

    def product_names(self) -> Sequence[str]: ...

    def product(self, name: str) -> Product:
        """Safe to call from several threads. DataError for a malformed text file."""

    def missing_reason(self, name: str) -> str | None: ...

    def image_name(self, image: int | str) -> str:
        """The name of the product, or of the dead reference."""

    def dialogue(self, path: Path, faults: Faults) -> Dialogue | None:
        """The dialogue in one file, its images named, None where it was skipped or holds no turn."""

    def dialogues(self, split: str, faults: Faults | None = None) -> Iterator[Dialogue]: ...


def detect_layout(root: Path | str) -> str:
    """The layout, one of "simmc", "mmd-v1", "mmd-v2", "mmd-v3", "mmd-v3+v2", by the folders under `root`."""
    root = Path(root)
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
    """The reader of a folder. `layout` "mmd" or "simmc" says which is expected; None takes what is found."""
    found = detect_layout(root)
    if layout is not None and not found.startswith(layout):
        raise DataError(f"{root}: expected the {layout} layout, found {found}")
    return SimmcCorpus(root, slots) if found == "simmc" else MmdCorpus(root, slots, progress)
