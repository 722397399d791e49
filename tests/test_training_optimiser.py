"""The learning rate over the steps, and what the optimiser holds."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from semantic.config.schema import TrainingConfig
from semantic.models.interface import Model
from semantic.training.optimiser import linear_decay, make_optimizer


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero():
    factor = linear_decay(TrainingConfig(warmup_ratio=0.2), 10)
    assert [factor(step) for step in range(11)] == pytest.approx([1 / 2, 1, *((10 - s) / 8 for s in range(2, 11))])
    factor = linear_decay(TrainingConfig(warmup_ratio=0), 4)
    assert [factor(step) for step in range(5)] == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 0])
    assert linear_decay(TrainingConfig(warmup_ratio=0.01), 10)(0) == 1  # one step of warm-up, already at the peak


def test_a_warm_up_of_all_steps_only_rises():
    factor = linear_decay(TrainingConfig(warmup_ratio=1), 5)
    assert [factor(step) for step in range(5)] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1])


def test_the_optimiser_holds_what_is_trained(run):
    model = Model.from_pretrained(run.model)
    model.turn_text.words.words.weight.requires_grad_(False)
    held = make_optimizer(model, TrainingConfig(weight_decay=0.25)).param_groups
    assert {p for group in held for p in group["params"]} == {p for p in model.parameters() if p.requires_grad}
    assert [group["weight_decay"] for group in held] == [0.25] * len(held)


class TwoRates(nn.Module):
    """What the optimiser reads of a model: its groups, one with a rate of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = (nn.Parameter(torch.zeros(())) for _ in range(2))

    def parameter_groups(self):
        return [{"params": [self.slow]}, {"params": [self.fast], "lr": 0.5}]


def test_a_group_keeps_its_rate_and_falls_with_the_others():
    model, training = TwoRates(), TrainingConfig(learning_rate=0.125, warmup_ratio=0)
    optimizer = make_optimizer(model, training)
    scheduler = LambdaLR(optimizer, linear_decay(training, 4))
    rates = []
    for _ in range(4):
        rates.append([group["lr"] for group in optimizer.param_groups])
        (model.slow + model.fast).backward()
        optimizer.step()
        scheduler.step()

    assert rates == [[0.125 * (4 - s) / 4, 0.5 * (4 - s) / 4] for s in range(4)]
    assert model.fast.item() == pytest.approx(4 * model.slow.item())
