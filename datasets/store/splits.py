"""Labelled subsets and folds, drawn by dialogue."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold

from semantic.runtime.errors import DataError


def labelled_subset(dialogue_rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows belong to the drawn `share` of the dialogues, bool [rows].

    `dialogue_rows` int [rows] names the dialogue of each row (each example's, say; repeats allowed): a dialogue is in
    or out as a whole. Of the n distinct dialogues, ceil(share * n) are taken from the front of one seeded order, so
    that with one seed a smaller share lies inside a larger one.
    """
    if not 0 <= share <= 1:
        raise DataError(f"labelled share: expected a number from 0 to 1, found {share}")
    dialogues = np.unique(dialogue_rows)
    # Rounded first: 0.07 * 100 is 7.000000000000001, and its ceiling one dialogue too many.
    taken = math.ceil(round(share * len(dialogues), 9))
    order = np.random.default_rng(seed).permutation(dialogues)
    return np.isin(dialogue_rows, order[:taken])


@dataclass(frozen=True)
class Fold:
    """Dialogue rows of one fold, each int64 and ascending: disjoint, and together all dialogues."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def folds(dialogue_rows: np.ndarray, k: int, seed: int) -> Iterator[Fold]:
    """k folds over the distinct dialogues of `dialogue_rows`: fold i tests on part i and validates on part i + 1.

    Parts are scikit-learn's shuffled KFold. Needs k of 3 or more (train, valid and test) and a dialogue for each part.
    """
    dialogues = np.unique(np.asarray(dialogue_rows, dtype=np.int64))
    if k < 3:
        raise DataError(f"folds: expected 3 or more (one to test, one to validate, the rest to train), found {k}")
    if len(dialogues) < k:
        raise DataError(f"folds: expected at least {k} dialogues for {k} folds, found {len(dialogues)}")
    parts = [
        np.sort(dialogues[rows]) for _, rows in KFold(k, shuffle=True, random_state=seed).split(dialogues[:, None])
    ]
    for index, test in enumerate(parts):
        valid = parts[(index + 1) % k]
        yield Fold(np.setdiff1d(dialogues, np.concatenate([valid, test])), valid, test)
