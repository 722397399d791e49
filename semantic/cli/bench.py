"""The command that measures: bench."""

from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Overrides
from semantic.cli.console import out, print_line, progress


def bench(
    experiment: Annotated[
        str | None,
        typer.Argument(help="A YAML file or a shipped experiment.", show_default="preset paper at the paper's sizes"),
    ] = None,
    overrides: Overrides = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for bench.json, bench.md and bench.html.")] = Path(
        "bench"
    ),
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared store to measure on.", show_default="the experiment's data.store, else simulated"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes of everything: does it run, not how fast.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is a GPU")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated store, weights and samples.")] = 0,
) -> None:
    """Measure speed and memory on this machine, beside the direct form of the same function, and how they grow."""
    from semantic.bench.running import bench as measure
    from semantic.bench.writing import check_folder, print_result, write

    check_folder(folder)
    result = measure(
        experiment, overrides or (), store=data, quick=quick, device=device, seed=seed, progress=progress()
    )
    print_result(result, out)
    print_line("written: " + ", ".join(map(str, write(result, folder))))
