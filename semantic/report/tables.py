"""The results of a set of runs as tables: variants averaged over seeds and folds and compared, floors beneath them.

Only rows on the same queries stand together; both protocols are always there.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from semantic.report.comparison import LEVEL, compare
from semantic.runs.grouping import Group, group_runs
from semantic.runs.reading import Run
from semantic.runs.summary import COMPARED, PROTOCOLS, StateTracking
from semantic.runtime.terminal import visible

PROTOCOL_NOTES = {
    "standard": "one ranking of all candidates, ties by expectation",
    "released": "as the paper's code computes it: positives do not compete, ties favour them",
}
SEEN, GOLD = "†", "‡"
"""Mark a row whose runs learned from dialogues that they rank, and one that ranks by the gold state."""
COLUMNS = [
    "store", "identity", "split", "section", "name", "kind", "runs", "seeds", "folds", "seen", "protocol", "metric", "mean",
    "deviation", "beats",
]  # fmt: skip

TRACKING = "Dialogue states: how often what the student infers is the gold value, per cent"
MEASURES = ("joint goal accuracy", "slot accuracy")

Key = tuple[str, str]
"""A protocol and a metric."""


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of a metric; the deviation of one value is 0."""

    mean: float
    deviation: float

    def text(self, separator: str = " ") -> str:
        """Per cent with one decimal: "41.2 ± 0.6", the deviation only where the values differ."""
        mean = f"{100 * self.mean:.1f}"
        return f"{mean}{separator}± {100 * self.deviation:.1f}" if self.deviation > 1e-12 else mean


@dataclass(frozen=True)
class Row:
    """A group of runs or a floor, its `cells` by (protocol, metric).

    `label` is the name without an experiment that all rows of the section share, `letter` stands for it, and `beats` are
    the letters of those it is significantly better than by NDCG@5 (standard). A variant's cells are over its `runs`; each
    set of queries (a fold) weighs the same. A floor's are over the section's sets of queries. `title` is the group's in
    the whole table. `seen` counts dialogues that the runs both learned from and rank; `gold`: it ranks by the gold state.
    """

    name: str
    label: str
    kind: str  # "variant" or "floor"
    runs: int
    cells: dict[Key, Cell]
    title: str = ""
    size: str = ""
    seeds: int = 0
    folds: int = 0
    seen: int = 0
    gold: bool = False
    letter: str = ""
    beats: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """ "a  best (3 seeds)": the letter, the label, and what the runs of a variant are."""
        if self.kind == "floor":
            return self.label
        return (f"{self.letter}  " if self.letter else "") + self.label + self.mark + f" ({self.size})"

    @property
    def mark(self) -> str:
        """What stands behind the label of a row that is no rival."""
        return mark_of(self.seen, self.gold)

    def marks(self, key: Key) -> tuple[str, ...]:
        """The letters raised beside the cell of this (protocol, metric)."""
        return self.beats if key == COMPARED else ()


@dataclass(frozen=True)
class Section:
    """The rows on one set of queries, or on the sets of the same folds: only these are comparable. `place` names it."""

    store: str
    identity: str
    split: str
    place: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    p_values: dict[tuple[str, str], float]  # (letter, letter) -> corrected p
    note: str  # what was compared; empty where nothing was

    @property
    def variants(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kind == "variant")

    def best(self, kind: str) -> Row | None:
        """The best variant or floor by NDCG@5 (standard), of those that have not seen what they rank, nor read its label."""
        rivals = [row for row in self.rows if row.kind == kind and not row.mark]
        return max(rivals, key=lambda row: row.cells[COMPARED].mean, default=None)

    def heading(self, protocol: str) -> str:
        return f"{self.place}, {protocol} protocol: {PROTOCOL_NOTES[protocol]}"

    def texts(self, protocol: str, written: Callable[[Cell, tuple[str, ...]], str]) -> pd.DataFrame:
        """The table as people read it [row, metric]: each cell and its marks as `written` writes them."""
        cells = [
            [written(row.cells[protocol, metric], row.marks((protocol, metric))) for metric in self.metrics]
            for row in self.rows
        ]
        return pd.DataFrame(cells, [row.heading for row in self.rows], list(map(short, self.metrics)))


