"""Arrays computed once and kept on disk: by one process while others wait, in blocks that survive an interruption."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from semantic.datasets.store.arrays import HEADER_BYTES, GrowingArray
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress


def cached_rows(
    file: Path,
    rows: int,
    row_shape: tuple[int, ...],
    dtype: Any,
    compute: Callable[[int, int], np.ndarray],
    *,
    block: int,
    progress: Progress,
    what: str,
) -> np.ndarray:
    """The array [rows, *row_shape] of a .npy file, memory-mapped; where there is none, `compute(start, stop)` fills it.

    The file's name must say all that its content depends on. Rows are appended to another file, `block` at a time, which
    is renamed when it is whole: a reader never sees half a file, and a computation that was interrupted goes on. Of
    several processes that ask for the same file one computes, the others wait.

    Raises:
        DataError: the folder cannot be written to, or the file there is another array.
    """
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with _alone(file, progress, what):
                if not file.is_file():
                    _write(file, rows, row_shape, dtype, compute, block, progress, what)
        except OSError as error:
            raise DataError(f"{file}: expected to write {what} there, got: {error.strerror or error}") from None
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:  # EOFError: an empty file
        raise DataError(f"{file}: expected {what}, got a file that does not read ({error}); delete it") from None
    if array.shape != (rows, *row_shape) or array.dtype != dtype:
        raise DataError(
            f"{file}: expected {np.dtype(dtype)} {[rows, *row_shape]}, got {array.dtype} {list(array.shape)}; delete it"
        )
    return array


@contextmanager
def _alone(file: Path, progress: Progress, what: str) -> Iterator[None]:
    """Hold the file's lock, which falls when its process ends, however it ends."""
    lock = FileLock(f"{file}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say(f"{what}: waiting for another process that computes them ({file})")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(
    file: Path,
    rows: int,
    row_shape: tuple[int, ...],
    dtype: Any,
    compute: Callable[[int, int], np.ndarray],
    block: int,
    progress: Progress,
    what: str,
) -> None:
    partial = file.with_suffix(".partial")
    row_bytes = np.dtype(dtype).itemsize * int(np.prod(row_shape, dtype=np.int64))
    found = max(0, partial.stat().st_size - HEADER_BYTES) // row_bytes if partial.is_file() else 0
    done = min(found, rows) // block * block
    array = GrowingArray(partial, dtype, row_shape, done if partial.is_file() else None)
    try:
        with progress.bar(what, rows) as advance:
            for start in range(done, rows, block):
                stop = min(start + block, rows)
                array.append(compute(start, stop))
                array.flush()
                advance(stop, rows)
        array.close()
    finally:
        array.release()
    partial.replace(file)
