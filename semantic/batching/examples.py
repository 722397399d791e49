"""Which examples a run trains, validates and tests on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semantic.config.schema import DataConfig, FoldConfig
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.splits import folds, labelled_subset
from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError


@dataclass(frozen=True)
class Examples:
    """Example rows of a store: D_F and D_P to train on, validation and test; no dialogue stands on two sides.

    `dropped` counts the dialogues that were left out of training and of validation to that end.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    dropped: dict[str, int]

    @property
    def training(self) -> np.ndarray:
        """The rows of D_F and D_P, ascending."""
        return np.union1d(self.labelled, self.unlabelled)

    def counts(self, store: Store) -> dict[str, int]:
        """How many dialogues and examples there are of each, for the run's record."""
        return {
            "labelled_dialogues": _count(store, self.labelled),
            "labelled_examples": len(self.labelled),
            "unlabelled_dialogues": _count(store, self.unlabelled),
            "unlabelled_examples": len(self.unlabelled),
            "valid_queries": len(self.valid),
            "test_queries": len(self.test),
        }


def select_examples(store: Store, config: DataConfig, seed: int = 0) -> Examples:
    """The examples of a run of this seed, on the store's own splits or on a fold over their dialogues (`config.fold`).

    D_F are the training examples of dialogues with states, a `labelled_share` of those dialogues. D_P follows
    `config.partial`, with the splits of `config.unlabelled`. The examples of D_F whose last turn before the recommendation
    carries no state follow `config.unannotated`.

    Dialogues are told apart by their content (`Store.dialogue_digests`), not by their names.

    Raises:
        DataError: a split that is not in the store; no example to train, validate or test on; under `overlap="refuse"`,
            a dialogue that stands on two sides.
    """
    own = (config.train, config.valid, config.test)
    if set(own) & set(config.unlabelled):
        raise DataError(
            f"data.unlabelled: expected splits other than {', '.join(own)}, got {', '.join(map(repr, config.unlabelled))}"
        )
    owner = np.asarray(store.example_turns[:, 0])
    drawn_by = seed if config.subset_seed is None else config.subset_seed
    if len(set(config.unlabelled)) < len(config.unlabelled):
        raise DataError(f"data.unlabelled: expected each split once, got {', '.join(map(repr, config.unlabelled))}")
    if config.fold.count:
        train, valid, test = _fold(store, owner, config.fold, own)
    else:
        train, valid, test = (_rows(store, name) for name in own)
    stated = _dialogues_with_state(store)[owner[train]]
    used = np.zeros(len(train), dtype=bool)
    used[stated] = labelled_subset(owner[train[stated]], config.labelled_share, drawn_by)
    hidden = ~used
    if config.unannotated == "unlabelled":
        unknown = used & ~_annotated(store, train)
        used, hidden = used & ~unknown, hidden | unknown
    parts = [train if config.partial == "all" else train[hidden]]
    for name in config.unlabelled:
        rows = _rows(store, name)
        parts.append(rows[labelled_subset(owner[rows], config.unlabelled_share, drawn_by)])
    unlabelled = np.concatenate(parts) if config.partial != "none" else np.zeros(0, dtype=np.int64)
    examples = _apart(store, config, Examples(train[used], unlabelled, valid, test, {"train": 0, "valid": 0}))
    _check(store, config, examples)
    return examples


def dialogue_digests(store: Store, rows: np.ndarray) -> np.ndarray:
    """The digests of the dialogues of example rows, uint64, ascending, each once."""
    return np.unique(store.dialogue_digests[np.unique(store.example_turns[rows, 0])])


def in_dialogues(store: Store, rows: np.ndarray, digests: np.ndarray) -> np.ndarray:
    """Which of the example rows belong to a dialogue of one of these digests, bool [row]."""
    return np.isin(store.dialogue_digests[store.example_turns[rows, 0]], digests)


def held_out_dialogues(store: Store, examples: Examples) -> np.ndarray:
    """The rows of all dialogues that say the same as one of validation or test: nothing may be learnt from them."""
    held = dialogue_digests(store, np.concatenate([examples.valid, examples.test]))
    return np.isin(store.dialogue_digests, held).nonzero()[0]


def _fold(store: Store, owner: np.ndarray, config: FoldConfig, own: Sequence[str]) -> tuple[np.ndarray, ...]:
    pooled = np.concatenate([_rows(store, name) for name in dict.fromkeys(config.pooled or own)])
    part = list(folds(owner[pooled], config.count, config.seed))[config.index]
    return tuple(pooled[np.isin(owner[pooled], dialogues)] for dialogues in (part.train, part.valid, part.test))


def _apart(store: Store, config: DataConfig, examples: Examples) -> Examples:
    """The examples without the dialogues that stand on two sides: tests stay whole, then validation."""
    test = dialogue_digests(store, examples.test)
    keep = ~in_dialogues(store, examples.valid, test)
    valid, off_valid = examples.valid[keep], examples.valid[~keep]
    held = np.union1d(test, dialogue_digests(store, examples.valid))
    kept, off = [], []
    for rows in (examples.labelled, examples.unlabelled):
        outside = ~in_dialogues(store, rows, held)
        kept.append(rows[outside])
        off.append(rows[~outside])
    dropped = {"train": _count(store, np.concatenate(off)), "valid": _count(store, off_valid)}
    if config.overlap == "refuse" and any(dropped.values()):
        _refuse(store, np.concatenate([*off, off_valid]), dropped)
    return Examples(kept[0], kept[1], valid, examples.test, dropped)


def _refuse(store: Store, rows: np.ndarray, dropped: dict[str, int]) -> None:
    dialogue = int(store.example_turns[rows[0], 0])
    same = (store.dialogue_digests == store.dialogue_digests[dialogue]).nonzero()[0]
    places = ", ".join(f"{store.dialogue_names[row]!r} of split {store.dialogue_split(row)}" for row in same[:3])
    raise DataError(
        f"{store.path}: expected every dialogue on one side, found {dropped['train']} of training again in validation or test and "
        f"{dropped['valid']} of validation again in test (first: {places}); choose other splits, or leave them out of "
        "training and validation by data.overlap=drop"
    )


def _rows(store: Store, name: str) -> np.ndarray:
    split = store.split(name)
    return np.arange(split.start, split.stop)


def _count(store: Store, rows: np.ndarray) -> int:
    return len(np.unique(store.example_turns[rows, 0]))


def _dialogues_with_state(store: Store) -> np.ndarray:
    """bool [dialogue]: whether any turn carries a state."""
    return np.logical_or.reduceat(np.asarray(store.turn_states[:, 0]) != NONE, store.dialogue_first_turn)


def _annotated(store: Store, rows: np.ndarray) -> np.ndarray:
    """bool [row]: whether the last turn before the recommendation carries a state."""
    return np.asarray(store.turn_states[store.example_turns[rows, 1] - 1, 0]) != NONE


def _check(store: Store, config: DataConfig, examples: Examples) -> None:
    left = " after dialogues on two sides were dropped" if any(examples.dropped.values()) else ""
    if not len(examples.labelled) and not len(examples.unlabelled):
        raise DataError(f"{store.path}: expected training examples in split {config.train!r}, found none{left}")
    for name, rows in ((config.valid, examples.valid), (config.test, examples.test)):
        if not len(rows):
            raise DataError(f"{store.path}: expected examples in split {name!r}, found none{left}")
