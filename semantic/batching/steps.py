"""The training steps of an epoch: which examples, which candidates, and each process's shard of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from semantic.batching.candidates import draw_candidates, ragged_lists
from semantic.batching.shards import Counts, Shard
from semantic.config.schema import TrainingConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import NONE, Batch, Contexts
from semantic.runtime.distributed import SINGLE_PROCESS, Processes


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, stream: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, stream]).permutation(count)


@dataclass(frozen=True)
class TrainingSteps:
    """The steps of one pass over `rows`; step `i` is a function of (seed, epoch, labelled, i) alone.

    So a run resumes at any step, and neither worker processes nor the number of training processes change a number.
    """

    builder: BatchBuilder
    rows: np.ndarray
    config: TrainingConfig
    seed: int
    epoch: int = 0
    labelled: bool = True
    all_labelled: bool = False  # the run has no unlabelled examples
    whole_states: bool = False  # the loss compares an example's dialogue state with the whole batch's

    def at(self, epoch: int) -> "TrainingSteps":
        return replace(self, epoch=epoch)

    @property
    def stream(self) -> int:
        """Distinguishes the random numbers of labelled and unlabelled steps."""
        return 0 if self.labelled else 1

    def __len__(self) -> int:
        return -(-len(self.rows) // self.config.batch_size)

    def __getitem__(self, step: int) -> Batch:
        return self.shard(step).batch

    def __iter__(self) -> Iterator[Batch]:
        return (self[step] for step in range(len(self)))

    def shard(self, step: int, processes: Processes = SINGLE_PROCESS) -> Shard:
        """One process's shard of a step. Every process draws the whole batch's candidates and builds its own examples."""
        size = self.config.batch_size
        rows = self.rows[_order(self.seed, self.epoch, self.stream, len(self.rows))[step * size : (step + 1) * size]]
        rng = np.random.default_rng([self.seed, self.epoch, self.stream, step + 1])
        own = processes.shard_slice(len(rows))
        weight = float(own.start < own.stop)
        own = own if weight else slice(0, 1)
        build = self._with_shared_negatives if self.config.shared_negatives else self._with_own_negatives
        batch, counts = build(rows, own, rng)
        states = gold_states(self.builder, rows) if self.whole_states and processes.world_size > 1 else None
        return Shard(batch, counts, self.labelled, own, weight, states, self.epoch, self.all_labelled)

    def _with_own_negatives(self, rows: np.ndarray, own: slice, rng: np.random.Generator) -> tuple[Batch, Counts]:
        ids, positive = draw_candidates(self.builder.store, rows, self.config.positives, self.config.negatives, rng)
        positives, kept = positive.sum(1), (ids != NONE).sum(1)
        return self.builder.batch(rows[own], ids[own], positive[own]), Counts.of_lists(positives, kept)

    def _with_shared_negatives(self, rows: np.ndarray, own: slice, rng: np.random.Generator) -> tuple[Batch, Counts]:
        """Every example ranks the products drawn for the batch and the positives of all its examples."""
        store = self.builder.store
        drawn = rng.integers(store.num_products, size=self.config.shared_negatives)
        shown, positives = ragged_lists(store.positive_values, store.positive_offsets, rows)
        products = np.unique(np.concatenate([shown, drawn]))
        counts = Counts.of_lists(positives, np.full(len(rows), len(products)))
        return self.builder.shared_batch(rows[own], products), counts


def gold_states(builder: BatchBuilder, rows: np.ndarray) -> Contexts:
    """The gold states of examples; their contexts hold no turn."""
    states = builder.store.turn_states[builder.store.example_turns[rows, 1] - 1]
    turns = np.full((len(rows), builder.context_turns), NONE, dtype=np.int64)
    return builder.assemble(builder.pieces.turns[:0], np.full((0, 1), NONE, dtype=np.int64), turns, states)
