"""Line charts as the numbers an SVG needs: where lines, ticks and marks stand. The templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Series:
    """One line: points (x, y) in the order of x, the number of its colour, and the x of a point to mark.

    A `dashed` line is one to compare with: it was not measured.
    """

    points: Sequence[tuple[Number, Number]]
    colour: int = 0
    marked: Number | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    """A series in the picture's units: SVG's `points`, each of them, and where its end and its marked point stand."""

    points: str
    colour: int
    end: tuple[float, float]
    mark: tuple[float, float] | None
    places: tuple[tuple[float, float], ...] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A picture of `width` x `height` units; ticks are (place, label)."""

    width: int
    height: int
    left: int
    bottom: int
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def chart(
    series: Sequence[Series],
    width: int = 640,
    height: int = 260,
    left: int = 44,
    most_ticks: int = 5,
    *,
    log: bool = False,
) -> Chart:
    """The chart of all series on common axes; points that are not finite are left out.

    The y axis spans the data, not zero: loss terms move little beside their size. Under `log` both axes are logarithmic and
    span whole powers of ten; points that are not positive are left out.
    """
    scale = math.log10 if log else float
    kept = [(one, [(x, y) for x, y in one.points if math.isfinite(x) and math.isfinite(y)]) for one in series]
    kept = [(one, [(x, y) for x, y in points if not log or min(x, y) > 0]) for one, points in kept]
    kept = [(one, points) for one, points in kept if points]
    top, right, bottom = 8, 10, height - 22
    xs = [scale(x) for _, points in kept for x, _ in points] or [0.0]
    ys = [scale(y) for _, points in kept for _, y in points] or [0.0]
    x_range, y_range = ((_decades if log else _widened)(min(values), max(values)) for values in (xs, ys))

    def place_x(x: Number) -> float:
        return round(left + (x - x_range[0]) / (x_range[1] - x_range[0]) * (width - left - right), 1)

    def place_y(y: Number) -> float:
        return round(bottom - (y - y_range[0]) / (y_range[1] - y_range[0]) * (bottom - top), 1)

    lines = []
    for one, points in kept:
        places = tuple((place_x(scale(x)), place_y(scale(y))) for x, y in points)
        mark = next((place for place, (x, _) in zip(places, points, strict=True) if x == one.marked), None)
        drawn = " ".join(f"{x},{y}" for x, y in places)
        lines.append(Line(drawn, one.colour, places[-1], mark, places, one.dashed))
    if log:
        x_ticks = tuple((place_x(power), _power_of_ten(power)) for power in _powers(x_range, most_ticks))
        y_ticks = tuple((place_y(power), _power_of_ten(power)) for power in _powers(y_range, most_ticks))
        return Chart(width, height, left, bottom, tuple(lines), x_ticks, y_ticks)
    return Chart(
        width,
        height,
        left,
        bottom,
        tuple(lines),
        tuple((place_x(x), f"{x:g}") for x in ticks(*x_range, most_ticks, whole=True) if min(xs) <= x <= max(xs)),
        tuple((place_y(y), f"{y:g}") for y in ticks(*y_range, most_ticks)),
    )


def _decades(low: Number, high: Number) -> tuple[Number, Number]:
    """Whole powers of ten around the range of logarithms, one decade at least."""
    first = math.floor(low + 1e-9)
    return first, max(math.ceil(high - 1e-9), first + 1)


def _powers(bounds: tuple[Number, Number], most: int) -> range:
    """At most `most` powers of ten within whole bounds, evenly apart."""
    low, high = int(bounds[0]), int(bounds[1])
    return range(low, high + 1, -(-(high - low + 1) // most))


def _power_of_ten(power: int) -> str:
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _widened(low: Number, high: Number) -> tuple[Number, Number]:
    """The range, or one about a single value: an axis needs a length."""
    if high > low:
        return low, high
    around = abs(low) * 0.1 or 1.0
    return low - around, high + around


def ticks(low: Number, high: Number, most: int, *, whole: bool = False) -> list[float]:
    """At most `most` round numbers (1, 2 or 5 times a power of ten apart) within [low, high], whole ones if asked."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    while True:
        for factor in (1, 2, 5):
            size = step * factor
            if whole and size < 1:
                continue
            first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
            if last - first + 1 <= most:
                return [round(number * size, 12) for number in range(first, last + 1)]
        step *= 10
