"""Seconds of a call, by torch.utils.benchmark's timer: it repeats, waits for the device, and says how far to trust it."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

THRESHOLD = 0.05
"""Spread over median at which a measurement is steady enough."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median over repetitions and the distance between their quartiles."""

    seconds: float
    spread: float
    repetitions: int


def hush() -> None:
    """Keep PyTorch from saying, as it imports what compiles, that it has no CUDA compiler."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


def time_calls(call: Callable[[], object], most_seconds: float) -> Timing:
    """Time `call` on as many threads as torch uses, after a warm-up, until it is steady or `most_seconds` are over."""
    hush()
    from torch.utils.benchmark import Timer

    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    measured = timer.adaptive_autorange(THRESHOLD, min_run_time=most_seconds / 8, max_run_time=most_seconds)
    return Timing(measured.median, measured.iqr, len(measured.times) * measured.number_per_run)


def extrapolate(few: Timing, many: Timing, counts: tuple[int, int], wanted: int) -> Timing:
    """What `wanted` items take where the time is a + b count: a line through the times of `counts` items.

    Noise that makes more items look no slower gives b = 0, which flatters what is extrapolated.
    """
    factor = (wanted - counts[0]) / (counts[1] - counts[0])
    seconds = few.seconds + factor * max(0.0, many.seconds - few.seconds)
    return Timing(seconds, factor * math.hypot(few.spread, many.spread), few.repetitions + many.repetitions)
