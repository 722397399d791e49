"""Labelled subsets and folds, drawn by dialogue."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semantic.runtime.errors import DataError


def labelled_subset(dialogue_rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows belong to a random `share` of the dialogues, bool [rows].

    `dialogue_rows`, int [rows], is the dialogue of each row (of each example, say; repeats allowed): a dialogue is in or
    out as a whole. In a seeded order of the n distinct dialogues, the first ceil(share * n) are in. So with the same seed
    a smaller share lies inside a larger one.
    """
    if not 0 <= share <= 1:
        raise DataError(f"labelled share: expected a number from 0 to 1, found {share}")
    dialogues = np.unique(dialogue_rows)
    # Rounded first: 0.07 * 100 is 7.000000000000001, whose ceiling is one too many.
    taken = math.ceil(round(share * len(dialogues), 9))
    order = np.random.default_rng(seed).permutation(dialogues)
    return np.isin(dialogue_rows, order[:taken])


@dataclass(frozen=True)
class Fold:
    """The dialogues of one fold: int64, ascending, disjoint, and together all dialogues."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def folds(dialogue_rows: np.ndarray, k: int, seed: int) -> Iterator[Fold]:
    """k folds over the distinct dialogues of `dialogue_rows`.

    Fold i tests on subset i of scikit-learn's shuffled KFold and validates on subset i + 1 (modulo k). DataError where k
    is below 3 (train, valid and test) or above the number of dialogues.
    """
    from sklearn.model_selection import KFold  # more than a second to import, and most runs have no folds

    dialogues = np.unique(np.asarray(dialogue_rows, dtype=np.int64))
    if k < 3:
        raise DataError(f"folds: expected 3 or more (one to test, one to validate, the rest to train), found {k}")
    if len(dialogues) < k:
        raise DataError(f"folds: expected at least {k} dialogues for {k} folds, found {len(dialogues)}")
    subsets = [
        np.sort(dialogues[rows]) for _, rows in KFold(k, shuffle=True, random_state=seed).split(dialogues[:, None])
    ]
    for index, test in enumerate(subsets):
        valid = subsets[(index + 1) % k]
        yield Fold(np.setdiff1d(dialogues, np.concatenate([valid, test])), valid, test)
