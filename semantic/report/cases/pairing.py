"""One run and two: their queries, checked to be the same, and who ranks which of them better."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semantic.datasets.store.store import Store, open_store
from semantic.metrics.significance import paired_test
from semantic.report.cases.analysis import METRIC_COLUMNS
from semantic.report.cases.facets import KEYS
from semantic.runs.reading import QUERIES, SUMMARY, Run, load_runs, read_bytes
from semantic.runs.summary import COMPARED, parse_summary
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

TOLERANCE = 1e-9
"""Values of a metric that differ by no more are a tie: the same ranks give the same sum but for its last bits."""

OUTCOMES = ("win", "tie", "loss")
"""Of the first run against the second."""

RUNS_NAMED = 3


@dataclass(frozen=True)
class RunPair:
    """Two runs that ranked the same queries: `values` are each one's metrics (`METRIC_COLUMNS`) and `row` in its
    queries.parquet, a line a query in the order of `KEYS`, which are the index.
    """

    runs: tuple[Run, Run]
    values: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def names(self) -> tuple[str, str]:
        """What tells the runs apart: "demo/best, seed 0", with the folder where that is the same."""
        first, second = (f"{run.name}, {run.place}" for run in self.runs)
        if first != second:
            return first, second
        one, other = (
            f"{name} ({visible(str(run.path))})" for name, run in zip((first, second), self.runs, strict=True)
        )
        return one, other

    @property
    def context_turns(self) -> int:
        """The larger context of the two."""
        return max(run.context_turns for run in self.runs)

    @property
    def queries(self) -> list[tuple[int, int]]:
        return self.values[0].index.tolist()

    @property
    def differences(self) -> np.ndarray:
        """NDCG@5 (standard) of the first run less the second's, float64 [query]; 0 where they tie."""
        column = "/".join(COMPARED)
        found = self.values[0][column].to_numpy() - self.values[1][column].to_numpy()
        return np.where(np.abs(found) <= TOLERANCE, 0.0, found)


@dataclass(frozen=True)
class Score:
    """Queries on which the first run wins, ties and loses by NDCG@5 (standard), both means, and the p-value of their
    difference by a paired permutation test over dialogues.
    """

    queries: int
    dialogues: int
    wins: int
    ties: int
    losses: int
    means: tuple[float, float]
    difference: float
    p: float


def load_run(path: Path | str) -> Run:
    """The finished run in a folder, which holds its summary itself.

    Raises:
        DataError: there is no finished run, or the folder is a parent of runs, of which one must be named.
    """
    path = Path(path)
    if (path / SUMMARY).exists():
        return Run(path, parse_summary(read_bytes(path / SUMMARY), path / SUMMARY))
    below = load_runs([path])
    named = ", ".join(str(run.path) for run in below[:RUNS_NAMED]) + ", ..." * (len(below) > RUNS_NAMED)
    one = len(below) == 1
    raise DataError(
        f"{path}: expected the folder of one run, with its {SUMMARY}, found a parent of {len(below)} run{'s' * (not one)}; "
        f"name {'it' if one else 'one of them'}: {named}"
    )


def load_pair(first: Path | str, second: Path | str) -> RunPair:
    """Two finished runs that ranked the same queries.

    Raises:
        DataError: one is no run, or kept no queries, or both are the same; their summaries name other sets of queries; a
            file is damaged.
    """
    runs = load_run(first), load_run(second)
    one, other = runs
    if one.path.resolve() == other.path.resolve():
        raise DataError(f"{other.path}: expected another run than the first, found the same")
    if one.summary.queries != other.summary.queries:
        raise DataError(
            f"{one.path} and {other.path}: expected two runs that ranked the same queries, found {_ranked(one)} and "
            f"{_ranked(other)}; `semantic evaluate` ranks other queries with a run's weights"
        )
    values = query_metrics(one), query_metrics(other)
    if not values[0].index.equals(values[1].index):
        raise DataError(
            f"{other.path / QUERIES}: expected the {len(values[0])} queries of {one.path / QUERIES}, for both summaries "
            f"name the same set, found {len(values[1])} and others"
        )
    return RunPair(runs, values)


def query_metrics(run: Run) -> pd.DataFrame:
    """The `METRIC_COLUMNS` of a run's queries and each one's `row` in the file, in the order of `KEYS`, which are the index.

    Raises:
        DataError: the run kept no queries, or they are damaged, or not those of its summary.
    """
    if not run.has_queries:
        raise DataError(f"{run.path}: expected a run with its {QUERIES}, found none; evaluate it again")
    run.query_values(*COMPARED)  # each query once, and their mean the summary's
    queries = run.queries(["dialogue_row", "turn", *METRIC_COLUMNS])
    frame = pd.DataFrame(queries).rename(columns={"turn": KEYS[1]})
    return frame.assign(row=np.arange(len(frame))).set_index(KEYS).sort_index()


def store_of(run: Run, place: Path | None = None) -> Store:
    """The store that a run was evaluated on, where its summary says, or in `place`.

    Raises:
        DataError: it is not there, or another one is.
    """
    path = Path(run.summary.store) if place is None else place
    if not path.is_dir():
        raise DataError(
            f"{path}: expected the store that {run.path} was evaluated on, found no folder; --data names the place it has now"
        )
    store = open_store(path)
    if store.identity != run.summary.identity:
        raise DataError(
            f"{path}: expected the store that {run.path} was evaluated on ({run.summary.identity[:8]}), found another one "
            f"({store.identity[:8]})"
        )
    return store


def outcomes(differences: np.ndarray) -> np.ndarray:
    """Of each difference what it is to the first run, one of `OUTCOMES`."""
    return np.select([differences > 0, differences < 0], [OUTCOMES[0], OUTCOMES[2]], OUTCOMES[1])


def score(pair: RunPair, chosen: np.ndarray | None = None, *, seed: int = 0) -> Score:
    """The score of all queries, or of the `chosen` ones, bool [query], of which there is one at least."""
    mask = np.ones(len(pair.queries), dtype=bool) if chosen is None else chosen
    differences = pair.differences[mask]
    dialogues = np.array([dialogue for dialogue, _ in pair.queries])[mask]
    counts = {name: int((outcomes(differences) == name).sum()) for name in OUTCOMES}
    one, other = (frame.loc[mask, "/".join(COMPARED)].mean() for frame in pair.values)
    return Score(
        queries=len(differences),
        dialogues=len(set(dialogues.tolist())),
        wins=counts["win"],
        ties=counts["tie"],
        losses=counts["loss"],
        means=(float(one), float(other)),
        difference=float(differences.mean()),
        p=paired_test(differences, np.zeros_like(differences), dialogues.tolist(), seed=seed),
    )


def _ranked(run: Run) -> str:
    one = run.summary
    fold = "" if one.fold is None else f" (fold {one.fold.index} of {one.fold.count})"
    count = one.counts.get("test_queries")
    number: Any = "the" if count is None else f"{count:,}"
    return f"{number} queries of {visible(one.split)}{fold} in {visible(one.store)} ({one.identity[:8]})"
