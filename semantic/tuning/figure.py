"""The figure of a search: how the best value grew, and the value against each field."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from semantic.config.search_space import Parameter, Space
from semantic.report.drawing import FONT_SIZE, SOFT, UNITS, Curve, draw, hue
from semantic.report.svg import write_figure
from semantic.runtime.terminal import visible
from semantic.tuning.history import Row, short

NAME = "trials"
COLUMNS = 3
LONGEST = 12
"""Letters of a choice beneath its column."""


def write_trials(found: Sequence[Row], space: Space, importances: Mapping[str, float], folder: Path) -> tuple[Path, ...]:
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
        share = f", importance {importances[one.field]:.2f}" if one.field in importances else ""
        _title(axes, f"{one.field.rpartition('.')[2]}{share}")
    return figure


def _history(axes: Axes, found: Sequence[Row]) -> None:
    finished = [row for row in found if row.is_finished]
    best = list(accumulate((_per_cent(row) for row in finished), max))
    steps = []
    for row, value in zip(finished, best, strict=True):  # a staircase: the best value holds until a trial is better
        steps += [(row.number, steps[-1][1])] if steps else []
        steps.append((row.number, value))
    draw(axes, [Curve(steps)] if len(steps) > 1 else [], most_ticks=8)
    _dots(axes, [(row.number, row) for row in found])
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _title(axes, "Validation NDCG@5, per cent, by trial: best so far (line), finished (dots), pruned (rings)")


def _field(axes: Axes, one: Parameter, found: Sequence[Row]) -> None:
    draw(axes, [], most_ticks=4)
    if one.choices is not None:
        places = {label: place for place, label in enumerate(map(repr, one.choices))}
        _dots(axes, [(places[repr(row.values[one.field])], row) for row in found])
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.xaxis.set_major_locator(FixedLocator(list(range(len(places)))))
        names = [short(choice) for choice in one.choices]
        axes.set_xticklabels([visible(name if len(name) <= LONGEST else f"{name[:LONGEST]}…") for name in names], parse_math=False)
        return
    if one.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.tick_params(which="minor", length=0)
    _dots(axes, [(row.values[one.field], row) for row in found])


def _dots(axes: Axes, points: Sequence[tuple[float, Row]]) -> None:
    for finished, face, gid in ((False, "none", "pruned"), (True, hue(0), "finished")):
        shown = [(x, _per_cent(row)) for x, row in points if row.is_finished == finished]
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


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=FONT_SIZE, color=SOFT, loc="left", parse_math=False)


def _per_cent(row: Row) -> float:
    assert row.value is not None
    return 100 * row.value
