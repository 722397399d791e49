"""What tests have other processes do. A new process finds this module by the folder of tests on its path (pyproject.toml)."""

import os
import signal

import numpy as np
import torch

from semantic.runtime.errors import DataError
from semantic.runtime.memory import peak_bytes


def square(number: int) -> int:
    if number < 0:
        raise DataError(f"number {number}: expected none below 0")
    return number * number


def end(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


def parent(_: int) -> int:
    return os.getppid()


def double(number: int) -> tuple[int, int]:
    return 2 * number, torch.get_num_threads()


def fail() -> None:
    raise ValueError("no such\nthing")


def vanish() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hold(mib: int) -> tuple[int, int, int]:
    """What so much memory, written to, adds to the peak of a new process."""
    before = peak_bytes()
    held = np.ones(mib << 20, dtype=np.uint8)
    return before, peak_bytes() - before, len(held)
