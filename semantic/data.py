"""Which examples a run trains, validates and tests on, and what it draws from them each epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from semantic.datasets.batches import NONE, Batch, BatchBuilder
from semantic.datasets.errors import DataError
from semantic.datasets.splits import folds, labelled_subset
from semantic.datasets.store import Store
from semantic.settings import DataConfig, TrainingConfig


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
    lists = [np.concatenate([store.positives(row), store.negatives(row)]) for row in rows]
    candidates = np.full((len(rows), max(map(len, lists), default=0)), NONE, dtype=np.int64)
    positive = np.zeros(candidates.shape, dtype=bool)
    for i, (row, ids) in enumerate(zip(rows, lists, strict=True)):
        candidates[i, : len(ids)] = ids
        positive[i, : len(store.positives(row))] = True
    return candidates, positive


def draw_candidates(
    store: Store, rows: np.ndarray, positives: int, negatives: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sample of each example's candidates without replacement, fewer where it has fewer; as `all_candidates`."""
    candidates = np.full((len(rows), positives + negatives), NONE, dtype=np.int64)
    for i, row in enumerate(rows):
        for ids, start, count in ((store.positives(row), 0, positives), (store.negatives(row), positives, negatives)):
            count = min(count, len(ids))
            candidates[i, start : start + count] = ids[rng.choice(len(ids), count, replace=False)]
    return candidates, np.broadcast_to(np.arange(positives + negatives) < positives, candidates.shape) & (
        candidates != NONE
    )


@dataclass(frozen=True)
class TrainingSteps(Dataset):
    """The batches of one pass over `rows`; batch `i` is a function of (seed, epoch, part, i) alone.

    So a run resumes at any step, and worker processes change nothing.
    """

    builder: BatchBuilder
    rows: np.ndarray
    config: TrainingConfig
    seed: int
    epoch: int = 0
    part: int = 0

    def at(self, epoch: int) -> "TrainingSteps":
        return replace(self, epoch=epoch)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.config.batch_size)

    def __getitem__(self, step: int) -> Batch:
        size = self.config.batch_size
        order = np.random.default_rng([self.seed, self.epoch, self.part]).permutation(len(self.rows))
        rows = self.rows[order[step * size : (step + 1) * size]]
        rng = np.random.default_rng([self.seed, self.epoch, self.part, step + 1])
        if self.config.pool:
            return self.builder.shared_batch(rows, rng.integers(self.builder.store.num_products, size=self.config.pool))
        candidates, positive = draw_candidates(
            self.builder.store, rows, self.config.positives, self.config.negatives, rng
        )
        return self.builder.batch(rows, candidates, positive)

    def __iter__(self) -> Iterator[Batch]:
        return (self[step] for step in range(len(self)))
