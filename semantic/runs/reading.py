"""Finished runs, read from the folders they left: the report's only input."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from semantic.config.loading import read_values
from semantic.runtime.errors import DataError

CONTEXT_TURNS = 5  # where a run's configuration does not say
SUMMARY_KEYS = ("experiment", "variant", "seed", "fold", "split", "store", "protocols", "tie_rate", "floors")
EXPLANATION_KEYS = ("title", "labels", "query", "products")
QUERIES = "queries.parquet"


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and summary; the larger files are read when asked for."""

    path: Path
    summary: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.summary['experiment']}/{self.summary['variant']}"

    @property
    def place(self) -> str:
        """The run among those of its variant: "seed 1, fold 2"."""
        fold = self.summary["fold"]
        return f"seed {self.summary['seed']}" + ("" if fold is None else f", fold {fold}")

    @property
    def explanations(self) -> list[dict[str, Any]]:
        """The tables by which the run's model explains a ranking: of each its title, its labels, and the sources of the
        query and of a product that have a column in queries.parquet. Empty where the summary names none.
        """
        return self.summary.get("explanations") or []

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none where there is no such file."""
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return []
        return [_json(line, f"{file} line {i}") for i, line in enumerate(file.read_text("utf-8").splitlines(), 1)]

    @cached_property
    def environment(self) -> dict[str, Any]:
        file = self.path / "environment.json"
        return _json(file.read_text("utf-8"), str(file)) if file.is_file() else {}

    @cached_property
    def config_text(self) -> str:
        file = self.path / "config.yaml"
        return file.read_text("utf-8") if file.is_file() else ""

    @property
    def context_turns(self) -> int:
        """How many turns before a recommendation the run's model read, by its configuration."""
        data = read_values(self.config_text).get("data")
        return int(data.get("context_turns", CONTEXT_TURNS)) if isinstance(data, dict) else CONTEXT_TURNS

    @property
    def has_queries(self) -> bool:
        """Whether the run kept its results of each query."""
        return (self.path / QUERIES).is_file()

    def queries(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """These columns of every query of the evaluated split, in order; none where the run kept no such file."""
        return self._read(columns).to_pylist() if self.has_queries else []

    def query_values(self, column: str) -> pd.Series:
        """One column of queries.parquet by (dialogue row, turn row); empty where the run kept no such file."""
        keys = ["dialogue_row", "turn"]
        if not self.has_queries:
            return pd.Series([], index=pd.MultiIndex.from_arrays([[], []], names=keys), dtype=float, name=column)
        return self._read([*keys, column]).to_pandas().set_index(keys)[column]

    def whole_queries(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """All columns of the queries in these rows.

        Raises:
            DataError: an explanation of the summary has no column.
        """
        self._check_columns(explanation_columns(self.explanations))
        return pq.read_table(self.path / QUERIES).take(list(rows)).to_pylist()

    def _read(self, columns: Sequence[str]) -> Any:
        self._check_columns(columns)
        return pq.read_table(self.path / QUERIES, columns=list(columns))

    def _check_columns(self, columns: Sequence[str]) -> None:
        file = self.path / QUERIES
        found = pq.read_schema(file).names
        missing = [column for column in columns if column not in found]
        if missing:
            raise DataError(f"{file}: expected a column {', '.join(missing)}, found {', '.join(found)}")


def query_column(title: str, source: str) -> str:
    """The column of queries.parquet that holds an explanation's weights [label] of a source of the query."""
    return f"explain/{title}/query/{source}"


def product_column(title: str, source: str) -> str:
    """The column of queries.parquet that holds an explanation's weights [top product, label] of a source of a product."""
    return f"explain/{title}/top/{source}"


def explanation_columns(explanations: Iterable[dict[str, Any]]) -> list[str]:
    """The columns of queries.parquet that hold these explanations."""
    return [
        column
        for one in explanations
        for sources, column_of in ((one["query"], query_column), (one["products"], product_column))
        for column in (column_of(one["title"], source) for source in sources)
    ]


def load_runs(paths: Iterable[Path | str]) -> list[Run]:
    """The finished runs in the given folders, each a run or a parent of runs; ordered by name, seed and fold.

    Raises:
        DataError: a folder holds no finished run (the message says how to resume an unfinished one), or a summary is
            not one. Unfinished runs beside finished ones are left out: `unfinished_runs` names them.
    """
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        found = sorted(path.rglob("summary.json")) if path.is_dir() else []
        # What `semantic evaluate` leaves inside a run is that run again; it counts where it is named itself.
        files = [file for file in found if "evaluations" not in file.relative_to(path).parts]
        if not files:
            raise DataError(_nothing_finished(path))
        runs |= {file.parent.resolve(): _load(file) for file in files}
    keys = ("experiment", "variant", "store", "split", "seed")
    return sorted(runs.values(), key=lambda run: (*(run.summary[key] for key in keys), run.summary["fold"] or 0))


def unfinished_runs(paths: Iterable[Path | str]) -> list[Path]:
    """Folders of runs that were started (config.yaml) and left no summary."""
    found = {file.parent for path in paths for file in Path(path).rglob("config.yaml")}
    return sorted(folder for folder in found if not (folder / "summary.json").is_file())


def _nothing_finished(path: Path) -> str:
    expected = f"{path}: expected a run's folder with its summary.json, or a parent of such folders, found"
    if not path.is_dir():
        return f"{expected} no folder"
    started = unfinished_runs([path])
    if not started:
        return f"{expected} no run"
    experiment = read_values((started[0] / "config.yaml").read_text("utf-8")).get("experiment", "EXPERIMENT")
    file = started[0] / "metrics.jsonl"
    epochs = len(file.read_text("utf-8").splitlines()) if file.is_file() else 0
    also = f" (and {len(started) - 1} more)" if len(started) > 1 else ""
    where = "it" if started[0] == path else f"{started[0]}{also}"
    return (
        f"{expected} that {where} has not finished ({epochs} epochs so far); "
        f"resume with: semantic train {experiment} --resume"
    )


def _load(file: Path) -> Run:
    summary = _json(file.read_text("utf-8"), str(file))
    missing = [key for key in SUMMARY_KEYS if key not in summary] if isinstance(summary, dict) else list(SUMMARY_KEYS)
    if missing:
        raise DataError(f"{file}: expected the summary of a run, found no {', '.join(missing)}")
    run = Run(file.parent, summary)
    for one in run.explanations:
        missing = [key for key in EXPLANATION_KEYS if key not in one]
        if missing:
            raise DataError(
                f"{file}: explanations: expected {', '.join(EXPLANATION_KEYS)}, found no {', '.join(missing)}"
            )
    return run


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: expected JSON, found {error}") from error
