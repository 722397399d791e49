"""The learning rate over the steps, what the optimiser holds, and the moving average of the weights."""

import pytest
import torch

from semantic.config.schema import TrainingConfig
from semantic.models.semantic.paper import Semantic
from semantic.training.optimiser import MovingAverage, linear_decay, make_optimizer, moving_average


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero():
    factor = linear_decay(TrainingConfig(warmup=0.2), 10)
    assert [factor(step) for step in range(11)] == pytest.approx([1 / 2, 1, *((10 - s) / 8 for s in range(2, 11))])
    factor = linear_decay(TrainingConfig(warmup=0), 4)
    assert [factor(step) for step in range(5)] == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 0])
    assert linear_decay(TrainingConfig(warmup=0.01), 10)(0) == 1  # one step of warm-up, already at the peak


def test_the_optimiser_holds_what_is_trained(run):
    model = Semantic.from_pretrained(run.model)
    model.turn_text.words.words.weight.requires_grad_(False)
    held = make_optimizer(model, TrainingConfig(weight_decay=0.25)).param_groups
    assert {p for group in held for p in group["params"]} == {p for p in model.parameters() if p.requires_grad}
    assert [group["weight_decay"] for group in held] == [0.25] * len(held)


def test_the_moving_average_starts_at_the_weights_and_follows_what_is_trained(run):
    model = Semantic.from_pretrained(run.model)
    model.image.project.weight.requires_grad_(False)
    query, held = model.context_text.layers[0].query.weight, model.image.project.weight
    mean = MovingAverage(model, moving_average(0.9))
    start = query.detach().clone()
    with torch.no_grad():
        query += 1.0
        mean.update(model, 0)
        first = mean.model.context_text.layers[0].query.weight.clone()
        query += 1.0
        held += 1.0
        model.key_tokens += 1  # a buffer
        mean.update(model, 1)

    torch.testing.assert_close(first, start + 1)
    decay = 2 / 11  # (1 + n) / (10 + n) at n = 1
    torch.testing.assert_close(mean.model.context_text.layers[0].query.weight, start + 2 - decay)
    assert torch.equal(mean.model.key_tokens, model.key_tokens)
    torch.testing.assert_close(mean.model.image.project.weight, held - 1)
