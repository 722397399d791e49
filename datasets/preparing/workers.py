"""Worker processes, whose results come in the order of the tasks. Threads would not help: reading small files holds the GIL."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

from semantic.runtime.errors import DataError, FailedError

AHEAD = 2
"""Tasks prefetched for each process: one in work and one waiting."""

MOST = 1_000
"""Processes: more is a slip."""

START = "spawn"
"""How processes start. `fork` is faster by a fifth of a second, but unsafe beside the threads of a progress bar."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkersError(FailedError):
    """A worker process that ended before its work was done."""


class Workers:
    """A pool of `count` worker processes, started on first use and stopped by `close`; with 0 this process does the work.

    Functions, tasks and results must be picklable. An exception in a worker is raised here, when the result of its task
    is due. Only this process answers an interrupt (SIGINT): workers finish their task and end. They also end when this
    process is killed.
    """

    def __init__(self, count: int = 0) -> None:
        if not 0 <= count <= MOST:
            bound = "0 or more" if count < 0 else f"at most {MOST}"
            raise DataError(f"workers: expected {bound}, found {count}")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The results of `function` in the order of the tasks, which are drawn only a few ahead of the results."""
        if not self.count:
            yield from map(function, tasks)
            return
        submitted = (self._submit(function, task) for task in tasks)
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(islice(submitted, AHEAD * self.count))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(islice(submitted, 1))
                yield result
        except BrokenProcessPool as error:
            raise WorkersError(
                "workers: expected every process to go on to the end, found one that ended (out of memory, or started by a "
                'script that works outside `if __name__ == "__main__":`); fewer workers need less, 0 none'
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stop the processes; each finishes the task it has."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _submit(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.count, multiprocessing.get_context(START), _initialise)
        with _interrupts_blocked():  # submitting may start a process
            return self._pool.submit(function, task)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT here until the end of the `with` block, and for good in processes that start inside it.

    The terminal sends an interrupt to all processes, and a new process inherits the mask from its first moment on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _initialise() -> None:
    """Prepare a new worker process: it ignores interrupts and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def cores() -> int:
    """The number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
