"""What one process does of a training step."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from semantic.datasets.batches.tensors import Batch, Contexts, Movable


@dataclass(frozen=True)
class Counts:
    """What the means of a batch are over: examples, (positive, negative) pairs, and products; at least 1 each."""

    examples: int
    pairs: int | Tensor
    products: int | Tensor

    @classmethod
    def of(cls, positive: Bool[Tensor, "batch candidate"], keep: Bool[Tensor, "batch candidate"]) -> "Counts":
        """The counts of a batch's kept candidates."""
        positive = positive & keep
        pairs = positive.sum(1) * (keep & ~positive).sum(1)
        return cls(max(1, len(keep)), pairs.sum().clamp(min=1), keep.sum().clamp(min=1))

    @classmethod
    def of_lists(cls, positives: np.ndarray, candidates: np.ndarray) -> "Counts":
        """The counts of examples that have so many positives and so many candidates each."""
        pairs = int((positives * (candidates - positives)).sum())
        return cls(max(1, len(positives)), max(1, pairs), max(1, int(candidates.sum())))


@dataclass(frozen=True)
class Shard(Movable):
    """One process's examples of a training step, and what it must know of the rest.

    `counts` are the whole batch's. `labelled`: the examples carry gold dialogue states (D_F), as opposed to D_P.
    `states`, where the model asked for them and there are several processes, are those of the whole batch, of which `own`
    are this shard's examples. A batch smaller than the number of processes leaves some without an example: they repeat
    its first with `weight` 0, as every process must take part in every step.
    """

    batch: Batch
    counts: Counts
    labelled: bool = True
    own: slice = field(default_factory=lambda: slice(None))
    weight: float = 1.0
    states: Contexts | None = None
    epoch: int = 0
    all_labelled: bool = False  # the run has no D_P
