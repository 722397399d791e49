"""A training step's loss, and its terms on their way back from the device."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semantic.batching.shards import Shard
from semantic.models.interface import Model

DIAGNOSTIC = "diagnostic "
"""Before the names of diagnostics, where they travel with the terms of a loss."""


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
        """The shard's part of the loss, and of its terms and diagnostics: summed over the processes they are the whole batch's.

        `DIAGNOSTIC` stands before the names of diagnostics.
        """
        with torch.autocast(shard.batch.positive.device.type, torch.bfloat16, enabled=self.autocast):
            loss = self.model.loss(shard)
        recorded = {**loss.terms, **{DIAGNOSTIC + name: value for name, value in loss.diagnostics.items()}}
        return shard.weight * loss.total, {name: shard.weight * value.detach() for name, value in recorded.items()}


def split_diagnostics(means: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The terms of a loss, and the diagnostics beside them, by their own names."""
    terms = {name: value for name, value in means.items() if not name.startswith(DIAGNOSTIC)}
    return terms, {name.removeprefix(DIAGNOSTIC): value for name, value in means.items() if name not in terms}


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
