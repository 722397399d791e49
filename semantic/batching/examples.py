"""Which examples a run trains, validates and tests on."""

from dataclasses import dataclass

import numpy as np

from semantic.config.schema import DataConfig
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.splits import folds, labelled_subset
from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError


@dataclass(frozen=True)
class Examples:
    """Example rows of a store: D_F and D_P to train on, validation and test."""

    labelled: np.ndarray
    unlabelled: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def counts(self, store: Store) -> dict[str, int]:
        """How many dialogues and examples there are of each, for the run's record."""
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
        DataError: a split that is not in the store; no example to train, validate or test on.
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
