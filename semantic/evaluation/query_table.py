"""What is written of each query: which one it is, where its positives stand, its best products and why they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store
from semantic.metrics.ranking import Ranks
from semantic.models.interface import Explanation
from semantic.runs.reading import product_column, query_column

TOP = 10
"""Products kept a query for the report."""

Columns = dict[str, list[Any]]
"""Of queries.parquet, by name: a value a query."""


def identity_columns(store: Store, rows: np.ndarray, ids: np.ndarray, scores: torch.Tensor, ranks: Ranks) -> Columns:
    """Which queries these are, and where their positives stand."""
    dialogue, turn = store.example_turns[rows].T
    positive_scores = scores.gather(1, ranks.positive_index)
    held = ranks.keep.tolist()

    def ragged(values: torch.Tensor) -> list[list[Any]]:
        return [
            [v for v, k in zip(row, keep, strict=True) if k] for row, keep in zip(values.tolist(), held, strict=True)
        ]

    return {
        "dialogue": [store.dialogue_names[d] for d in dialogue],
        "dialogue_row": dialogue.tolist(),
        "turn": turn.tolist(),
        "candidates": (ids != NONE).sum(1).tolist(),
        "positives": ragged(torch.from_numpy(ids).gather(1, ranks.positive_index.cpu())),
        "positive_scores": ragged(positive_scores),
        "above": ragged(ranks.above),
        "tied": ragged(ranks.tied),
        "negatives_above": ragged(ranks.negatives_above),
    }


def best_candidates(ids: np.ndarray, scores: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """The columns of the ten best candidates [query, ten], padding after the last."""
    # Equal scores stand by product id: the order of the candidates has the positives first, and would flatter.
    padding_last = np.where(ids == NONE, np.iinfo(ids.dtype).max, ids)
    by_id = torch.from_numpy(np.argsort(padding_last, axis=1, kind="stable")).to(scores.device)
    scores = scores.masked_fill(~keep, -torch.inf).gather(1, by_id)
    return by_id.gather(1, scores.sort(dim=1, descending=True, stable=True).indices[:, :TOP])


@dataclass(frozen=True)
class BestProducts:
    """The ten best candidates of queries: their columns [query, ten], and how many of them are real."""

    columns: torch.Tensor
    counts: list[int]

    def cut(self, values: torch.Tensor) -> list[list[Any]]:
        """Values of the ten best [query, ten, ...] as lists without padding."""
        return [row[:count] for row, count in zip(values.tolist(), self.counts, strict=True)]

    def table(
        self,
        ids: np.ndarray,
        scores: torch.Tensor,
        positive: torch.Tensor,
        explanations: Sequence[Explanation],
    ) -> Columns:
        """The ten best as columns: products, scores, which are positives, and the model's explanations of them."""
        columns = {
            "top_products": self.cut(torch.from_numpy(ids).gather(1, self.columns.cpu())),
            "top_scores": self.cut(scores.gather(1, self.columns)),
            "top_hit": self.cut(positive.gather(1, self.columns)),
        }
        for one in explanations:
            for source, values in one.query.items():
                columns[query_column(one.title, source)] = values.tolist()
            for source, values in one.products.items():
                columns[product_column(one.title, source)] = self.cut(values)
        return columns


def described(explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """What the columns of explanations are, for a run's summary."""
    return [
        {"title": one.title, "labels": list(one.labels), "query": list(one.query), "products": list(one.products)}
        for one in explanations
    ]
