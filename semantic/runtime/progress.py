"""Progress for a person: bars on a terminal, plain lines elsewhere, nothing when used as a library."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

Advance = Callable[[int, int], None]
"""(done, total)."""


Report = Callable[[str, int, int], None]
"""(what is being done, done, total). Raising from it interrupts the work; nothing written before is lost."""


def no_report(_what: str, _done: int, _total: int) -> None:
    """For callers who watch nothing."""


def _ignore(_done: int, _total: int) -> None:
    """For those who watch nothing."""


class Progress:
    """Says nothing: for use as a library."""

    def say(self, text: str) -> None:
        """A line for the person at the terminal."""

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        """A step of `total` parts; the block calls what it is given with (done, total)."""
        del what, total
        yield _ignore


@contextmanager
def steps(progress: Progress) -> Iterator[Callable[[str, int, int], None]]:
    """A function of (what, done, total), as the readers and the simulator report, that shows a bar for each `what`."""
    with ExitStack() as stack:
        now: tuple[str, Advance] | None = None

        def step(what: str, done: int, total: int) -> None:
            nonlocal now
            if now is None or now[0] != what:
                stack.close()
                now = (what, stack.enter_context(progress.bar(what, total)))
            now[1](done, total)

        yield step


class TerminalProgress(Progress):
    """A bar a step on a terminal; elsewhere a plain line when a step is long, at most one every ten seconds."""

    EVERY = 10.0

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            with Bars(*columns, console=self.console, transient=True) as bars:
                task = bars.add_task(what, total=total)
                yield lambda done, total: bars.update(task, completed=done, total=total)
            return
        last = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= self.EVERY and done < total:
                last = time.monotonic()
                self.say(f"{what}: {done}/{total}")

        yield advance
