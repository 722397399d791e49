"""An experiment's figure in matplotlib: a panel a metric, as one figure for print and as a figure a panel for pages.

Lines differ in marker as well as in colour, what is published is hollow and dashed: it reads in black and white.
"""

from collections.abc import Sequence
from math import ceil, nan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from semantic.report.drawing import CARD, GRID, SOFT, UNITS, hue
from semantic.report.experiments.layout import alone, metric_name
from semantic.report.experiments.results import ExperimentResult
from semantic.report.experiments.series import (
    Axis,
    Point,
    Series,
    best_floor,
    levels,
    line_axis,
    line_series,
    row_points,
)

PANEL, PANELS_IN_A_ROW = (236, 200), 3
"""Units of a panel in print: three are as wide as a page of two columns, scaled by three quarters."""
PAGE_PANEL = (390, 280)
PRINT_FONT, PAGE_FONT = 10.0, 12.0
BAR = 30
LETTER = 0.62
"""Width of a letter in sizes of the font, on the safe side."""
ASIDE = 0.015
"""How far lines are moved aside from one another, as a share of the axis."""
PALE = 0.35
"""How much of their colour bars have, so that points and error bars show on them."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ((4.0, 2.0), (6.0, 2.0, 1.0, 2.0), (2.0, 2.0), (8.0, 3.0))
DOTTED = (0, (1.0, 2.0))


def experiment_figure(result: ExperimentResult) -> Figure | None:
    """The figure for print, all panels in it; None where the report asks for none.

    Raises:
        DataError: a line is asked for, and a value of its axis is no number.
    """
    report = result.plan.report
    if report.figure == "none":
        return None
    columns = min(len(report.metrics), PANELS_IN_A_ROW)
    rows = ceil(len(report.metrics) / columns)
    width, height = _size(result, PANEL, PRINT_FONT)
    size = ((width * columns + _names_width(result)) / UNITS, height * rows / UNITS)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.06))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=report.figure == "bars")
    for place, axes in enumerate(panels.flat):
        if place < len(report.metrics):
            _draw(axes, result, report.metrics[place], PRINT_FONT)
            axes.tick_params(labelleft=report.figure == "line" or place % columns == 0)
        else:
            axes.set_visible(False)
    _add_legend(figure, list(panels.flat)[: len(report.metrics)], PRINT_FONT)
    return figure


def panel_figures(result: ExperimentResult) -> dict[str, Figure]:
    """A figure a metric, for pages; none where the report asks for none. DataError as `experiment_figure`."""
    figures: dict[str, Figure] = {}
    for metric in result.plan.report.metrics if result.plan.report.figure != "none" else ():
        width, height = _size(result, PAGE_PANEL, PAGE_FONT)
        figure = Figure(figsize=(width / UNITS, height / UNITS), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, result, metric, PAGE_FONT)
        _add_legend(figure, [axes], PAGE_FONT)
        figures[metric] = figure
    return figures


def _names_width(result: ExperimentResult) -> int:
    """Units that the names of bars take, left of the first panel."""
    return 110 if result.plan.report.figure == "bars" else 0


def _size(result: ExperimentResult, panel: tuple[int, int], font: float) -> tuple[float, float]:
    width, height = panel
    if result.plan.report.figure == "bars":
        height = round(BAR * font / PAGE_FONT * (len(result.groups) + len(alone(result.results))) + 70)
    return width, height


def _draw(axes: Axes, result: ExperimentResult, metric: str, font: float) -> None:
    title = f"{metric_name(metric)}, {result.results.protocol} protocol"
    axes.set_title(title, fontsize=font, color=SOFT, loc="left", parse_math=False)
    if result.plan.report.figure == "line":
        _draw_lines(axes, result, metric, font)
        axes.set_ylabel("per cent", fontsize=font, color=SOFT)
        axes.grid(axis="y", color=GRID, linewidth=1, clip_on=False)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.margins(0.05, 0.1)
    else:
        _draw_bars(axes, result, metric, font)
        axes.set_xlabel("per cent", fontsize=font, color=SOFT)
        axes.grid(axis="x", color=GRID, linewidth=1, clip_on=False)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=font, labelcolor=SOFT, pad=6)
    for artist in axes.get_children():
        artist.set_clip_on(False)


def _draw_lines(axes: Axes, result: ExperimentResult, metric: str, font: float) -> None:
    axis = line_axis(result)
    drawn = line_series(result, metric, axis)
    ours = sum(not series.published for series in drawn)
    for number, series in enumerate(drawn):
        own = number if series.of is None else series.of
        shift = (own - (ours - 1) / 2) * ASIDE * axis.span if own < ours else 0.0
        _draw_series(axes, series, own, shift)
    for number, (name, value) in enumerate(levels(result, metric)):
        dash = DASHES[number % len(DASHES)]
        axes.axhline(
            value, color=hue(number + 3), linestyle=(0, dash), linewidth=1.2, label=name, gid=f"level_{number}"
        )
    floor = best_floor(result, metric)
    if floor is not None:
        axes.axhline(floor[1], color=SOFT, linestyle=DOTTED, linewidth=1, label=floor[0], gid="floor")
    axes.set_xlabel(axis.label, fontsize=font, color=SOFT)
    _set_ticks(axes, axis)


def _set_ticks(axes: Axes, axis: Axis) -> None:
    if axis.ticks is None:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    texts = dict(axis.ticks)
    axes.xaxis.set_major_locator(FixedLocator(list(texts)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: texts.get(value, "")))


def _draw_series(axes: Axes, series: Series, number: int, shift: float) -> None:
    """A line with its error bars, moved aside by `shift`: those of several lines would cover one another."""
    colour = hue(number)
    drawn = axes.errorbar(
        [point.place + shift for point in series.points],
        [point.mean for point in series.points],
        yerr=_deviations(series.points),
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        markerfacecolor=CARD if series.published else colour,
        markeredgecolor=colour,
        linestyle=(0, DASHES[0]) if series.published else "-",
        linewidth=1.4,
        color=colour,
        capsize=3,
        elinewidth=1,
        label=series.name,
        zorder=3 if series.published else 4,
    )
    drawn.lines[0].set_gid(f"published_{number}" if series.published else f"series_{number}")
    for point in (one for one in series.points if one.values):
        axes.plot([point.place + shift] * len(point.values), point.values, **_dots(colour))


def _draw_bars(axes: Axes, result: ExperimentResult, metric: str, font: float) -> None:
    results, names = result.results, []
    points = row_points(result, metric)
    hatched = {name: name == results.baseline for name in points}
    for kind, label in ((False, "ours"), (True, f"ours, {results.baseline} (the baseline)")):
        own = [point for name, point in points.items() if hatched[name] is kind]
        if own:
            axes.barh(
                [point.place for point in own],
                [point.mean for point in own],
                0.62,
                facecolor=CARD if kind else (hue(0), PALE),
                edgecolor=hue(0),
                hatch="////" if kind else "",
                label=label,
            )
    for name, point in points.items():
        names.append(name)
        if point.deviation is not None:
            axes.errorbar(
                point.mean, point.place, xerr=point.deviation, color=hue(0), capsize=3, elinewidth=1.2, zorder=4
            )
        axes.plot(point.values, [point.place] * len(point.values), **_dots(hue(0)))
    marked = [(points[one.beside].place, one) for one in results.published if one.beside in points]
    for one in alone(results):
        marked.append((float(len(names)), one))
        names.append(f"published: {one.name}")
    shown = [(place, *one.values[metric]) for place, one in marked if metric in one.values]
    if shown:
        axes.errorbar(
            [mean * 100 for _, mean, _ in shown],
            [place for place, _, _ in shown],
            xerr=[nan if sd is None else 100 * sd for _, _, sd in shown],
            marker="D",
            markersize=6,
            markerfacecolor=CARD,
            markeredgecolor=hue(1),
            color=hue(1),
            linestyle="none",
            capsize=3,
            elinewidth=1,
            label="published",
            zorder=5,
        )
    floor = best_floor(result, metric)
    if floor is not None:
        axes.axvline(floor[1], color=SOFT, linestyle=DOTTED, linewidth=1.2, label=floor[0], gid="floor")
    axes.set_xlim(left=0)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_yticks(range(len(names)), [_broken(name) for name in names], fontsize=font, parse_math=False)


def _dots(colour: str) -> dict[str, Any]:
    """How the values of single runs are drawn."""
    return {"linestyle": "none", "marker": ".", "markersize": 4, "color": colour, "alpha": 0.55, "zorder": 3.5}


def _deviations(points: Sequence[Point]) -> list[float]:
    return [nan if point.deviation is None else point.deviation for point in points]


def _broken(name: str) -> str:
    """A name in lines that a figure has room for."""
    return name.replace(",", ",\n").replace(": ", ":\n") if len(name) > 18 else name


def _add_legend(figure: Figure, panels: Sequence[Axes], font: float) -> None:
    """Beneath all panels, each name once, in as many columns as have room; the figure grows by it."""
    entries: dict[str, Any] = {}
    for axes in panels:
        pairs = zip(*axes.get_legend_handles_labels(), strict=True)
        for handle, label in sorted(pairs, key=lambda pair: isinstance(pair[0], Line2D)):  # level lines last
            entries.setdefault(label, handle)
    width, height = figure.get_size_inches()
    column = (LETTER * max(map(len, entries)) + 4) * font / UNITS
    columns = min(len(entries), max(1, int(width / column)))
    figure.set_size_inches(width, height + (ceil(len(entries) / columns) * 1.6 + 0.6) * font / UNITS)
    legend = figure.legend(
        list(entries.values()),
        [""] * len(entries),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=font,
    )
    for text, name in zip(legend.get_texts(), entries, strict=True):
        text.set(text=name, color=SOFT, parse_math=False)  # as it is: matplotlib hides a label that begins with _
