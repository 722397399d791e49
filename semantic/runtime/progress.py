"""Progress of long work: bars on a terminal, plain lines elsewhere, nothing when used as a library."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from semantic.runtime.terminal import visible

Advance = Callable[[int, int], None]
"""(done, total)."""

Report = Callable[[str, int, int], None]
"""(step, done, total). An error it raises interrupts the work; what was written before is kept."""


def no_report(_what: str, _done: int, _total: int) -> None:
    """A Report that shows nothing."""


def _ignore(_done: int, _total: int) -> None:
    """An Advance that shows nothing."""


class Progress:
    """Shows nothing: the default where the code is used as a library."""

    def say(self, text: str) -> None:
        """Print a line."""

    def note(self, text: str) -> None:
        """Print a line of the ordinary course, which who watches many works at once may leave out."""
        self.say(text)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        """A step of `total` parts: the block calls the yielded function with (done, total)."""
        del what, total
        yield _ignore


def shown(progress: Progress | bool | None) -> Progress:
    """What True stands for: bars, or lines where there is no terminal, on standard error; None and False: nothing."""
    if isinstance(progress, Progress):
        return progress
    return TerminalProgress(Console(stderr=True)) if progress else Progress()


@contextmanager
def steps(progress: Progress) -> Iterator[Report]:
    """A Report, as the readers and the simulator take one, that shows a bar for each step."""
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
    """A bar for each step on a terminal; elsewhere a plain line for a long step, at most one every ten seconds."""

    INTERVAL = 10.0  # seconds

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(visible(text), highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
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
            if time.monotonic() - last >= self.INTERVAL and done < total:
                last = time.monotonic()
                self.say(f"{what}: {done}/{total}")

        yield advance
