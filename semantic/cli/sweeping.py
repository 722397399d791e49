"""The command on experiments of several runs: sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantic.cli.arguments import Experiment, Overrides
from semantic.cli.console import err, out, print_line, progress
from semantic.cli.failures import failure
from semantic.runtime.errors import FailedError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantic.config.sweeps import Cell, Sweep
    from semantic.sweeps.running import SweepResult
    from semantic.sweeps.slurm import Submission


def sweep(
    experiment: Experiment,
    overrides: Overrides = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Runs at work at a time; here they share out the cores and GPUs.",
            show_default="1; with --slurm all",
            min=1,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only these runs: 3/16 is the third of sixteen parts.", show_default="all"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs and what they are likely to cost; start none.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Submit the runs to the SLURM cluster here, an array with a job a run.")
    ] = False,
    slurm_options: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm-option",
            metavar="KEY=VALUE",
            help="An option of sbatch, e.g. partition=gpu, gpus-per-node=1, time=8:00:00. Repeatable.",
            show_default="time=4:00:00",
        ),
    ] = None,
) -> None:
    """Train every run of an experiment: variants, axes, seeds and folds. The same command goes on where it stopped."""
    from semantic.sweeps.cells import open_sweep, shard_of
    from semantic.sweeps.running import run_sweep
    from semantic.sweeps.slurm_options import parse_options

    options = parse_options(slurm_options or ())
    if slurm_options and not slurm:
        raise UserError("--slurm-option: expected it beside --slurm, found it alone")
    opened = open_sweep(experiment, overrides or (), runs)
    cells = shard_of(opened.cells, shard)
    for line in opened.left_out:
        print_line(line)
    if dry_run:
        _print_plan(opened, cells, runs, jobs or (max(1, len(cells)) if slurm else 1))
        return
    print_line(f"{opened.name}: {_counted(len(cells), 'run')} in {runs / opened.name}")
    if slurm:
        from semantic.sweeps.slurm import submit_sweep

        _print_submission(submit_sweep(opened, cells, options, runs=runs, at_once=jobs))
    else:
        _print_result(run_sweep(opened, cells, runs=runs, jobs=jobs or 1, progress=progress()), len(cells))
    words = " ".join([experiment, *(f"--set {one}" for one in overrides or ())])
    print_line(f"report: semantic report {words}" + (f" --runs {runs}" if runs != Path("runs") else ""))


def _print_plan(opened: "Sweep", cells: "Sequence[Cell]", runs: Path, jobs: int) -> None:
    """The runs, where each stands and what it is likely to take."""
    from rich.box import SIMPLE
    from rich.table import Table

    from semantic.report.pages import duration
    from semantic.sweeps.cells import cell_states, expected_seconds

    everything = cell_states(opened.cells, runs)
    expected = dict(zip((state.cell.name for state in everything), expected_seconds(everything), strict=True))
    chosen = {cell.name for cell in cells}
    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for heading, right in (("", True), ("run", False), ("stands", False), ("expected", True)):
        grid.add_column(heading, justify="right" if right else "left", overflow="fold")
    total = 0.0
    for number, state in enumerate((one for one in everything if one.cell.name in chosen), start=1):
        seconds = expected[state.cell.name]
        total += seconds or 0.0
        stands = {
            "finished": f"finished in {duration(state.seconds or 0)}",
            "begun": f"epoch {state.epochs} of {state.cell.config.training.epochs}",
            "to do": "to do",
        }[state.state]
        left = "" if state.state == "finished" else "?" if seconds is None else duration(seconds)
        grid.add_row(str(number), state.cell.name, stands, left)
    out.print(grid)
    done = sum(state.state == "finished" for state in everything if state.cell.name in chosen)
    known = "unknown, for no run is finished" if None in expected.values() else duration(total / jobs)
    print_line(f"{_counted(len(cells), 'run')}, {done} finished; expected time by {_counted(jobs, 'job')}: {known}")


def _print_result(result: "SweepResult", count: int) -> None:
    """How a sweep ended. FailedError where a run failed."""
    for cell, held in result.busy:
        print_line(f"{cell.name}: left to another process; {held}", err)
    done = len(result.finished) + len(result.before)
    print_line(f"{done} of {_counted(count, 'run')} finished ({len(result.finished)} now)")
    for cell, error, trace in result.failed:
        found = failure(error)
        if found is None:
            out.print(trace, markup=False, highlight=False)
        print_line(f"{cell.name}: {repr(error) if found is None else found[0]}", err)
    if result.failed:
        raise FailedError(f"sweep: expected every run to finish, found {_counted(len(result.failed), 'run')} failed")


def _print_submission(submission: "Submission") -> None:
    """Which runs went to the cluster, as which jobs."""
    for number, cell in submission.queued.items():
        print_line(f"{cell.name}: queued before, as job {number}")
    for number, cell in submission.jobs.items():
        print_line(f"{cell.name}: job {number}")
    print_line(
        f"{_counted(len(submission.jobs), 'run')} submitted, {len(submission.queued)} queued before, "
        f"{len(submission.before)} finished; logs in {submission.logs}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
