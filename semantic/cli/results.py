"""Commands that use finished runs: report, recommend."""

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantic.cli.arguments import Overrides, Run
from semantic.cli.console import err, out, print_line, progress
from semantic.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantic.report.experiments.results import ExperimentResult


def report(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPERIMENT|RUNS...",
            help="An experiment (its YAML file, its name, or its folder of runs), folders of runs, or a judges' form.",
            show_default=False,
        ),
    ],
    overrides: Overrides = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of all runs, for an experiment's name or file.", show_default="runs")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for report.html, figures/, table.md, table.tex, table.csv and more.")
    ] = Path("report"),
    turns: Annotated[int, typer.Option(help="Number of test turns in the gallery.", min=0)] = 12,
    seed: Annotated[
        int,
        typer.Option(help="Seed that draws the random turns of the gallery, or the resamples of judgements.", min=0),
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option(help="Write into a folder that holds other files than a report's.")
    ] = False,
) -> None:
    """The table of an experiment with the published values beside, or of any runs: in the terminal, as Markdown, LaTeX and CSV,
    figures, and an HTML page with curves and a gallery.

    Of the folder of a form for judges (`semantic judge`): who wins how often, and how far the judges agree.
    """
    from semantic.cli.cases import report_judgements
    from semantic.report.cases.answers import is_judge_folder
    from semantic.report.writing import check_folder

    folders = list(map(Path, what))
    if any(map(is_judge_folder, folders)):
        report_judgements(folders, folder, seed=seed, overwrite=overwrite)
        return
    check_folder(folder, overwrite)
    found = _experiment(what, overrides or (), runs)
    if found is None:
        files, without = _report_of_runs(folders, folder, turns, seed, overwrite)
    else:
        files, without = _report_of_experiment(found, folder, turns, seed, overwrite)
    if without:
        print_line(without, err)
    print_line("written: " + ", ".join(map(str, files)))


def _experiment(what: "Sequence[str]", overrides: "Sequence[str]", runs: Path | None) -> "ExperimentResult | None":
    """The results of what is an experiment: its name or file, or a folder with its plan. None for other folders."""
    from semantic.config.layers import experiments
    from semantic.config.sweeps import load_sweep
    from semantic.report.experiments.results import experiment_result
    from semantic.runs.plan import Plan, read_plan

    first = what[0]
    if all(Path(one).is_dir() for one in what):
        if overrides or runs is not None:
            option = "--set" if overrides else "--runs"
            raise DataError(f"{option}: expected an experiment's name or file, which it is for, got the folder {first}")
        plan = read_plan(Path(first)) if len(what) == 1 else None
        return None if plan is None else experiment_result(plan, Path(first))
    (absent, *_) = (one for one in what if not Path(one).is_dir())
    if not absent.endswith((".yaml", ".yml")) and absent not in experiments():
        known = ", ".join(experiments())
        raise DataError(
            f"{absent}: expected a folder of runs, a YAML file, or an experiment ({known}), found none of these"
        )
    if len(what) > 1:
        raise DataError(f"report: expected one experiment, or folders of runs, got {absent} among {len(what)}")
    sweep = load_sweep(first, overrides)
    configs = {cell.config.variant: cell.config for cell in reversed(sweep.cells)}
    return experiment_result(Plan.of(sweep), (runs or Path("runs")) / sweep.name, configs)


def _report_of_experiment(
    result: "ExperimentResult", folder: Path, turns: int, seed: int, overwrite: bool
) -> tuple[list[Path], str]:
    from semantic.report.experiments.printing import print_results
    from semantic.report.experiments.writing import write_experiment_report
    from semantic.report.writing import gallery_store

    print_results(result.results, out)
    first = next(iter(result.groups.values())).runs[0].summary
    store, without = gallery_store(Path(first.store), first.identity)
    return write_experiment_report(result, store, folder, turns=turns, seed=seed, overwrite=overwrite), without


def _report_of_runs(runs: list[Path], folder: Path, turns: int, seed: int, overwrite: bool) -> tuple[list[Path], str]:
    from semantic.report.printing import print_table
    from semantic.report.tables import table
    from semantic.report.writing import gallery_store, write_report
    from semantic.runs.reading import load_runs, unfinished_runs

    result = table(load_runs(runs), unfinished_runs(runs))
    print_table(result, out)
    first = result.sections[0]
    store, without = gallery_store(Path(first.store), first.identity)
    return write_report(result, store, folder, turns=turns, seed=seed, overwrite=overwrite), without


class Format(str, Enum):
    """How recommendations are printed."""

    table = "table"
    json = "json"
    csv = "csv"


def recommend(
    run: Run,
    dialogue: Annotated[
        Path | None,
        typer.Option(
            help='JSON: a list of {"speaker", "text", "images"}, or a file of MMD or SIMMC.', show_default="none"
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="What the shopper says, in place of a file.", show_default="none")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="What is shown with it: a product by name or row, or a photo's file; may be repeated."),
    ] = None,
    top: Annotated[int, typer.Option(help="Products to recommend.", min=1)] = 10,
    data: Annotated[
        Path | None, typer.Option(help="Store whose catalogue is ranked.", show_default="the run's own")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Of the list on standard output.")] = Format.table,
    explain: Annotated[
        bool, typer.Option("--explain", help="With the model's weights on the slots, say; as JSON.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write a page with photos.", show_default="none")
    ] = None,
) -> None:
    """Rank the whole catalogue for a dialogue, or for what a shopper says and shows."""
    from semantic.datasets.reading.records import Turn
    from semantic.datasets.store.store import open_store
    from semantic.models.interface import Model
    from semantic.report.pages import recommend_page
    from semantic.runs.folder import RunFolder
    from semantic.serving.dialogues import dialogue_for_page, read_dialogue
    from semantic.serving.printing import as_csv, as_json, as_table
    from semantic.serving.recommend import recommend as rank

    if (dialogue is None) == (text is None and not image):
        given = "both" if dialogue is not None else "neither"
        raise DataError(f"recommend: expected --dialogue FILE, or --text and --image, got {given}")
    if explain and form != Format.json:
        raise DataError(f"--explain: expected --format json, which has room for it, got {form.value}")
    folder = RunFolder(run)
    config = folder.read_config()
    store = folder.open_store() if data is None else open_store(data)
    turns = (Turn("user", "", text or "", tuple(image or ())),) if dialogue is None else read_dialogue(dialogue, store)
    model = Model.from_pretrained(folder.model)
    found = rank(model, store, turns, top, evaluation=config.evaluation, progress=progress(err))
    if form == Format.table:
        out.print(as_table(found, out.encoding))
    else:
        print(as_csv(found) if form == Format.csv else as_json(found, str(store.path), explain=explain), end="")
    if page is not None:
        shown = dialogue_for_page(turns, store)
        products = [asdict(one) for one in found.products]
        print_line(f"page: {recommend_page(store, shown, products, page, explanations=found.explanations)}", err)
