"""Recommendations as a table for people, and as JSON and CSV for programs."""

import csv
import io
import json
from typing import Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from semantic.runtime.terminal import visible
from semantic.serving.recommend import Recommendations

COLUMNS = ("rank", "name", "product", "score", "text")


def _rows(found: Recommendations) -> list[tuple[Any, ...]]:
    return [(rank, one.name, one.product, one.score, one.text) for rank, one in enumerate(found.products, 1)]


def as_csv(found: Recommendations) -> str:
    """Lines of rank, name, product (its row in the catalogue), score and text."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([COLUMNS, *_rows(found)])
    return file.getvalue()


def as_json(found: Recommendations, store: str, *, explain: bool = False) -> str:
    """An object of "store" and "recommendations", each of these an object of `COLUMNS`; with `explain` of the query's
    explanations, {title: {source: {label: weight}}}, and in each recommendation of the product's.
    """
    products: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in _rows(found)]
    content: dict[str, Any] = {"store": store, "recommendations": products}
    if explain:
        content["explanations"] = {one["title"]: _named(one["query"], one["labels"]) for one in found.explanations}
        for place, product in enumerate(products):
            product["explanations"] = {
                one["title"]: _named({name: rows[place] for name, rows in one["products"].items()}, one["labels"])
                for one in found.explanations
            }
    return json.dumps(content, indent=1) + "\n"


def _named(weights: dict[str, list[float]], labels: list[str]) -> dict[str, dict[str, float]]:
    return {source: dict(zip(labels, values, strict=True)) for source, values in weights.items()}


def as_table(found: Recommendations, encoding: str) -> Table:
    """A row a product: rank, name, score and text, in letters that the encoding has."""
    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    grid.add_column("", justify="right")
    grid.add_column("product", overflow="fold")
    grid.add_column("score", justify="right", no_wrap=True)
    grid.add_column("text", overflow="fold")
    for rank, name, _, score, text in _rows(found):
        known = (visible(one).encode(encoding, "backslashreplace").decode(encoding) for one in (name, text))
        grid.add_row(str(rank), escape(next(known)), f"{score:.3f}", escape(next(known)))
    return grid
