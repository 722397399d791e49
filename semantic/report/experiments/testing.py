"""Rows of an experiment against one another: paired tests over dialogues, on the runs and queries that both have; and the
marks that follow: the best of a column, and what is not significantly worse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semantic.metrics.significance import difference_tests, holm
from semantic.report.comparison import LEVEL
from semantic.report.experiments.record import BEST, LIKE, Line, Part, Tested
from semantic.runs.grouping import Group
from semantic.runs.reading import QUERIES, Run
from semantic.runs.summary import PROTOCOLS
from semantic.runtime.errors import DataError

Column = tuple[str, str]
"""A protocol and a metric."""

Question = tuple[str, str, Column]
"""A row, the row it is compared with, and the column."""


@dataclass(frozen=True)
class Answer:
    """A test's difference (mean over queries, of the first row less the second), its p-value, and what both rows had."""

    difference: float
    p: float
    runs: int
    dialogues: int
    queries: int


@dataclass(frozen=True)
class _Sums:
    """The sums of columns over the queries of each dialogue [dialogue, column] of a run."""

    dialogues: tuple[int, ...]
    values: np.ndarray
    queries: int


def with_tests(part: Part, baseline: str | None, groups: Mapping[str, Group]) -> Part:
    """The part with its tests and marks: in each column of each protocol every row is tested against the best, and against the
    baseline where that is another row; Holm's correction is over the rows of the column, for each of the two apart.

    Rows that have seen what they rank are neither tested nor marked, nor are rows with many ties in the released protocol.
    """
    if len(part.variants) < 2:
        return part
    columns: list[Column] = [(protocol, metric) for protocol in PROTOCOLS for metric in part.metrics]
    found = {column: part.best("variant", *column) for column in columns}
    best = {column: line.name for column, line in found.items() if line is not None}
    rivals = {protocol: [line.name for line in part.variants if line.competes(protocol)] for protocol in PROTOCOLS}
    families: list[tuple[bool, list[Question]]] = [
        (True, [(name, best[column], column) for column in best for name in rivals[column[0]] if name != best[column]])
    ]
    if baseline is not None:
        others = [
            (name, baseline, column)
            for column in columns
            for name in rivals[column[0]]
            if baseline in rivals[column[0]] and baseline not in (name, best.get(column))
        ]
        families.append((False, others))
    answers = compare(groups, columns, [question for _, family in families for question in family])
    tests: list[Tested] = []
    for is_best, family in families:
        own = {question: answers[question] for question in family if question in answers}
        after = corrected(own)
        tests += [_test(question, answer, after[question], is_best) for question, answer in own.items()]
    tests.sort(key=lambda test: (columns.index((test.protocol, test.metric)), not test.is_best))
    alike = {(one.row, one.protocol, one.metric) for one in tests if one.is_best and _is_like(one)}
    marks = {(name, *column): BEST for column, name in best.items()} | dict.fromkeys(alike, LIKE)
    return part.model_copy(update={"lines": tuple(_marked(line, marks) for line in part.lines), "tests": tuple(tests)})


def compare(
    groups: Mapping[str, Group], columns: Sequence[Column], questions: Sequence[Question]
) -> dict[Question, Answer]:
    """The answers by permutation tests over dialogues (`difference_tests`); none to a question whose rows have no run on the
    same queries with the same seed, or kept no queries.

    A query's value is its mean over the seeds that both rows have on its set; folds are queries of one test.

    Raises:
        DataError: a run's queries are damaged, or not those of another run that names the same set.
    """
    asked = {row for row, against, _ in questions for row in (row, against)}
    indices: dict[str, tuple[Run, pd.Index]] = {}
    sums = {row: _sums(groups[row].runs, columns, indices) for row in groups if row in asked}
    found: dict[Question, Answer] = {}
    for sets, pairs in _by_shared_sets(sums, questions).items():
        dialogues = [dialogue for name in sets for dialogue in _any(sums, pairs[0], name).dialogues]
        queries = sum(_any(sums, pairs[0], name).queries for name in sets)
        differences = {pair: _difference(sums[pair[0]], sums[pair[1]], sets) for pair in pairs}
        own = [one for one in questions if one[:2] in differences]
        values = {one: differences[one[0], one[1]][:, columns.index(one[2])] for one in own}
        for one, p in difference_tests(values, dialogues).items():
            runs = sum(len(_seeds(sums[one[0]], sums[one[1]], name)) for name in sets)
            found[one] = Answer(float(values[one].sum() / queries), p, runs, len(set(dialogues)), queries)
    return found


