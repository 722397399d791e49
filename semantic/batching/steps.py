"""Which examples a run trains, validates and tests on, and what it draws from them each epoch."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from semantic.config.schema import DataConfig, TrainingConfig
from semantic.datasets.batches.builder import NONE, Batch, BatchBuilder, Contexts
from semantic.datasets.store.splits import folds, labelled_subset
from semantic.datasets.store.store import Store
from semantic.models.semantic.losses import Counts
from semantic.models.semantic.objective import Part
from semantic.runtime.distributed import ALONE, Processes
from semantic.runtime.errors import DataError

FEW = 32
"""Candidates drawn of a list one after another; more are drawn at once."""
AHEAD = 2
"""Steps made before they are asked for."""


@dataclass(frozen=True)
class Examples:
    """Example rows of a store, by their part in a run: D_F, D_P, validation, test."""

    labelled: np.ndarray
    unlabelled: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def counts(self, store: Store) -> dict[str, int]:
        """How many dialogues and examples of each part, for the run's record."""
        return {
            "labelled_dialogues": _dialogues(store, self.labelled),
            "labelled_examples": len(self.labelled),
            "unlabelled_dialogues": _dialogues(store, self.unlabelled),
            "unlabelled_examples": len(self.unlabelled),
            "valid_queries": len(self.valid),
            "test_queries": len(self.test),
        }


def select_examples(
    store: Store, config: DataConfig, *, folds_of: int = 0, fold: int | None = None, seed: int = 0
) -> Examples:
    """The examples of a run, on the store's own splits or on fold `fold` of `folds_of` over all their dialogues.

    D_F are the training examples of dialogues with states, a `labelled_share` of those dialogues. D_P follows
    `config.partial`, with the splits of `config.unlabelled`.

    Raises:
        DataError: a split that is not in the store, or a part that has no example.
    """
    own = (config.train, config.valid, config.test)
    if set(own) & set(config.unlabelled):
        raise DataError(
            f"data.unlabelled: expected splits other than {', '.join(own)}, got {', '.join(map(repr, config.unlabelled))}"
        )
    owner = np.asarray(store.example_turns[:, 0])
    if fold is None:
        train, valid, test = (_rows(store, name) for name in (config.train, config.valid, config.test))
    else:
        pooled = np.concatenate(
            [_rows(store, name) for name in dict.fromkeys((config.train, config.valid, config.test))]
        )
        part = list(folds(owner[pooled], folds_of, seed))[fold]
        train, valid, test = (pooled[np.isin(owner[pooled], d)] for d in (part.train, part.valid, part.test))
    stated = _dialogues_with_state(store)[owner[train]]
    used = np.zeros(len(train), dtype=bool)
    used[stated] = labelled_subset(owner[train[stated]], config.labelled_share, config.subset_seed)
    parts = [train if config.partial == "all" else train[~used]]
    for name in config.unlabelled:
        rows = _rows(store, name)
        parts.append(rows[labelled_subset(owner[rows], config.unlabelled_share, config.subset_seed)])
    unlabelled = np.concatenate(parts) if config.partial != "none" else np.zeros(0, dtype=np.int64)
    examples = Examples(train[used], unlabelled, valid, test)
    _check(store, config, examples)
    return examples


def _rows(store: Store, name: str) -> np.ndarray:
    split = store.split(name)
    return np.arange(split.start, split.stop)


def _dialogues(store: Store, rows: np.ndarray) -> int:
    return len(np.unique(store.example_turns[rows, 0]))


def _dialogues_with_state(store: Store) -> np.ndarray:
    """bool [dialogue]: whether any turn carries a state."""
    return np.logical_or.reduceat(np.asarray(store.turn_states[:, 0]) != NONE, store.dialogue_first_turn)


def _check(store: Store, config: DataConfig, examples: Examples) -> None:
    if not len(examples.labelled) and not len(examples.unlabelled):
        raise DataError(f"{store.path}: expected training examples in split {config.train!r}, found none")
    for name, rows in ((config.valid, examples.valid), (config.test, examples.test)):
        if not len(rows):
            raise DataError(f"{store.path}: expected examples in split {name!r}, found none")


