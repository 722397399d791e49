"""A step's loss as a module, and its terms read from the device."""

import math

import pytest
import torch
from torch import nn

from semantic.batching.shards import Counts, Shard
from semantic.models.interface import Loss
from semantic.training.step import LossModule, PendingTerms
from tests.small_world import collate, small_world

WEIGHTS = torch.tensor([2.0, 3.0, 5.0])


class Linear(nn.Module):
    """A model whose loss is a weighed sum of its weights, made by a product that autocast would run in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([7.0, 11.0, 1 / 3]))

    def loss(self, shard: Shard) -> Loss:
        del shard
        product = (self.weight.unsqueeze(0) @ WEIGHTS.unsqueeze(1)).squeeze()
        self.dtype = product.dtype
        return Loss.sum(product=product.float(), square=self.weight.square().sum())


def shard(weight: float = 1.0) -> Shard:
    batch = collate(small_world())
    return Shard(batch, Counts.of(batch.positive, batch.keep), weight=weight)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_loss_and_its_terms_are_weighed_by_the_shard(weight):
    model = Linear()
    total, terms = LossModule(model)(shard(weight))
    total.backward()

    product, square = 2 * 7 + 3 * 11 + 5 / 3, 49 + 121 + 1 / 9
    assert total.item() == pytest.approx(weight * (product + square))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"product": weight * product, "square": weight * square}
    )
    torch.testing.assert_close(model.weight.grad, weight * (WEIGHTS + 2 * model.weight.detach()))


def test_terms_carry_no_gradient():
    total, terms = LossModule(Linear())(shard())
    assert total.requires_grad
    assert not any(term.requires_grad for term in terms.values())


def test_autocast_is_the_models_alone_and_only_where_asked_for():
    model, dtypes = Linear(), []
    for autocast in (False, True):
        total, _ = LossModule(model, autocast=autocast)(shard())
        dtypes.append(model.dtype)
        assert total.dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")
    assert dtypes == [torch.float32, torch.bfloat16]


def test_a_sum_of_terms_is_their_sum():
    loss = Loss.sum(first=torch.tensor(2.0), second=torch.tensor(-5.0))
    assert loss.total.item() == 2 - 5
    assert list(loss.terms) == ["first", "second"]


def test_pending_terms_are_named_values_of_their_step():
    pending = PendingTerms(7, ("loss", "ranking"), torch.tensor([0.5, math.inf]))
    assert pending.step == 7
    assert pending.terms() == {"loss": 0.5, "ranking": math.inf}
    with pytest.raises(ValueError, match=r"shorter|longer"):
        PendingTerms(7, ("loss",), torch.tensor([0.5, 1.0])).terms()