def corrected(answers: Mapping[Question, Answer]) -> dict[Question, float]:
    """p-values after Holm's correction, over the questions of each column together."""
    columns: dict[Column, dict[Question, float]] = {}
    for question, answer in answers.items():
        columns.setdefault(question[2], {})[question] = answer.p
    return {question: p for family in columns.values() for question, p in holm(family).items()}


def _is_like(test: Tested) -> bool:
    """Whether a row is not significantly worse than the best."""
    return test.difference >= 0 or test.corrected >= LEVEL


def _marked(line: Line, marks: Mapping[tuple[str, str, str], str]) -> Line:
    if line.kind == "floor":
        return line
    values = {
        protocol: {
            metric: value.model_copy(update={"mark": marks.get((line.name, protocol, metric), "")})
            for metric, value in row.items()
        }
        for protocol, row in line.values.items()
    }
    return line.model_copy(update={"values": values})


def _test(question: Question, answer: Answer, p: float, is_best: bool) -> Tested:
    row, against, (protocol, metric) = question
    return Tested(
        row=row,
        against=against,
        is_best=is_best,
        protocol=protocol,
        metric=metric,
        difference=answer.difference,
        p=answer.p,
        corrected=p,
        runs=answer.runs,
        dialogues=answer.dialogues,
        queries=answer.queries,
    )


_Row = Mapping[str, Mapping[int, _Sums]]
"""By set of queries and seed."""


def _sums(runs: Sequence[Run], columns: Sequence[Column], indices: dict[str, tuple[Run, pd.Index]]) -> _Row:
    """The sums of the runs that kept their queries; `indices` holds the first run on each set and its queries."""
    found: dict[str, dict[int, _Sums]] = {}
    for run in runs:
        if not run.has_queries:
            continue
        table = run.query_table(columns).sort_index()
        first, index = indices.setdefault(run.summary.queries, (run, table.index))
        if not index.equals(table.index):
            raise DataError(
                f"{run.path / QUERIES}: expected the {len(index)} queries of {first.path / QUERIES}, for both summaries "
                f"name the same set, found {len(table)} and others"
            )
        by_dialogue = table.groupby(level=0).sum()
        found.setdefault(run.summary.queries, {})[run.summary.seed] = _Sums(
            tuple(by_dialogue.index), by_dialogue.to_numpy(), len(table)
        )
    return found


def _by_shared_sets(
    sums: Mapping[str, _Row], questions: Sequence[Question]
) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """The pairs of rows by the sets of queries on which both have a run of the same seed."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for one, other in dict.fromkeys((row, against) for row, against, _ in questions):
        sets = tuple(sorted(name for name in sums[one] if _seeds(sums[one], sums[other], name)))
        if sets:
            found.setdefault(sets, []).append((one, other))
    return found


def _seeds(one: _Row, other: _Row, name: str) -> list[int]:
    """The seeds with which both have a run on a set."""
    return sorted(one.get(name, {}).keys() & other.get(name, {}).keys())


def _any(sums: Mapping[str, _Row], pair: tuple[str, str], name: str) -> _Sums:
    return next(iter(sums[pair[0]][name].values()))


def _difference(one: _Row, other: _Row, sets: Sequence[str]) -> np.ndarray:
    """The differences of the sums [dialogue, column], over the dialogues of the sets."""
    parts = []
    for name in sets:
        seeds = _seeds(one, other, name)
        first, second = (np.mean([row[name][seed].values for seed in seeds], axis=0) for row in (one, other))
        parts.append(first - second)
    return np.concatenate(parts)
