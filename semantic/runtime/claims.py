"""One process at a time writes into a folder: a lock beside it, which names its holder and falls when the holder ends."""

import errno
import glob
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from semantic.runtime.errors import FailedError
from semantic.runtime.files import remove_leftovers, write_text
from semantic.runtime.terminal import command_line


class BusyError(FailedError):
    """Another process writes into the folder. The message names it."""


@contextmanager
def claim(folder: Path, waiting: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold `folder`, which need not exist, for the length of the block.

    The lock is a file beside the folder, `.NAME.lock`; the system drops it when its process ends, however it ends. On a
    network disk it holds between machines where the disk has such locks. With `waiting`, which is told who holds it, a
    folder that another process holds is waited for.

    Raises:
        BusyError: another process holds it.
    """
    folder = Path(os.path.abspath(folder))
    file = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(file)
    made = _make(folder.parent)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is None:
                raise BusyError(f"{folder}: expected no other process at work there, found {_holder(file)}") from None
            waiting(_holder(file))
            lock.acquire()
        file.write_text(json.dumps(_this_process()), encoding="utf-8")
        yield
    finally:
        if lock.is_locked:
            # Removed while it is held: who opened it meanwhile finds it gone once it has the lock, and tries again.
            file.unlink(missing_ok=True)
            lock.release()
        for parent in made:
            with suppress(OSError):  # something is in it by now
                parent.rmdir()


def write_shared(path: Path, text: str) -> None:
    """Write a small file that several processes may write alike: one does, the others leave it to that one."""
    with suppress(BusyError), claim(path):
        remove_leftovers(path)
        write_text(path, text)


def tidy(path: Path) -> None:
    """Remove what a killed process left of a file that it had just written, unless one is at work there or nothing may be
    removed.
    """
    if path.parent.is_dir() and any(path.parent.glob(f".{glob.escape(path.name)}.*")):
        with suppress(BusyError, OSError), claim(path):
            remove_leftovers(path)


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were not there, the lowest first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    above = missing[-1].parent if missing else folder
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _this_process() -> dict[str, str | int]:
    return {
        "command": command_line(Path(sys.argv[0]).name),
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _holder(file: Path) -> str:
    """The process that a lock's file names, in words."""
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']} ({holder['command']}, since {holder['since']})"
    except (OSError, ValueError, LookupError, TypeError):  # it has only just begun, or is about to end
        return "one that has not said which"
