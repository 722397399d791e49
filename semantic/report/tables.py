"""The results of a set of runs as one table: variants averaged over seeds and folds and compared, floors beneath them.

Rows of one split of one store stand together; both protocols are always there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from semantic.report.comparison import COMPARED, LEVEL, compare
from semantic.report.frame import COLUMNS, PROTOCOLS, results_frame
from semantic.runs.reading import Run

PROTOCOL_NOTES = {
    "standard": "one ranking of all candidates, ties by expectation",
    "released": "as the paper's code computes it: positives do not compete, ties favour them",
}


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of a metric over runs; the deviation of one run is 0."""

    mean: float
    deviation: float

    def text(self, separator: str = " ") -> str:
        """Per cent with one decimal: "41.2 ± 0.6", the deviation only where the runs differ."""
        mean = f"{100 * self.mean:.1f}"
        return f"{mean}{separator}± {100 * self.deviation:.1f}" if self.deviation > 1e-12 else mean


@dataclass(frozen=True)
class Row:
    """A variant or a floor, its `cells` by (protocol, metric).

    `label` is the name without an experiment that all rows share. `letter` names a variant, `beats` the letters of
    those it is significantly better than by NDCG@5 (standard).
    """

    name: str
    label: str
    kind: str  # "variant" or "floor"
    runs: int
    cells: dict[tuple[str, str], Cell]
    letter: str = ""
    beats: tuple[str, ...] = ()
    tie_rate: float = 0.0

    @property
    def title(self) -> str:
        """ "a  best (n=3)": the letter, the label, and the number of runs of a variant."""
        if self.kind == "floor":
            return self.label
        return (f"{self.letter}  " if self.letter else "") + f"{self.label} (n={self.runs})"

    def marks(self, key: tuple[str, str]) -> tuple[str, ...]:
        """The letters raised beside the cell of this (protocol, metric)."""
        return self.beats if key == COMPARED else ()


@dataclass(frozen=True)
class Section:
    """The rows of one split of one store: only these are comparable."""

    store: str
    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    p_values: dict[tuple[str, str], float]  # (letter, letter) -> corrected p

    @property
    def variants(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kind == "variant")

    def heading(self, protocol: str) -> str:
        return f"{Path(self.store).name}, {self.split} split, {protocol} protocol: {PROTOCOL_NOTES[protocol]}"

    def texts(self, protocol: str, written: Callable[[Cell, tuple[str, ...]], str]) -> pd.DataFrame:
        """The table as people read it [row, metric]: each cell and its marks as `written` writes them."""
        cells = [
            [written(row.cells[protocol, metric], row.marks((protocol, metric))) for metric in self.metrics]
            for row in self.rows
        ]
        return pd.DataFrame(cells, [row.title for row in self.rows], list(map(short, self.metrics)))


@dataclass(frozen=True)
class ResultTable:
    """The results of a set of runs: `frame` holds them all, a line a row, protocol and metric (`COLUMNS`; values are
    fractions, `beats` the names of the variants that are significantly worse); `sections` arrange them for people.
    """

    frame: pd.DataFrame
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def table(runs: Sequence[Run], unfinished: Sequence[Path] = ()) -> ResultTable:
    """The table of the runs: variants in order of name with mean and deviation over runs, floors beneath.

    Two variants with per-query results on the same queries are compared (`compare`), within a section.
    """
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.summary["store"], run.summary["split"]), []).append(run)
    frames, sections = [], []
    for members in grouped.values():
        variants: dict[str, list[Run]] = {}
        for run in members:
            variants.setdefault(run.name, []).append(run)
        p_values, better = compare(variants)
        frames.append(results_frame(members, better))
        sections.append(_section(frames[-1], variants, p_values, better))
    notes = ["Per cent; mean ± standard deviation over runs. P precision, R recall, N NDCG."]
    if any(section.p_values for section in sections):
        notes.append(
            f"Raised letters: better than those rows by NDCG@5 (standard), p < {LEVEL}, paired permutation test over "
            "dialogues, Holm-corrected."
        )
    if any(row.kind == "floor" for section in sections for row in section.rows):
        notes.append("Floors learn nothing. Popularity and TF-IDF often tie, which the released protocol favours.")
    warnings = [
        f"{row.name}: in {100 * row.tie_rate:.1f}% of queries a product that is right ties with one that is wrong; "
        "the released protocol counts such ties as won."
        for section in sections
        for row in section.variants
        if row.tie_rate > 0
    ]
    warnings += [f"{path}: not finished, left out." for path in unfinished]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    return ResultTable(frame, tuple(sections), tuple(notes), tuple(warnings))


def _section(
    frame: pd.DataFrame,
    variants: dict[str, list[Run]],
    p_values: dict[tuple[str, str], float],
    better: dict[str, tuple[str, ...]],
) -> Section:
    several = len({run.summary["experiment"] for runs in variants.values() for run in runs}) > 1
    letters = {name: _letter(number) for number, name in enumerate(variants)}
    rows = []
    for (name, kind), lines in frame.groupby(["name", "kind"], sort=False):
        cells = {(line.protocol, line.metric): Cell(line.mean, line.deviation) for line in lines.itertuples()}
        row = Row(name, name, kind, int(lines["runs"].iloc[0]), cells)
        if kind == "variant":
            runs = variants[name]
            row = Row(
                name=name,
                label=name if several else runs[0].summary["variant"],
                kind=kind,
                runs=len(runs),
                cells=cells,
                letter=letters[name] if len(variants) > 1 else "",
                beats=tuple(letters[other] for other in better.get(name, ())),
                tie_rate=fmean(run.summary["tie_rate"] for run in runs),
            )
        rows.append(row)
    metrics = tuple(
        metric
        for metric in dict.fromkeys(metric for _, metric in rows[0].cells)
        if all((protocol, metric) in row.cells for row in rows for protocol in PROTOCOLS)
    )
    store, split = frame["store"].iloc[0], frame["split"].iloc[0]
    return Section(store, split, metrics, tuple(rows), {(letters[a], letters[b]): p for (a, b), p in p_values.items()})


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def short(metric: str) -> str:
    """ "ndcg@5" -> "N@5": what a column is headed with."""
    return metric[0].upper() + metric[metric.index("@") :]
