"""How weights move: the optimiser, its learning rate over the steps, and the moving average of the weights."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from semantic.config.schema import TrainingConfig
from semantic.models.semantic.paper import Semantic


def make_optimizer(model: Semantic, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over what dialogues train; with no weight decay that is Adam, the paper's. Gates may have a rate of their own."""
    gates = [getattr(module, name) for module in model.modules() for name in getattr(module, "gates", ())]
    gates = [gate for gate in gates if gate is not None]
    fixed = [*gates, *(model.completion.parameters() if model.completion is not None else ())]
    others = [p for p in model.parameters() if p.requires_grad and not any(p is other for other in fixed)]
    rate = config.gate_learning_rate or config.learning_rate
    groups: list[dict[str, Any]] = [{"params": others}, *([{"params": gates, "lr": rate}] if gates else [])]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def linear_decay(config: TrainingConfig, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate: up to 1 over the warm-up, then linearly down to 0 at the last step."""
    warmup = max(1, round(config.warmup * steps)) if config.warmup else 0

    def factor(step: int) -> float:
        return (step + 1) / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))

    return factor


Average = Callable[[Tensor, Tensor, Tensor | int], Tensor]
"""(mean, now, steps) -> the new mean."""


def moving_average(decay: float) -> Average:
    """average <- average + (1 - d) (weights - average), d = min(decay, (1 + n) / (10 + n)) at step n."""

    def average(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        d = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return torch.lerp(mean, now, 1 - d)

    return average


class MovingAverage:
    """A model whose weights are the moving average of another's; after the first step they are the other's own.

    torch's AveragedModel asks the device for the number of steps at every weight; here the host counts.
    """

    def __init__(self, model: Semantic, average: Average) -> None:
        self.model = deepcopy(model)
        self.average = average

    @torch.no_grad()
    def update(self, model: Semantic, steps: int) -> None:
        """Take in the weights after `steps` earlier ones; buffers are the model's."""
        for mean, now in zip(self.model.parameters(), model.parameters(), strict=True):
            if now.requires_grad:
                mean.copy_(self.average(mean, now, steps) if steps else now)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
