"""Where the commands print: two consoles, plain lines, and progress."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from semantic.runtime.progress import Progress

out = Console()
err = Console(stderr=True)


def print_line(text: str, console: Console = out) -> None:
    """Print `text` as it is: no markup, no colours, no line breaks; a path can be copied."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def progress(console: Console = out) -> "Progress":
    """Bars on a terminal, and a line now and then elsewhere."""
    from semantic.runtime.progress import TerminalProgress

    return TerminalProgress(console)


def steps() -> AbstractContextManager[Callable[[str, int, int], None]]:
    """The same as a function of (step, done, total)."""
    from semantic.runtime.progress import steps as bars

    return bars(progress())


def print_runs(runs: list[Path]) -> None:
    """Print the table of runs, on the main process alone: the others may not even have the folders."""
    if out.quiet:
        return
    from semantic.report.printing import print_table
    from semantic.report.tables import table
    from semantic.runs.reading import load_runs

    print_table(table(load_runs(runs)), out)
