"""Commands about single turns of finished runs: analyse, compare, judge."""

from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Run
from semantic.cli.console import out, print_line

First = Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.", show_default=False)]
Second = Annotated[
    Path, typer.Argument(metavar="RUN_B", help="Folder of another run that ranked the same queries.", show_default=False)
]
Data = Annotated[
    Path | None, typer.Option(help="Where the evaluated store lies now.", show_default="where it was evaluated")
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn.", min=0)]


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
    from semantic.report.cases.comparing import MARK, PAGE, compare, write_comparison
    from semantic.report.cases.filtering import Filters
    from semantic.report.cases.pairing import load_pair, store_of
    from semantic.report.cases.printing import print_comparison
    from semantic.report.writing import check_folder

    filters = Filters.parse(slot or (), turn, positives)
    check_folder(folder, overwrite, mark=MARK, what="a comparison", page=PAGE)
    pair = load_pair(first, second)
    store = store_of(pair.runs[0], data)
    comparison = compare(pair, store, filters, seed)
    print_comparison(comparison, out)
    files = write_comparison(comparison, store, folder, turns=turns, seed=seed, overwrite=overwrite)
    print_line("written: " + ", ".join(map(str, files)))
