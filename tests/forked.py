"""Commands in forked processes, which have everything imported: run, killed at their n-th act on the disk, or side by side."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic.cli import app

ACTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "os.fsync"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, negative for a signal, what it said, and how many acts on the disk it had."""

    code: int
    out: str
    err: str
    acts: int


class Running:
    """A command in a child process that works in a folder.

    With `kill_before` it is killed before its n-th act on the disk: a rename, a removal, a new folder, an fsync, or the
    opening of a file to write to. Acts outside the folder do not count. `first` is called in the child, before the command.
    """

    def __init__(
        self,
        folder: Path,
        *words: object,
        kill_before: int | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        token = os.urandom(4).hex()
        self.said = [folder.parent / f"{folder.name}-{token}.{name}" for name in ("out", "err", "acts")]
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if not self.process:
            _work(folder, list(map(str, words)), kill_before, first, self.said)

    def wait(self) -> Ended:
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        texts = [file.read_text(errors="replace") if file.exists() else "" for file in self.said]
        for file in self.said:
            file.unlink(missing_ok=True)
        return Ended(code, texts[0], texts[1], int(texts[2] or 0))


def run(
    folder: Path, *words: object, kill_before: int | None = None, first: Callable[[], object] | None = None
) -> Ended:
    return Running(folder, *words, kill_before=kill_before, first=first).wait()


def _work(
    folder: Path,
    words: list[str],
    kill_before: int | None,
    first: Callable[[], object] | None,
    said: list[Path],
) -> None:
    """The child's life."""
    code, count = 70, _arm(os.fspath(folder), kill_before)
    try:
        for number, file in enumerate(said[:2], 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["semantic", *words]
        if first is not None:
            first()
        code = 0
        app.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # what a process would print and end with
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        acts = count()
        with suppress(OSError):  # `first` may have set limits
            said[2].write_text(str(acts))
        os._exit(code)


def _arm(folder: str, kill_before: int | None) -> Callable[[], int]:
    """Kill this process before its n-th act below the folder; how many it had comes from the function returned."""
    acts = 0
    sync = os.fsync

    def act() -> None:
        nonlocal acts
        acts += 1
        if acts == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ACTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            path = arguments[0]
            below = folder + os.sep
            if isinstance(path, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(path)).startswith(below):
                act()

    def synced(descriptor: int) -> None:  # fsync has no audit event
        act()
        sync(descriptor)

    os.fsync = synced  # type: ignore[assignment]
    sys.addaudithook(watch)
    return lambda: acts
