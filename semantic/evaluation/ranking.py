"""Rank every candidate of every query with the student, and measure the ranking under both protocols."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from semantic.batching.steps import all_candidates
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import NONE, BatchBuilder
from semantic.datasets.store.store import Store
from semantic.evaluation.catalogue import BaseVectors, encode_catalogue, encoding, score_candidates
from semantic.metrics.ranking import Ranks, count_ranks, released, standard, tied_queries
from semantic.models.building import batch_builder
from semantic.models.semantic.losses import Counts, ranking_loss
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import ContextVectors, ProductVectors
from semantic.runtime.distributed import ALONE, Processes
from semantic.runtime.errors import DataError, FailedError
from semantic.runtime.files import replacing
from semantic.runtime.progress import Progress

TOP = 10
"""Products kept a query for the report."""


class ScoreError(FailedError):
    """A model that gives a candidate no number. The message says for which query."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a split under both protocols, the share of queries with ties, the ranking loss, and a row a query."""

    protocols: dict[str, dict[str, float]]
    tie_rate: float
    loss: float
    table: pa.Table

    @cached_property
    def queries(self) -> dict[str, list[Any]]:
        """The table as lists."""
        return self.table.to_pydict()

    def write_queries(self, path: Path) -> None:
        with replacing(path) as partial:
            pq.write_table(self.table, partial)


def evaluate(
    model: Semantic,
    store: Store,
    split: str = "test",
    config: EvaluationConfig | None = None,
    *,
    detail: bool = False,
    progress: Progress | None = None,
    processes: Processes = ALONE,
) -> Evaluation:
    """Evaluate a model on a split of a store: `.protocols["standard"]["ndcg@5"]` and so on, as fractions.

    Raises:
        DataError: no such split, a split without examples, or slots that are not the model's.
    """
    progress = progress or Progress()
    rows = np.arange(store.split(split).start, store.split(split).stop)
    if not len(rows):
        raise DataError(f"{store.path}: expected examples in split {split!r}, found none")
    builder = batch_builder(model, store, next(model.parameters()).device, progress)
    with progress.bar(split, len(rows)) as advance:
        return evaluate_examples(
            model, builder, rows, config or EvaluationConfig(), detail=detail, progress=advance, processes=processes
        )


@torch.no_grad()
def evaluate_examples(
    model: Semantic,
    builder: BatchBuilder,
    rows: np.ndarray,
    config: EvaluationConfig,
    *,
    detail: bool = False,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
) -> Evaluation:
    """Evaluate the student on examples with all their candidates; the gold states are never read.

    `detail` adds what the report's gallery shows of each query. Of several processes each ranks a part of the queries, and
    all get the whole. The model is left in the mode it was found in.
    """
    training = model.training
    model.eval()
    offered = _offered(builder.store, rows)
    vectors = encode_catalogue(model, builder, offered, config, processes=processes)
    place = np.full(builder.store.num_products, NONE, dtype=np.int64)
    place[offered] = np.arange(len(offered))

    def rank_mine() -> _Ranked:
        mine, parts = processes.shard(rows), []
        for start in range(0, len(mine), config.batch_size):
            batch = mine[start : start + config.batch_size]
            parts.append(_rank(model, builder, batch, vectors, place, detail=detail, precision=config.precision))
            if progress:
                progress(min(len(rows), (start + config.batch_size) * processes.size), len(rows))
        return _join(parts)

    whole = _join(processes.each(rank_mine))
    model.train(training)
    assert whole.table is not None
    names = [name for name in whole.table.column_names if "/" in name]
    protocols = {
        protocol: {n.split("/")[1]: pc.mean(whole.table[n]).as_py() for n in names if n.startswith(f"{protocol}/")}
        for protocol in ("standard", "released")
    }
    return Evaluation(protocols, whole.ties / len(rows), whole.loss / whole.pairs, whole.table)


@dataclass(frozen=True)
class _Ranked:
    """Some queries: columns of queries.parquet, how many have ties, and the ranking loss summed over `pairs`."""

    table: pa.Table | None  # None: no query
    ties: int
    loss: float
    pairs: int


def _join(parts: list[_Ranked]) -> _Ranked:
    tables = [part.table for part in parts if part.table is not None]
    ties, loss, pairs = (sum(getattr(part, name) for part in parts) for name in ("ties", "loss", "pairs"))
    return _Ranked(pa.concat_tables(tables) if tables else None, ties, loss, pairs)


