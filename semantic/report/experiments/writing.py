"""An experiment's report as a folder, written where nothing but a report is replaced."""

from pathlib import Path

from semantic.datasets.store.store import Store
from semantic.report.experiments.exporting import to_csv, to_markdown, to_tests_csv
from semantic.report.experiments.figure import experiment_figure
from semantic.report.experiments.latex import to_latex
from semantic.report.experiments.page import experiment_page
from semantic.report.experiments.results import ExperimentResult
from semantic.report.figures import write_figures
from semantic.report.svg import write_figure
from semantic.report.writing import MARK, check_folder
from semantic.runtime.claims import claim
from semantic.runtime.files import remove_leftovers, write_text


def write_experiment_report(
    result: ExperimentResult,
    store: Store | None,
    folder: Path | str,
    *,
    turns: int = 12,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Path]:
    """Write table.md, table.tex, table.csv, tests.csv, results.json, report.html and figures/ into a folder, as `write_report`
    does; the files' paths. The experiment's own figure is figures/<experiment>.svg and .png.

    Raises:
        DataError: the folder is another one, a file of a run is damaged, or the report's axis holds something else than numbers.
        BusyError: another process writes into the folder.
    """
    folder, results = Path(folder), result.results
    page = experiment_page(result, store, turns, seed)
    figure = experiment_figure(result)
    texts = {
        "table.md": to_markdown(results),
        "table.tex": to_latex(results),
        "table.csv": to_csv(results),
        "tests.csv": to_tests_csv(results),
        "results.json": results.to_json(),
        "report.html": page,
    }
    figures: list[Path] = []
    with claim(folder):
        check_folder(folder, overwrite)
        remove_leftovers(folder)
        write_text(folder / MARK, "A report of semantic: its files are replaced by the next one.")
        write_figures(result.groups, folder / "figures")
        if figure is not None:
            figures += write_figure(figure, folder / "figures" / results.experiment)
        for name, text in texts.items():
            write_text(folder / name, text)
    return [*(folder / name for name in texts), *figures]
