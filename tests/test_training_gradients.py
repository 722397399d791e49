"""Norms of gradients by module."""

import math

import torch
from torch import nn

from semantic.training.gradients import MEASURED, GradientNorms


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.unused = nn.Linear(2, 1, bias=False)
        self.scale = nn.Parameter(torch.tensor(1.0))


def test_norms_are_means_over_measured_steps_of_each_part():
    model = Two()
    norms = GradientNorms(model, 3 * MEASURED)
    for step, size in enumerate([1.0, 99.0, 99.0, 3.0]):
        model.layer.weight.grad = torch.tensor([[3.0, 0.0]]) * size
        model.layer.bias.grad = torch.tensor([4.0]) * size
        model.scale.grad = torch.tensor(-2.0) * size
        norms.take(step)  # every third one counts

    assert norms.means() == {"layer": 5.0 * (1 + 3) / 2, "unused": 0.0, "scale": 2.0 * (1 + 3) / 2}
    assert norms.means() == {}


def test_an_epoch_of_few_steps_is_measured_whole():
    model = Two()
    norms = GradientNorms(model, 2)
    for step in range(2):
        model.scale.grad = torch.tensor(math.sqrt(step))
        norms.take(step)
    assert norms.means()["scale"] == 0.5