def all_candidates(store: Store, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every candidate of each example, positives first: product ids [example, candidate] (NONE pads), and which are positive."""
    rows = np.asarray(rows)
    positives, plus = _ragged(store.positive_values, store.positive_offsets, rows)
    negatives, minus = _ragged(store.negative_values, store.negative_offsets, rows)
    place = np.arange((plus + minus).max(initial=0))
    positive = place < plus[:, None]
    candidates = np.full(positive.shape, NONE, dtype=np.int64)
    candidates[positive] = positives
    candidates[~positive & (place < (plus + minus)[:, None])] = negatives
    return candidates, positive


def _ragged(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lists of `rows`, one after another, and the length of each."""
    start, stop = offsets[rows], offsets[rows + 1]
    count = stop - start
    place = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
    return np.asarray(values[place]), count


def draw_candidates(
    store: Store, rows: np.ndarray, positives: int, negatives: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sample of each example's candidates without replacement, fewer where it has fewer; as `all_candidates`."""
    shown = _draw(store.positive_values, store.positive_offsets, rows, positives, rng)
    others = _draw(store.negative_values, store.negative_offsets, rows, negatives, rng)
    return np.concatenate([shown, others], axis=1), np.concatenate(
        [shown != NONE, np.zeros(others.shape, bool)], axis=1
    )


def _draw(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` of each row's list, each set of them equally likely: int64 [row, size], NONE where a list is shorter."""
    start, count = offsets[rows], offsets[rows + 1] - offsets[rows]
    drawn = (_few_places if size <= FEW else _many_places)(count, size, rng)
    held = drawn != NONE
    drawn[held] = values[(start[:, None] + drawn)[held]]
    return drawn


def _few_places(count: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` of the places 0 .. count - 1 of each row. Floyd's algorithm, all rows at once, in time with size squared.

    Of last = count - size .. count - 1 take a place drawn from 0 .. last, or `last` itself where that is taken.
    """
    drawn = np.full((len(count), size), NONE, dtype=np.int64)
    uniform = rng.random(drawn.shape)
    for i in range(size):
        last = np.maximum(count - size, 0) + i
        place = (uniform[:, i] * (last + 1)).astype(np.int64)
        taken = (drawn[:, :i] == place[:, None]).any(1)
        drawn[:, i] = np.where(last < count, np.where(taken, last, place), NONE)
    return drawn


def _many_places(count: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The same in time with the largest count: the places of the smallest of that many random numbers."""
    keys = rng.random((len(count), max(size, count.max(initial=0))))
    keys[np.arange(keys.shape[1]) >= count[:, None]] = 2.0
    drawn = np.argpartition(keys, size - 1, axis=1)[:, :size]
    return np.where(np.take_along_axis(keys, drawn, 1) < 2.0, drawn, NONE)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, part: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, part]).permutation(count)


@dataclass(frozen=True)
class TrainingSteps:
    """The batches of one pass over `rows`; batch `i` is a function of (seed, epoch, part, i) alone.

    So a run resumes at any step, and neither worker processes nor the number of training processes change anything.
    """

    builder: BatchBuilder
    rows: np.ndarray
    config: TrainingConfig
    seed: int
    epoch: int = 0
    part: int = 0
    share_gold: bool = False  # the loss compares an example's slot values with the whole batch's

    def at(self, epoch: int) -> "TrainingSteps":
        return replace(self, epoch=epoch)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.config.batch_size)

    def __getitem__(self, step: int) -> Batch:
        return self.share(step).batch

    def __iter__(self) -> Iterator[Batch]:
        return (self[step] for step in range(len(self)))

    def share(self, step: int, processes: Processes = ALONE) -> Part:
        """What one of the processes does of a step. All draw the whole batch's candidates; each builds its own examples."""
        size = self.config.batch_size
        rows = self.rows[_order(self.seed, self.epoch, self.part, len(self.rows))[step * size : (step + 1) * size]]
        rng = np.random.default_rng([self.seed, self.epoch, self.part, step + 1])
        own = processes.part(len(rows))
        weight = float(own.start < own.stop)
        own = own if weight else slice(0, 1)
        batch, counts = (self._pooled if self.config.pool else self._listed)(rows, own, rng)
        gold = gold_states(self.builder, rows) if self.share_gold and processes.size > 1 else None
        return Part(batch, counts, own, weight, gold)

    def _listed(self, rows: np.ndarray, own: slice, rng: np.random.Generator) -> tuple[Batch, Counts]:
        """Each example with candidates of its own."""
        ids, positive = draw_candidates(self.builder.store, rows, self.config.positives, self.config.negatives, rng)
        plus, kept = positive.sum(1), (ids != NONE).sum(1)
        return self.builder.batch(rows[own], ids[own], positive[own]), _counts(plus, kept)

    def _pooled(self, rows: np.ndarray, own: slice, rng: np.random.Generator) -> tuple[Batch, Counts]:
        """Each example with the pool and the whole batch's positives."""
        store = self.builder.store
        pool = rng.integers(store.num_products, size=self.config.pool)
        shown, plus = _ragged(store.positive_values, store.positive_offsets, rows)
        pool = np.unique(np.concatenate([shown, pool]))
        return self.builder.shared_batch(rows[own], pool), _counts(plus, np.full(len(rows), len(pool)))


