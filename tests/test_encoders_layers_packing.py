"""Encoding in groups of similar length: the same vectors and gradients as all at once, and hardly a padded item."""

from collections.abc import Callable
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from semantic.encoders.layers import packing
from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.packing import GROUPS, SMALLEST, by_length
from semantic.encoders.layers.pooling import Pool
from semantic.encoders.text import TextEncoder
from semantic.encoders.words import BatchWords, WordTables
from tests.small_world import DIM, HEADS, INNER, LAYERS, POSITIONS, VOCABULARY, fill, formula

EXACT = {"atol": 1e-12, "rtol": 0}
WIDTH, OUT = 3, 2
LIKE = torch.zeros(1, OUT, dtype=torch.float64)
GARBAGE = 1e6  # under `keep` False


def encode(x: Tensor, keep: Tensor, weight: Tensor | None = None) -> Tensor:
    """sum_i tanh(i * W x_i) over kept items i, counted from 1: where an item stands matters, what is masked does not."""
    weight = formula((WIDTH, OUT), 5) if weight is None else weight
    place = torch.arange(1, x.shape[1] + 1, dtype=x.dtype).unsqueeze(1)
    return (place * (x.masked_fill(~keep.unsqueeze(-1), 0.0) @ weight)).tanh().sum(1)


class Spy:
    """Keeps every `keep` that it was asked to encode."""

    def __init__(self, encoding: Callable[[Tensor, Tensor], Tensor] = encode) -> None:
        self.encoding = encoding
        self.given: list[Tensor] = []

    def __call__(self, x: Tensor, keep: Tensor) -> Tensor:
        assert x.shape[:2] == keep.shape
        self.given.append(keep)
        return self.encoding(x, keep)

    @property
    def cells(self) -> int:
        return sum(keep.numel() for keep in self.given)


def items(keep: Tensor) -> Tensor:
    """Vectors that differ from one another, garbage where nothing is kept."""
    return formula((*keep.shape, WIDTH), 3).masked_fill(~keep.unsqueeze(-1), GARBAGE)


def ends(keep: Tensor) -> list[int]:
    """The place after the last kept item of each row, by a loop."""
    return [max((i + 1 for i, kept in enumerate(row) if kept), default=0) for row in keep.tolist()]


def of_lengths(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)


@st.composite
def keeps(draw: st.DrawFn) -> Tensor:
    """Ragged rows with holes, some of them empty."""
    columns = draw(st.integers(1, 7))
    row = st.one_of(st.lists(st.booleans(), min_size=columns, max_size=columns), st.just([False] * columns))
    return torch.tensor(draw(st.lists(row, min_size=1, max_size=23)))


@settings(max_examples=60, deadline=None)
@given(keep=keeps(), smallest=st.integers(1, 5))
def test_vectors_and_gradients_are_those_of_everything_at_once(keep: Tensor, smallest: int) -> None:
    x, weight = items(keep).requires_grad_(), formula((WIDTH, OUT), 5).requires_grad_()
    towards = formula((len(keep), OUT), 11)

    at_once = encode(x, keep, weight)
    with mock.patch.object(packing, "SMALLEST", smallest):
        found = by_length(lambda some, kept: encode(some, kept, weight), x, keep, LIKE)

    torch.testing.assert_close(found, at_once, **EXACT)
    assert not found[~keep.any(1)].any()
    if not keep.any():
        return
    ours, theirs = (torch.autograd.grad((y * towards).sum(), (x, weight)) for y in (found, at_once))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    assert not ours[0][~keep].any()


@settings(max_examples=60, deadline=None)
@given(keep=keeps(), smallest=st.integers(1, 5))
def test_vectors_of_items_are_those_of_everything_at_once(keep: Tensor, smallest: int) -> None:
    """A running sum: an item's vector depends on those before it. Behind a row's last kept item there are zeros."""
    weight = formula((WIDTH, OUT), 5)

    def running(some: Tensor, kept: Tensor) -> Tensor:
        return (some.masked_fill(~kept.unsqueeze(-1), 0.0) @ weight).cumsum(1)

    with mock.patch.object(packing, "SMALLEST", smallest):
        found = by_length(running, items(keep), keep, LIKE, items=True)

    assert found.shape == (*keep.shape, OUT)
    torch.testing.assert_close(found[keep], running(items(keep), keep)[keep], **EXACT)
    longest = max(ends(keep))
    assert not found[:, longest:].any()
    assert not found[~keep.any(1)].any()


@settings(max_examples=60, deadline=None)
@given(keep=keeps(), smallest=st.integers(1, 5))
def test_no_group_holds_an_empty_row_or_a_column_behind_its_longest(keep: Tensor, smallest: int) -> None:
    spy = Spy()
    with mock.patch.object(packing, "SMALLEST", smallest):
        by_length(spy, items(keep), keep, LIKE)

    groups = [ends(given) for given in spy.given]
    assert len(groups) <= GROUPS
    assert [given.shape[1] for given in spy.given] == [max(group) for group in groups]
    assert all(min(group) > 0 for group in groups)
    assert [end for group in groups for end in group] == sorted(end for end in ends(keep) if end)  # each row once
    assert all(len(group) >= smallest for group in groups[:-1])


