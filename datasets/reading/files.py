"""JSON files of a dataset. Whatever is wrong with a file is a DataError of one line that names it."""

import errno
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semantic.runtime.errors import DataError

LARGEST = 64 << 20
"""The most bytes of a file with one dialogue or one product; MMD's largest have less than one per cent of it."""

_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of opening or reading whose cause is the machine or this process, never the file."""


def machine_error(error: OSError) -> bool:
    """Whether the machine or this process is at fault (no more open files or memory), not the file that was read."""
    return error.errno in _MACHINE


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Within this, an OSError of a file or folder (no permission, a dangling link, ...) becomes a DataError naming it."""
    try:
        yield
    except OSError as error:
        if machine_error(error):
            raise
        raise DataError(
            f"{error.filename or path}: expected a file or folder that can be read, found: {error.strerror}"
        ) from error


def check_regular(path: Path, largest: int | None) -> None:
    """DataError unless the path, links followed, is a regular file of at most `largest` bytes.

    It is to be called before a file is opened: opening a pipe waits for a writer, perhaps for ever.
    """
    with readable(path):
        check_status(path, os.stat(path), largest)


def check_status(path: Path, status: os.stat_result, largest: int | None) -> None:
    """`check_regular` by what the system has said of the path."""
    if not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise DataError(f"{path}: expected a file, found {found}")
    if largest is not None and status.st_size > largest:
        raise DataError(f"{path}: expected at most {largest:,} bytes, found {status.st_size:,}")


def absent(path: Path) -> bool:
    """Whether there is nothing at the path; False for a dangling link, and for what may not be looked at."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def read_json(path: Path, largest: int | None = LARGEST) -> Any:
    """The content of a JSON file in UTF-8, with or without a byte order mark. DataError names the fault and its place.

    The last of repeated keys counts. Strings may hold lone surrogates, which JSON can write and UTF-8 cannot.
    """
    return _parsed(path, _text(path, largest))


class Repeating(dict[str, Any]):
    """An object of a JSON file in which keys stand twice: `repeated`. The last of each counts."""

    repeated: frozenset[str] = frozenset()


def read_table(path: Path) -> Any:
    """The content of a JSON file of any size, objects with a key twice as `Repeating`; see `read_json`."""
    return _parsed(path, _text(path, None), object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    counts = Counter(key for key, _ in pairs)
    content = Repeating(content)
    content.repeated = frozenset(key for key, count in counts.items() if count > 1)
    return content


def repeated_keys(content: dict[str, Any]) -> frozenset[str]:
    """The keys that stand twice in an object that `read_table` read."""
    return content.repeated if isinstance(content, Repeating) else frozenset()


def _text(path: Path, largest: int | None) -> str:
    check_regular(path, largest)
    with readable(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, found at byte {error.start}: {error.reason}") from error


def _parsed(path: Path, text: str, **options: Any) -> Any:
    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise DataError(f"{path}: expected valid JSON, found at {place}: {error.msg}") from error
    except ValueError as error:  # the one other: Python reads no integer of more than some thousand digits
        raise DataError(f"{path}: expected numbers of a usual length, found one of thousands of digits") from error
    except RecursionError as error:
        raise DataError(f"{path}: expected a list of turns, found JSON nested too deeply to read") from error
