"""Rank every candidate of every query with the student, and measure the ranking under both protocols."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from semantic.building import batch_builder
from semantic.data import all_candidates
from semantic.datasets.batches import NONE, BatchBuilder
from semantic.datasets.errors import DataError
from semantic.datasets.store import Store
from semantic.files import replacing
from semantic.losses import ranking_loss
from semantic.match import Match, ProductVectors
from semantic.metrics import Ranks, count_ranks, released, standard, tie_rate
from semantic.model import Semantic
from semantic.progress import Progress
from semantic.settings import EvaluationConfig

TOP = 10
"""Products kept a query for the report."""


class ScoreError(RuntimeError):
    """A model that gives a candidate no number. The message says for which query."""

    exit_code = 1  # of the command line


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a split under both protocols, the share of queries with ties, the ranking loss, and a row a query."""

    protocols: dict[str, dict[str, float]]
    tie_rate: float
    loss: float
    queries: dict[str, list[Any]]

    def write_queries(self, path: Path) -> None:
        with replacing(path) as partial:
            pq.write_table(pa.table(self.queries), partial)


def evaluate(
    model: Semantic,
    store: Store,
    split: str = "test",
    config: EvaluationConfig | None = None,
    *,
    detail: bool = False,
    progress: Progress | None = None,
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
        return evaluate_examples(model, builder, rows, config or EvaluationConfig(), detail=detail, progress=advance)


@torch.no_grad()
def encode_catalogue(
    model: Semantic,
    builder: BatchBuilder,
    ids: np.ndarray,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> ProductVectors:
    """Base vectors of products, each encoded once, on the model's device."""
    device = next(model.parameters()).device
    text, image = [], []
    for start in range(0, len(ids), batch_size):
        vectors = model.encode_products(builder.products(ids[start : start + batch_size]).to(device))
        text.append(vectors.text.float())
        image.append(vectors.image.float())
        if progress:
            progress(min(start + batch_size, len(ids)), len(ids))
    return ProductVectors(torch.cat(text), torch.cat(image))


@torch.no_grad()
def evaluate_examples(
    model: Semantic,
    builder: BatchBuilder,
    rows: np.ndarray,
    config: EvaluationConfig,
    *,
    detail: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate the student on examples with all their candidates; the gold states are never read.

    `detail` adds what the report's gallery shows of each query. The model is left in the mode it was found in.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    offered = np.unique(
        np.concatenate([np.concatenate([builder.store.positives(r), builder.store.negatives(r)]) for r in rows])
    )
    vectors = encode_catalogue(model, builder, offered, config.product_batch_size)
    parts: list[dict[str, list[Any]]] = []
    losses, ties = [], []
    for start in range(0, len(rows), config.batch_size):
        batch = rows[start : start + config.batch_size]
        ids, positive_array = all_candidates(builder.store, batch)
        index = torch.from_numpy(np.where(ids == NONE, NONE, np.searchsorted(offered, ids))).to(device)
        positive, keep = torch.from_numpy(positive_array).to(device), index != NONE
        context = model.encode_contexts(builder.contexts(batch).to(device))
        match = model.match(model.student_state(context), context, vectors, index)
        _check_numbers(builder.store, batch, match.relevance, keep)
        ranks = count_ranks(match.relevance, positive, keep)
        metrics = {f"standard/{n}": v for n, v in standard(ranks).items()} | {
            f"released/{n}": v for n, v in released(ranks).items()
        }
        losses.append(float(ranking_loss(match.relevance, positive, keep)) * len(batch))
        ties.append(tie_rate(ranks) * len(batch))
        part = _identity(builder, batch, ids, match, ranks) | {n: v.tolist() for n, v in metrics.items()}
        parts.append(part | _detail(match, ids, positive, keep) if detail else part)
        if progress:
            progress(start + len(batch), len(rows))
    model.train(training)
    queries = {name: [value for part in parts for value in part[name]] for name in parts[0]}
    protocols = {
        protocol: {n.split("/")[1]: float(np.mean(v)) for n, v in queries.items() if n.startswith(f"{protocol}/")}
        for protocol in ("standard", "released")
    }
    return Evaluation(protocols, sum(ties) / len(rows), sum(losses) / len(rows), queries)


def _check_numbers(store: Store, rows: np.ndarray, scores: torch.Tensor, keep: torch.Tensor) -> None:
    broken = (scores.isnan() & keep).any(dim=1)
    if broken.any():
        dialogue, turn = store.example_turns[rows[int(broken.nonzero()[0])]]
        raise ScoreError(
            f"dialogue {store.dialogue_names[dialogue]!r} turn {turn - store.dialogue_first_turn[dialogue]}: "
            "expected a number as every candidate's score, got NaN"
        )


def _identity(
    builder: BatchBuilder, rows: np.ndarray, ids: np.ndarray, match: Match, ranks: Ranks
) -> dict[str, list[Any]]:
    """Which query this is and where its positives stand."""
    store = builder.store
    dialogue, turn = store.example_turns[rows].T
    scores = match.relevance.gather(1, ranks.positive_index)
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
        "positive_scores": ragged(scores),
        "above": ragged(ranks.above),
        "tied": ragged(ranks.tied),
        "negatives_above": ragged(ranks.negatives_above),
    }


def _detail(match: Match, ids: np.ndarray, positive: torch.Tensor, keep: torch.Tensor) -> dict[str, list[Any]]:
    """The ten best of each query and the attention over the slots."""
    scores = match.relevance.masked_fill(~keep, -torch.inf)
    # Equal scores stand by product id: the order of the candidates has the positives first, and would flatter.
    by_id = torch.from_numpy(np.argsort(ids, axis=1, kind="stable")).to(scores.device)
    best = by_id.gather(1, scores.gather(1, by_id).sort(dim=1, descending=True, stable=True).indices[:, :TOP])
    count = keep.sum(1).clamp(max=TOP).tolist()
    slots = match.product_text.shape[-1]
    wide = best.unsqueeze(-1).expand(-1, -1, slots)

    def cut(values: torch.Tensor) -> list[list[Any]]:
        return [row[:n] for row, n in zip(values.tolist(), count, strict=True)]

    return {
        "top_products": cut(torch.from_numpy(ids).gather(1, best.cpu())),
        "top_scores": cut(scores.gather(1, best)),
        "top_hit": cut(positive.gather(1, best)),
        "attention_context_text": match.context_text.tolist(),
        "attention_context_image": match.context_image.tolist(),
        "attention_top_text": cut(match.product_text.gather(1, wide)),
        "attention_top_image": cut(match.product_image.gather(1, wide)),
    }
