"""Which variants are significantly better than which others, from the results of each query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from semantic.metrics.significance import difference_tests, holm
from semantic.runs.grouping import Group
from semantic.runs.reading import QUERIES, Run
from semantic.runs.summary import COMPARED
from semantic.runtime.errors import DataError

LEVEL = 0.05

Pair = tuple[int, int]
"""Two groups, by their places in a section."""

Values = Mapping[str, Mapping[int, np.ndarray]]
"""The compared metric of a group by set of queries and seed, of each query in order of dialogue and turn."""


@dataclass(frozen=True)
class Comparison:
    """The corrected p-value of each pair of groups, of each group those it is better than, and what was compared."""

    p_values: dict[Pair, float]
    better: dict[int, tuple[int, ...]]
    note: str


def compare(groups: Sequence[Group]) -> Comparison:
    """The groups of a section compared by NDCG@5 (standard): each pair by a permutation test over dialogues, `holm` over pairs.

    A query's value is its mean over the seeds that both of the pair have, or over each one's own where they share none
    for some queries; folds are queries of one test. Better is a greater sum with p below `LEVEL`. Groups that have seen
    what they rank, or rank by the gold state, and those with a run that kept no queries, are left out.

    Raises:
        DataError: a run's queries are damaged, or not those of another run that names the same set.
    """
    compared = {
        place: group.runs
        for place, group in enumerate(groups)
        if not group.seen and not group.reads_gold_states and all(run.has_queries for run in group.runs)
    }
    silent = [f"{group.variant} ({run.place})" for group in groups for run in group.runs if not run.has_queries]
    left_out = f"Not compared, for no queries were kept: {', '.join(silent)}." if silent and groups[1:] else ""
    if len(compared) < 2:
        return Comparison({}, {}, left_out)
    indices: dict[str, tuple[Run, pd.Index]] = {}
    values = {place: _values(runs, indices) for place, runs in compared.items()}
    differences, seeds, unshared = {}, set(), False
    for one, other in combinations(values, 2):
        shared = {name: [*(values[one][name].keys() & values[other][name].keys())] for name in values[one]}
        unshared |= not all(shared.values())
        means = []
        for place in (one, other):
            used = {name: shared[name] if all(shared.values()) else [*values[place][name]] for name in shared}
            means.append(
                np.concatenate([np.mean([values[place][n][s] for s in sorted(used[n])], axis=0) for n in used])
            )
            seeds |= {len(chosen) for chosen in used.values()}
        differences[one, other] = means[0] - means[1]
    dialogues = [dialogue for name in next(iter(values.values())) for dialogue, _ in indices[name][1]]
    corrected = holm(difference_tests(differences, dialogues))
    better: dict[int, tuple[int, ...]] = {}
    for (one, other), p in sorted(corrected.items()):
        if p < LEVEL:
            winner, loser = (one, other) if differences[one, other].sum() > 0 else (other, one)
            better[winner] = (*better.get(winner, ()), loser)
    return Comparison(corrected, better, f"{_note(dialogues, sorted(seeds), unshared)} {left_out}".rstrip())


def _values(runs: Sequence[Run], indices: dict[str, tuple[Run, pd.Index]]) -> Values:
    """The mean of a seed over its runs on a set of queries: several where folds were evaluated on the same queries.

    `indices` holds the first run on each set and its queries, and must be what all others have.
    """
    found: dict[str, dict[int, list[np.ndarray]]] = {}
    for run in runs:
        values = run.query_values(*COMPARED).sort_index()
        first, index = indices.setdefault(run.summary.queries, (run, values.index))
        if not index.equals(values.index):
            raise DataError(
                f"{run.path / QUERIES}: expected the {len(index)} queries of {first.path / QUERIES}, for both summaries "
                f"name the same set, found {len(values)} and others"
            )
        found.setdefault(run.summary.queries, {}).setdefault(run.summary.seed, []).append(values.to_numpy())
    return {name: {seed: np.mean(parts, axis=0) for seed, parts in found[name].items()} for name in sorted(found)}


def _note(dialogues: Sequence[int], seeds: Sequence[int], unshared: bool) -> str:
    """What was compared, for people; `dialogues` has one a query."""
    span = " to ".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
    whose = "each row's own, where two share none" if unshared else "those that both rows have"
    return (
        f"Compared over {_counted(len(set(dialogues)), 'dialogue', 'dialogues')}, "
        f"{_counted(len(dialogues), 'query', 'queries')}, each the mean of {span} seed{'s' * (seeds[-1] > 1)} ({whose})."
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
