"""The moving average of a model's weights."""

import torch
from torch import nn

from semantic.models.interface import Model
from semantic.training.ema import MovingAverage
from tests.small_world import formula


def test_it_starts_at_the_weights_and_follows_what_is_trained(run):
    model = Model.from_pretrained(run.model)
    model.image.project.weight.requires_grad_(False)
    query, held = model.context_text.layers[0].query.weight, model.image.project.weight
    mean = MovingAverage(model, 0.9)
    start = query.detach().clone()
    with torch.no_grad():
        query += 1.0
        mean.update(model, 0)
        first = mean.model.context_text.layers[0].query.weight.clone()
        query += 1.0
        held += 1.0
        model.state.key_tokens += 1  # a buffer
        mean.update(model, 1)

    torch.testing.assert_close(first, start + 1)
    decay = 2 / 11  # (1 + n) / (10 + n) at n = 1
    torch.testing.assert_close(mean.model.context_text.layers[0].query.weight, start + 2 - decay)
    assert torch.equal(mean.model.state.key_tokens, model.state.key_tokens)
    torch.testing.assert_close(mean.model.image.project.weight, held - 1)


def test_the_decay_grows_until_the_one_that_was_asked_for():
    model = nn.Linear(1, 1, bias=False)
    mean, expected = MovingAverage(model, 0.5), 0.0
    for step in range(13):
        with torch.no_grad():
            model.weight.fill_(float(step**2))
        mean.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0  # 9 / 18 is reached at step 8
        expected = decay * expected + (1 - decay) * step**2
        torch.testing.assert_close(mean.model.weight.item(), expected, rtol=1e-5, atol=1e-6)
    assert mean.model is not model


def test_the_moving_average_warms_up_to_its_decay():
    for steps, decay in ((0, 0), (1, 2 / 11), (8, 9 / 18), (100_000, 0.9)):
        start, now = formula((3, 5), 1), formula((3, 5), 2)
        model = torch.nn.ParameterList([start.clone()])
        average = MovingAverage(model, 0.9)
        with torch.no_grad():
            model[0].copy_(now)
        average.update(model, steps)
        torch.testing.assert_close(average.model[0].data, decay * start + (1 - decay) * now, atol=1e-12, rtol=0)
