"""The linear layer is torch's own, whichever kernel it takes."""

import pytest
import torch
import torch.nn.functional as F

from semantic.encoders.linear import MANY, Linear
from tests.small_world import fill, formula

WIDE, OUT = 9, 7


def layer(bias: bool = True) -> Linear:
    return fill(Linear(WIDE, OUT, bias=bias))


@pytest.mark.parametrize("shape", [(MANY + 3,), (MANY, 2), (3, MANY, 1), (MANY - 1,), (2, 3), (0,), (5, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_a_matrix_product(shape, bias):
    own, x = layer(bias), formula((*shape, WIDE), 3, 2.0).float().requires_grad_()
    towards = formula((*shape, OUT), 5).float()
    leaves = [x, *own.parameters()]
    expected = F.linear(x, own.weight, own.bias)

    found = own(x)

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    for mine, plain in zip(
        torch.autograd.grad((found * towards).sum(), leaves),
        torch.autograd.grad((expected * towards).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(mine, plain, atol=1e-4, rtol=1e-5)


def test_rows_need_not_lie_side_by_side():
    own, x = layer(), formula((2, MANY, 2, WIDE), 3).float()[:, :, 1]
    assert not x.is_contiguous()
    torch.testing.assert_close(own(x), own(x.contiguous()))


def test_only_large_products_in_single_precision_go_another_way(monkeypatch):
    own, x = layer(), formula((MANY, WIDE), 3).float()

    def convolution(*_arguments, **_named):
        raise AssertionError("a convolution")

    monkeypatch.setattr(F, "conv2d", convolution)
    with pytest.raises(AssertionError, match="a convolution"):
        own(x)
    own(x[:-1])
    with torch.autocast("cpu", torch.bfloat16):
        assert own(x).dtype == torch.bfloat16
    own.double()(x.double())


def test_its_weights_are_those_of_torchs_layer():
    assert isinstance(layer(), torch.nn.Linear)
    assert list(layer().state_dict()) == ["weight", "bias"]
