"""Curve charts in the look of the pages: figures of matplotlib that know nothing of what they show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

Number = int | float

# The light colours of style.css, which has a dark one of the same name for each.
COLOURS = (
    "#5b4bb7", "#c2571a", "#17845a", "#b8326b", "#1f77a8", "#8a7a13", "#53392d", "#d21ed2",
    "#17a117", "#1e1ed2", "#b48974", "#a974b4", "#d21e3c", "#631d63", "#407010", "#702010",
    "#1d6363", "#e444af", "#40532d", "#9c5460", "#9444e4", "#404077", "#8e5c29", "#bb59cf",
)  # fmt: skip
"""As far apart as 24 can be to the eye (CIELAB)."""
SOFT, GRID, CARD = "#6b665e", "#e4dfd6", "#ffffff"
FONT_SIZE = 12
LARGEST = 1e30  # numbers from which an axis has no room: differences overflow
UNITS = 72  # of a figure's width and height to an inch: an SVG's own


@dataclass(frozen=True)
class Curve:
    """One line of a chart: points (x, y) in the order of x, the number of its colour, and the x of a point to mark, if any.

    A `dashed` line is one to compare with, which was not measured. `dots` shows each point.
    """

    points: Sequence[tuple[Number, Number]]
    colour: int = 0
    marked: Number | None = None
    dashed: bool = False
    dots: bool = False


def line_chart(
    curves: Sequence[Curve], width: int = 560, height: int = 240, *, most_ticks: int = 5, log: bool = False
) -> Figure:
    """A figure of `width` x `height` units with all curves on common axes (`draw`)."""
    figure = Figure(figsize=(width / UNITS, height / UNITS), layout="constrained")
    draw(figure.add_subplot(), curves, most_ticks=most_ticks, log=log)
    return figure


def draw(axes: Axes, curves: Sequence[Curve], *, most_ticks: int = 5, log: bool = False) -> None:
    """Draw the curves; points that are not finite, or too large for an axis, are left out.

    The y axis spans the data, not zero: loss terms move little beside their size. Under `log` both axes are logarithmic
    and span whole powers of ten; points that are not positive are left out.
    """
    shown: list[tuple[Number, Number]] = []
    for number, curve in enumerate(curves):
        points = [(x, y) for x, y in curve.points if _has_place(x, y, log)]
        shown += points
        dotted = curve.dots or len(points) == 1  # a line through one point cannot be seen
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker="o" if dotted else "",
            markersize=6,
            linestyle=(0, (2.5, 2.5)) if curve.dashed else "-",
            linewidth=2,
            color=hue(curve.colour),
            clip_on=False,
            gid=f"curve_{number}",
        )
        for x, y in points:
            if x == curve.marked:
                axes.plot(
                    x,
                    y,
                    marker="o",
                    markersize=11,
                    markeredgecolor=CARD,
                    markeredgewidth=2,
                    color=hue(curve.colour),
                    clip_on=False,
                    zorder=3,  # above all curves
                    gid=f"mark_{number}",
                )
    if log:
        _span_powers_of_ten(axes, shown, most_ticks)
    else:
        axes.margins(0.02, 0.08)
        axes.xaxis.set_major_locator(MaxNLocator(most_ticks, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(most_ticks, steps=[1, 2, 5, 10]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=1, clip_on=False)
    axes.tick_params(length=0, labelsize=FONT_SIZE, labelcolor=SOFT, pad=8)


def hue(number: int) -> str:
    """The colour of this number; they repeat."""
    return COLOURS[number % len(COLOURS)]


def _has_place(x: Number, y: Number, log: bool) -> bool:
    return abs(x) < LARGEST and abs(y) < LARGEST and (not log or min(x, y) > 0)


def _span_powers_of_ten(axes: Axes, points: Sequence[tuple[Number, Number]], most_ticks: int) -> None:
    axes.set(xscale="log", yscale="log")
    for place, axis in enumerate((axes.xaxis, axes.yaxis)):
        logarithms = [math.log10(point[place]) for point in points] or [0.0]
        low = math.floor(min(logarithms) + 1e-9)
        high = max(math.ceil(max(logarithms) - 1e-9), low + 1)  # a decade at least: an axis needs a length
        powers = range(low, high + 1, -(-(high - low + 1) // most_ticks))
        axis.set_major_locator(FixedLocator([10.0**power for power in powers]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(round(math.log10(value)))))
        axis.set_minor_locator(NullLocator())
        (axes.set_ylim if place else axes.set_xlim)(10.0**low, 10.0**high)


def power_of_ten(power: int) -> str:
    """-2 -> "10⁻²"."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
