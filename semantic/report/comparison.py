"""Which variants are significantly better than which others, from the results of each query."""

from collections.abc import Mapping, Sequence

import pandas as pd

from semantic.metrics.significance import holm, paired_tests
from semantic.runs.reading import Run

COMPARED = ("standard", "ndcg@5")
LEVEL = 0.05

Pair = tuple[str, str]


def compare(variants: Mapping[str, Sequence[Run]]) -> tuple[dict[Pair, float], dict[str, tuple[str, ...]]]:
    """The p-value of each pair of variants with the same queries, and of each variant those it is better than.

    A query's value is the mean of NDCG@5 (standard) over the variant's runs. Pairs are compared by `paired_tests` over
    dialogues, and their p-values corrected by `holm`; better is a greater sum with p below `LEVEL`.
    """
    means = {name: _query_means(runs) for name, runs in variants.items()}
    same: list[dict[str, pd.Series]] = []  # variants by the queries they rank
    for name, values in means.items():
        if values.empty:
            continue
        rivals = next((group for group in same if next(iter(group.values())).index.equals(values.index)), None)
        if rivals is None:
            same.append({name: values})
        else:
            rivals[name] = values
    raw: dict[Pair, float] = {}
    for group in same:
        dialogues = next(iter(group.values())).index.get_level_values(0).tolist()
        raw |= paired_tests({name: values.to_numpy() for name, values in group.items()}, dialogues)
    corrected = holm(raw)
    better: dict[str, tuple[str, ...]] = {}
    for pair, p in sorted(corrected.items()):
        if p < LEVEL:
            loser, winner = sorted(pair, key=lambda name: means[name].sum())
            better[winner] = (*better.get(winner, ()), loser)
    return corrected, better


def _query_means(runs: Sequence[Run]) -> pd.Series:
    """The mean over the runs that rank a query, by (dialogue row, turn row), sorted; empty where a run kept no queries."""
    values = [run.query_values("/".join(COMPARED)) for run in runs]
    if any(one.empty for one in values):
        return pd.Series(dtype=float)
    return pd.concat(values).groupby(level=[0, 1]).mean()
