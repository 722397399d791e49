"""Masked reductions against sums over what is kept."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semantic.encoders.layers.masking import masked_mean, masked_softmax, masked_sum

X = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]], [[8.0, 80.0], [16.0, 160.0], [32.0, 320.0]]])
KEEP = torch.tensor([[True, False, True], [False, False, False]])


def test_sum_and_mean_run_over_kept_items_and_give_zero_for_none():
    assert masked_sum(X, KEEP).tolist() == [[1 + 4, 10 + 40], [0, 0]]
    assert masked_mean(X, KEEP).tolist() == [[(1 + 4) / 2, (10 + 40) / 2], [0, 0]]


@pytest.mark.parametrize("reduction", [masked_sum, masked_mean])
def test_masked_entries_may_hold_nan(reduction):
    poisoned = X.masked_fill(~KEEP.unsqueeze(-1), math.nan).requires_grad_()

    reduced = reduction(poisoned, KEEP)
    reduced.sum().backward()

    assert torch.equal(reduced, reduction(X, KEEP))
    assert poisoned.grad.isfinite().all()


def test_softmax_shares_one_among_kept_items():
    weights = masked_softmax(torch.tensor([[math.log(1), math.log(7), math.log(3)]]), KEEP[:1])

    torch.testing.assert_close(weights, torch.tensor([[1 / 4, 0, 3 / 4]]))


def test_softmax_of_nothing_is_zero_with_a_finite_gradient():
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0]], requires_grad=True)

    weights = masked_softmax(scores, KEEP)
    weights.square().sum().backward()

    assert weights[1].tolist() == [0, 0, 0]
    assert scores.grad.isfinite().all()
    assert scores.grad[1].tolist() == [0, 0, 0]


@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=7), st.floats(-50, 50))
def test_softmax_sums_to_one_or_zero_and_a_shift_changes_nothing(items, shift):
    scores = torch.tensor([[score for score, _ in items]], dtype=torch.float64)
    keep = torch.tensor([[kept for _, kept in items]])

    weights = masked_softmax(scores, keep)

    assert weights.sum().item() == pytest.approx(float(keep.any()))
    assert not weights[~keep].any()
    torch.testing.assert_close(masked_softmax(scores + shift, keep), weights, atol=1e-12, rtol=0)
