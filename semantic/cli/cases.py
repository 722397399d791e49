"""Commands about single turns of finished runs: analyse, compare, judge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Run
from semantic.cli.console import out, print_line
from semantic.runtime.errors import DataError

First = Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.", show_default=False)]
Second = Annotated[
    Path,
    typer.Argument(metavar="RUN_B", help="Folder of another run that ranked the same queries.", show_default=False),
]
Data = Annotated[
    Path | None, typer.Option(help="Where the evaluated store lies now.", show_default="where it was evaluated")
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn.", min=0)]


def analyse(
    run: Run,
    folder: Annotated[Path, typer.Option("--out", help="Folder for analysis.html and analysis.csv.")] = Path(
        "analysis"
    ),
    data: Data = None,
    seed: Seed = 0,
    overwrite: Annotated[
        bool, typer.Option(help="Write into a folder that holds other files than an analysis's.")
    ] = False,
) -> None:
    """Where a run errs: its results by slots, turn, garment, photos and positives, with intervals, as page and CSV."""
    from semantic.report.cases.analysis import analyse, write_analysis
    from semantic.report.cases.facets import query_facets
    from semantic.report.cases.folders import ANALYSIS
    from semantic.report.cases.pairing import load_run, query_metrics, store_of
    from semantic.report.cases.printing import print_analysis

    ANALYSIS.check(folder, overwrite)
    one = load_run(run)
    values = query_metrics(one)
    store = store_of(one, data)
    found = analyse(values, query_facets(store, values.index.tolist(), one.context_turns), store.slots, seed=seed)
    print_analysis(found, out)
    files = write_analysis(one, found, folder, overwrite=overwrite)
    print_line("written: " + ", ".join(map(str, files)))


def compare(
    first: First,
    second: Second,
    folder: Annotated[Path, typer.Option("--out", help="Folder for compare.html, cases.csv and analysis.csv.")] = Path(
        "comparison"
    ),
    turns: Annotated[int, typer.Option(help="Turns shown: a third wins, a third ties, a third losses.", min=0)] = 24,
    slot: Annotated[
        list[str] | None, typer.Option(help="Only turns whose gold state sets this slot; may be repeated.")
    ] = None,
    turn: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only these turns of a dialogue: 3, 1-3, 2- or -3.")
    ] = None,
    positives: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only turns with this many positives: 1, 2-3, 2-.")
    ] = None,
    data: Data = None,
    seed: Seed = 0,
    overwrite: Annotated[
        bool, typer.Option(help="Write into a folder that holds other files than a comparison's.")
    ] = False,
) -> None:
    """Two runs turn by turn: who wins, by how much, where, and a page with both galleries side by side."""
    from semantic.report.cases.comparing import compare, write_comparison
    from semantic.report.cases.filtering import Filters
    from semantic.report.cases.folders import COMPARISON
    from semantic.report.cases.pairing import load_pair, store_of
    from semantic.report.cases.printing import print_comparison

    filters = Filters.parse(slot or (), turn, positives)
    COMPARISON.check(folder, overwrite)
    pair = load_pair(first, second)
    store = store_of(pair.runs[0], data)
    comparison = compare(pair, store, filters, seed)
    print_comparison(comparison, out)
    files = write_comparison(comparison, store, folder, turns=turns, seed=seed, overwrite=overwrite)
    print_line("written: " + ", ".join(map(str, files)))


def judge(
    first: First,
    second: Second,
    folder: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for form.html and key.json; answers go into its answers/.", show_default=False
        ),
    ],
    turns: Annotated[int, typer.Option(help="Recommendation turns to judge, drawn at random.", min=1)] = 60,
    top: Annotated[int, typer.Option(help="Products of each side.", min=1, max=10)] = 10,
    data: Data = None,
    seed: Seed = 0,
) -> None:
    """A blind form on which people judge two runs turn by turn; `semantic report FOLDER` counts their answers."""
    from semantic.report.cases.folders import FORM
    from semantic.report.cases.form import ANSWERS, make_form, write_form
    from semantic.report.cases.pairing import load_pair, store_of

    FORM.check(folder)
    pair = load_pair(first, second)
    page, key = make_form(pair, store_of(pair.runs[0], data), turns, seed, top)
    form, names = write_form(page, key, folder)
    print_line(f"form, for the judges: {form}")
    print_line(f"key, which judges must not see: {names}")
    print_line(f"put the files that they save into {folder / ANSWERS}, then: semantic report {folder}")


def report_judgements(folders: Sequence[Path], folder: Path, *, seed: int, overwrite: bool) -> None:
    """What `semantic report` does with the folder of a form."""
    from semantic.report.cases.answers import is_judge_folder, read_judgements
    from semantic.report.cases.judging import judge_runs
    from semantic.report.cases.printing import print_verdict
    from semantic.report.cases.verdicts import REPORT, write_verdict

    if len(folders) > 1:
        form = next(one for one in folders if is_judge_folder(one))
        raise DataError(f"{form}: expected runs alone, or one folder of a form for judges alone, found both or several")
    REPORT.check(folder, overwrite)
    verdict = judge_runs(read_judgements(folders[0]), seed)
    print_verdict(verdict, out)
    print_line("written: " + ", ".join(map(str, write_verdict(verdict, folder, overwrite=overwrite))))
