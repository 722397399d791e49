"""Paired tests of methods on the same queries, by permutation over dialogues, and the correction for several tests."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy.stats import permutation_test

Values = Sequence[float] | np.ndarray
Key = TypeVar("Key", bound=Hashable)

FLIPS = 10_000
SIGNS_AT_ONCE = 250_000  # bounds the memory of the permutations
FEWEST_FLIPS = 128  # at once all the same: scipy goes through the groups one by one, for each part anew


def paired_test(
    first: Values, second: Values, groups: Sequence[Hashable], *, flips: int = FLIPS, seed: int = 0
) -> float:
    """Two-sided p-value of a paired permutation test on per-query values [query] of two methods: `paired_tests` of one pair."""
    return paired_tests({0: first, 1: second}, groups, flips=flips, seed=seed)[0, 1]


def paired_tests(
    values: Mapping[Key, Values], groups: Sequence[Hashable], *, flips: int = FLIPS, seed: int = 0
) -> dict[tuple[Key, Key], float]:
    """Two-sided p-values of `difference_tests`, one of each pair of methods, from per-query values [query].

    Raises:
        ValueError: a method's values and the groups differ in length, or a value is not finite.
    """
    for method, one in values.items():
        if len(one) != len(groups):
            raise ValueError(f"{method}: expected {len(groups)} values, one a query, got {len(one)}")
    differences = {(a, b): np.asarray(values[a]) - np.asarray(values[b]) for a, b in combinations(values, 2)}
    return difference_tests(differences, groups, flips=flips, seed=seed)


def difference_tests(
    differences: Mapping[Key, Values], groups: Sequence[Hashable], *, flips: int = FLIPS, seed: int = 0
) -> dict[Key, float]:
    """Two-sided p-values of permutation tests on per-query differences [query] of two methods, one of each pair.

        p = (1 + |{flips : |T_flipped| >= |T|}|) / (1 + flips),     T = sum over queries of the difference

    If two methods were alike, either could have given either value: each difference keeps or changes its sign with
    even odds. Queries of one group (a dialogue) change sign together, because their outcomes depend on each other. The
    smallest p is 1 / (1 + flips). Where the 2^groups patterns of signs are no more than `flips`, each is taken once and
    p is exact: the share of the patterns with |T_flipped| >= |T|. The test is `scipy.stats.permutation_test` with
    permutation_type="samples".

    Raises:
        ValueError: a pair's differences and the groups differ in length, or a difference is not finite.
    """
    for pair, one in differences.items():
        if len(one) != len(groups):
            raise ValueError(f"{pair}: expected {len(groups)} differences, one a query, got {len(one)}")
        if not np.isfinite(one).all():
            raise ValueError(f"{pair}: expected finite differences, got {np.asarray(one)[~np.isfinite(one)][0]}")
    if not differences:
        return {}
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    rows = [numbers[group] for group in groups]
    # scipy asks for two observations at least; a group whose difference is zero changes no sum.
    size = max(2, len(numbers))
    sums = np.stack([np.bincount(rows, one, size) for one in differences.values()], axis=1)  # [group, pair]
    # Sums that are equal in exact arithmetic may differ in their last bits, and must count as reached.
    reached = abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)

    def reaches(signs: np.ndarray, axis: int) -> np.ndarray:
        """[..., pair]: 1 where the flipped sum is as large as the observed one."""
        return (np.abs(np.moveaxis(signs, axis, -1) @ sums) >= reached).astype(float)

    # The permuted sample is the signs themselves, so that one set of flips serves all pairs.
    with np.errstate(over="ignore"):  # scipy 1.15 counts the patterns of signs as a float
        found = permutation_test(
            (np.ones(size),),
            reaches,
            permutation_type="samples",
            vectorized=True,
            n_resamples=flips,
            batch=max(FEWEST_FLIPS, SIGNS_AT_ONCE // size),
            alternative="greater",
            rng=np.random.default_rng(seed),
        )
    return {pair: float(p) for pair, p in zip(differences, found.pvalue, strict=True)}


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """p-values corrected for their number (Holm, 1979): sorted ascending, p_(i) * (m - i) for i = 0 .. m - 1, made
    non-decreasing and cut at 1. Rejecting where the result is below a level keeps the chance of any false claim there.

    scipy has no Holm correction (`false_discovery_control` is another criterion), and statsmodels, which has it, would be
    a large dependency for these lines.
    """
    adjusted: dict[Key, float] = {}
    highest = 0.0
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        highest = max(highest, min(1.0, p_values[key] * (len(p_values) - place)))
        adjusted[key] = highest
    return adjusted
