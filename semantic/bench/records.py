"""What a bench found: lines of its table, growth with size, and the machine; as JSON and back from it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from semantic.bench.timing import Timing

FORMAT, VERSION = "semantic-bench", 1
DIRECT_FORM = "direct form"
BLURRED = 1 << 20
"""Bytes of memory below which growth is noise."""


@dataclass(frozen=True)
class Figure:
    """A measured value in the unit of its line, and how it was measured.

    `sample` is what was run; `extrapolated` says how the value was had from a smaller run, "" where it was not.
    """

    value: float
    sample: str
    timing: Timing | None = None
    extrapolated: str = ""


@dataclass(frozen=True)
class Line:
    """One line of the table: this package's figure beside another, mostly the direct form's.

    The ratio is ours / other, or other / ours where `inverted`: so that it says how many times better ours is, except where
    `says` says otherwise. Without another figure there is no ratio, and `note` tells why.
    """

    group: str
    what: str
    unit: str
    ours: Figure
    other: Figure | None
    beside: str = DIRECT_FORM
    inverted: bool = False
    says: str = "{}x"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.other is None or not self.ours.value or not self.other.value:
            return None
        ratio = self.ours.value / self.other.value
        return 1 / ratio if self.inverted else ratio

    def to_json(self) -> dict[str, Any]:
        meaning = f"{self.beside} / ours" if self.inverted else f"ours / {self.beside}"
        return asdict(self) | {"ratio": self.ratio, "ratio_is": meaning}


@dataclass(frozen=True)
class Point:
    """What one size cost: seconds, and bytes of memory above those held before, mapped files left out."""

    size: int
    timing: Timing
    memory: int | None = None


@dataclass(frozen=True)
class Growth:
    """How cost grows with `against`: `points` in the order of size, and why sizes were left out, if any were.

    `direct` is the direct form's cost of the same sizes, extrapolated from samples as `extrapolated` says.
    """

    what: str
    against: str
    points: tuple[Point, ...]
    note: str = ""
    direct: tuple[Point, ...] = ()
    extrapolated: str = ""

    @property
    def time_exponent(self) -> float | None:
        return exponent([(point.size, point.timing.seconds) for point in self.points])

    @property
    def memory(self) -> list[tuple[int, int]]:
        """Size and bytes, where that is more than allocators and pages blur."""
        return [(p.size, p.memory) for p in self.points if p.memory is not None and p.memory >= BLURRED]

    @property
    def memory_exponent(self) -> float | None:
        return exponent(self.memory)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"time_exponent": self.time_exponent, "memory_exponent": self.memory_exponent}


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """p of cost = c size^p: the least-squares slope of log cost over log size, 1 where cost is linear.

    Over the larger half of the sizes, two at least: below it fixed costs hide the growth. None where fewer than two sizes cost
    anything.
    """
    kept = [(math.log(size), math.log(cost)) for size, cost in points if size > 0 and cost > 0]
    kept = kept[-max(2, (len(points) + 1) // 2) :]
    if len(kept) < 2:
        return None
    x, y = (sum(values) / len(kept) for values in zip(*kept, strict=True))
    spread = sum((a - x) ** 2 for a, _ in kept)
    return sum((a - x) * (b - y) for a, b in kept) / spread if spread else None


@dataclass(frozen=True)
class Result:
    """All that a bench found, and where."""

    machine: dict[str, Any]
    subject: dict[str, Any]
    quick: bool
    lines: tuple[Line, ...] = ()
    growth: tuple[Growth, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": self.machine,
            "subject": self.subject,
            "quick": self.quick,
            "lines": [line.to_json() for line in self.lines],
            "growth": [growth.to_json() for growth in self.growth],
        }
