"""Two runs side by side: the turns that one ranks better, as good and worse, with both galleries, and every query as a table."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semantic.datasets.store.store import Store
from semantic.report.cases.analysis import NOTE, analyse, facet_tables, full_bar, warnings_of
from semantic.report.cases.analysis import to_csv as analysis_csv
from semantic.report.cases.facets import query_facets
from semantic.report.cases.filtering import Filters
from semantic.report.cases.folders import COMPARISON, write_files
from semantic.report.cases.pairing import OUTCOMES, RunPair, Score, outcomes, score
from semantic.report.choosing import take
from semantic.report.gallery import Exhibit, Showcase
from semantic.report.pages import render
from semantic.runs.summary import COMPARED
from semantic.runtime.terminal import visible

ALL = "all queries"
"""The name of the score of all queries; that of the filtered is what the filters say."""

WHY = {"win": "A wins", "tie": "tie", "loss": "A loses"}


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same queries: `table` has a line a query (`cases.csv`), `scores` by name, `analyses` a frame a run."""

    pair: RunPair
    filters: Filters
    facets: pd.DataFrame
    kept: np.ndarray
    table: pd.DataFrame
    scores: dict[str, Score]
    analyses: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def warnings(self) -> list[str]:
        return warnings_of(self.pair.runs)


@dataclass(frozen=True)
class Case:
    """A query as both runs ranked it; what the page's filter asks for stands beside."""

    outcome: str
    difference: float
    first: Exhibit
    second: Exhibit
    slots: tuple[str, ...]
    positives: int


def compare(pair: RunPair, store: Store, filters: Filters, seed: int = 0) -> Comparison:
    """Both runs' results query by query and by facet, in all and of what the filters keep; `seed` draws the permutations
    and the resamples.

    Raises:
        DataError: the queries are not the store's, a filter names a slot that it has not, or keeps no query.
    """
    filters.check_slots(store)
    facets = query_facets(store, pair.queries, pair.context_turns)
    kept = filters.keep(facets)
    scores = {ALL: score(pair, seed=seed)}
    if filters:
        scores[str(filters)] = score(pair, kept, seed=seed)
    first, second = (analyse(values, facets, store.slots, seed=seed) for values in pair.values)
    return Comparison(pair, filters, facets, kept, _table(pair, facets, kept), scores, (first, second))


def choose_cases(pair: RunPair, kept: np.ndarray, turns: int, seed: int = 0) -> list[int]:
    """The places of at most `turns` of the `kept` queries: a third wins, a third ties, a third losses of the first run.

    Of wins and losses those of the largest difference are taken; equal ones, and ties, in an order drawn by the seed. Where
    an outcome has too few, the largest differences that are left fill its places. A dialogue comes twice only where there
    are too few.
    """
    differences = pair.differences
    names = outcomes(differences)
    pool: list[dict[str, Any]] = [
        {"place": place, "dialogue_row": pair.queries[place][0], "turn": pair.queries[place][1]}
        for place in np.flatnonzero(kept).tolist()
    ]
    random.Random(seed).shuffle(pool)
    pool.sort(key=lambda query: -abs(differences[query["place"]]))
    third, more = divmod(turns, len(OUTCOMES))
    taken: set[tuple[int, int]] = set()
    chosen = {
        name: take([query for query in pool if names[query["place"]] == name], third + (number < more), taken)
        for number, name in enumerate(OUTCOMES)
    }
    for query in take(pool, turns - len(taken), taken):
        chosen[names[query["place"]]].append(query)
    return [query["place"] for name in OUTCOMES for query in chosen[name]]


def comparison_page(comparison: Comparison, store: Store, turns: int = 24, seed: int = 0) -> str:
    """The page of a comparison, as HTML: the scores, `turns` cases with both galleries, and both error analyses."""
    cases = _cases(comparison, store, choose_cases(comparison.pair, comparison.kept, turns, seed))
    return render(
        COMPARISON.page,
        title="Two runs, turn by turn",
        comparison=comparison,
        names=comparison.pair.names,
        runs=comparison.pair.runs,
        cases=cases,
        why=WHY,
        slots=[slot for slot in store.slots if any(slot in case.slots for case in cases)],
        numbers={
            "turn": sorted({case.first.turn for case in cases}),
            "positives": sorted({case.positives for case in cases}),
        },
        tables=facet_tables(comparison.analyses),
        full=full_bar(comparison.analyses),
        note=NOTE,
    )


def write_comparison(
    comparison: Comparison,
    store: Store,
    folder: Path | str,
    *,
    turns: int = 24,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Path]:
    """Write compare.html (`comparison_page`), cases.csv and analysis.csv into a folder; the files' paths.

    Nothing is written before all is computed. `write_files` says which folders it may be, and what is raised.
    """
    named = [f"{letter}: {name}" for letter, name in zip("AB", comparison.pair.names, strict=True)]
    files = {
        COMPARISON.page: comparison_page(comparison, store, turns, seed),
        "cases.csv": comparison.table.to_csv(index=False, lineterminator="\n"),
        "analysis.csv": analysis_csv(dict(zip(named, comparison.analyses, strict=True))),
    }
    return write_files(Path(folder), files, COMPARISON, overwrite)


def _table(pair: RunPair, facets: pd.DataFrame, kept: np.ndarray) -> pd.DataFrame:
    column, metric = "/".join(COMPARED), COMPARED[1]
    return pd.DataFrame(
        {
            "dialogue": facets["dialogue"].map(visible).to_numpy(),
            "turn": facets["turn"].to_numpy(),
            f"{metric} A": pair.values[0][column].to_numpy(),
            f"{metric} B": pair.values[1][column].to_numpy(),
            "difference": pair.differences,
            "outcome of A": outcomes(pair.differences),
            "recommendation": facets["recommendation"].to_numpy(),
            "slots": ["" if own is None else "; ".join(map(visible, own)) for own in facets["slots"]],
            "state": ["no" if own is None else "yes" for own in facets["slots"]],
            "garment": facets["garment"].to_numpy(),
            "photos": facets["photos"].to_numpy(),
            "positives": facets["positives"].to_numpy(),
            "shown before": np.where(facets["shown_before"], "yes", "no"),
            "in filters": np.where(kept, "yes", "no"),
        }
    )


def _cases(comparison: Comparison, store: Store, places: Sequence[int]) -> list[Case]:
    pair, showcase = comparison.pair, Showcase(store)
    differences = pair.differences
    names = outcomes(differences)
    whole = [
        run.whole_queries(values["row"].to_numpy()[places].tolist()) if places else []
        for run, values in zip(pair.runs, pair.values, strict=True)
    ]
    cases = []
    for place, queries in zip(places, zip(*whole, strict=True), strict=True):
        first, second = (
            showcase.exhibit(query, WHY[names[place]], pair.context_turns, run.explanations)
            for query, run in zip(queries, pair.runs, strict=True)
        )
        gold = tuple(
            replace(one, rank=f"A {one.rank} · B {other.rank}", score=None)
            for one, other in zip(first.gold, second.gold, strict=True)
        )
        own = comparison.facets["slots"].iloc[place]
        cases.append(
            Case(
                str(names[place]), float(differences[place]), replace(first, gold=gold), second, own or (),
                int(comparison.facets["positives"].iloc[place]),
            )
        )  # fmt: skip
    return cases
