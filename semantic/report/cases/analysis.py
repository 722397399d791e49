"""Where a run errs: its results by the facets of its queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semantic.metrics.intervals import LEVEL, RESAMPLES, bootstrap_means
from semantic.report.cases.facets import TITLES, facet_values
from semantic.report.cases.folders import ANALYSIS, write_files
from semantic.report.pages import render
from semantic.runs.reading import Run
from semantic.runs.summary import PROTOCOLS
from semantic.runtime.terminal import visible

METRICS = ("ndcg@5", "precision@5", "recall@5")
METRIC_COLUMNS = [f"{protocol}/{metric}" for protocol in PROTOCOLS for metric in METRICS]
"""The columns of queries.parquet that are broken down."""

COLUMNS = ["facet", "value", "queries", "dialogues", "protocol", "metric", "mean", "low", "high"]
EVERY = "all"
"""The facet that every query has; its value is empty."""

SHOWN = 20
"""Values of a facet that a page shows; the frame has all."""

NOTE = (
    f"Per cent. A bar is the mean NDCG@5 (standard), and the line in it its {100 * LEVEL:.0f}% interval by bootstrap over "
    "dialogues. Intervals stand in brackets; analysis.csv has those of all metrics. A query counts for every slot that its "
    "gold state sets. Differences between values of a facet say what is hard, not why: facets depend on each other."
)


def analyse(
    values: pd.DataFrame, facets: pd.DataFrame, slots: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """The error analysis of a run, a line a facet's value, protocol and metric (`COLUMNS`).

    `values` are the `METRIC_COLUMNS` of its queries, `facets` their facets (`query_facets`), in the same order. `mean` is
    over the `queries` with that value, from `low` to `high` is its interval by bootstrap over their `dialogues`
    (`bootstrap_means`), NaN of a single dialogue. All are fractions.
    """
    dialogues = facets.index.get_level_values(0).to_numpy()
    everything = {EVERY: {"": np.ones(len(facets), dtype=bool)}}
    lines = []
    for facet, masks in (everything | facet_values(facets, slots)).items():
        for value, mask in masks.items():
            own = dialogues[mask]
            found = bootstrap_means(values.loc[mask, METRIC_COLUMNS].to_numpy().T, own, resamples=resamples, seed=seed)
            for place, column in enumerate(METRIC_COLUMNS):
                numbers = (found.mean[place], found.low[place], found.high[place])
                lines.append((facet, value, len(own), len(set(own)), *column.split("/"), *numbers))
    return pd.DataFrame(lines, columns=COLUMNS)


@dataclass(frozen=True)
class FacetTable:
    """A facet as a page shows it: of each value the counts, and a run's cells by (protocol, metric), the runs in order.

    `left_out` counts the values that are not shown, which fewer queries have.
    """

    title: str
    rows: tuple[Mapping[str, Any], ...]
    left_out: int


def facet_tables(analyses: Sequence[pd.DataFrame]) -> tuple[FacetTable, ...]:
    """The analyses of runs on the same queries side by side, a table a facet, first that of all queries."""
    cells = [
        {(one.facet, one.value, one.protocol, one.metric): one for one in frame.itertuples()} for frame in analyses
    ]
    keys = [f"{protocol}/{metric}" for protocol in PROTOCOLS for metric in METRICS]
    tables = []
    for facet, title in {EVERY: "All queries", **TITLES}.items():
        first = analyses[0][analyses[0]["facet"] == facet].drop_duplicates("value")
        shown = set(first.nlargest(SHOWN, "queries")["value"])
        rows = [
            {
                "value": one.value or "all",
                "queries": one.queries,
                "dialogues": one.dialogues,
                "cells": [{key: own[(facet, one.value, *key.split("/"))] for key in keys} for own in cells],
            }
            for one in first.itertuples()
            if one.value in shown
        ]
        if rows:
            tables.append(FacetTable(title, tuple(rows), len(first) - len(rows)))
    return tuple(tables)


def full_bar(analyses: Sequence[pd.DataFrame]) -> float:
    """The NDCG@5 (standard) that a whole bar stands for: the highest end of an interval, or the highest mean."""
    largest = max(
        float(
            frame.loc[(frame["protocol"] == "standard") & (frame["metric"] == "ndcg@5"), ["mean", "high"]].max().max()
        )
        for frame in analyses
    )
    return largest or 1.0


def to_csv(analyses: Mapping[str, pd.DataFrame]) -> str:
    """The analyses of runs by name as CSV, a line a run, facet's value, protocol and metric; fractions, to the last bit."""
    frames = [frame.assign(run=name) for name, frame in analyses.items()]
    return pd.concat(frames)[["run", *COLUMNS]].to_csv(index=False, lineterminator="\n")


def write_analysis(run: Run, analysis: pd.DataFrame, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a run's error analysis (`analyse`) into a folder as analysis.html and analysis.csv; the files' paths.

    `write_files` says which folders it may be, and what is raised.
    """
    title = f"{run.name}, {run.place}"
    page = render(
        ANALYSIS.page,
        title=title,
        place=visible(str(run.path)),
        warnings=warnings_of([run]),
        tables=facet_tables([analysis]),
        full=full_bar([analysis]),
        note=NOTE,
    )
    return write_files(
        Path(folder), {ANALYSIS.page: page, "analysis.csv": to_csv({title: analysis})}, ANALYSIS, overwrite
    )


def warnings_of(runs: Sequence[Run]) -> list[str]:
    """A line for each run that has learned from dialogues that it ranks."""
    return [
        f"{visible(str(run.path))}: of the dialogues it ranks it trained on {run.summary.seen.train:,} and chose its weights by "
        f"{run.summary.seen.valid:,}; its results are better than they would be on others."
        for run in runs
        if run.summary.seen.train + run.summary.seen.valid
    ]
