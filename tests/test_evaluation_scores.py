"""Scores by rows of products: the model's own, in blocks of any size; and the best of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from two_tower import TwoTower

from semantic.evaluation import product_index
from semantic.evaluation.product_index import ProductIndex, best_products, score_candidates, score_catalogue
from semantic.models.interface import Model, ProductRows, some_queries
from tests.small_world import VARIANTS, build, collate, formula, small_config, small_spec, small_world, window

CPU = torch.device("cpu")
EXACT = {"atol": 1e-12, "rtol": 0}
PRODUCTS = 11
CANDIDATES = torch.tensor([[0, 10, 3, 3, 7], [9, 1, 2, 0, 5], [4, 4, 10, 8, 6]])
MODELS = (*VARIANTS, "two_tower")


@dataclass
class Scored:
    """A model with three queries and eleven products; it keeps how many rows it was given at once."""

    model: Model
    query: Any
    index: ProductIndex
    given: list[int] = field(default_factory=list)

    def expected(self, candidates: torch.Tensor | None = None) -> torch.Tensor:
        """What the model scores without blocks and without norms known beforehand."""
        found = self.model.scores(self.query, self.index.rows, candidates).detach()
        self.given.clear()
        return found

    @property
    def row_bytes(self) -> int:
        return self.index.rows[0].nbytes


def scored(name: str, dtype: torch.dtype = torch.float64) -> Scored:
    if name == "two_tower":
        model, turns = TwoTower(TwoTower.Config(name="two_tower:TwoTower"), small_spec()).to(dtype).eval(), 0
        with torch.no_grad():
            model.words.weight.copy_(formula(model.words.weight.shape, 5))
    else:
        model, turns = build(name).to(dtype), window(small_config(name))
    batch = collate(small_world(small_world().pictures.to(dtype)), turns_at_least=turns)
    with torch.no_grad():
        query = model.encode_query(batch.contexts)
    found = Scored(model, query, ProductIndex(formula((PRODUCTS, *model.product_shape), 3).to(dtype)))
    own = model.score

    def score(query: Any, products: ProductRows) -> torch.Tensor:
        assert products.squared_norms is None or products.squared_norms.shape == products.rows.shape[:-1]
        found.given.append(products.rows.shape[0] * products.rows.shape[1])
        return own(query, products)

    model.score = score  # type: ignore[method-assign]
    return found


BLOCKS = [0, 1, 3, 10, 15, 1009]
"""Rows that a device scores at once."""


@pytest.mark.parametrize("at_once", BLOCKS)
@pytest.mark.parametrize("name", MODELS)
def test_scores_of_candidates_are_the_models_own_in_blocks_of_any_size(name, at_once, monkeypatch):
    it = scored(name)
    expected = it.expected(CANDIDATES)
    monkeypatch.setitem(product_index.AT_ONCE, "cpu", at_once * it.row_bytes)

    found = score_candidates(it.model, it.query, it.index, CANDIDATES)

    torch.testing.assert_close(found, expected, **EXACT)
    assert max(it.given) <= max(1, at_once)
    assert sum(it.given) == CANDIDATES.numel()
    assert not found.requires_grad


@pytest.mark.parametrize("name", MODELS)
def test_padded_candidates_are_harmless(name, monkeypatch):
    it = scored(name)
    candidates = torch.tensor([[0, -1, 3], [-1, -1, 2], [-1, -1, -1]])
    expected = it.expected(candidates.clamp(min=0))
    monkeypatch.setitem(product_index.AT_ONCE, "cpu", 2 * it.row_bytes)

    found = score_candidates(it.model, it.query, it.index, candidates)

    kept = candidates >= 0
    torch.testing.assert_close(found[kept], expected[kept], **EXACT)
    assert found.isfinite().all()
    assert (candidates < 0).sum() == 6  # the caller's tensor is as it was


def test_no_candidates_have_no_scores():
    it = scored("paper")
    none = torch.zeros(3, 0, dtype=torch.long)
    assert score_candidates(it.model, it.query, it.index, none).shape == (3, 0)
    assert score_catalogue(it.model, it.query, ProductIndex(it.index.rows[:0])).shape == (3, 0)


@pytest.mark.parametrize("at_once", BLOCKS)
@pytest.mark.parametrize("name", MODELS)
def test_scores_of_the_catalogue_are_the_models_own_in_blocks_of_any_size(name, at_once, monkeypatch):
    it = scored(name)
    expected = it.expected()
    monkeypatch.setitem(product_index.AT_ONCE, "cpu", at_once * it.row_bytes)

    found = score_catalogue(it.model, it.query, it.index)

    torch.testing.assert_close(found, expected, **EXACT)
    assert max(it.given) <= max(1, at_once)
    assert sum(it.given) == PRODUCTS  # shared by the queries
    for q in range(3):
        single = score_catalogue(it.model, some_queries(it.query, slice(q, q + 1)), it.index)[0]
        torch.testing.assert_close(single, found[q], **EXACT)


def test_scores_do_not_depend_on_where_the_rows_lie(tmp_path, monkeypatch):
    it = scored("paper")
    np.save(tmp_path / "rows.npy", it.index.rows.numpy())
    mapped = product_index.open_index(tmp_path / "rows.npy")
    monkeypatch.setitem(product_index.AT_ONCE, "cpu", 3 * it.row_bytes)

    assert torch.equal(score_catalogue(it.model, it.query, mapped), score_catalogue(it.model, it.query, it.index))
    assert torch.equal(
        score_candidates(it.model, it.query, mapped, CANDIDATES),
        score_candidates(it.model, it.query, it.index, CANDIDATES),
    )


@pytest.mark.parametrize("row", [(7,), (2, 7), (2, 3, 7)])
def test_products_are_looked_up_with_their_norms(row):
    index = ProductIndex(formula((PRODUCTS, *row), 3))
    norms = index.rows.square().sum(-1)
    for candidates in (torch.tensor([[10, 0, 3], [2, 2, 1]]), torch.zeros(3, 0, dtype=torch.long)):
        found = index.at(candidates, CPU)
        assert torch.equal(found.rows, index.rows[candidates])
        torch.testing.assert_close(found.squared_norms, norms[candidates], **EXACT)
    found = index.block(slice(3, 8), CPU)
    assert torch.equal(found.rows, index.rows[3:8].unsqueeze(0))
    torch.testing.assert_close(found.squared_norms, norms[3:8].unsqueeze(0), **EXACT)


def test_padding_reads_the_first_product():
    index = ProductIndex(formula((PRODUCTS, 7), 3))
    assert torch.equal(index.at(torch.tensor([[-1, 4]]), CPU).rows, index.rows[torch.tensor([[0, 4]])])


@pytest.mark.parametrize("block", [1, 4, 1009])
def test_norms_are_taken_once_in_blocks_of_any_size(block, monkeypatch):
    monkeypatch.setattr(product_index, "BLOCK", block)
    index = ProductIndex(formula((PRODUCTS, 2, 7), 3))
    torch.testing.assert_close(index.squared_norms, index.rows.square().sum(-1), **EXACT)
    assert index.squared_norms is index.squared_norms
    assert ProductIndex(index.rows[:0]).squared_norms.shape == (0, 2)


def test_rows_that_are_no_real_vectors_have_no_norms():
    index = ProductIndex(torch.arange(PRODUCTS * 5).view(PRODUCTS, 5))
    assert index.squared_norms is None
    assert index.at(torch.tensor([[3, 1]]), CPU).squared_norms is None
    assert index.block(slice(0, 3), CPU).squared_norms is None


def test_the_best_come_first_and_ties_by_row():
    scores = torch.tensor([0.25, 0.5, -1.0, 0.5, 0.75, 0.5])
    assert best_products(scores, 1).tolist() == [4]
    assert best_products(scores, 3).tolist() == [4, 1, 3]  # a tie is cut by row
    assert best_products(scores, 4).tolist() == [4, 1, 3, 5]
    assert best_products(scores, 6).tolist() == best_products(scores, 1009).tolist() == [4, 1, 3, 5, 0, 2]
    assert best_products(scores, 0).tolist() == best_products(scores[:0], 3).tolist() == []


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.one_of(st.integers(-2, 2).map(float), st.floats(-1, 1, width=32), st.just(float("-inf")))),
    count=st.integers(0, 13),
)
def test_the_best_products_are_those_of_a_stable_sort(scores, count):
    expected = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:count]
    assert best_products(torch.tensor(scores), count).tolist() == expected


@pytest.mark.parametrize("name", MODELS)
def test_single_precision_scores_agree_with_double(name):
    """Float32 goes another way through a CPU, as a convolution."""
    double, single = scored(name), scored(name, torch.float32)

    for score in (score_catalogue, lambda *arguments: score_candidates(*arguments, CANDIDATES)):
        found = score(single.model, single.query, single.index)
        assert found.dtype == torch.float32
        expected = score(double.model, double.query, double.index)
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", HALVES)
def test_rows_stored_in_half_precision_are_scored_in_single(dtype):
    """As in training, by `Model.scores`."""
    it = scored("two_tower", torch.float32)
    index = ProductIndex(it.index.rows.to(dtype))
    expected = it.model.scores(it.query, index.rows, CANDIDATES).detach()

    torch.testing.assert_close(score_candidates(it.model, it.query, index, CANDIDATES), expected, atol=1e-6, rtol=0)
    found = index.at(CANDIDATES, CPU)
    assert found.rows.dtype == found.squared_norms.dtype == torch.float32
