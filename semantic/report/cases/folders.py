"""The folders that analyses, comparisons and forms are written into, each known by a mark."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from semantic.report.writing import check_folder
from semantic.runtime.claims import claim
from semantic.runtime.files import remove_leftovers, write_text


@dataclass(frozen=True)
class Kind:
    """A kind of folder: what it is called, its page, the file by which it is known, and whether its command has --overwrite."""

    what: str
    page: str
    mark: str
    forced: bool = True

    def check(self, folder: Path, overwrite: bool = False) -> None:
        """DataError where a result of this kind may not be written into the folder: it must be new or empty, or hold one, or
        anything under `overwrite`.
        """
        check_folder(folder, overwrite, mark=self.mark, what=self.what, page=self.page, forced=self.forced)


ANALYSIS = Kind("an analysis", "analysis.html", ".semantic-analysis")
COMPARISON = Kind("a comparison", "compare.html", ".semantic-comparison")
FORM = Kind("a form", "form.html", ".semantic-judge", forced=False)


def write_files(folder: Path, files: Mapping[str, str], kind: Kind, overwrite: bool = False) -> list[Path]:
    """Write texts into a folder after its mark, in order; the files' paths. Other files in it stay.

    Raises:
        DataError: the folder is of another kind (`Kind.check`).
        BusyError: another process writes into it.
    """
    with claim(folder):
        kind.check(folder, overwrite)
        remove_leftovers(folder)
        write_text(
            folder / kind.mark, f"A folder of semantic, with {kind.what}: its files are replaced by the next one."
        )
        for name, text in files.items():
            write_text(folder / name, text)
    return [folder / name for name in files]
