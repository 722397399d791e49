"""Tensors whose number of rows is known only once they are made: saved with the weights, and of any size when loaded."""

from typing import Any, ClassVar

import torch
from torch import nn


class Held(nn.Module):
    """A module with buffers, named in `held`, that start as None and may be set to tensors of any size."""

    held: ClassVar[tuple[str, ...]] = ()

    def hold_nothing(self) -> None:
        """Make every buffer None."""
        for name in self.held:
            self.register_buffer(name, None)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the sizes that the state has, on the device where this module's own tensors are."""
        for name in self.held:
            value, own = state_dict.get(prefix + name), getattr(self, name)
            device = None if own is None else own.device
            setattr(self, name, None if value is None else torch.empty_like(value, device=device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
