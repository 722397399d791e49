"""What a model outside of this codebase is worth: its scores, from a function or a file, ranked and measured as any model's."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import torch

from semantic.batching.candidates import all_candidates
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.reading.records import Turn
from semantic.datasets.store.store import Store
from semantic.evaluation.exporting import query_name, trec_name
from semantic.evaluation.query_table import TOP, BestProducts, best_candidates
from semantic.evaluation.ranking import Evaluation, averages, measured
from semantic.metrics.ranking import tied_queries
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress, shown
from semantic.runtime.reading import ReadingError, check_readable

QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class Query:
    """A recommendation that is asked for: its place, the turns before it, and its candidates in the catalogue's order.

    `turns` are merged, speakers alternate, and their `images` are names of products; `rows` are the candidates' rows in the
    store's catalogue.
    """

    dialogue: str
    turn: int
    turns: tuple[Turn, ...]
    candidates: tuple[str, ...]
    rows: np.ndarray


Scorer = Callable[[Query], Sequence[float] | np.ndarray]
"""The scores of a query's candidates, in their order; higher is better."""


def evaluate_scores(store: Store, split: str, scorer: Scorer, *, progress: Progress | bool | None = None) -> Evaluation:
    """Any scorer on a split of a store, under both protocols: `.protocols["standard"]["ndcg@5"]` and so on, as fractions. Its
    `loss` is not a number.

    Raises:
        DataError: no such split, one without examples, or scores that are not one for each candidate.
        ScoreError: a score that is not a number.
    """
    rows = np.arange(store.split(split).start, store.split(split).stop)
    if not len(rows):
        raise DataError(f"{store.path}: expected examples in split {split!r}, found none")
    tables, ties = [], 0
    with shown(progress).bar(split, len(rows)) as advance:
        for start in range(0, len(rows), QUERIES_AT_ONCE):
            batch = rows[start : start + QUERIES_AT_ONCE]
            ids, positive_array = all_candidates(store, batch)
            scores = torch.from_numpy(
                np.stack([_scores(store, int(row), own, scorer) for row, own in zip(batch, ids, strict=True)])
            )
            positive, keep = torch.from_numpy(positive_array), torch.from_numpy(ids != NONE)
            columns, ranks = measured(store, batch, ids, scores, positive, keep)
            best = BestProducts(best_candidates(ids, scores, keep), keep.sum(1).clamp(max=TOP).tolist())
            tables.append(pa.table(columns | best.table(ids, scores, positive, ())))
            ties += int(tied_queries(ranks).sum())
            advance(start + len(batch), len(rows))
    table = pa.concat_tables(tables)
    return Evaluation(averages(table), ties / len(rows), math.nan, table, [])


def _scores(store: Store, row: int, ids: np.ndarray, scorer: Scorer) -> np.ndarray:
    """The scorer's float64 scores of the candidates `ids`, at their places."""
    order = np.argsort(ids, kind="stable")
    order = order[ids[order] != NONE]  # the positives stand first in the store, which no scorer may see
    query = query_of(store, row, ids[order])
    try:
        found = np.asarray(scorer(query), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{query_name(store, row)}: expected a score for each candidate, got {error}") from error
    if found.shape != (len(order),):
        raise DataError(
            f"{query_name(store, row)}: expected {len(order)} scores, one for each candidate, got {list(found.shape)}"
        )
    scores = np.zeros(len(ids))
    scores[order] = found
    return scores


def query_of(store: Store, row: int, candidates: np.ndarray) -> Query:
    """The query of an example, by its row, with the candidates of these rows."""
    dialogue, target = (int(value) for value in store.example_turns[row])
    first = int(store.dialogue_first_turn[dialogue])
    shown = [store.turn_images(turn) for turn in range(first, target)]
    turns = tuple(
        Turn(speaker, act, text, tuple(store.product_column("name", images.tolist())))
        for speaker, act, text, images in zip(
            store.turn_speakers[first:target],
            store.turn_acts[first:target],
            store.turn_texts[first:target],
            shown,
            strict=True,
        )
    )
    names = store.product_column("name", candidates.tolist())
    return Query(store.dialogue_names[dialogue], target - first, turns, tuple(names), candidates)


@dataclass(frozen=True)
class ScoreFile:
    """Scores by query and product, and for how many candidates that are asked about there was none: they are ranked last."""

    path: Path
    scores: dict[str, dict[str, float]]

    def __call__(self, query: Query) -> np.ndarray:
        known = self.scores.get(f"{trec_name(query.dialogue)}:{query.turn}", {})
        return np.array([known.get(name, -math.inf) for name in map(trec_name, query.candidates)])

    def missing(self, store: Store, split: str) -> tuple[int, int]:
        """Queries of the split, and candidates of the other queries, that the file has no score of."""
        queries = candidates = 0
        for row in store.split(split).examples:
            known = self.scores.get(query_name(store, row))
            if known is None:
                queries += 1
                continue
            ids = [*store.positives(row).tolist(), *store.negatives(row).tolist()]
            candidates += sum(trec_name(name) not in known for name in store.product_column("name", ids))
        return queries, candidates


def read_scores(path: Path) -> ScoreFile:
    """Scores in TREC's run format, or, where the name ends in .csv, in columns dialogue, turn, product and score, and any others.

    Raises:
        DataError: no such file, a line of another form, or a product twice in a query.
    """
    try:
        check_readable(path)
    except ReadingError as error:
        raise DataError(f"{path}: expected a file of scores, found {error}") from None
    found: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, query, product, text in (
            _csv_lines(path, file) if path.suffix == ".csv" else _trec_lines(path, file)
        ):
            try:
                score = float(text)
                if math.isnan(score) or score == math.inf:
                    raise ValueError
            except ValueError:
                raise DataError(f"{path}, line {number}: expected a number as the score, got {text[:40]!r}") from None
            own = found.setdefault(query, {})
            if product in own:
                raise DataError(
                    f"{path}, line {number}: expected each product once in a query, got {product!r} again in {query!r}"
                )
            own[product] = score
    return ScoreFile(path, found)


Lines = Iterator[tuple[int, str, str, str]]
"""The number of a line, and its query and product by TREC's names, and its score."""


def _trec_lines(path: Path, file: TextIO) -> Lines:
    for number, line in enumerate(file, 1):
        parts = line.split()
        if len(parts) != 6:
            raise DataError(
                f"{path}, line {number}: expected QUERY Q0 PRODUCT RANK SCORE TAG, QUERY being DIALOGUE:TURN, got {line.strip()[:80]!r}"
            )
        yield number, parts[0], parts[2], parts[4]


def _csv_lines(path: Path, file: TextIO) -> Lines:
    lines = csv.DictReader(file)
    absent = [name for name in ("dialogue", "turn", "product", "score") if name not in (lines.fieldnames or ())]
    if absent:
        raise DataError(
            f"{path}, line 1: expected the columns dialogue, turn, product, score, found no {' and no '.join(absent)}"
        )
    for line in lines:
        query = f"{trec_name(line['dialogue'] or '')}:{(line['turn'] or '').strip()}"
        yield lines.line_num, query, trec_name(line["product"] or ""), line["score"] or ""
