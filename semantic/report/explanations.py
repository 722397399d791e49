"""How a model explains a ranking, as pages show it: named tables of weights, whatever they are of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semantic.runs.reading import product_column, query_column
from semantic.runs.summary import NamedExplanation
from semantic.runtime.errors import DataError


@dataclass(frozen=True)
class Explanation:
    """A table of weights, a row a label, a column a source; `full` is the weight that full colour stands for."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    full: float

    @classmethod
    def of(cls, title: str, labels: Sequence[str], columns: Mapping[str, Sequence[float]]) -> "Explanation":
        """The table of the weights [label] of each column.

        Full colour is the largest weight, and at least twice an even share: weights that are near even look even.

        Raises:
            DataError: there are no labels, or a column has not one weight a label.
        """
        if not labels:
            raise DataError(f"explanation {title!r}: expected labels, found none")
        for name, weights in columns.items():
            if len(weights) != len(labels):
                raise DataError(
                    f"explanation {title!r}, {name}: expected {len(labels)} weights, one a label, found {len(weights)}"
                )
        full = max([2 / len(labels), *(weight for weights in columns.values() for weight in weights)])
        rows = tuple((label, tuple(weights[i] for weights in columns.values())) for i, label in enumerate(labels))
        return cls(title, tuple(columns), rows, full)

    @property
    def even_share(self) -> float:
        return 1 / len(self.rows)


def explanations_of_query(named: Iterable[NamedExplanation], query: Mapping[str, Any]) -> tuple[Explanation, ...]:
    """The tables a run's summary names, of a row of its queries.parquet: the weights of the query's sources, of the best
    product's, and, where it is another one, of the first hit's.
    """
    hits = [place for place, hit in enumerate(query["top_hit"]) if hit]
    places = {"#1": 0} | {f"#{place + 1} (hit)": place for place in hits[:1] if place > 0}
    tables = []
    for one in named:
        columns = {source: query[query_column(one.title, source)] for source in one.query}
        products = {source: query[product_column(one.title, source)] for source in one.products}
        tables.append(Explanation.of(one.title, one.labels, columns | _at(places, products)))
    return tuple(tables)


def explanations_of_products(given: Iterable[Mapping[str, Any]], most: int) -> tuple[Explanation, ...]:
    """The tables of a recommendation: the weights of the query's sources and of the first products', at most `most`.

    Each is given with its values: `query` {source: weights [label]}, `products` {source: weights [product, label]}.
    """
    tables = []
    for one in given:
        found = min((len(weights) for weights in one["products"].values()), default=0)
        places = {f"#{place + 1}": place for place in range(min(most, found))}
        tables.append(Explanation.of(one["title"], one["labels"], {**one["query"], **_at(places, one["products"])}))
    return tuple(tables)


def _at(places: Mapping[str, int], products: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Sequence[float]]:
    """The weights of the products in these places, the sources of one product beside each other."""
    return {
        f"{name} {source}": weights[place] for name, place in places.items() for source, weights in products.items()
    }
