"""Commands that use finished runs: report, recommend."""

import json
from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Run
from semantic.cli.console import err, out, print_line, progress


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders that hold runs.", show_default=False)],
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for report.html, figures/, table.md, table.tex and table.csv.")
    ] = Path("report"),
    turns: Annotated[int, typer.Option(help="Number of test turns in the gallery.", min=0)] = 12,
    seed: Annotated[int, typer.Option(help="Seed that draws the random turns of the gallery.", min=0)] = 0,
    overwrite: Annotated[
        bool, typer.Option(help="Write into a folder that holds other files than a report's.")
    ] = False,
) -> None:
    """The table of runs in the terminal, as Markdown, LaTeX and CSV, and an HTML page with curves and a gallery."""
    from semantic.report.printing import print_table
    from semantic.report.tables import table
    from semantic.report.writing import check_folder, gallery_store, write_report
    from semantic.runs.reading import load_runs, unfinished_runs

    check_folder(folder, overwrite)
    result = table(load_runs(runs), unfinished_runs(runs))
    print_table(result, out)
    first = result.sections[0]
    store, without = gallery_store(Path(first.store), first.identity)
    if store is None:
        print_line(without, err)
    files = write_report(result, store, folder, turns=turns, seed=seed, overwrite=overwrite)
    print_line("written: " + ", ".join(map(str, files)))


def recommend(
    run: Run,
    dialogue: Annotated[Path, typer.Option(help='JSON: a list of {"speaker", "text", "images"}.', show_default=False)],
    top: Annotated[int, typer.Option(help="Products to recommend.", min=1)] = 10,
    data: Annotated[
        Path | None, typer.Option(help="Store whose catalogue is ranked.", show_default="the run's own")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write a page with photos.", show_default="none")
    ] = None,
) -> None:
    """Rank the whole catalogue for a dialogue; JSON on standard output."""
    from dataclasses import asdict

    from semantic.datasets.store.store import open_store
    from semantic.models.interface import Model
    from semantic.report.pages import recommend_page
    from semantic.runs.folder import RunFolder
    from semantic.serving.recommend import dialogue_for_page, read_dialogue
    from semantic.serving.recommend import recommend as rank

    folder = RunFolder(run)
    turns = read_dialogue(dialogue)
    config = folder.read_config()
    store = folder.open_store() if data is None else open_store(data)
    model = Model.from_pretrained(folder.model)
    found = rank(model, store, turns, top, evaluation=config.evaluation, progress=progress(err))
    products = [asdict(one) for one in found.products]
    print(
        json.dumps(
            {"store": str(store.path), "recommendations": products, "explanations": found.explanations}, indent=1
        )
    )
    if page is not None:
        shown = dialogue_for_page(turns, store)
        print_line(f"page: {recommend_page(store, shown, products, page, explanations=found.explanations)}", err)
