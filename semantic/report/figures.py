"""The figures of a set of runs: how validation went, and each term of the loss."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semantic.report.comparison import COMPARED
from semantic.report.drawing import FONT_SIZE, SOFT, UNITS, Curve, draw, hue, line_chart
from semantic.report.svg import write_figure
from semantic.runs.reading import Run

Variants = Mapping[str, Sequence[Run]]
TERMS_IN_A_ROW = 4


@dataclass(frozen=True)
class Term:
    """A term of the training loss by epoch, a line a run; `first` and `last` are its means over runs."""

    name: str
    curves: tuple[Curve, ...]
    first: float
    last: float

    def figure(self) -> Figure:
        return line_chart(self.curves, 300, 130, most_ticks=3)


def validation_curves(variants: Variants) -> list[Curve]:
    """Validation NDCG@5 (standard, per cent) by epoch: a line a run, in its variant's colour, the kept epoch marked."""
    protocol, metric = COMPARED
    lines = []
    for colour, runs in enumerate(variants.values()):
        for run in runs:
            points = [(e["epoch"], 100 * e["valid"][protocol][metric]) for e in run.epochs if "valid" in e]
            lines.append(Curve(points, colour, run.summary.get("best_epoch")))
    return [line for line in lines if line.points]


def loss_terms(runs: Sequence[Run], colour: int) -> list[Term]:
    """The terms of the training loss that the runs of a variant wrote down."""
    terms = []
    for part, suffix in (("train", ""), ("train_unlabelled", ", unlabelled")):
        for name in dict.fromkeys(name for run in runs for epoch in run.epochs for name in epoch.get(part, {})):
            points = [[(e["epoch"], e[part][name]) for e in run.epochs if name in e.get(part, {})] for run in runs]
            lines = tuple(Curve(line, colour) for line in points if line)
            first, last = (statistics.fmean(line.points[place][1] for line in lines) for place in (0, -1))
            terms.append(Term(name.replace("_", " ") + suffix, lines, first, last))
    return terms


def write_figures(variants: Variants, folder: Path) -> list[Path]:
    """Write the figures as SVG and PNG files, with titles and a legend; their paths."""
    files: list[Path] = []
    lines = validation_curves(variants)
    if lines:
        figure = line_chart(lines, 680, 280)
        (axes,) = figure.axes
        axes.set_xlabel("epoch", color=SOFT, fontsize=FONT_SIZE)
        axes.set_ylabel("validation NDCG@5, per cent", color=SOFT, fontsize=FONT_SIZE)
        _add_legend(figure, variants)
        files += write_figure(figure, folder / "validation_ndcg@5")
    for colour, (name, runs) in enumerate(variants.items()):
        terms = loss_terms(runs, colour)
        if terms:
            file = "loss_terms@" + re.sub(r"[^\w.+-]", "@", name)  # demo/best -> loss_terms@demo@best
            files += write_figure(_multiples(terms, name), folder / file)
    return files


def _multiples(terms: Sequence[Term], title: str) -> Figure:
    """A small chart a term, in rows."""
    columns = min(len(terms), TERMS_IN_A_ROW)
    rows = -(-len(terms) // columns)
    figure = Figure(figsize=(220 * columns / UNITS, (150 * rows + 30) / UNITS), layout="constrained")
    figure.suptitle(f"Terms of the loss by epoch, {title}", fontsize=FONT_SIZE + 2, color=SOFT, parse_math=False)
    for place, term in enumerate(terms, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.set_title(term.name, fontsize=FONT_SIZE, color=SOFT, loc="left", parse_math=False)
        draw(axes, term.curves, most_ticks=3)
    return figure


def _add_legend(figure: Figure, variants: Variants) -> None:
    handles = [Line2D([], [], color=hue(colour), linewidth=2) for colour in range(len(variants))]
    legend = figure.legend(handles, [""] * len(handles), loc="outside right upper", frameon=False, fontsize=FONT_SIZE)
    for text, name in zip(legend.get_texts(), variants, strict=True):
        text.set(text=name, color=SOFT, parse_math=False)  # as it is: matplotlib hides a label that begins with _
