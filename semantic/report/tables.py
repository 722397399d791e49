"""What a set of runs says, as numbers: variants averaged over seeds and folds and compared, floors beneath them.

Rows of one split of one store stand together; both protocols are always there.
"""

import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic.metrics.significance import holm, paired_test
from semantic.runs.reading import Run

PROTOCOLS = ("standard", "released")
PROTOCOL_NOTES = {
    "standard": "one ranking of all candidates, ties by expectation",
    "released": "as the paper's code computes it: positives do not compete, ties favour them",
}
COMPARED = ("standard", "ndcg@5")
LEVEL = 0.05


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of a metric over runs; the deviation of one run is 0."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Cell":
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)

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


@dataclass(frozen=True)
class ResultTable:
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def table(runs: Sequence[Run], unfinished: Sequence[Path] = ()) -> ResultTable:
    """The table of the runs: variants in order of name with mean and deviation over runs, floors beneath.

    Two variants with per-query results on the same queries are compared by `paired_test` on NDCG@5 (standard), each
    query's value the mean over the variant's runs; p-values are corrected by `holm` within a section.
    """
    grouped = _group(runs, lambda run: (run.summary["store"], run.summary["split"]))
    sections = tuple(_section(store, split, members) for (store, split), members in grouped.items())
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
    return ResultTable(sections, tuple(notes), tuple(warnings))


def _group(items: Iterable[Any], key: Callable[[Any], Hashable]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _section(store: str, split: str, runs: Sequence[Run]) -> Section:
    variants = _group(runs, lambda run: run.name)
    several = len({run.summary["experiment"] for run in runs}) > 1
    letters = {name: _letter(number) for number, name in enumerate(variants)}
    p_values, better = _compare({letters[name]: members for name, members in variants.items()})
    rows = [
        Row(
            name=name,
            label=name if several else members[0].summary["variant"],
            kind="variant",
            runs=len(members),
            cells=_cells([run.summary["protocols"] for run in members]),
            letter=letters[name] if len(variants) > 1 else "",
            beats=tuple(sorted(better.get(letters[name], ()))),
            tie_rate=statistics.fmean(run.summary["tie_rate"] for run in members),
        )
        for name, members in variants.items()
    ]
    for floor in dict.fromkeys(name for run in runs for name in run.summary["floors"]):
        members = [run.summary["floors"][floor] for run in runs if floor in run.summary["floors"]]
        rows.append(Row(floor, floor, "floor", len(members), _cells(members)))
    metrics = tuple(m for m in dict.fromkeys(m for _, m in rows[0].cells) if all(_has(row, m) for row in rows))
    return Section(store, split, metrics, tuple(rows), p_values)


def _cells(protocols: Sequence[dict[str, dict[str, float]]]) -> dict[tuple[str, str], Cell]:
    return {
        (protocol, metric): Cell.of([values[protocol][metric] for values in protocols])
        for protocol in PROTOCOLS
        for metric in protocols[0][protocol]
        if all(metric in values[protocol] for values in protocols)
    }


def _has(row: Row, metric: str) -> bool:
    return all((protocol, metric) in row.cells for protocol in PROTOCOLS)


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _compare(variants: dict[str, Sequence[Run]]) -> tuple[dict[tuple[str, str], float], dict[str, set[str]]]:
    """Corrected p-values of pairs with the same queries, and who is significantly better than whom."""
    values = {letter: _mean_over_runs(runs) for letter, runs in variants.items()}
    pairs = [(a, b) for a in values for b in values if a < b and values[a] and values[a].keys() == values[b].keys()]
    raw, ahead = {}, {}
    for first, second in pairs:
        keys = sorted(values[first])
        one, two = ([values[letter][key] for key in keys] for letter in (first, second))
        raw[first, second] = paired_test(one, two, [dialogue for dialogue, _ in keys])
        ahead[first, second] = sum(one) > sum(two)
    corrected = holm(raw)
    better: dict[str, set[str]] = {}
    for (first, second), p in corrected.items():
        if p < LEVEL:
            winner, loser = (first, second) if ahead[first, second] else (second, first)
            better.setdefault(winner, set()).add(loser)
    return corrected, better


def _mean_over_runs(runs: Sequence[Run]) -> dict[tuple[int, int], float]:
    """(dialogue row, turn row) -> the query's mean over the runs that rank it; empty where a run has no such file."""
    held: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        values = run.query_values("/".join(COMPARED))
        if not values:
            return {}
        for key, value in values.items():
            held.setdefault(key, []).append(value)
    return {key: statistics.fmean(values) for key, values in held.items()}


def short(metric: str) -> str:
    """ "ndcg@5" -> "N@5": what a column is headed with."""
    return metric[0].upper() + metric[metric.index("@") :]
