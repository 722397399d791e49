"""Scores by base vectors: those of the match, in blocks of any size; and the best of them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.evaluation import catalogue as vectors
from semantic.evaluation.catalogue import BaseVectors, best_products, score_candidates, score_catalogue
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import ProductVectors, Query
from tests.small_world import DIM, VARIANTS, build, collate, formula, small_config, small_world, window

CPU = torch.device("cpu")
EXACT = {"atol": 1e-12, "rtol": 0}
PRODUCTS = 11
ROW_BYTES = 2 * DIM * 8  # of one product's vectors in float64


def scored(
    variant: str, dtype: torch.dtype = torch.float64
) -> tuple[Semantic, Query, ProductVectors, BaseVectors, Callable[..., torch.Tensor]]:
    """A model with three queries and eleven products, and what `match` gives of candidates among them."""
    model, config = build(variant).to(dtype), small_config(variant)
    batch = collate(small_world(small_world().pictures.to(dtype)), turns_at_least=window(config))
    context = model.encode_contexts(batch.contexts)
    state = model.student_state(context)
    products = ProductVectors(*(formula((PRODUCTS, DIM), seed).to(dtype) for seed in (3, 4)))

    def matched(candidates: torch.Tensor | None = None) -> torch.Tensor:
        return model.match(state, context, products, candidates).relevance.detach()

    base = BaseVectors(torch.stack([products.text, products.image], dim=1))
    return model, model.query(state, context), products, base, matched


class Relevance:
    """The model's own, keeping how many rows of base vectors it was given at once."""

    def __init__(self, model: Semantic) -> None:
        self.own, self.rows = model.relevance, []  # type: ignore[var-annotated]

    def __call__(self, query: Query, pairs: torch.Tensor, squared: torch.Tensor) -> torch.Tensor:
        assert pairs.shape[:3] == squared.shape
        self.rows.append(pairs.shape[0] * pairs.shape[1])
        return self.own(query, pairs, squared)


BLOCKS = [1, ROW_BYTES, 3 * ROW_BYTES, 10 * ROW_BYTES, 15 * ROW_BYTES, 1 << 30]


@pytest.mark.parametrize("at_once", BLOCKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_of_candidates_are_those_of_the_match_in_blocks_of_any_size(variant, at_once, monkeypatch):
    model, query, _, base, matched = scored(variant)
    candidates = torch.tensor([[0, 10, 3, 3, 7], [9, 1, 2, 0, 5], [4, 4, 10, 8, 6]])
    spy = Relevance(model)
    monkeypatch.setattr(model, "relevance", spy)
    monkeypatch.setitem(vectors.AT_ONCE, "cpu", at_once)

    found = score_candidates(model, query, base, candidates)

    torch.testing.assert_close(found, matched(candidates), **EXACT)
    assert max(spy.rows) <= max(1, at_once // ROW_BYTES)
    assert sum(spy.rows) == candidates.numel()
    assert not found.requires_grad


def test_padded_candidates_are_harmless(monkeypatch):
    model, query, _, base, matched = scored("paper")
    candidates = torch.tensor([[0, -1, 3], [-1, -1, 2], [-1, -1, -1]])
    monkeypatch.setitem(vectors.AT_ONCE, "cpu", 2 * ROW_BYTES)

    found = score_candidates(model, query, base, candidates)

    kept = candidates >= 0
    torch.testing.assert_close(found[kept], matched(candidates.clamp(min=0))[kept], **EXACT)
    assert found.isfinite().all()
    assert (candidates < 0).sum() == 6  # the caller's tensor is as it was


def test_no_candidates_have_no_scores():
    model, query, _, base, _ = scored("paper")
    assert score_candidates(model, query, base, torch.zeros(3, 0, dtype=torch.long)).shape == (3, 0)


@pytest.mark.parametrize("at_once", BLOCKS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_of_the_catalogue_are_those_of_the_match_in_blocks_of_any_size(variant, at_once, monkeypatch):
    model, query, _, base, matched = scored(variant)
    spy = Relevance(model)
    monkeypatch.setattr(model, "relevance", spy)
    monkeypatch.setitem(vectors.AT_ONCE, "cpu", at_once)

    found = score_catalogue(model, query, base)

    torch.testing.assert_close(found, matched(), **EXACT)
    assert max(spy.rows) <= max(1, at_once // ROW_BYTES)
    assert sum(spy.rows) == PRODUCTS  # shared by the queries
    for q in range(3):
        torch.testing.assert_close(score_catalogue(model, query[q : q + 1], base)[0], found[q], **EXACT)


def test_scores_do_not_depend_on_where_the_vectors_lie(tmp_path, monkeypatch):
    model, query, _, base, _ = scored("paper")
    np.save(tmp_path / "rows.npy", base.rows.numpy())
    mapped = BaseVectors(torch.from_numpy(np.load(tmp_path / "rows.npy", mmap_mode="c")))
    monkeypatch.setitem(vectors.AT_ONCE, "cpu", 3 * ROW_BYTES)

    assert torch.equal(score_catalogue(model, query, mapped), score_catalogue(model, query, base))


def test_products_are_looked_up_in_any_shape():
    _, _, products, base, _ = scored("paper")
    for index in (torch.tensor([10, 0, 3]), torch.tensor([[10, 0, 3], [2, 2, 1]]), torch.zeros(3, 0, dtype=torch.long)):
        found = base.at(index, CPU)
        assert torch.equal(found.text, products.text[index])
        assert torch.equal(found.image, products.image[index])


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


@pytest.mark.parametrize("variant", VARIANTS)
def test_single_precision_scores_agree_with_double(variant):
    """Float32 goes another way through a CPU, as a convolution."""
    candidates = torch.tensor([[0, 10, 3, 3, 7], [9, 1, 2, 0, 5], [4, 4, 10, 8, 6]])
    (model, query, _, base, _), (single, asked, _, rows, _) = scored(variant), scored(variant, torch.float32)

    for score in (score_catalogue, lambda *arguments: score_candidates(*arguments, candidates)):
        found = score(single, asked, rows)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), score(model, query, base), atol=1e-5, rtol=0)
