"""How well the student tracks the dialogue state: slot accuracy and joint goal accuracy.

A model gives embeddings of states, no values. So the value that a student's embedding stands for is the one of the slot's
values in training (unset among them) whose gold embedding, a mean over the training examples that have it, lies nearest to
it. A value that training does not hold is never predicted, and counts as wrong. Measures as in dialogue state tracking
(Henderson et al., 2014): slot accuracy is the share of slots that are right, joint goal accuracy the share of turns whose
slots are all right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semantic.batching.steps import gold_states
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store
from semantic.evaluation.product_index import encoding
from semantic.models.interface import Model
from semantic.runtime.distributed import SINGLE_PROCESS, Processes


@dataclass(frozen=True)
class Tracking:
    """The accuracy of each slot over `turns` with a gold state, and how often all slots are right; fractions."""

    slots: dict[str, float]
    joint_goal_accuracy: float
    turns: int

    @property
    def slot_accuracy(self) -> float:
        return sum(self.slots.values()) / len(self.slots)

    def record(self) -> dict[str, object]:
        """As it is written down."""
        return {
            "slot_accuracy": self.slot_accuracy,
            "joint_goal_accuracy": self.joint_goal_accuracy,
            "turns": self.turns,
            "slots": self.slots,
        }


def stated_rows(store: Store, rows: np.ndarray) -> np.ndarray:
    """The examples whose last turn before the recommendation carries a gold state."""
    return rows[np.asarray(_values(store, rows)[:, 0]) != NONE]


@torch.no_grad()
def track_states(
    model: Model,
    builder: BatchBuilder,
    training: np.ndarray,
    rows: np.ndarray,
    config: EvaluationConfig,
    *,
    processes: Processes = SINGLE_PROCESS,
) -> Tracking | None:
    """How well a model tracks the states of examples; `training` are the labelled ones it was trained on.

    None where the model has no states, or either side has no example with a gold one. The model is left in the mode it
    was found in.
    """
    store = builder.store
    training, rows = stated_rows(store, training), stated_rows(store, rows)
    if not model.has_states or not len(training) or not len(rows):
        return None
    mode = model.training
    model.eval()
    known = _KnownValues.of(model, builder, training, config)

    def of_part() -> np.ndarray:
        mine, right = processes.shard(rows), [np.zeros((0, len(store.slots)), dtype=bool)]
        for part in _parts(mine, config.batch_size):
            with encoding(model.device, config.precision):
                inferred = model.infer_states(builder.contexts(part).to(model.device))
            right.append(known.nearest(inferred) == _values(store, part))
        return np.concatenate(right)

    right = np.concatenate(processes.on_each(of_part))
    model.train(mode)
    slots = dict(zip(store.slots, right.mean(0).tolist(), strict=True))
    return Tracking(slots, float(right.all(1).mean()), len(rows))


@dataclass(frozen=True)
class _KnownValues:
    """The distinct values of each slot in training, and their mean gold embeddings."""

    numbers: Sequence[Int[np.ndarray, "value"]]
    embeddings: Sequence[Float[Tensor, "value dim"]]

    @classmethod
    def of(cls, model: Model, builder: BatchBuilder, rows: np.ndarray, config: EvaluationConfig) -> "_KnownValues":
        values = _values(builder.store, rows)
        found = [np.unique(values[:, slot], return_inverse=True) for slot in range(values.shape[1])]
        sums: list[Tensor] = []
        start = 0
        for part in _parts(rows, config.product_batch_size):
            with encoding(model.device, config.precision):
                gold = model.encode_states(gold_states(builder, part).to(model.device)).float()
            if not sums:
                sums = [gold.new_zeros(len(numbers), gold.shape[-1]) for numbers, _ in found]
            for slot, (_, place) in enumerate(found):
                at = torch.from_numpy(place[start : start + len(part)]).to(gold.device)
                sums[slot].index_add_(0, at, gold[:, slot])
            start += len(part)
        counts = [torch.from_numpy(np.bincount(place)).to(sums[0]) for _, place in found]
        means = [total / count.unsqueeze(1) for total, count in zip(sums, counts, strict=True)]
        return cls([numbers for numbers, _ in found], means)

    def nearest(self, states: Float[Tensor, "batch slot dim"]) -> Int[np.ndarray, "batch slot"]:
        """The value that lies nearest to each slot's embedding, by its number."""
        places = [
            torch.cdist(states[:, slot].float(), known).argmin(1).cpu().numpy()
            for slot, known in enumerate(self.embeddings)
        ]
        return np.stack([numbers[at] for numbers, at in zip(self.numbers, places, strict=True)], axis=1)


def _values(store: Store, rows: np.ndarray) -> Int[np.ndarray, "row slot"]:
    """The gold values of examples, by their numbers in the store."""
    return np.asarray(store.turn_states[store.example_turns[rows, 1] - 1])


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
