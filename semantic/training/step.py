"""A training step's loss, and its terms on their way back from the device."""

import torch
from torch import Tensor, nn

from semantic.batching.shards import Shard
from semantic.models.interface import Model


class LossModule(nn.Module):
    """A model's loss as a module: what data-parallel training wraps.

    The loss is all it returns with a gradient, so a parameter is waited for exactly where the loss depends on it. With
    `autocast` the model runs under bfloat16 autocast; its scores and losses do not.
    """

    def __init__(self, model: Model, *, autocast: bool = False) -> None:
        super().__init__()
        self.model = model
        self.autocast = autocast

    def forward(self, shard: Shard) -> tuple[Tensor, dict[str, Tensor]]:
        """The shard's part of the loss and of its terms: summed over the processes they are the whole batch's."""
        with torch.autocast(shard.batch.positive.device.type, torch.bfloat16, enabled=self.autocast):
            loss = self.model.loss(shard)
        return shard.weight * loss.total, {name: shard.weight * term.detach() for name, term in loss.terms.items()}


class PendingTerms:
    """The terms of a step, copied from the device in the background; `terms` waits for the copy, not for later steps."""

    def __init__(self, step: int, names: tuple[str, ...], values: Tensor) -> None:
        self.step, self.names = step, names
        self.values = values.to("cpu", non_blocking=values.is_cuda)
        self.copied = torch.cuda.Event() if values.is_cuda else None
        if self.copied is not None:
            self.copied.record()

    def terms(self) -> dict[str, float]:
        if self.copied is not None:
            self.copied.synchronize()
        return dict(zip(self.names, self.values.tolist(), strict=True))