@dataclass(frozen=True)
class ResultTable:
    """The results of a set of runs: `sections` arrange them for people, `groups` are the rows' runs by title.

    `frame` holds them all, a line a row, protocol and metric (`COLUMNS`): values are fractions, `section` is a section's
    number from 1, `seen` counts dialogues, `beats` names the variants that are significantly worse.
    """

    frame: pd.DataFrame
    sections: tuple[Section, ...]
    groups: dict[str, Group]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def table(runs: Sequence[Run], unfinished: Sequence[Path] = ()) -> ResultTable:
    """The table of the runs: groups in order of name with mean and deviation over runs, floors beneath.

    Groups on the same queries stand in one section and are compared (`compare`).

    Raises:
        DataError: a file of a run is damaged.
    """
    groups, warnings = group_runs(runs)
    members: dict[tuple[str, str, frozenset[str]], list[Group]] = {}
    for group in groups:
        one = group.runs[0].summary
        members.setdefault((one.identity, one.split, group.queries), []).append(group)
    places = places_of(list(members.values()))
    names = [group.name for group in groups]
    titles = {
        id(group): group.name if names.count(group.name) == 1 else f"{group.name} ({place})"
        for place, own in zip(places, members.values(), strict=True)
        for group in own
    }
    sections = [_section(own, place, titles) for place, own in zip(places, members.values(), strict=True)]
    by_title = {titles[id(group)]: group for own in members.values() for group in own}
    warnings += [
        line for title, group in by_title.items() for line in (*warnings_of(title, group), *_missing(title, group))
    ]
    warnings += [f"{visible(str(path))}: not finished, left out." for path in unfinished]
    notes = _notes(sections) + [line for title, group in by_title.items() for line in dropped_of(title, group)]
    return ResultTable(_frame(sections), tuple(sections), by_title, tuple(notes), tuple(warnings))


def _section(groups: Sequence[Group], place: str, titles: dict[int, str]) -> Section:
    several = len({group.runs[0].summary.experiment for group in groups}) > 1
    comparison = compare(groups)
    letters = [_letter(number) for number in range(len(groups))]
    rows = [
        Row(
            name=group.name,
            label=group.name if several else group.variant,
            kind="variant",
            runs=len(group.runs),
            cells=cells_of(group.runs),
            title=titles[id(group)],
            size=group.size,
            seeds=len(group.seeds),
            folds=len(group.folds),
            seen=group.seen,
            gold=group.reads_gold_states,
            letter=letters[number] if len(groups) > 1 else "",
            beats=tuple(letters[other] for other in comparison.better.get(number, ())),
        )
        for number, group in enumerate(groups)
    ]
    rows += floors_of([run for group in groups for run in group.runs])
    metrics = tuple(
        metric
        for metric in dict.fromkeys(metric for _, metric in rows[0].cells)
        if all((protocol, metric) in row.cells for row in rows for protocol in PROTOCOLS)
    )
    one = groups[0].runs[0].summary
    p_values = {(letters[a], letters[b]): p for (a, b), p in comparison.p_values.items()}
    return Section(one.store, one.identity, one.split, place, metrics, tuple(rows), p_values, comparison.note)


def cells_of(runs: Sequence[Run]) -> dict[Key, Cell]:
    """Of each metric that all runs have: the mean of its means over the runs on each set of queries, the deviation over runs."""
    cells = {}
    for protocol in PROTOCOLS:
        for metric in runs[0].summary.protocols[protocol]:
            if all(metric in run.summary.protocols[protocol] for run in runs):
                sets: dict[str, list[float]] = {}
                for run in runs:
                    sets.setdefault(run.summary.queries, []).append(run.summary.protocols[protocol][metric])
                values = [value for own in sets.values() for value in own]
                cells[protocol, metric] = Cell(fmean(map(fmean, sets.values())), stdev(values) if values[1:] else 0.0)
    return cells


