"""The columns of a run's queries.parquet, checked as they are read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from semantic.runs.summary import Metric, fault
from semantic.runtime.errors import DataError
from semantic.runtime.reading import ReadingError, check_readable
from semantic.runtime.terminal import visible

Row = Annotated[int, Field(ge=0, lt=2**31)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
POSITIVES = ("positives", "positive_scores", "above", "tied")
"""Columns with one value a positive of the query."""
TOP = ("top_products", "top_scores", "top_hit")
"""Columns with one value a product of the best."""
KINDS: dict[str, Any] = {
    "dialogue": str,
    "dialogue_row": Row,
    "turn": Row,
    "candidates": Row,
    "positives": Annotated[list[Row], Field(min_length=1)],
    "positive_scores": list[float],
    "above": Annotated[list[Row], Field(min_length=1)],
    "tied": list[Row],
    "top_products": list[Row],
    "top_scores": list[float],
    "top_hit": list[bool],
}
"""What a column's values are; those of every other are `Metric`."""


def read_columns(
    file: Path,
    columns: Iterable[str],
    rows: Sequence[int] | None = None,
    *,
    query_weights: Iterable[str] = (),
    top_weights: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """These columns of the queries, or of those in `rows`, in order.

    `query_weights` are further columns with weights [label], `top_weights` such with weights [top product, label].

    Raises:
        DataError: the file is not in Parquet, has no query, lacks a column, or holds a value of another kind; a query's
            lists, which have a value a positive or a product of the best, differ in length.
    """
    top_weights = list(top_weights)
    kinds = {column: KINDS.get(column, Metric) for column in columns}
    kinds |= dict.fromkeys(query_weights, list[Weight]) | dict.fromkeys(top_weights, list[list[Weight]])
    values = _read(file, list(kinds), rows)
    for column, kind in kinds.items():
        many: Any = list[kind]  # type: ignore[valid-type]
        try:
            TypeAdapter(many, config=ConfigDict(strict=True)).validate_python(values[column])
        except ValidationError as error:
            raise DataError(f"{file}: column {visible(column)}: row {fault(error)}") from None
    queries = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    for same in (POSITIVES, (*TOP, *top_weights)):
        _check_lengths(file, [column for column in same if column in kinds], queries)
    return queries


def _read(file: Path, columns: list[str], rows: Sequence[int] | None) -> dict[str, list[Any]]:
    try:
        check_readable(file)
        with file.open("rb") as stream, pq.ParquetFile(stream, page_checksum_verification=True) as opened:
            names, count = opened.schema_arrow.names, opened.metadata.num_rows
            missing = [column for column in columns if column not in names]
            if count and not missing:
                table = opened.read(columns=columns)
                return (table if rows is None else table.take(list(rows))).to_pydict()
    except ReadingError as error:
        raise DataError(f"{file}: expected the run's queries in Parquet, found {error}") from None
    except Exception as error:  # a damaged Parquet file fails to load in many ways
        raise DataError(
            f"{file}: expected the run's queries in Parquet, found a file that does not load "
            f"({type(error).__name__}: {_cause(error)})"
        ) from error
    if missing:
        raise DataError(f"{file}: expected a column {visible(', '.join(missing))}, found {visible(', '.join(names))}")
    raise DataError(f"{file}: expected at least one query, found none")


def _cause(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return visible(" ".join(said.split()))[:120]


def _check_lengths(file: Path, columns: Sequence[str], queries: Sequence[dict[str, Any]]) -> None:
    for query in queries:
        lengths = {column: len(query[column]) for column in columns}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{visible(column)} {length}" for column, length in lengths.items())
            raise DataError(f"{file}: expected lists of one length in a query, found {shown}")
