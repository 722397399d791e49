"""Work that other processes do, its results in order. Reading small files keeps Python's own lock busy: threads would wait."""

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
"""Tasks handed out for each process: one in work and one to go on with. What is not asked for is not begun."""

START = "spawn"
"""How processes begin. `fork` is faster by a fifth of a second, and unsafe beside the threads of a progress bar."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkersError(FailedError):
    """A process that ended without being told to."""


class Workers:
    """`count` processes, started when first needed and stopped by `close`; with 0 the work is done in this one.

    What is sent must be picklable. A fault in a process is raised here, at its task's turn. An interrupt is this
    process's matter: the others finish their task and go, and they do not outlive it if it is killed.
    """

    def __init__(self, count: int = 0) -> None:
        if count < 0:
            raise DataError(f"workers: expected 0 or more, found {count}")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """`function` of each task, in their order. Tasks are drawn as they are needed, a few ahead of the results."""
        if not self.count:
            yield from map(function, tasks)
            return
        handed_out = (self._hand_out(function, task) for task in tasks)
        waiting: deque[Future[Result]] = deque()
        try:
            waiting.extend(islice(handed_out, AHEAD * self.count))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(islice(handed_out, 1))
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

    def _hand_out(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.count, multiprocessing.get_context(START), _begin)
        with _interrupts_held():  # a process may begin here
            return self._pool.submit(function, task)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """An interrupt of the terminal reaches all processes, and this one alone answers it, after the block.

    What is held back here is held back for good in a process that begins in the block, from its first moment on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """In a new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
