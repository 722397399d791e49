"""Labelled subsets and folds as set algebra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic.datasets.store.splits import folds, labelled_subset
from semantic.runtime.errors import DataError

ROWS = st.lists(st.integers(0, 40), min_size=1, max_size=97).map(np.array)


@given(ROWS, st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_smaller_share_lies_inside_a_larger_one(rows: np.ndarray, one: float, other: float, seed: int) -> None:
    smaller, larger = labelled_subset(rows, min(one, other), seed), labelled_subset(rows, max(one, other), seed)
    assert not (smaller & ~larger).any()


@given(ROWS, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_dialogue_is_in_or_out_as_a_whole(rows: np.ndarray, share: float, seed: int) -> None:
    mask = labelled_subset(rows, share, seed)
    assert not set(rows[mask]) & set(rows[~mask])


@pytest.mark.parametrize(("share", "taken"), [(0, 0), (0.05, 5), (0.07, 7), (0.101, 11), (1, 100)])
def test_the_share_counts_dialogues_rounded_up(share: float, taken: int) -> None:
    rows = np.repeat(np.arange(100), 3)
    assert labelled_subset(rows, share, 0).sum() == 3 * taken


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = np.arange(101)
    assert not np.array_equal(labelled_subset(rows, 0.5, 0), labelled_subset(rows, 0.5, 1))
    assert np.array_equal(labelled_subset(rows[::-1], 0.5, 0), labelled_subset(rows, 0.5, 0)[::-1])


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(DataError, match=rf"labelled share: expected a number from 0 to 1, found {share}"):
        labelled_subset(np.arange(3), share, 0)


@given(st.sets(st.integers(0, 200), min_size=7).map(sorted), st.integers(3, 7), st.integers(0, 2**32 - 1))
def test_folds_cover_every_dialogue_and_never_overlap(dialogues: list[int], k: int, seed: int) -> None:
    drawn = list(folds(np.repeat(dialogues, 2), k, seed))
    assert len(drawn) == k
    for fold in drawn:
        assert sorted([*fold.train, *fold.valid, *fold.test]) == dialogues
    for parts in ([fold.test for fold in drawn], [fold.valid for fold in drawn]):
        assert sorted(np.concatenate(parts)) == dialogues
    for fold, following in zip(drawn, [*drawn[1:], drawn[0]], strict=True):
        assert np.array_equal(fold.valid, following.test)


def test_folds_are_the_same_for_the_same_seed_only() -> None:
    tests = [[tuple(fold.test) for fold in folds(np.arange(53), 5, seed)] for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


@pytest.mark.parametrize(("dialogues", "k", "found"), [(9, 2, "3 or more"), (4, 5, "at least 5 dialogues")])
def test_folds_that_cannot_be_are_refused(dialogues: int, k: int, found: str) -> None:
    with pytest.raises(DataError, match=found):
        list(folds(np.arange(dialogues), k, 0))