def _counts(plus: np.ndarray, kept: np.ndarray) -> Counts:
    """From the positives and the candidates of each example."""
    return Counts(len(plus), max(1, int((plus * (kept - plus)).sum())), max(1, int(kept.sum())))


Place = tuple[int, int, int]
"""Of a step: part (its place in `TrainingData.parts`), epoch, step."""


@dataclass
class TrainingData(Dataset):
    """The steps of every epoch, by place; it keeps nothing between them, so worker processes may live through all epochs."""

    parts: tuple[TrainingSteps, ...]
    processes: Processes = ALONE

    def __getitem__(self, place: Place) -> Part:
        part, epoch, step = place
        return self.parts[part].at(epoch).share(step, self.processes)


@dataclass
class EpochPlaces:
    """The places of one epoch, part after part; what the loader goes through."""

    steps: tuple[int, ...]  # of each part
    epoch: int = 0

    def __iter__(self) -> Iterator[Place]:
        return ((part, self.epoch, step) for part, steps in enumerate(self.steps) for step in range(steps))

    def __len__(self) -> int:
        return sum(self.steps)


class TrainingLoader:
    """Steps made while earlier ones are used: by a thread, or by worker processes that live through all epochs.

    The thread is enough where the store fits in memory, for copying rows of memory maps holds no lock; workers pay where
    disk is waited for. `start` is how they are started: "fork", "forkserver", "spawn", or None for Python's own way; they
    map the store's files for themselves. With `pin` steps lie in memory that a GPU copies from by itself.
    """

    def __init__(self, data: TrainingData, workers: int, *, pin: bool = False, start: str | None = None) -> None:
        self.data = data
        self.pin = pin
        self.places = EpochPlaces(tuple(map(len, data.parts)))
        self.loader: DataLoader | None = None
        if workers:
            self.loader = DataLoader(
                data,
                batch_size=None,
                sampler=self.places,
                num_workers=workers,
                pin_memory=pin,
                persistent_workers=True,
                multiprocessing_context=start,
            )

    def epoch(self, epoch: int) -> Generator[Part, None, None]:
        """The steps of an epoch, in order; close it where it is left before its end."""
        self.places.epoch = epoch
        yield from self._ahead() if self.loader is None else self.loader

    def _ahead(self) -> Iterator[Part]:
        # A thread starts on the first GPU, and would pin memory there.
        device = partial(torch.cuda.set_device, torch.cuda.current_device()) if self.pin else None
        thread = ThreadPoolExecutor(1, "training steps", initializer=device)
        try:
            made: deque[Future[Part]] = deque()
            for place in self.places:
                made.append(thread.submit(self._make, place))
                if len(made) > AHEAD:
                    yield made.popleft().result()
            while made:
                yield made.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)

    def _make(self, place: Place) -> Part:
        part = self.data[place]
        return part.pin_memory() if self.pin else part


def gold_states(builder: BatchBuilder, rows: np.ndarray) -> Contexts:
    """The gold states of examples, with no turn of their contexts."""
    states = builder.store.turn_states[builder.store.example_turns[rows, 1] - 1]
    turns = np.full((len(rows), builder.context_turns), NONE, dtype=np.int64)
    return builder.assemble(builder.pieces.turns[:0], np.full((0, 1), NONE, dtype=np.int64), turns, states)