def floors_of(runs: Sequence[Run]) -> list[Row]:
    """The floors that every set of queries has, each metric over these sets: of one set, the mean over its runs."""
    sets: dict[str, list[Run]] = {}
    for run in runs:
        sets.setdefault(run.summary.queries, []).append(run)
    rows = []
    for name in dict.fromkeys(name for run in runs for name in run.summary.floors):
        found = [[run.summary.floors[name] for run in own if name in run.summary.floors] for own in sets.values()]
        if not all(found):
            continue
        cells = {}
        for protocol in PROTOCOLS:
            for metric in found[0][0][protocol]:
                if all(metric in floor[protocol] for own in found for floor in own):
                    values = [fmean(floor[protocol][metric] for floor in own) for own in found]
                    cells[protocol, metric] = Cell(fmean(values), stdev(values) if values[1:] else 0.0)
        rows.append(Row(visible(name), visible(name), "floor", len(sets), cells))
    return rows


def places_of(sections: Sequence[Sequence[Group]]) -> list[str]:
    """The heading of each section: the store, the split or folds, the number of queries, and more where two were alike."""
    stores: dict[str, set[str]] = {}
    for groups in sections:
        one = groups[0].runs[0].summary
        stores.setdefault(store_name(one.store), set()).add(one.identity)
    places = [_place(groups, stores) for groups in sections]
    return [
        place if places.count(place) == 1 else f"{place}, set {_digest(groups[0].queries)}"
        for place, groups in zip(places, sections, strict=True)
    ]


def _place(groups: Sequence[Group], stores: dict[str, set[str]]) -> str:
    one = groups[0].runs[0].summary
    name = store_name(one.store)
    parts = [visible(name) + (f" ({one.identity[:8]})" if len(stores[name]) > 1 else "")]
    crossed = next((group for group in groups if group.folds and len(group.folds) == len(group.queries)), None)
    if crossed is not None and one.fold is not None:
        missing = crossed.num_folds - len(crossed.folds)
        counted = f"{len(crossed.folds)} of {crossed.num_folds}" if missing else str(crossed.num_folds)
        pooled = visible(" + ".join(one.fold.pooled))
        parts.append(f"{counted} folds" + (f" of {pooled}" if pooled else ""))
    else:
        parts.append(f"{visible(one.split)} split")
    counts = {run.summary.queries: run.summary.counts.get("test_queries") for run in groups[0].runs}
    if None not in counts.values():
        total = sum(count or 0 for count in counts.values())
        parts.append(f"{total:,} quer{'y' if total == 1 else 'ies'}")
    return ", ".join(parts)


def _digest(queries: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(sorted(queries)).encode()).hexdigest()[:8]


def _notes(sections: Sequence[Section]) -> list[str]:
    notes = [
        "Per cent; mean ± standard deviation over runs, of floors over sets of queries. P precision, R recall, N NDCG."
    ]
    if any(section.p_values for section in sections):
        notes.append(
            f"Raised letters: better than those rows by NDCG@5 (standard), p < {LEVEL}, paired permutation test over "
            "dialogues, Holm-corrected."
        )
    if any(row.kind == "floor" for section in sections for row in section.rows):
        notes.append("Floors learn nothing. Popularity and TF-IDF often tie, which the released protocol favours.")
    return notes


def dropped_of(title: str, group: Group) -> list[str]:
    """What was left out of a group's training because it is evaluated, as a note."""
    train, valid = ([getattr(run.summary.dropped, side) for run in group.runs] for side in ("train", "valid"))
    if not any(train + valid):
        return []
    return [
        f"{title}: {_span(train)} training and {_span(valid)} validation dialogues were left out, for they stand on "
        "another side too."
    ]


