"""Work in a process of its own, so that the memory measured there is that of the work alone."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from semantic.runtime.errors import FailedError

T = TypeVar("T")

PRELOADED = ["semantic.bench.memory", "semantic.bench.growth", "torchvision.models"]


class BenchError(FailedError):
    """A measurement that did not come to an end. The message says which and what was found."""


def alone(what: str, threads: int, work: Callable[..., T], *arguments: object) -> T:
    """What `work(*arguments)` returns in a new process, where torch uses `threads` threads.

    Where the platform has a fork server, the process is forked from one that has imported the libraries and done nothing
    else: it starts at once, and holds nothing of this process's memory.

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
