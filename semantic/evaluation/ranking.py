"""Rank every candidate of every query, and measure the ranking under both protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from semantic.batching.candidates import all_candidates, all_counts
from semantic.batching.shards import Counts
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store
from semantic.evaluation.exporting import Rankings
from semantic.evaluation.product_index import ProductIndex, encoding, index_products, score_candidates
from semantic.evaluation.query_table import TOP, BestProducts, Columns, best_candidates, described, identity_columns
from semantic.metrics.ranking import Ranks, count_ranks, released, standard, tied_queries
from semantic.models.interface import Explanation, Model, precise
from semantic.runtime.distributed import SINGLE_PROCESS, Processes
from semantic.runtime.errors import DataError, FailedError
from semantic.runtime.files import replacing
from semantic.runtime.progress import Progress, shown


class ScoreError(FailedError):
    """A model that gives a candidate no number. The message says for which query."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a split under both protocols, the share of queries with ties, the ranking loss of all candidates by
    `Model.ranking_loss`, and a row a query.
    """

    protocols: dict[str, dict[str, float]]
    tie_rate: float
    loss: float
    table: pa.Table
    explanations: list[dict[str, Any]]  # what the table's columns of explanations are

    def __repr__(self) -> str:
        measured = ", ".join(f"{name} {100 * values['ndcg@5']:.1f}%" for name, values in self.protocols.items())
        return f"Evaluation({len(self.table):,} queries, NDCG@5 {measured})"

    @cached_property
    def queries(self) -> dict[str, list[Any]]:
        """The table as lists."""
        return self.table.to_pydict()

    def write_queries(self, path: Path) -> None:
        with replacing(path) as partial:
            pq.write_table(self.table, partial, write_page_checksum=True)


def evaluate(
    model: Model,
    store: Store,
    split: str = "test",
    config: EvaluationConfig | None = None,
    *,
    detail: bool = False,
    progress: Progress | bool | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> Evaluation:
    """Evaluate a model on a split of a store: `.protocols["standard"]["ndcg@5"]` and so on, as fractions.

    Raises:
        DataError: no such split, a split without examples, or slots that are not the model's.
    """
    progress = shown(progress)
    rows = np.arange(store.split(split).start, store.split(split).stop)
    if not len(rows):
        raise DataError(f"{store.path}: expected examples in split {split!r}, found none")
    builder = model.open_batches(store, progress)
    with progress.bar(split, len(rows)) as advance:
        return evaluate_examples(
            model, builder, rows, config or EvaluationConfig(), detail=detail, progress=advance, processes=processes
        )


@torch.no_grad()
def evaluate_examples(
    model: Model,
    builder: BatchBuilder,
    rows: np.ndarray,
    config: EvaluationConfig,
    *,
    detail: bool = False,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = SINGLE_PROCESS,
    rankings: Rankings | None = None,
) -> Evaluation:
    """Rank all candidates of examples; gold states are not read to rank.

    `detail` adds what the report's gallery shows of each query; `rankings` is told each query's ranking. Of several processes each
    ranks a part of the queries, and all get the whole. The model is left in the mode it was found in.
    """
    training = model.training
    model.eval()
    store = builder.store
    offered, counts = _offered(store, rows), all_counts(store, rows)
    index = index_products(model, builder, offered, config, processes=processes)
    place = np.full(store.num_products, NONE, dtype=np.int64)
    place[offered] = np.arange(len(offered))

    def rank_mine() -> _Ranked:
        mine, parts = processes.shard(rows), []
        for start in range(0, len(mine), config.batch_size):
            batch = mine[start : start + config.batch_size]
            parts.append(
                _rank(
                    model,
                    builder,
                    batch,
                    counts,
                    index,
                    place,
                    detail=detail,
                    precision=config.precision,
                    rankings=rankings,
                )
            )
            if progress:
                progress(min(len(rows), (start + config.batch_size) * processes.world_size), len(rows))
        return _join(parts)

    whole = _join(processes.on_each(rank_mine))
    model.train(training)
    assert whole.table is not None
    return Evaluation(averages(whole.table), whole.ties / len(rows), whole.loss, whole.table, whole.explanations)


def averages(table: pa.Table) -> dict[str, dict[str, float]]:
    """The means of a table's metrics: protocol -> metric -> fraction."""
    names = [name for name in table.column_names if "/" in name]
    return {
        protocol: {n.split("/")[1]: pc.mean(table[n]).as_py() for n in names if n.startswith(f"{protocol}/")}
        for protocol in ("standard", "released")
    }