def test_padding_costs_next_to_nothing() -> None:
    keep = of_lengths([1 + row % 30 for row in range(600)])  # 20 texts of each length, six groups of 100
    spy = Spy()

    by_length(spy, items(keep), keep, LIKE)

    assert [tuple(given.shape) for given in spy.given] == [(100, longest) for longest in (5, 10, 15, 20, 25, 30)]
    assert spy.cells == 100 * (5 + 10 + 15 + 20 + 25 + 30)
    assert keep.sum() == 20 * 30 * 31 // 2  # real items: 11 % of what is encoded is padding; of 600 x 30 it was 48 %


def test_wide_padding_and_empty_rows_cost_nothing() -> None:
    keep = of_lengths([2, 0, 5, 0, 3, 1])
    x, padding = items(keep), 1009
    wide = torch.cat([x, torch.full((6, padding, WIDTH), GARBAGE, dtype=x.dtype)], 1)
    spies = Spy(), Spy()

    found = by_length(spies[0], x, keep, LIKE)
    padded = by_length(spies[1], wide, torch.cat([keep, keep.new_zeros(6, padding)], 1), LIKE)

    assert [tuple(given.shape) for spy in spies for given in spy.given] == [(4, 5), (4, 5)]
    assert torch.equal(found, padded)


def test_few_rows_are_one_group() -> None:
    for rows, groups in ((SMALLEST, 1), (SMALLEST + 1, 2)):
        keep, spy = of_lengths([1 + row % 5 for row in range(rows)]), Spy()
        by_length(spy, items(keep), keep, LIKE)
        assert len(spy.given) == groups


def test_a_row_ends_at_its_last_kept_place_whatever_lies_before() -> None:
    keep, spy = torch.tensor([[False, False, True, False], [True, True, False, False]]), Spy()

    with mock.patch.object(packing, "SMALLEST", 1):
        found = by_length(spy, items(keep), keep, LIKE)

    assert [given.tolist() for given in spy.given] == [[[True, True]], [[False, False, True]]]
    torch.testing.assert_close(found[0], (3 * items(keep)[0, 2] @ formula((WIDTH, OUT), 5)).tanh(), **EXACT)


@settings(max_examples=30, deadline=None)
@given(keep=keeps(), data=st.data())
def test_a_permutation_of_rows_permutes_the_vectors(keep: Tensor, data: st.DataObject) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(keep)))))
    x = items(keep)

    with mock.patch.object(packing, "SMALLEST", 2):
        plain, moved = by_length(encode, x, keep, LIKE), by_length(encode, x[order], keep[order], LIKE)

    torch.testing.assert_close(moved, plain[order], **EXACT)


@pytest.mark.parametrize("rows", [0, 5])
def test_where_all_rows_are_empty_nothing_is_encoded(rows: int) -> None:
    keep, like = torch.zeros(rows, 3, dtype=torch.bool), torch.ones(13, 7, dtype=torch.float16)

    found = by_length(lambda *_: pytest.fail("encodes"), items(keep), keep, like)

    assert found.shape == (rows, 7)  # the width and the type of `like`
    assert found.dtype == torch.float16
    assert not found.any()


def test_the_result_has_the_type_of_what_is_encoded() -> None:
    keep = of_lengths([2, 1, 0])

    found = by_length(lambda x, kept: encode(x, kept).bfloat16(), items(keep), keep, LIKE)

    assert found.dtype == torch.bfloat16  # as under autocast
    assert not found[2].any()


def test_a_text_encoder_reads_no_padding() -> None:
    words = fill(WordTables(VOCABULARY, POSITIONS, DIM, pad=0))
    encoder = TextEncoder(words, Attention(DIM, HEADS, INNER, LAYERS, 0.0), Pool("sum", DIM))
    fill(encoder.attention)
    encoder = encoder.double().eval()
    keep = of_lengths([1 + row % 11 for row in range(2 * SMALLEST)] + [0, 0])
    tokens = ((torch.arange(keep.numel()) * 7) % VOCABULARY).view(keep.shape)
    read: list[Tensor] = []
    encoder.attention.register_forward_pre_hook(
        lambda _module, _args, kwargs: read.append(kwargs["keep"]), with_kwargs=True
    )

    table = BatchWords(words.words.weight)

    found = encoder(table, tokens, keep)
    in_groups = sum(kept.numel() for kept in read)
    alone = torch.cat(
        [encoder(table, text[kept][None], kept[kept][None]) for text, kept in zip(tokens[:-2], keep[:-2], strict=True)]
    )

    torch.testing.assert_close(found[:-2], alone, **EXACT)
    assert not found[-2:].any()
    lengths = sorted(ends(keep)[:-2])
    assert in_groups == SMALLEST * (lengths[SMALLEST - 1] + lengths[-1])  # two groups, each as wide as its longest text
