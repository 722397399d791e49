"""A process a run: it trains there, and says what it does to the process that waits for it."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from pickle import PicklingError
from queue import SimpleQueue
from typing import Any

from semantic.config.loading import dump_config, make_config, read_values
from semantic.config.schema import Config
from semantic.runtime.errors import FailedError
from semantic.runtime.progress import Advance, Progress

PRELOADED = ["semantic.training.loop", "torchvision", "torch._dynamo"]
"""Imported once, by the process that all runs' processes are forked from; models and optimisers import the last two."""


class CellFailure(FailedError):
    """A cell's process ended without an error that could be sent; the message says how."""


class Said(Progress):
    """Sends what a run says to the process that waits for it."""

    def __init__(self, line: Connection) -> None:
        self.line = line

    def say(self, text: str) -> None:
        self.line.send(("say", text))

    def note(self, text: str) -> None:
        self.line.send(("note", text))

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        self.line.send(("bar", what, 0, total))
        yield lambda done, total: self.line.send(("bar", what, done, total))


class Line:
    """The line from a run's process to the one that waits for it."""

    def __init__(self, line: Connection) -> None:
        self.line = line
        self.answers: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, *question: Any) -> Any:
        """Send an event, and wait for the answer to it."""
        self.line.send(question)
        return self.answers.get()

    def _listen(self) -> None:
        """Take answers; end this process at once where the other one has ended: a kill, after which a run goes on as it was."""
        try:
            while True:
                self.answers.put(self.line.recv())
        except (EOFError, OSError):
            os._exit(1)


Work = Callable[[Config, Path, Line], object]
"""What a run's process does; a function of a module."""


def train_cell(config: Config, runs: Path, line: Line) -> None:
    """A run from where it stands to its summary."""
    from semantic.training.loop import train

    train(config, runs=runs, resume=True, progress=Said(line.line))


class CellProcess:
    """The process that trains one run, and the line to it. It ends when this process does, however that ends."""

    def __init__(
        self, config: Config, runs: Path, *, threads: int | None, device: str | None, work: Work = train_cell
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.line, other = context.Pipe()
        self.process = context.Process(
            target=_work, args=(work, dump_config(config), str(runs), threads, device, other), name="semantic cell"
        )
        self.process.start()
        other.close()

    def events(self) -> Iterator[tuple[Any, ...]]:
        """What it has said since; at its end ("ended", None or the error, its traceback)."""
        try:
            while self.line.poll():
                event = self.line.recv()
                yield event
                if event[0] == "ended":
                    self.process.join()
                    return
        except (EOFError, OSError):  # it is gone without a word
            self.process.join()
            code = self.process.exitcode or 0
            how = (
                f"signal {-code}" + (" (often: no memory left)" if code == -9 else "")
                if code < 0
                else f"exit code {code}"
            )
            yield "ended", CellFailure(f"its process ended with {how}"), ""

    def stop(self) -> None:
        """End the process; what it finished is saved."""
        self.process.terminate()
        self.process.join()
        self.line.close()


def _work(work: Work, config: str, runs: str, threads: int | None, device: str | None, line: Connection) -> None:
    said = Line(line)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        work(make_config(read_values(config)), Path(runs), said)
        line.send(("ended", None, ""))
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(1)
    except Exception as error:
        trace = traceback.format_exc()
        try:
            line.send(("ended", error, trace))
        except (TypeError, AttributeError, PicklingError):
            line.send(("ended", CellFailure(str(error)), trace))
