"""Finished runs, read from the folders they left: the report's only input."""

import json
import math
import os
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from semantic.config.loading import read_values
from semantic.runs.queries import POSITIVES, TOP, read_columns
from semantic.runs.summary import COMPARED, PROTOCOLS, Epoch, NamedExplanation, Summary, parse, parse_summary
from semantic.runtime.errors import DataError
from semantic.runtime.reading import ReadingError, check_readable

CONTEXT_TURNS = 5  # where a run's configuration does not say
CONFIG, SUMMARY, QUERIES, METRICS = "config.yaml", "summary.json", "queries.parquet", "metrics.jsonl"
TRIAL = "trial.json"
"""In the folder of a run that a search made, which has no summary."""
EVALUATIONS = "evaluations"
"""Folder of a run in which `semantic evaluate` leaves that run again, on other queries."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and summary; the larger files are read and checked when asked for.

    Each of its files, where it is damaged or cannot be read, raises a DataError that names it.
    """

    path: Path
    summary: Summary

    @property
    def name(self) -> str:
        return f"{self.summary.experiment}/{self.summary.variant}"

    @property
    def place(self) -> str:
        """The run among those of its variant: "seed 1, fold 2"."""
        fold = self.summary.fold
        return f"seed {self.summary.seed}" + ("" if fold is None else f", fold {fold.index}")

    @property
    def explanations(self) -> tuple[NamedExplanation, ...]:
        """The tables by which the run's model explains a ranking."""
        return self.summary.explanations

    @cached_property
    def _metrics(self) -> tuple[list[Epoch], bool]:
        file = self.path / METRICS
        *lines, last = read_bytes(file).split(b"\n") if file.exists() else [b""]
        torn = bool(last) and not _is_json(last)
        if last and not torn:
            lines.append(last)
        return [parse(Epoch, line, f"{file} line {number}") for number, line in enumerate(lines, 1)], torn

    @property
    def epochs(self) -> list[Epoch]:
        """The lines of metrics.jsonl, without half a last one; none where there is no such file."""
        return self._metrics[0]

    @property
    def is_torn(self) -> bool:
        """Whether metrics.jsonl ends in half a line, as a process that was killed leaves it."""
        return self._metrics[1]

    @cached_property
    def environment(self) -> dict[str, Any]:
        return _read_object(self.path / "environment.json")

    @cached_property
    def trained_on(self) -> str | None:
        """The digest of the store that the run's weights were trained on; None where no file says."""
        for name, key in (("data.json", "identity"), ("evaluation.json", "trained_on")):
            identity = _read_object(self.path / name).get(key)
            if identity is not None and not isinstance(identity, str):
                raise DataError(f"{self.path / name}: {key}: expected a store's digest, found {reprlib.repr(identity)}")
            if identity is not None:
                return identity
        return None

    @cached_property
    def config_text(self) -> str:
        """The run's configuration as it stands; empty where there is none."""
        file = self.path / CONFIG
        if not file.exists():
            return ""
        try:
            return read_bytes(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{file}: expected text in UTF-8, found {error}") from None

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The values of config.yaml, unchecked; None where there is no such file."""
        file = self.path / CONFIG
        return _config_values(self.config_text, file) if file.exists() else None

    @property
    def context_turns(self) -> int:
        """How many turns before a recommendation the run's model read, by its configuration."""
        data = (self.config or {}).get("data", {})
        turns = data.get("context_turns", CONTEXT_TURNS) if isinstance(data, dict) else repr(data)
        if type(turns) is not int or turns < 1:
            raise DataError(
                f"{self.path / CONFIG}: data.context_turns: expected a number of turns, found {reprlib.repr(turns)}"
            )
        return turns

    @property
    def has_queries(self) -> bool:
        """Whether the run kept its results of each query."""
        return (self.path / QUERIES).exists()

    def queries(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """These columns of every query, in order; none where the run kept no such file."""
        if not self.has_queries:
            return []
        return read_columns(self.path / QUERIES, columns)

    def query_values(self, protocol: str, metric: str) -> pd.Series:
        """A metric of each query by (dialogue row, turn row); empty where the run kept no such file (`query_table`)."""
        return self.query_table([(protocol, metric)])[f"{protocol}/{metric}"]

    def query_table(self, metrics: Sequence[tuple[str, str]]) -> pd.DataFrame:
        """Metrics, each a (protocol, metric), of each query by (dialogue row, turn row), in columns "protocol/metric"; empty
        where the run kept no such file.

        Raises:
            DataError: a query is there twice, or a metric's mean is not the summary's.
        """
        keys = ["dialogue_row", "turn"]
        columns = {f"{protocol}/{metric}": (protocol, metric) for protocol, metric in metrics}
        if not self.has_queries:
            return pd.DataFrame(
                [], index=pd.MultiIndex.from_arrays([[], []], names=keys), columns=[*columns], dtype=float
            )
        file = self.path / QUERIES
        frame = pd.DataFrame(read_columns(file, [*keys, *columns])).set_index(keys)
        if frame.index.has_duplicates:
            dialogue, turn = frame.index[frame.index.duplicated()][0]
            raise DataError(
                f"{file}: expected each query once, found that of dialogue row {dialogue}, turn {turn} twice"
            )
        for column, (protocol, metric) in columns.items():
            mean, expected = fmean(frame[column]), self.summary.protocols[protocol][metric]
            if not math.isclose(mean, expected, rel_tol=0, abs_tol=1e-6):
                raise DataError(
                    f"{file}: expected the queries of {SUMMARY} beside it, whose mean {metric} ({protocol}) is "
                    f"{expected:.6f}, found a mean of {mean:.6f}"
                )
        return frame

    def whole_queries(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """What a page shows of the queries in these rows: which they are, positives, best products, explanations."""
        metrics = [f"{protocol}/{COMPARED[1]}" for protocol in PROTOCOLS]
        return read_columns(
            self.path / QUERIES,
            ["dialogue", "dialogue_row", "turn", "candidates", *POSITIVES, *TOP, *metrics],
            rows,
            query_weights=[query_column(one.title, source) for one in self.explanations for source in one.query],
            top_weights=[product_column(one.title, source) for one in self.explanations for source in one.products],
        )


def query_column(title: str, source: str) -> str:
    """The column of queries.parquet that holds an explanation's weights [label] of a source of the query."""
    return f"explain/{title}/query/{source}"


def product_column(title: str, source: str) -> str:
    """The column of queries.parquet that holds an explanation's weights [top product, label] of a source of a product."""
    return f"explain/{title}/top/{source}"


def load_runs(paths: Iterable[Path | str], *, also: str = "") -> list[Run]:
    """The finished runs in the given folders, each a run or a parent of runs; ordered by name, seed and fold.

    A run that several paths lead to is there once. What `semantic evaluate` left inside a run counts where it is named
    itself. Links to folders are followed. `also` is what else the
    caller takes, for the message.

    Raises:
        DataError: a folder holds no finished run (the message says how to resume an unfinished one) or cannot be read,
            or a summary is not one. Unfinished runs beside finished ones are left out: `unfinished_runs` names them.
    """
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        files = [folder / SUMMARY for folder, names in _folders(path) if SUMMARY in names]
        if not files:
            raise DataError(_nothing_finished(path, also))
        for file in files:
            if file.parent.resolve() not in runs:
                runs[file.parent.resolve()] = read_run(file.parent)

    def place(run: Run) -> tuple[Any, ...]:
        one = run.summary
        fold = -1 if one.fold is None else one.fold.index
        return one.experiment, one.variant, one.store, one.split, one.seed, fold, str(run.path)

    return sorted(runs.values(), key=place)


def read_run(folder: Path) -> Run:
    """The finished run in a folder. DataError where its summary cannot be read or is not one."""
    return Run(folder, parse_summary(read_bytes(folder / SUMMARY), folder / SUMMARY))


def unfinished_runs(paths: Iterable[Path | str]) -> list[Path]:
    """Folders of runs that were started (config.yaml) and left no summary; not the trials of a search, which leave none."""
    started = {
        folder
        for path in paths
        for folder, names in _folders(Path(path))
        if CONFIG in names and not {SUMMARY, TRIAL} & names
    }
    return sorted(started)


def count_epochs(folder: Path) -> int:
    """How many epochs of the run in a folder are finished, by its metrics.jsonl; 0 where there is none."""
    file = folder / METRICS
    return read_bytes(file).count(b"\n") if file.is_file() else 0


def read_bytes(file: Path) -> bytes:
    """The content of a file. DataError where there is none that can be read."""
    try:
        check_readable(file)
        return file.read_bytes()
    except ReadingError as error:
        raise DataError(f"{file}: expected a file that can be read, found {error}") from None
    except OSError as error:
        raise DataError(f"{file}: expected a file that can be read, found: {error.strerror}") from error


def _folders(path: Path) -> Iterator[tuple[Path, set[str]]]:
    """Each folder at or below `path` and the names in it, in order; not what was evaluated inside a run."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: expected a folder that can be read, found: {error.strerror}") from error

    seen: set[str] = set()
    for folder, below, names in os.walk(path, onerror=refuse if path.is_dir() else None, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back
            below.clear()
            continue
        seen.add(real)
        everything = {*below, *names}
        below.sort()
        if everything & {CONFIG, SUMMARY}:
            below[:] = [name for name in below if name != EVALUATIONS]
        yield Path(folder), everything


def _nothing_finished(path: Path, also: str) -> str:
    expected = f"{path}: expected a run's folder with its {SUMMARY}, or a parent of such folders{also}, found"
    if not path.is_dir():
        return f"{expected} no folder"
    started = unfinished_runs([path])
    if not started:
        return f"{expected} no run"
    file = started[0] / CONFIG
    experiment = _config_values(read_bytes(file).decode("utf-8", "replace"), file).get("experiment", "EXPERIMENT")
    epochs = count_epochs(started[0])
    also = f" (and {len(started) - 1} more)" if len(started) > 1 else ""
    where = "it" if started[0] == path else f"{started[0]}{also}"
    return (
        f"{expected} that {where} has not finished ({epochs} epochs so far); "
        f"resume with: semantic train {experiment} --resume"
    )


def _config_values(text: str, file: Path) -> dict[str, Any]:
    values = read_values(text, str(file))
    if not values:
        raise DataError(f"{file}: expected a run's configuration, found no keys")
    return values


def _read_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file."""
    if not file.exists():
        return {}
    try:
        value = json.loads(read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: expected JSON, found {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{file}: expected a JSON object, found {reprlib.repr(value)}")
    return value


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