@dataclass(frozen=True)
class _Ranked:
    """Some queries: columns of queries.parquet, how many have ties, and their share of the mean ranking loss."""

    table: pa.Table | None  # None: no query
    ties: int
    loss: float
    explanations: list[dict[str, Any]]


def _join(parts: list[_Ranked]) -> _Ranked:
    tables = [part.table for part in parts if part.table is not None]
    ties, loss = sum(part.ties for part in parts), sum(part.loss for part in parts)
    explanations = next((part.explanations for part in parts if part.explanations), [])
    return _Ranked(pa.concat_tables(tables) if tables else None, ties, loss, explanations)


def _offered(store: Store, rows: np.ndarray) -> np.ndarray:
    """The products that are a candidate of any of the examples."""
    offered = np.zeros(store.num_products, dtype=bool)
    for row in rows:
        offered[store.positives(row)] = True
        offered[store.negatives(row)] = True
    return offered.nonzero()[0]


def _rank(
    model: Model,
    builder: BatchBuilder,
    rows: np.ndarray,
    counts: Counts,
    index: ProductIndex,
    place: np.ndarray,
    *,
    detail: bool,
    precision: str,
    rankings: Rankings | None,
) -> _Ranked:
    """One batch of queries against their candidates, whose places in `index` are given by product; `counts` are all queries'."""
    device = model.device
    ids, positive_array = all_candidates(builder.store, rows)
    candidates = torch.from_numpy(np.where(ids == NONE, NONE, place[ids])).to(device)
    positive, keep = torch.from_numpy(positive_array).to(device), candidates != NONE
    with encoding(device, precision):
        query = precise(model.encode_query(builder.contexts(rows).to(device)))
    scores = score_candidates(model, query, index, candidates)
    columns, ranks = measured(builder.store, rows, ids, scores, positive, keep)
    if rankings is not None:
        rankings.add(builder.store, rows, ids, scores, positive, keep)
    explanations: Sequence[Explanation] = ()
    if detail:
        best = BestProducts(best_candidates(ids, scores, keep), keep.sum(1).clamp(max=TOP).tolist())
        explanations = model.explain(query, index.at(candidates.gather(1, best.columns), device))
        columns |= best.table(ids, scores, positive, explanations)
    loss = float(model.ranking_loss(scores, positive, keep, counts))
    return _Ranked(pa.table(columns), int(tied_queries(ranks).sum()), loss, described(explanations))


def measured(
    store: Store, rows: np.ndarray, ids: np.ndarray, scores: torch.Tensor, positive: torch.Tensor, keep: torch.Tensor
) -> tuple[Columns, Ranks]:
    """What is written of queries by the scores [query, candidate] of the products `ids`, and where the positives stand.

    Raises:
        ScoreError: a score that is not a number, or +inf.
    """
    _check_numbers(store, rows, scores, keep)
    ranks = count_ranks(scores, positive, keep)
    metrics = {f"standard/{n}": v for n, v in standard(ranks).items()} | {
        f"released/{n}": v for n, v in released(ranks).items()
    }
    return identity_columns(store, rows, ids, scores, ranks) | {n: v.tolist() for n, v in metrics.items()}, ranks


def _check_numbers(store: Store, rows: np.ndarray, scores: torch.Tensor, keep: torch.Tensor) -> None:
    broken = (scores.isnan() | scores.isposinf()) & keep
    if broken.any():
        query, candidate = broken.nonzero()[0].tolist()
        dialogue, turn = store.example_turns[rows[query]]
        raise ScoreError(
            f"dialogue {store.dialogue_names[dialogue]!r} turn {turn - store.dialogue_first_turn[dialogue]}: "
            f"expected a number as every candidate's score, got {scores[query, candidate].item()}"
        )
