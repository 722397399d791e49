"""The candidates of examples: all of them to rank, a sample of them to train on."""

import numpy as np

from semantic.batching.shards import Counts
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store

FEW = 32
"""Samples of at most this size are drawn place by place, larger ones by sorting random numbers."""


def all_candidates(store: Store, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every candidate of each example, positives first: product ids [example, candidate] (NONE pads), and which are positive."""
    rows = np.asarray(rows)
    positives, plus = ragged_lists(store.positive_values, store.positive_offsets, rows)
    negatives, minus = ragged_lists(store.negative_values, store.negative_offsets, rows)
    place = np.arange((plus + minus).max(initial=0))
    positive = place < plus[:, None]
    candidates = np.full(positive.shape, NONE, dtype=np.int64)
    candidates[positive] = positives
    candidates[~positive & (place < (plus + minus)[:, None])] = negatives
    return candidates, positive


def all_counts(store: Store, rows: np.ndarray) -> Counts:
    """What the means over examples and all their candidates are over."""
    positives, negatives = (
        offsets[rows + 1] - offsets[rows] for offsets in (store.positive_offsets, store.negative_offsets)
    )
    return Counts.of_lists(positives, positives + negatives)


def ragged_lists(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lists of `rows`, one after another, and the length of each."""
    start, stop = offsets[rows], offsets[rows + 1]
    count = stop - start
    place = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
    return np.asarray(values[place]), count


def draw_candidates(
    store: Store, rows: np.ndarray, positives: int, negatives: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sample of each example's candidates without replacement, fewer where it has fewer; as `all_candidates`."""
    shown = _draw(store.positive_values, store.positive_offsets, rows, positives, rng)
    others = _draw(store.negative_values, store.negative_offsets, rows, negatives, rng)
    return np.concatenate([shown, others], axis=1), np.concatenate(
        [shown != NONE, np.zeros(others.shape, bool)], axis=1
    )


def _draw(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` of each row's list, each set of them equally likely: int64 [row, size], NONE where a list is shorter."""
    start, count = offsets[rows], offsets[rows + 1] - offsets[rows]
    drawn = (_few_places if size <= FEW else _many_places)(count, size, rng)
    held = drawn != NONE
    drawn[held] = values[(start[:, None] + drawn)[held]]
    return drawn


def _few_places(count: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` of the places 0 .. count - 1 of each row. Floyd's algorithm, all rows at once, in time with size squared.

    Of last = count - size .. count - 1 take a place drawn from 0 .. last, or `last` itself where that is taken.
    """
    drawn = np.full((len(count), size), NONE, dtype=np.int64)
    uniform = rng.random(drawn.shape)
    for i in range(size):
        last = np.maximum(count - size, 0) + i
        place = (uniform[:, i] * (last + 1)).astype(np.int64)
        taken = (drawn[:, :i] == place[:, None]).any(1)
        drawn[:, i] = np.where(last < count, np.where(taken, last, place), NONE)
    return drawn


def _many_places(count: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The same in time with the largest count: the places of the smallest of that many random numbers."""
    keys = rng.random((len(count), max(size, count.max(initial=0))))
    keys[np.arange(keys.shape[1]) >= count[:, None]] = 2.0
    drawn = np.argpartition(keys, size - 1, axis=1)[:, :size]
    return np.where(np.take_along_axis(keys, drawn, 1) < 2.0, drawn, NONE)
