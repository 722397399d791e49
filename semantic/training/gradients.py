"""Norms of gradients by module, on a few steps of an epoch."""

import torch
from torch import Tensor, nn

MEASURED = 16
"""Steps of an epoch, evenly spaced, on which norms are taken."""


class GradientNorms:
    """The L2 norm of the gradient of each of a model's direct children and own parameters, a mean over measured steps.

    Norms are those of the gradients before they are clipped. They stay on the device until an epoch is over.
    """

    def __init__(self, model: nn.Module, steps_an_epoch: int) -> None:
        children = {name: [p for p in child.parameters() if p.requires_grad] for name, child in model.named_children()}
        own = {name: [p] for name, p in model.named_parameters(recurse=False) if p.requires_grad}
        self.parts = {name: parameters for name, parameters in {**children, **own}.items() if parameters}
        self.every = max(1, steps_an_epoch // MEASURED)
        self.taken: list[Tensor] = []

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Remember the norms after a backward pass, where `step`, counted from 0, is one that is measured."""
        if step % self.every:
            return
        norms = []
        for parameters in self.parts.values():
            gradients = [p.grad for p in parameters if p.grad is not None]
            norms.append(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) if gradients else None)
        zero = next((torch.zeros_like(norm) for norm in norms if norm is not None), torch.zeros(()))
        self.taken.append(torch.stack([zero if norm is None else norm for norm in norms]))

    def means(self) -> dict[str, float]:
        """The mean norm of each part since the last call."""
        if not self.taken:
            return {}
        values = torch.stack(self.taken).mean(0).tolist()
        self.taken = []
        return dict(zip(self.parts, values, strict=True))
