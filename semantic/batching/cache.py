"""Arrays computed once and kept on disk: by one process while others wait, in blocks that survive an interruption."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from semantic.datasets.store.arrays import HEADER_BYTES, GrowingArray, npy_header, row_bytes
from semantic.runtime.claims import claim, tidy, write_shared
from semantic.runtime.digests import file_digest
from semantic.runtime.errors import DataError
from semantic.runtime.files import sync
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
    several processes that ask for the same file one computes, the others wait. A file that is damaged (truncated, of other
    content than was recorded beside it, or not one that this wrote) is said, and made again. Its content is compared where
    the file was touched since; that of a file without a record, as earlier versions left it, is recorded as it is.

    Raises:
        DataError: the folder cannot be written to, or the file cannot be read.
    """
    header = npy_header(np.dtype(dtype), (rows, *row_shape))
    whole = len(header) + rows * row_bytes(dtype, row_shape)
    doing = "read"
    try:
        if _damage(file, header, whole) is not None:
            doing = "write"
            file.parent.mkdir(parents=True, exist_ok=True)
            with claim(
                file, lambda holder: progress.note(f"{what}: waiting for {holder}, which computes them ({file})")
            ):
                damage = _damage(file, header, whole)  # another process may have made it meanwhile
                if damage is not None:
                    if damage:
                        progress.say(f"{what}: {file} is damaged ({damage}) and is made again")
                    _write(file, rows, row_shape, dtype, compute, block, progress, what)
    except OSError as error:
        raise DataError(f"{file}: expected to {doing} {what} there, got: {error.strerror or error}") from None
    if not rows * row_bytes(dtype, row_shape):  # an empty file cannot be mapped
        return np.zeros((rows, *row_shape), dtype)
    return np.memmap(file, dtype, "r", len(header), (rows, *row_shape))


def _damage(file: Path, header: bytes, whole: int) -> str | None:
    """What is wrong with a file that should begin with a header and have `whole` bytes; empty where there is no file."""
    try:
        with file.open("rb") as stream:
            found, size = stream.read(len(header)), os.fstat(stream.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if found != header:
        return "it holds something else"
    if size != whole:
        return f"{size:,} of {whole:,} bytes"
    return "its content is not what was computed" if _is_changed(file) else None


def _is_changed(file: Path) -> bool:
    """Whether a file's content is not the recorded one; it is read where the file is not as it was when that was compared."""
    try:
        record = json.loads(_record(file).read_bytes())
        digest, stamp = record["digest"], record["stamp"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        digest = stamp = None
    if stamp == _stamp(file):
        tidy(file)
        tidy(_record(file))
        return False
    found = file_digest(file)
    if digest not in (None, found):
        return True
    with suppress(OSError):  # where nothing can be written it is compared each time
        _write_record(file, found, _stamp(file))
    return False


def _record(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _write_record(file: Path, digest: str, stamp: list[int]) -> None:
    write_shared(_record(file), json.dumps({"digest": digest, "stamp": stamp}))


def _stamp(file: Path) -> list[int]:
    now = file.stat()
    return [now.st_size, now.st_mtime_ns]


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
    found = max(0, partial.stat().st_size - HEADER_BYTES) // row_bytes(dtype, row_shape) if partial.is_file() else 0
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
    sync(partial)
    _write_record(file, file_digest(partial), _stamp(partial))
    partial.replace(file)
    sync(file.parent)
