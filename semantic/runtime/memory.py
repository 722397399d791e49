"""Memory of this process: what it holds, what it held at its peak, and what it holds beside mapped files."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

STATUS = Path("/proc/self/status")
INTERVAL = 0.002
"""Seconds between two samples of a watched block."""


def resident_bytes() -> int:
    """What this process holds in memory now, pages of mapped files included."""
    return psutil.Process().memory_info().rss


def peak_bytes() -> int:
    """The most that this process ever held in memory, pages of mapped files included.

    psutil knows a peak on Windows alone. On Linux the kernel's VmHWM is read, for `ru_maxrss` survives exec: it starts at
    the peak of the process that started this one.
    """
    peak = _status("VmHWM") or getattr(psutil.Process().memory_info(), "peak_wset", None)
    if peak is not None:
        return peak
    import resource  # absent on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_memory_mb() -> float:
    """MiB at the peak: of this process, or of what it allocated on its GPU where that is more."""
    used = peak_bytes()
    if torch.cuda.is_available():
        used = max(used, torch.cuda.max_memory_allocated())
    return round(used / 2**20, 1)


def anonymous_bytes() -> int | None:
    """What this process holds now that no file backs; None where the platform does not say.

    Pages of mapped files are left out: they stay resident while there is room, but the system may take them back.
    psutil's `uss` counts those that no other process has mapped, so RssAnon is read, which Linux alone has.
    """
    return _status("RssAnon")


@dataclass
class PrivateMemory:
    """`anonymous_bytes` when a block began, and at most while it ran; None where the platform does not say."""

    before: int | None = None
    peak: int | None = None

    @property
    def added(self) -> int | None:
        """The peak above what was held before."""
        return None if self.before is None or self.peak is None else self.peak - self.before

    def sample(self) -> None:
        """Take what is held now into account."""
        held = anonymous_bytes()
        if held is not None:
            self.before = held if self.before is None else self.before
            self.peak = max(held, self.peak or 0)


@contextmanager
def watch_private() -> Iterator[PrivateMemory]:
    """Sample this process's private memory every few milliseconds, in a thread, while the block runs."""
    memory, stop = PrivateMemory(), threading.Event()
    memory.sample()

    def watch() -> None:
        while not stop.wait(INTERVAL):
            memory.sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield memory
        memory.sample()
    finally:
        stop.set()
        watcher.join()


def _status(field: str) -> int | None:
    """Bytes of a field of /proc/self/status; None where there is no such file or field."""
    try:
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
