"""Negatives that a batch's examples share: products drawn for the batch, and one another's positives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semantic.batching.steps import TrainingSteps
from semantic.config.schema import TrainingConfig
from semantic.datasets.batches.builder import BatchBuilder, Pieces


@pytest.fixture(scope="module")
def builder(shop):
    pieces = Pieces(*(np.full((n, 1), 3, np.int32) for n in (shop.num_products, len(shop.turn_texts),
                                                             len(shop.state_values))))  # fmt: skip
    features = np.arange(shop.num_products, dtype=np.float32)[:, None]  # a product's feature is its number
    return BatchBuilder(shop, pieces, features, context_turns=3, photos_per_turn=2, pad=0)


@pytest.mark.parametrize("drawn", [[], [0, 7, 7, 13]])
def test_drawn_products_and_all_positives_are_everyones_candidates(shop, builder, drawn):
    rows = np.array([5, 2, 3])

    batch = builder.shared_batch(rows, np.array(drawn, dtype=np.int64))

    products = batch.products.photos[:, 0].int().tolist()
    shown = [{int(product) for product in shop.positives(row)} for row in rows]
    assert products == sorted({*drawn}.union(*shown))
    assert batch.candidates is None
    for positive, expected in zip(batch.positive, shown, strict=True):
        assert {product for product, plus in zip(products, positive, strict=True) if plus} == expected
    assert torch.equal(batch.contexts.turn_tokens, builder.contexts(rows).turn_tokens)


def test_shared_negatives_are_drawn_by_seed_epoch_and_step(shop, builder):
    training = TrainingConfig(shared_negatives=11, batch_size=5)
    steps = TrainingSteps(builder, np.arange(10), training, seed=3)

    def drawn(steps, step):
        return steps[step].products.photos[:, 0].int().tolist()

    assert drawn(steps, 0) == drawn(steps, 0)
    others = [
        drawn(steps, 1),
        drawn(steps.at(1), 0),
        drawn(replace(steps, seed=4), 0),
        drawn(replace(steps, labelled=False), 0),
    ]
    assert drawn(steps, 0) not in others
    assert all(batch.candidates is None and batch.positive.any(1).all() for batch in steps)
    assert {p for step in range(2) for p in drawn(steps, step)} <= set(range(shop.num_products))
