"""Each pool on hand-worked numbers."""

import math

import pytest
import torch

from semantic.encoders.layers.pooling import POOLS, Pool

X = torch.tensor([[[1.0, -10.0], [2.0, 20.0], [4.0, -40.0]]])
KEEP = torch.tensor([[True, False, True]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("sum", [1.0 + 4, -10 - 40]),
        ("leaky_sum", [1.0 + 4, 0.01 * (-10 - 40)]),
        ("mean", [(1 + 4) / 2, (-10 - 40) / 2]),
        ("attentive", [(1 + 4) / 2, (-10 - 40) / 2]),
    ],
)
def test_pool_of_kept_items(kind, expected):
    torch.testing.assert_close(Pool(kind, 2)(X, KEEP), torch.tensor([expected]))


def test_attentive_pool_weighs_by_its_learned_scores():
    pool = Pool("attentive", 2)
    with torch.no_grad():
        pool.score.weight.copy_(torch.tensor([[math.log(3), 0.0]]))  # scores 1 log 3 and 4 log 3: shares 1 and 27

    pooled = pool(X, KEEP)
    pooled.sum().backward()

    torch.testing.assert_close(pooled, torch.tensor([[(1 * 1 + 27 * 4) / 28, (-10 * 1 - 40 * 27) / 28]]))
    assert pool.score.weight.grad.abs().min() > 0


@pytest.mark.parametrize("kind", POOLS)
def test_nothing_kept_gives_zeros_and_what_is_masked_has_no_part(kind):
    pool = Pool(kind, 2)

    assert pool(X, torch.zeros_like(KEEP)).tolist() == [[0, 0]]
    assert torch.equal(pool(X.masked_fill(~KEEP.unsqueeze(-1), 7), KEEP), pool(X, KEEP))


@pytest.mark.parametrize("kind", POOLS)
def test_single_precision_sums_of_small_numbers_are_those_of_double(kind):
    torch.testing.assert_close(
        Pool(kind, 2).double()(X.double(), KEEP).float(), Pool(kind, 2)(X, KEEP), atol=1e-5, rtol=0
    )


def test_an_unknown_pool_is_refused():
    with pytest.raises(ValueError, match="pool: expected one of sum, leaky_sum, mean, attentive, got 'max'"):
        Pool("max", 2)
