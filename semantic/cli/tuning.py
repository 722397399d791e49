"""The command that searches hyper-parameters: tune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantic.cli.arguments import Experiment, Overrides
from semantic.cli.console import out, print_line, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantic.tuning.history import Row
    from semantic.tuning.tune import Tuned

SHOWN = 5
"""Trials in the table at the end."""


def tune(
    experiment: Experiment,
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option(help="Trials that the study has in the end.", min=1, max=100_000)] = 40,
    jobs: Annotated[int, typer.Option(help="Trials at work at a time; they share out the cores and GPUs.", min=1)] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where the study is: a database (postgresql://...), or a file that machines share (a journal).",
            show_default="RUNS/EXPERIMENT/tune.db",
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    best: Annotated[
        Path | None,
        typer.Option("--out", help="File of the best configuration.", show_default="RUNS/EXPERIMENT/best.yaml"),
    ] = None,
) -> None:
    """Search the fields of an experiment's `search` section, by validation alone. The same command goes on where it stopped."""
    from semantic.tuning.tune import tune as search

    found = search(
        experiment,
        overrides or (),
        trials=trials,
        storage=storage,
        jobs=jobs,
        runs=runs,
        out=best,
        progress=progress(),
    )
    _print_found(found, trials, runs)


def _print_found(found: "Tuned", trials: int, runs: Path) -> None:
    """How many trials there are, the best ones, what mattered, and how the best is trained."""
    from semantic.tuning.history import best_first

    states = ("finished", "pruned", "failed", "at work", "waiting")
    counts = {state: sum(row.state == state for row in found.rows) for state in states}
    ended = sum(row.has_ended for row in found.rows)
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    print_line(f"{ended} of {trials} trials{': ' if parts else ''}{', '.join(parts)}")
    best = best_first(found.rows)[:SHOWN]
    if not best or found.best is None:
        print_line("no trial is finished, so there is no best configuration yet")
        return
    _print_table(found, best)
    if found.importances:
        ordered = sorted(found.importances.items(), key=lambda one: -one[1])
        print_line("importance: " + ", ".join(f"{field} {share:.2f}" for field, share in ordered))
    print_line(f"history: {found.folder / 'trials.csv'}" + (f", {found.figure[0]}" if found.figure else ""))
    print_line(f"best: {found.best}")
    more = f" --runs {runs}" if runs != Path("runs") else ""
    print_line(f"train it: semantic train {found.best} --seeds 0-2{more}")


def _print_table(found: "Tuned", best: "Sequence[Row]") -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from semantic.tuning.history import short

    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0), title="best trials, NDCG@5 on validation", title_justify="left")
    grid.add_column("trial", justify="right")
    grid.add_column("ndcg@5", justify="right")
    for one in found.space:
        grid.add_column(one.field.rpartition(".")[2], justify="right", overflow="fold")
    grid.add_column("epochs", justify="right")
    for row in best:
        values = [short(row.values[one.field]) for one in found.space]
        grid.add_row(str(row.number), f"{100 * (row.value or 0.0):.1f}", *values, f"{row.best_epoch} of {row.epochs}")
    out.print(grid)