def _offered(store: Store, rows: np.ndarray) -> np.ndarray:
    """The products that are a candidate of any of the examples."""
    offered = np.zeros(store.num_products, dtype=bool)
    for row in rows:
        offered[store.positives(row)] = True
        offered[store.negatives(row)] = True
    return offered.nonzero()[0]


def _rank(
    model: Semantic,
    builder: BatchBuilder,
    rows: np.ndarray,
    vectors: BaseVectors,
    place: np.ndarray,
    *,
    detail: bool,
    precision: str,
) -> _Ranked:
    """One batch of queries against their candidates, whose places in `vectors` are given by product."""
    device = next(model.parameters()).device
    ids, positive_array = all_candidates(builder.store, rows)
    index = torch.from_numpy(np.where(ids == NONE, NONE, place[ids])).to(device)
    positive, keep = torch.from_numpy(positive_array).to(device), index != NONE
    with encoding(device, precision):
        context = model.encode_contexts(builder.contexts(rows).to(device))
        state = model.student_state(context)
        query = model.query(state, context)
    scores = score_candidates(model, query, vectors, index)
    _check_numbers(builder.store, rows, scores, keep)
    ranks = count_ranks(scores, positive, keep)
    metrics = {f"standard/{n}": v for n, v in standard(ranks).items()} | {
        f"released/{n}": v for n, v in released(ranks).items()
    }
    columns = _identity(builder, rows, ids, scores, ranks) | {n: v.tolist() for n, v in metrics.items()}
    if detail:
        best = _best(ids, scores, keep)
        products = vectors.at(index.gather(1, best).clamp(min=0), device)
        columns |= _detail(model, state, context, products, ids, scores, positive, keep, best)
    pairs = int(Counts.of(positive, keep).pairs)
    loss = pairs * float(ranking_loss(scores, positive, keep))
    return _Ranked(pa.table(columns), int(tied_queries(ranks).sum()), loss, pairs)


def _check_numbers(store: Store, rows: np.ndarray, scores: torch.Tensor, keep: torch.Tensor) -> None:
    broken = (scores.isnan() & keep).any(dim=1)
    if broken.any():
        dialogue, turn = store.example_turns[rows[int(broken.nonzero()[0])]]
        raise ScoreError(
            f"dialogue {store.dialogue_names[dialogue]!r} turn {turn - store.dialogue_first_turn[dialogue]}: "
            "expected a number as every candidate's score, got NaN"
        )


def _identity(
    builder: BatchBuilder, rows: np.ndarray, ids: np.ndarray, scores: torch.Tensor, ranks: Ranks
) -> dict[str, list[Any]]:
    """Which query this is and where its positives stand."""
    store = builder.store
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


def _best(ids: np.ndarray, scores: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Columns of the ten best candidates [query, ten], padding after the last."""
    # Equal scores stand by product id: the order of the candidates has the positives first, and would flatter.
    by_id = torch.from_numpy(np.argsort(ids, axis=1, kind="stable")).to(scores.device)
    scores = scores.masked_fill(~keep, -torch.inf).gather(1, by_id)
    return by_id.gather(1, scores.sort(dim=1, descending=True, stable=True).indices[:, :TOP])


def _detail(
    model: Semantic,
    state: torch.Tensor,
    context: ContextVectors,
    products: ProductVectors,
    ids: np.ndarray,
    scores: torch.Tensor,
    positive: torch.Tensor,
    keep: torch.Tensor,
    best: torch.Tensor,
) -> dict[str, list[Any]]:
    """The ten best of each query, whose base vectors are `products`, and the attention over the slots."""
    flat = ProductVectors(products.text.flatten(0, 1), products.image.flatten(0, 1))
    match = model.match(state, context, flat, torch.arange(best.numel(), device=best.device).view(best.shape))
    count = keep.sum(1).clamp(max=TOP).tolist()

    def cut(values: torch.Tensor) -> list[list[Any]]:
        return [row[:n] for row, n in zip(values.tolist(), count, strict=True)]

    return {
        "top_products": cut(torch.from_numpy(ids).gather(1, best.cpu())),
        "top_scores": cut(scores.gather(1, best)),
        "top_hit": cut(positive.gather(1, best)),
        "attention_context_text": match.context_text.tolist(),
        "attention_context_image": match.context_image.tolist(),
        "attention_top_text": cut(match.product_text),
        "attention_top_image": cut(match.product_image),
    }
