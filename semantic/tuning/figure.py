"""The figure of a search: how the best value grew, and the value against each field."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from semantic.config.search_space import Parameter, Space
from semantic.report.drawing import FONT_SIZE, SOFT, UNITS, Curve, draw, hue
from semantic.report.svg import write_figure
from semantic.runtime.terminal import visible
from semantic.tuning.history import Row, short

NAME = "trials"
FIGURE = (f"{NAME}.svg", f"{NAME}.png")
COLUMNS = 3
LONGEST, LONGEST_TITLE = 10, 24
"""Letters of a choice beneath its column, and of a field above its chart: wider text would take the charts' room."""


def write_trials(
    found: Sequence[Row], space: Space, importances: Mapping[str, float], folder: Path
) -> tuple[Path, ...]:
    """Write the figure as trials.svg and trials.png; their paths, none where no trial has a value."""
    drawn = [row for row in found if row.value is not None]
    return write_figure(trials_figure(drawn, space, importances), folder / NAME) if drawn else ()


def trials_figure(found: Sequence[Row], space: Space, importances: Mapping[str, float]) -> Figure:
    """A wide chart of the best value by trial, above a small one for each field; of trials that have a value.

    Finished trials are dots, pruned ones are rings at their last value. All y axes are validation NDCG@5 in per cent.
    """
    columns = min(COLUMNS, len(space))
    below = -(-len(space) // columns)
    figure = Figure(figsize=(720 / UNITS, (230 + 190 * below) / UNITS), layout="constrained")
    grid = figure.add_gridspec(1 + below, columns, height_ratios=[1.25, *[1] * below])
    history = figure.add_subplot(grid[0, :])
    _history(history, found)
    for place, one in enumerate(space):
        axes = figure.add_subplot(grid[1 + place // columns, place % columns])
        _field(axes, one, found)
        share = f"\nimportance {importances[one.field]:.2f}" if one.field in importances else ""
        _title(axes, _cut(one.field.rpartition(".")[2], LONGEST_TITLE) + share)
    return figure


def _history(axes: Axes, found: Sequence[Row]) -> None:
    finished = [row for row in found if row.is_finished]
    best = list(accumulate((_per_cent(row) for row in finished), max))
    steps: list[tuple[float, float]] = []
    for row, value in zip(finished, best, strict=True):  # a staircase: the best value holds until a trial is better
        steps += [(row.number, steps[-1][1])] if steps else []
        steps.append((row.number, value))
    if steps:
        steps.append((max(row.number for row in found), steps[-1][1]))
    draw(axes, [Curve(steps)] if len(steps) > 1 else [], most_ticks=8)
    _dots(axes, [(row.number, row) for row in found])
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _title(axes, "validation NDCG@5 in per cent, by trial: finished (dots), pruned (rings), best so far (line)")


def _field(axes: Axes, one: Parameter, found: Sequence[Row]) -> None:
    draw(axes, [], most_ticks=4)
    if one.choices is not None:
        places = {label: place for place, label in enumerate(map(repr, one.choices))}
        _dots(axes, [(places[repr(row.values[one.field])], row) for row in found])
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.xaxis.set_major_locator(FixedLocator(list(range(len(places)))))
        axes.set_xticklabels([visible(_cut(short(choice), LONGEST)) for choice in one.choices], parse_math=False)
        return
    if one.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if one.high >= 100 * one.low else (1, 3), numticks=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=one.integer))
    _dots(axes, [(row.values[one.field], row) for row in found])


def _dots(axes: Axes, points: Sequence[tuple[float, Row]]) -> None:
    for finished, face, gid in ((False, "none", "pruned"), (True, hue(0), "finished")):
        shown = [(x, _per_cent(row)) for x, row in points if row.is_finished == finished]
        if not shown:  # the layout takes an empty line for one at the figure's corner
            continue
        axes.plot(
            [x for x, _ in shown],
            [y for _, y in shown],
            linestyle="",
            marker="o",
            markersize=6,
            markerfacecolor=face,
            markeredgecolor=hue(0),
            alpha=0.85,
            clip_on=False,
            gid=gid,
        )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=FONT_SIZE, color=SOFT, loc="left", parse_math=False)


def _per_cent(row: Row) -> float:
    assert row.value is not None
    return 100 * row.value
