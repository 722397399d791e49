"""The candidates of an example: all of them to rank, a sample of them to train on."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.batching.candidates import (
    _few_places,
    _many_places,
    all_candidates,
    all_counts,
    draw_candidates,
    ragged_lists,
)
from semantic.batching.shards import Counts
from semantic.datasets.batches.tensors import NONE


def test_lists_of_rows_follow_one_another_with_their_lengths() -> None:
    values, offsets = np.array([2, 3, 5, 7, 11]), np.array([0, 2, 2, 5])
    found, count = ragged_lists(values, offsets, np.array([2, 1, 0, 2]))
    assert found.tolist() == [5, 7, 11, 2, 3, 5, 7, 11]
    assert count.tolist() == [3, 0, 2, 3]

    found, count = ragged_lists(values, offsets, np.zeros(0, dtype=np.int64))
    assert found.tolist() == count.tolist() == []


def test_all_candidates_are_the_positives_then_the_negatives(shop):
    rows = np.array([0, len(shop.example_turns) - 1, shop.split("test").start, 0])

    candidates, positive = all_candidates(shop, rows)

    for b, row in enumerate(rows):
        own, others = shop.positives(row).tolist(), shop.negatives(row).tolist()
        kept = candidates[b] != NONE
        assert candidates[b][kept].tolist() == own + others
        assert not kept[len(own) + len(others) :].any()
        assert candidates[b][positive[b]].tolist() == own
    assert all_candidates(shop, rows[:0])[0].shape == (0, 0)
    assert (candidates == NONE).any()  # evaluation has more negatives than training, so some rows are padded


def test_all_counts_are_those_of_all_candidates(shop):
    rows = np.array([0, len(shop.example_turns) - 1, shop.split("test").start])
    candidates, positive = all_candidates(shop, rows)

    expected = Counts.of(torch.from_numpy(positive), torch.from_numpy(candidates != NONE))

    assert all_counts(shop, rows) == expected
    assert all_counts(shop, rows[:0]) == Counts(1, 1, 1)


@settings(max_examples=40, deadline=None)
@given(positives=st.integers(1, 7), negatives=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_candidates_are_drawn_without_replacement(shop, positives, negatives, seed):
    rows = np.arange(0, len(shop.example_turns), 3)

    candidates, positive = draw_candidates(shop, rows, positives, negatives, np.random.default_rng(seed))

    assert candidates.shape == positive.shape == (len(rows), positives + negatives)
    for b, row in enumerate(rows):
        own, others = set(shop.positives(row).tolist()), set(shop.negatives(row).tolist())
        left, right = candidates[b, :positives], candidates[b, positives:]
        for part, pool, count in ((left, own, positives), (right, others, negatives)):
            drawn = part[part != NONE].tolist()
            assert len(drawn) == len(set(drawn)) == min(count, len(pool))
            assert set(drawn) <= pool
        assert np.array_equal(positive[b], np.concatenate([left != NONE, np.zeros(negatives, bool)]))
    again, _ = draw_candidates(shop, rows, positives, negatives, np.random.default_rng(seed))
    assert np.array_equal(candidates, again)


@pytest.mark.parametrize("places", [_few_places, _many_places])
def test_every_set_of_places_is_drawn_equally_often(places):
    """All sets of 2 of 4, with a list of 2 and one of 1 beside: the first is drawn whole, the second cannot be more."""
    draws = 6_000
    drawn = places(np.tile([4, 2, 1], draws), 2, np.random.default_rng(0)).reshape(draws, 3, 2)

    sets, times = np.unique(np.sort(drawn[:, 0]), axis=0, return_counts=True)
    assert sets.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    share, spread = draws / 6, math.sqrt(draws * (1 / 6) * (5 / 6))
    assert np.abs(times - share).max() < 4 * spread
    assert (np.sort(drawn[:, 1]) == [0, 1]).all()
    assert (np.sort(drawn[:, 2]) == [NONE, 0]).all()


def test_every_positive_and_every_negative_is_drawn_sooner_or_later(shop):
    row = next(r for r in range(len(shop.example_turns)) if len(shop.positives(r)) >= 3)
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_candidates(shop, np.array([row]), 1, 4, rng)[0][0] for _ in range(200)])

    assert set(drawn[:, 0]) == set(shop.positives(row).tolist())
    assert set(drawn[:, 1:].ravel()) == set(shop.negatives(row).tolist())
