"""The exponential moving average of a model's weights."""

from copy import deepcopy

import torch

from semantic.models.interface import Model


class MovingAverage:
    """A model whose weights are the exponential moving average (EMA) of another's.

        average <- average + (1 - d) (weights - average),      d = min(decay, (1 + n) / (10 + n)) at step n

    After the first step they are the other's own. torch's AveragedModel asks the device for the number of steps at every
    weight; here the host counts.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = deepcopy(model)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, steps: int) -> None:
        """Take in the weights after `steps` earlier updates; buffers are copied, and what the average alone has noted stays."""
        d = min(self.decay, (1 + steps) / (10 + steps))
        for mean, now in zip(self.model.parameters(), model.parameters(), strict=True):
            if now.requires_grad:
                mean.copy_(torch.lerp(mean, now, 1 - d) if steps else now)
        mine = dict(self.model.named_buffers())
        for name, theirs in model.named_buffers():
            mine[name].copy_(theirs)
