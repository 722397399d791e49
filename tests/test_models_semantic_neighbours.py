"""What training recommended in like dialogues: against loops, beside the weights, in a run and in what it saves."""

import math

import numpy as np
import pytest
import torch

from semantic.config.loading import make_config
from semantic.datasets.store.store import open_store
from semantic.evaluation.ranking import evaluate
from semantic.models.interface import Model, ProductRows
from semantic.models.semantic import neighbours as module
from semantic.models.semantic.direct.layers import recall
from semantic.models.semantic.neighbours import MOST, Neighbours, NeighboursConfig
from semantic.runs.summary import parse_summary
from semantic.training.ema import MovingAverage
from semantic.training.loop import train
from tests.small_world import SPECS, build, collate, formula, small_config, small_world, whole, window
from tests.worlds import tiny_values

EXAMPLES, PRODUCTS, QUERIES, CANDIDATES, DIM = 6, 4, 3, 7, 11
PAIRS = torch.tensor([[0, 1], [1, 1], [1, 3], [2, 0], [3, 2], [4, 2], [4, 2], [5, 3]])
EXACT = {"atol": 1e-12, "rtol": 0}
WEIGHT = {"neighbours": {"weight": 0.4, "context_sharpness": 3.0, "product_sharpness": 2.0}}


def filled():
    neighbours = Neighbours(NeighboursConfig(**WEIGHT["neighbours"]))
    neighbours.hold(formula((EXAMPLES, DIM), 3), formula((PRODUCTS, DIM), 5), PAIRS)
    return neighbours


def remembering(variant):
    """A model with something to remember."""
    model = build(variant, {"turn_tokens": 7, "product_tokens": 11, **SPECS[variant]}, **WEIGHT)
    model.neighbours.hold(formula((EXAMPLES, model.dim), 3), formula((PRODUCTS, model.dim), 5), PAIRS)
    return model


def test_it_is_the_sum_over_examples_and_their_products():
    neighbours, queries, rows = filled(), formula((QUERIES, DIM), 7), formula((QUERIES, CANDIDATES, 2, DIM), 11)
    found = neighbours(neighbours.recall(queries), ProductRows(rows))

    assert neighbours.pairs.tolist().count([4, 2]) == 2  # a product that an example has twice counts twice
    for candidate in range(CANDIDATES):
        expected = recall(neighbours, queries, rows[:, candidate, 0])
        torch.testing.assert_close(found[:, candidate], expected, **EXACT)


def test_a_product_that_every_example_has_counts_by_their_number_alone():
    neighbours = Neighbours(NeighboursConfig(weight=0.5))
    product = formula((1, DIM), 5)
    neighbours.hold(formula((EXAMPLES, DIM), 3), product, torch.tensor([[e, 0] for e in range(EXAMPLES)]))
    rows = torch.stack([3 * product, product], dim=1).unsqueeze(1)  # lengths mean nothing
    found = neighbours(neighbours.recall(formula((QUERIES, DIM), 7)), ProductRows(rows))

    assert found.tolist() == [[pytest.approx(0.5 * math.log(1 + EXAMPLES))]] * QUERIES


def test_candidates_that_queries_share_and_norms_that_are_known_change_nothing():
    neighbours, queries, rows = filled(), formula((QUERIES, DIM), 7), formula((1, CANDIDATES, 2, DIM), 11)
    recalled, norms = neighbours.recall(queries), torch.linalg.vector_norm(rows, dim=-1).square()
    expected = neighbours(recalled, ProductRows(rows.expand(QUERIES, -1, -1, -1)))

    torch.testing.assert_close(neighbours(recalled, ProductRows(rows)), expected, **EXACT)
    torch.testing.assert_close(neighbours(recalled, ProductRows(rows, norms)), expected, **EXACT)


def test_of_many_products_those_are_recalled_of_which_there_is_most():
    neighbours, many = Neighbours(NeighboursConfig(weight=1.0)), 3 * MOST
    neighbours.hold(
        torch.ones(many, DIM), formula((many, DIM), 5), torch.tensor([[e, e % (MOST + 1)] for e in range(many)])
    )
    recalled = neighbours.recall(torch.ones(1, DIM))

    assert recalled.vectors.shape == (1, MOST, DIM)
    assert recalled.amounts.sum().item() == pytest.approx(many - 2)  # all but the one product with two examples


@pytest.mark.parametrize("variant", ["tuned", "small_data"])
def test_a_ranking_looks_it_up_in_both_forms_and_a_loss_does_not(variant):
    model = remembering(variant)
    batch = collate(small_world(), turns_at_least=window(small_config(variant)))
    form, shard = model.direct_form(), whole(batch, labelled=True)

    def ranked():
        return model.scores(model.encode_query(batch.contexts), model.encode_products(batch.products), batch.candidates)

    direct = form.score(form.lay_out(batch))
    with_them, loss = ranked(), model.loss(shard).total
    torch.testing.assert_close(with_them.where(batch.keep, 0), direct.where(batch.keep, 0), atol=1e-10, rtol=0)

    model.neighbours.hold_nothing()
    assert not torch.allclose(ranked(), with_them)
    assert torch.equal(model.loss(shard).total, loss)


def test_the_average_of_the_weights_keeps_what_it_has_noted():
    model = build("tuned", **WEIGHT)
    average = MovingAverage(model, 0.9)
    average.model.neighbours.hold(formula((EXAMPLES, model.dim), 3), formula((PRODUCTS, model.dim), 5), PAIRS)
    average.update(model, 1)

    assert model.neighbours.contexts is None
    assert torch.equal(average.model.neighbours.pairs, PAIRS)


@pytest.fixture
def run(tmp_path, shop_path, shop_features):
    values = tiny_values(shop_path, shop_features)
    values["model"] |= WEIGHT
    values["data"] |= {"product_tokens": 100}  # texts differ in length
    values["training"] |= {"epochs": 2, "ema_decay": 0.5}
    config = make_config(values)
    return config, train(config, runs=tmp_path / "runs")


def test_a_run_notes_its_training_examples_and_saves_them(run, monkeypatch):
    config, folder = run
    model, store = Model.from_pretrained(folder.model), open_store(config.data.store)
    training = list(store.split(config.data.train).examples)
    kept, pairs = model.neighbours.contexts, model.neighbours.pairs
    monkeypatch.setattr(module, "BLOCK", 3)  # however many are encoded at once
    model.remember(model.open_batches(store), np.array(training))

    torch.testing.assert_close(model.neighbours.contexts, kept)
    assert torch.equal(model.neighbours.pairs, pairs)
    assert len(kept) == len(training)
    assert len(pairs) == sum(len(store.positives(row)) for row in training)
    ids = sorted({product for row in training for product in store.positives(row)})
    texts = model.open_batches(store).products(np.array(ids)).tokens
    assert len(model.neighbours.products) == len({tuple(text) for text in texts.tolist()}) <= len(ids)


def test_saved_neighbours_rank_as_the_runs_own(run):
    config, folder = run
    model, store = Model.from_pretrained(folder.model), open_store(config.data.store)
    found = evaluate(model, store, config.data.test).protocols["standard"]["ndcg@5"]

    assert found == pytest.approx(
        parse_summary(folder.summary.read_bytes(), folder.summary).protocols["standard"]["ndcg@5"]
    )
    model.neighbours.hold_nothing()
    assert evaluate(model, store, config.data.test).protocols["standard"]["ndcg@5"] != pytest.approx(found)
