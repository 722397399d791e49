"""The figures of a set of runs: how validation went, each term of the loss, and what shows whether a run learns."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semantic.report.drawing import FONT_SIZE, SOFT, UNITS, Curve, draw, hue, line_chart
from semantic.report.svg import write_figure
from semantic.runs.grouping import Group
from semantic.runs.reading import Run
from semantic.runs.summary import COMPARED, Epoch
from semantic.runtime.terminal import visible

Groups = Mapping[str, Group]
"""Groups of runs by title."""
TERMS_IN_A_ROW = 4
LONGEST_TITLE = 60
WIDEST_TITLE = 28  # letters of a small chart's title in a line
LONGEST_NAME = 200  # bytes; file systems take 255, with an ending and a temporary name's

TRAINING_FIGURES: Mapping[str, Callable[[Epoch], Mapping[str, float]]] = {
    "": lambda epoch: epoch.train,
    ", unlabelled": lambda epoch: epoch.train_unlabelled,
    ", validation": lambda epoch: {} if epoch.valid is None else epoch.valid.tracking,
    " (diagnostic)": lambda epoch: epoch.diagnostics.get("train", {}),
    " (diagnostic), unlabelled": lambda epoch: epoch.diagnostics.get("train_unlabelled", {}),
    " (gradient norm)": lambda epoch: epoch.gradients,
}
"""What is written down of an epoch's training, by what follows the name of a figure."""


@dataclass(frozen=True)
class Term:
    """A term of the training loss, or another figure of training, by epoch: a line a run; `first` and `last` are its means over runs."""

    name: str
    curves: tuple[Curve, ...]
    first: float
    last: float

    def figure(self) -> Figure:
        return line_chart(self.curves, 300, 130, most_ticks=3)


def validation_curves(groups: Groups) -> list[Curve]:
    """Validation NDCG@5 (standard, per cent) by epoch: a line a run, in its group's colour, the kept epoch marked."""
    lines = []
    for colour, group in enumerate(groups.values()):
        for run in group.runs:
            points = [(e.epoch, 100 * e.valid.standard[COMPARED[1]]) for e in run.epochs if e.valid is not None]
            lines.append(Curve(points, colour, run.summary.best_epoch))
    return [line for line in lines if line.points]


def loss_terms(runs: Sequence[Run], colour: int) -> list[Term]:
    """What the runs of a group wrote down of each epoch's training: terms of the loss, diagnostics, norms of gradients."""
    terms = []
    for suffix, figures in TRAINING_FIGURES.items():
        epochs = [[(epoch.epoch, figures(epoch)) for epoch in run.epochs] for run in runs]
        for name in dict.fromkeys(name for run in epochs for _, values in run for name in values):
            points = [[(epoch, values[name]) for epoch, values in run if name in values] for run in epochs]
            lines = tuple(Curve(line, colour) for line in points if line)
            first, last = (_mean(line.points[place][1] for line in lines) for place in (0, -1))
            terms.append(Term(visible(name.replace("_", " ")) + suffix, lines, first, last))
    return terms


def _mean(values: Iterable[float]) -> float:
    """The mean, also of values that are no numbers (`statistics.fmean` raises)."""
    values = list(values)
    return sum(values) / len(values)


def write_figures(groups: Groups, folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG files, with titles and a legend; their paths."""
    files: list[Path] = []
    lines = validation_curves(groups)
    if lines:
        figure = line_chart(lines, 680, 280)
        (axes,) = figure.axes
        axes.set_xlabel("epoch", color=SOFT, fontsize=FONT_SIZE)
        axes.set_ylabel("validation NDCG@5, per cent", color=SOFT, fontsize=FONT_SIZE)
        _add_legend(figure, groups)
        files += write_figure(figure, folder / "validation_ndcg@5")
    for colour, (title, group) in enumerate(groups.items()):
        terms = loss_terms(group.runs, colour)
        if terms:
            file = _file_name(title)
            while folder / f"{file}.svg" in files:
                file += "@"
            files += write_figure(_multiples(terms, title), folder / file)
    return files


def _file_name(title: str) -> str:
    """ "demo/best" -> "loss_terms@demo@best", of at most 200 bytes."""
    name = "loss_terms@" + re.sub(r"[^\w.+-]+", "@", title).strip("@")
    return name.encode()[:LONGEST_NAME].decode("utf-8", "ignore")


def _multiples(terms: Sequence[Term], title: str) -> Figure:
    """A small chart a term, in rows."""
    columns = min(len(terms), TERMS_IN_A_ROW)
    rows = -(-len(terms) // columns)
    figure = Figure(figsize=(220 * columns / UNITS, (150 * rows + 30) / UNITS), layout="constrained")
    figure.suptitle(
        f"Losses and diagnostics by epoch, {_cut(title)}", fontsize=FONT_SIZE + 2, color=SOFT, parse_math=False
    )
    for place, term in enumerate(terms, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.set_title(fill(term.name, WIDEST_TITLE), fontsize=FONT_SIZE, color=SOFT, loc="left", parse_math=False)
        draw(axes, term.curves, most_ticks=3)
    return figure


def _cut(title: str) -> str:
    """A title that leaves room for the axes: of a long one its two ends."""
    half = LONGEST_TITLE // 2
    return title if len(title) <= LONGEST_TITLE else f"{title[:half]}...{title[-half:]}"


def _add_legend(figure: Figure, groups: Groups) -> None:
    handles = [Line2D([], [], color=hue(colour), linewidth=2) for colour in range(len(groups))]
    legend = figure.legend(handles, [""] * len(handles), loc="outside right upper", frameon=False, fontsize=FONT_SIZE)
    for text, name in zip(legend.get_texts(), groups, strict=True):
        text.set(text=_cut(name), color=SOFT, parse_math=False)  # as it is: matplotlib hides a label that begins with _
