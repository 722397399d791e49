"""The attention stack against the loops of oracle.py, and what its masks promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.encoders.layers.attention import Attention, AttentionLayer
from tests.oracle import Oracle
from tests.small_world import DIM, HEADS, INNER, LAYERS, fill, formula

BATCH, QUERY, KEY = 2, 3, 5


class Stack(Oracle):
    """The oracle over one stack instead of a model."""

    def __init__(self, stack):
        self.weights = {f"stack.{name}": value for name, value in stack.named_parameters()}
        self.config = stack
        stack.heads = HEADS


def stack(memory="updated", dropout=0.0, layers=LAYERS):
    return fill(Attention(DIM, HEADS, INNER, layers, dropout, memory)).double().eval()


def rows(x):
    return [list(example) for example in x]


def stacked(examples):
    return torch.stack([torch.stack(vectors) for vectors in examples])


@pytest.mark.parametrize("memory", ["updated", "input"])
def test_self_attention_is_the_loops(memory):
    attention, x = stack(memory), formula((BATCH, QUERY, DIM), 3, 2.0)

    expected = stacked([Stack(attention).attend("stack", example) for example in rows(x)])

    torch.testing.assert_close(attention(x), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("memory", ["updated", "input"])
def test_cross_attention_is_the_loops_whatever_the_memory_choice(memory):
    attention, x, y = stack(memory), formula((BATCH, QUERY, DIM), 3, 2.0), formula((BATCH, KEY, DIM), 5, 2.0)

    expected = stacked([Stack(attention).attend("stack", q, m) for q, m in zip(rows(x), rows(y), strict=True)])

    torch.testing.assert_close(attention(x, y), expected, atol=1e-10, rtol=0)


def test_the_two_memory_choices_differ_from_the_second_layer_on():
    x = formula((BATCH, QUERY, DIM), 3, 2.0)

    assert torch.equal(stack("updated", layers=1)(x), stack("input", layers=1)(x))
    assert (stack("updated")(x) - stack("input")(x)).abs().max() > 1e-3


@pytest.mark.parametrize("memory", ["updated", "input"])
def test_masked_items_are_items_that_do_not_exist(memory):
    attention, x = stack(memory), formula((BATCH, KEY, DIM), 7, 2.0)
    keep = torch.tensor([[True, False, True, True, False], [False, True, False, False, True]])

    attended = attention(x, keep=keep)

    for example, kept, found in zip(x, keep, attended, strict=True):
        expected = torch.stack(Stack(attention).attend("stack", list(example[kept])))
        torch.testing.assert_close(found[kept], expected, atol=1e-10, rtol=0)


@given(order=st.permutations(range(KEY)), filler=st.floats(-1e3, 1e3))
@settings(max_examples=20, deadline=None)
def test_neither_the_order_of_keys_nor_what_masked_keys_hold_matters(order, filler):
    attention, x, y = stack(), formula((1, QUERY, DIM), 3), formula((1, KEY, DIM), 5)
    keep = torch.tensor([[True, True, False, True, False]])
    plain = attention(x, y, keep)

    changed = y.masked_fill(~keep.unsqueeze(-1), filler)[:, list(order)]

    torch.testing.assert_close(attention(x, changed, keep[:, list(order)]), plain, atol=1e-12, rtol=0)


def test_a_row_whose_keys_are_all_masked_attends_to_all_and_leaves_other_rows_alone():
    attention, x = stack(), formula((BATCH, KEY, DIM), 7).requires_grad_()
    keep = torch.tensor([[False] * KEY, [True] * KEY])

    attended = attention(x, keep=keep)
    attended.sum().backward()

    assert x.grad.isfinite().all()
    torch.testing.assert_close(attended, attention(x), atol=1e-12, rtol=0)


def test_zero_layers_return_the_query():
    x = formula((BATCH, QUERY, DIM), 3)

    assert torch.equal(stack(layers=0)(x, x + 1), x)


def test_gradients_are_those_of_finite_differences():
    layer = fill(AttentionLayer(4, 2, 3, 0.0)).double()
    x, y = formula((1, 2, 4), 3).requires_grad_(), formula((1, 3, 4), 5).requires_grad_()
    keep = torch.tensor([[True, False, True]])

    assert torch.autograd.gradcheck(lambda q, m: layer(q, m, keep), (x, y))


def test_dropout_acts_in_training_only():
    attention, x = stack(dropout=0.5), formula((BATCH, QUERY, DIM), 3)
    assert torch.equal(attention(x), stack(dropout=0.0)(x))
    attention.train()
    torch.manual_seed(2)
    first = attention(x)
    assert not torch.equal(first, attention(x))
    torch.manual_seed(2)
    assert torch.equal(first, attention(x))


def test_single_precision_agrees_with_double():
    attention, x = stack(), formula((BATCH, QUERY, DIM), 3, 2.0)
    double = attention(x)

    torch.testing.assert_close(attention.float()(x.float()).double(), double, atol=1e-5, rtol=0)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="attention: expected a dim divisible by heads, got dim 7 and 2 heads"):
        AttentionLayer(7, 2, 3, 0.0)


def test_an_unknown_memory_is_refused():
    with pytest.raises(ValueError, match="attention memory: expected 'updated' or 'input', got 'output'"):
        Attention(DIM, HEADS, INNER, 1, 0.0, "output")


def test_a_pre_norm_layer_is_its_formula():
    layer = fill(AttentionLayer(DIM, HEADS, INNER, 0.0, norm="pre")).double().eval()
    x, y = formula((BATCH, QUERY, DIM), 3, 2.0), formula((BATCH, KEY, DIM), 5, 2.0)
    post = fill(AttentionLayer(DIM, HEADS, INNER, 0.0)).double().eval()
    post.attention_norm, post.feedforward_norm = torch.nn.Identity(), torch.nn.Identity()
    no_feed_forward = fill(AttentionLayer(DIM, HEADS, INNER, 0.0)).double().eval()
    no_feed_forward.attention_norm, no_feed_forward.feedforward_norm = torch.nn.Identity(), torch.nn.Identity()
    torch.nn.init.zeros_(no_feed_forward.contract.weight)
    torch.nn.init.zeros_(no_feed_forward.contract.bias)

    asked, offered = layer.attention_norm(x), layer.attention_norm(y)
    hidden = x + no_feed_forward(asked, offered) - asked  # the attention's branch alone
    inner = torch.relu(layer.expand(layer.feedforward_norm(hidden)))

    torch.testing.assert_close(layer(x, y), hidden + layer.contract(inner), atol=1e-10, rtol=0)


def test_a_stack_that_starts_as_the_identity_returns_its_query():
    x, y = formula((BATCH, QUERY, DIM), 3, 2.0), formula((BATCH, KEY, DIM), 5, 2.0)
    identity = Attention(DIM, HEADS, INNER, LAYERS, 0.5, norm="pre", start="identity").double()

    assert torch.equal(identity(x.double()), x.double())
    assert torch.equal(identity(x.double(), y.double()), x.double())
    assert not torch.equal(Attention(DIM, HEADS, INNER, 1, 0.0, norm="pre").double()(x.double()), x.double())


@pytest.mark.parametrize(("wrong", "said"), [({"norm": "none"}, "'post' or 'pre'"), ({"start": "zero"}, "'identity'")])
def test_other_norms_and_starts_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        AttentionLayer(DIM, HEADS, INNER, 0.0, **wrong)
