"""Work in a process of its own, so that its memory is its own, and how much of it a process holds."""

import multiprocessing
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from semantic.runtime.errors import FailedError

T = TypeVar("T")

STATUS = Path("/proc/self/status")
PRELOADED = ["semantic.bench.memory", "semantic.bench.growth", "torchvision.models"]
LOOK_EVERY = 0.002  # seconds


class BenchError(FailedError):
    """A measurement that did not come to an end. The message says which and what was found."""


def alone(what: str, threads: int, work: Callable[..., T], *arguments: object) -> T:
    """`work(*arguments)` in a new process with torch on so many threads.

    The process is forked from a server that has imported the libraries and done nothing else, where the platform has that:
    a process costs no start-up time, and holds nothing of this one's memory.

    Raises:
        BenchError: the work raised an error, or the process was killed.
    """
    found = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in found else "spawn")
    if "forkserver" in found:
        context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, threads, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        fault, value = ours.recv()
    except EOFError:
        process.join()
        raise BenchError(
            f"{what}: expected a result from the process that measures it, found it ended by code {process.exitcode} "
            "(killed for memory?)"
        ) from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if fault is not None:
        raise BenchError(f"{what}: expected a result from the process that measures it, found {fault}")
    return value


def _run(pipe: Connection, threads: int, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    import torch

    from semantic.bench.timing import hush

    hush()
    torch.set_num_threads(threads)
    try:
        pipe.send((None, work(*arguments)))
    except KeyboardInterrupt:
        pass  # the process that waits was interrupted too, and says so
    except Exception as error:
        pipe.send((f"{type(error).__name__}: {' '.join(str(error).split())}", None))
    pipe.close()


def peak_bytes() -> int:
    """The most memory this process ever held.

    Where Linux says it, of this program alone: `ru_maxrss` starts with what the process that started it held.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def resident_bytes() -> int | None:
    """What this process holds now, mapped files included; None where the platform does not say."""
    return _status("VmRSS")


@dataclass
class PrivateMemory:
    """Bytes held beside mapped files when a block began, and at most while it ran; None where the platform does not say."""

    before: int | None = None
    peak: int | None = None

    @property
    def added(self) -> int | None:
        return None if self.before is None or self.peak is None else self.peak - self.before

    def look(self) -> None:
        held = _status("RssAnon")
        if held is not None:
            self.before = held if self.before is None else self.before
            self.peak = max(held, self.peak or 0)


@contextmanager
def watch_private() -> Iterator[PrivateMemory]:
    """Look at this process's memory every few milliseconds while the block runs.

    Pages of mapped files are left out: they count as resident while there is room, but are the system's to take back.
    """
    memory, stop = PrivateMemory(), threading.Event()
    memory.look()

    def watch() -> None:
        while not stop.wait(LOOK_EVERY):
            memory.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield memory
        memory.look()
    finally:
        stop.set()
        watcher.join()


def _status(field: str) -> int | None:
    try:
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
