"""A report as a folder: page, figures and tables, written where nothing but a report is replaced."""

from pathlib import Path

from semantic.datasets.store.store import Store, open_store
from semantic.report.exporting import to_csv, to_latex, to_markdown
from semantic.report.figures import write_figures
from semantic.report.pages import check_page, report_page
from semantic.report.tables import ResultTable
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError, UserError
from semantic.runtime.files import remove_leftovers, write_text

MARK = ".semantic-report"
"""A file that says that its folder is a report's, whose files may be replaced."""


def write_report(
    result: ResultTable,
    store: Store | None,
    folder: Path | str,
    *,
    turns: int = 12,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Path]:
    """Write table.md, table.tex, table.csv, report.html (`report_page`) and its figures/ into a folder; the files' paths.

    The folder is new or empty, or it holds `MARK`, which a report leaves in its folder: then the report's files are
    replaced, and all others stay. `overwrite` allows any folder. Nothing is written before all is computed.

    Raises:
        DataError: the folder is another one, there are no runs, or a file of a run is damaged.
        BusyError: another process writes into the folder.
    """
    folder = Path(folder)
    page = report_page(result, store, turns, seed)
    texts = {"table.md": to_markdown(result), "table.tex": to_latex(result), "table.csv": to_csv(result)}
    with claim(folder):
        check_folder(folder, overwrite)
        remove_leftovers(folder)
        write_text(folder / MARK, "A report of semantic: its files are replaced by the next one.")
        write_figures(result.groups, folder / "figures")
        for name, text in (texts | {"report.html": page}).items():
            write_text(folder / name, text)
    return [folder / name for name in (*texts, "report.html")]


def check_folder(
    folder: Path,
    overwrite: bool = False,
    *,
    mark: str = MARK,
    what: str = "a report",
    page: str = "report.html",
    forced: bool = True,
) -> None:
    """DataError where a result may not be written into a folder: one that is neither new nor empty, and lacks the `mark` that
    `what` leaves in its folder; or where something else stands in the place of its `page`. A command that can be `forced`
    has --overwrite.
    """
    if not folder.exists() or (folder.is_dir() and overwrite):
        return
    if (folder / mark).is_file():
        check_page(folder / page)
        return
    held = (
        sorted(one.name for one in folder.iterdir() if not one.name.startswith(f".{mark}")) if folder.is_dir() else []
    )
    if held or not folder.is_dir():
        found = f"one that holds {held[0]}" + (f" and {len(held) - 1} more" if held[1:] else "") if held else "a file"
        advice = "give another --out" + ", or --overwrite" * bool(held and forced)
        raise DataError(f"{folder}: expected a new or empty folder, or one with {what} in it, found {found}; {advice}")


def gallery_store(store: Path, identity: str) -> tuple[Store | None, str]:
    """The store in a folder, where it is the one of this identity that runs were evaluated on; or None and why not."""
    if not store.is_dir():
        return None, f"{store}: the runs' store is not there, so the page has no gallery"
    try:
        found = open_store(store)
    except UserError as error:
        return None, f"{error}; so the page has no gallery"
    if found.identity != identity:
        return None, (
            f"{store}: expected the store the runs were evaluated on ({identity[:8]}), found another one "
            f"({found.identity[:8]}), so the page has no gallery"
        )
    return found, ""
