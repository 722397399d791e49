"""What went wrong, in one line, and its exit code: faults of what the user gave 2, others 1; anything else is a bug."""

import errno
import os
import re
import select
import sys
from typing import Any

import typer

from semantic.config.errors import ConfigError
from semantic.runtime.errors import FailedError, UserError
from semantic.runtime.terminal import visible

CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base class of the errors in a command's words; newer releases of typer carry a click of their own, and export no name."""

PIPE_CLOSED = 141
"""Exit code of a command whose reader went away, as of a shell: 128 and the number of SIGPIPE."""

NO_ROOM = {
    errno.ENOSPC: "expected room to write, found the disk full",
    getattr(errno, "EDQUOT", errno.ENOSPC): "expected room to write, found the quota used up",
    errno.EFBIG: "expected room to write, found the largest size that a file may have here (ulimit -f)",
    errno.EMFILE: "expected to open another file, found as many open as a process may have (ulimit -n)",
}

WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors of the words that a command was given, whoever meets them."""

NO_MEMORY = re.compile(r"not enough memory|can't allocate memory|out of memory|bad.alloc|ALLOC_FAILED", re.IGNORECASE)
TORCH_WRITER = re.compile(r"PytorchStreamWriter failed|inline_container\.cc")
RUST_ERROR = re.compile(r"\(os error (\d+)\)")


def failure(error: BaseException) -> tuple[str, int] | None:
    """The line of a known error, without control characters, and its exit code; None of an error that is a bug."""
    if isinstance(error, CLICK_ERROR):
        return visible(" ".join(error.format_message().split("\n"))), error.exit_code
    if isinstance(error, ConfigError):  # a line a fault; they are indented
        return "\n".join(map(visible, re.split(r"\n(?=  )", str(error)))), error.exit_code
    if isinstance(error, UserError | FailedError):
        return visible(str(error)), error.exit_code
    line = _of_the_machine(error)
    if line is None:
        return None
    wrong = isinstance(error, OSError) and error.errno in WRONG_PATH
    return visible(line), UserError.exit_code if wrong else FailedError.exit_code


def _of_the_machine(error: BaseException) -> str | None:
    """The line of an error that is neither the user's fault nor a bug: memory, disk, limits."""
    text = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    # torch and safetensors raise RuntimeError and an error of their own, and say the kind in words alone.
    if isinstance(error, RuntimeError) or type(error).__name__ == "SafetensorError":
        found = RUST_ERROR.search(text)
        number = int(found[1]) if found else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM or _is(error, NO_MEMORY, text):
        detail = f": {text[:160]}" if text else ""
        return (
            f"memory: expected enough for this work, found too little{detail}; smaller training.batch_size, "
            "evaluation.batch_size and evaluation.product_batch_size need less"
        )
    where = (getattr(error, "filename", None) if isinstance(error, OSError) else None) or "disk"
    if number in NO_ROOM:
        return f"{where}: {NO_ROOM[number]}"
    if _is(error, TORCH_WRITER, text):
        return "disk: expected room to write, found that a file could not be written whole (disk, quota or ulimit -f)"
    if isinstance(error, RuntimeError) and text == "can't start new thread":
        return "threads: expected to start another, found as many as a user may have (ulimit -u)"
    if isinstance(error, OSError):
        named = error.filename is not None and error.strerror
        return f"{error.filename}: expected to read or write it, found: {error.strerror}" if named else text
    return None


def _is(error: BaseException, pattern: re.Pattern[str], text: str) -> bool:
    return isinstance(error, RuntimeError) and bool(pattern.search(text))


def reader_is_gone() -> bool:
    """Whether what this process prints to is a pipe that nobody reads any more."""
    if not hasattr(select, "poll"):
        return True  # Windows does not say
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def drop_output() -> None:
    """Let what is still in the streams' buffers go nowhere, so that Python does not fail once more as it ends."""
    with open(os.devnull, "wb") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                os.dup2(nowhere.fileno(), stream.fileno())
