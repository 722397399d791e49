"""Where the commands print: two consoles, plain lines, and progress."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from semantic.runtime.terminal import visible, visible_lines

if TYPE_CHECKING:
    from semantic.runtime.progress import Progress


class VisibleConsole(Console):
    """A console that shows control characters of what it prints as escapes: only its own reach the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A string, whose escapes count in the width of its column."""
        return super().render_str(visible_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible_lines(segment.text))

    def on_broken_pipe(self) -> None:
        """Leave the error, which rich is handling, to the command line."""
        raise


out = VisibleConsole()
err = VisibleConsole(stderr=True)


def print_line(text: str, console: Console = out) -> None:
    """Print `text` in one line: no markup, no colours, no line breaks, control characters as escapes; a path can be copied."""
    console.print(visible(text), highlight=False, markup=False, soft_wrap=True)


def print_any_character() -> None:
    """From now on a character that the terminal's encoding lacks is printed as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
