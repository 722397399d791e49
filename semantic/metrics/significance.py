"""Is one variant better than another on the same queries, or lucky? A paired test over dialogues."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

Values = Sequence[float] | np.ndarray
Key = TypeVar("Key", bound=Hashable)

FLIPS = 10_000
FLIPS_AT_ONCE = 1_000  # bounds the matrix of signs


def paired_test(
    first: Values, second: Values, groups: Sequence[Hashable], *, flips: int = FLIPS, seed: int = 0
) -> float:
    """Two-sided p-value of a paired sign-flip permutation test on per-query values [query] of two methods.

        p = (1 + |{flips : |T_flipped| >= |T|}|) / (1 + flips),     T = sum over queries of first - second

    If the methods were alike, either could have given either value: each difference keeps or changes its sign with
    even odds. Queries of one group (a dialogue) change it together, as their outcomes hang together. The smallest p
    there is is 1 / (1 + flips).

    Raises:
        ValueError: the three differ in length.
    """
    if not len(first) == len(second) == len(groups):
        raise ValueError(
            f"paired_test: expected one value of each method and one group a query, "
            f"got {len(first)}, {len(second)} and {len(groups)}"
        )
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    differences = np.bincount(
        [numbers[group] for group in groups], weights=np.asarray(first) - np.asarray(second), minlength=1
    )
    generator = np.random.default_rng(seed)
    # Sums that are equal in exact arithmetic may differ in their last bits, and must count as reached.
    reached = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    count = 0
    for start in range(0, flips, FLIPS_AT_ONCE):
        signs = generator.integers(0, 2, size=(min(FLIPS_AT_ONCE, flips - start), len(differences))) * 2 - 1
        count += int((np.abs(signs @ differences) >= reached).sum())
    return (1 + count) / (1 + flips)


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """p-values corrected for their number (Holm, 1979): sorted ascending, p_(i) * (m - i) for i = 0 .. m - 1, made
    non-decreasing and cut at 1. Rejecting where the result is below a level keeps the chance of any false claim there.
    """
    adjusted: dict[Key, float] = {}
    highest = 0.0
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        highest = max(highest, min(1.0, p_values[key] * (len(p_values) - place)))
        adjusted[key] = highest
    return adjusted