def warnings_of(title: str, group: Group) -> list[str]:
    """What a reader of a group's numbers must know: dialogues seen before, ties, a log that was cut off."""
    found = []
    if group.seen:
        train, valid = ([getattr(run.summary.seen, side) for run in group.runs] for side in ("train", "valid"))
        found.append(
            f"{SEEN} {title}: of the dialogues it ranks it trained on {_span(train)} and chose its weights by {_span(valid)}; "
            "it is not compared."
        )
    if group.reads_gold_states:
        found.append(
            f"{GOLD} {title}: it ranks by the gold state, the label itself: an upper bound; it is not compared."
        )
    tie_rate = fmean(run.summary.tie_rate for run in group.runs)
    if tie_rate > 0:
        found.append(
            f"{title}: in {100 * tie_rate:.1f}% of queries a product that is right ties with one that is wrong; "
            "the released protocol counts such ties as won."
        )
    for run in group.runs:
        epochs = [epoch for epoch in run.epochs if epoch.collapse]
        if epochs:
            found.append(
                f"{title}: {visible(run.path.name)} collapsed in {len(epochs)} of {len(run.epochs)} epochs; in epoch "
                f"{epochs[-1].epoch} {visible('; '.join(epochs[-1].collapse))}."
            )
    return found + [
        f"{visible(str(run.path / 'metrics.jsonl'))}: half a last line, left out." for run in group.runs if run.is_torn
    ]


def mark_of(seen: int, gold: bool) -> str:
    """What marks a row that learned from what it ranks, and one that ranks by the gold state."""
    return SEEN * bool(seen) + GOLD * gold


def _missing(title: str, group: Group) -> list[str]:
    return [
        f"{title}: seed {seed} lacks fold {', '.join(map(str, folds))} of {group.num_folds}."
        for seed, folds in group.missing.items()
    ]


def _span(values: Sequence[int]) -> str:
    """ "3", or "0 to 3" of values that differ."""
    return " to ".join(f"{value:,}" for value in dict.fromkeys((min(values), max(values))))


def _frame(sections: Sequence[Section]) -> pd.DataFrame:
    lines = []
    for number, section in enumerate(sections, start=1):
        names = {row.letter: row.name for row in section.variants}
        for row in section.rows:
            beaten = "; ".join(names[letter] for letter in row.beats)
            own = (row.name, row.kind, row.runs, row.seeds, row.folds, row.seen)
            for key, cell in row.cells.items():
                beats = beaten if key == COMPARED else ""
                place = (visible(section.store), section.identity, visible(section.split), number)
                lines.append((*place, *own, *key, cell.mean, cell.deviation, beats))
    return pd.DataFrame(lines, columns=COLUMNS)


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def store_name(store: str) -> str:
    """The name of a store's folder; of one that is just called "store", with the name of the folder above."""
    path = Path(store)
    return f"{path.parent.name}/{path.name}" if path.name == "store" and path.parent.name else path.name


def short(metric: str) -> str:
    """ "ndcg@5" -> "N@5": what a column is headed with."""
    return re.sub(r"^(.).*@", lambda match: match[1].upper() + "@", metric)


@dataclass(frozen=True)
class TrackingTable:
    """The rows of groups by title; `measures` are the first columns, `slots` the others. A slot that a group lacks has no cell."""

    slots: tuple[str, ...]
    rows: dict[str, dict[str, Cell]]

    @property
    def columns(self) -> tuple[str, ...]:
        return MEASURES + self.slots


def tracking_table(groups: Mapping[str, Group]) -> TrackingTable | None:
    """Mean and deviation over the runs of each group that tracks states; None where none does."""
    rows = {}
    for title, group in groups.items():
        tracked = [run.summary.states for run in group.runs if run.summary.states is not None]
        if len(tracked) == len(group.runs):
            values = [_accuracies(one) for one in tracked]
            rows[title] = {name: _over_runs([one[name] for one in values if name in one]) for name in values[0]}
    names = dict.fromkeys(name for row in rows.values() for name in row if name not in MEASURES)
    return TrackingTable(tuple(names), rows) if rows else None


def _accuracies(tracking: StateTracking) -> dict[str, float]:
    return {MEASURES[0]: tracking.joint_goal_accuracy, MEASURES[1]: tracking.slot_accuracy, **tracking.slots}


def _over_runs(values: list[float]) -> Cell:
    return Cell(fmean(values), stdev(values) if values[1:] else 0.0)
