"""How far people who judged the same units agree."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations

Unit = Sequence[Hashable]
"""The values that judges gave one unit, those that are missing left out."""


def krippendorff_alpha(units: Iterable[Unit]) -> float:
    """Krippendorff's alpha of nominal values: 1 is agreement on every unit, 0 what chance gives, below 0 is worse than chance.

        alpha = 1 - (n - 1) * D / E
        D = sum over units u of the ordered pairs of unequal values in u / (m_u - 1),     m_u the number of values in u
        E = sum over values c != k of n_c n_k,     n_c how often c stands in units of at least two values, n their sum

    Judges may have left units out: a unit with fewer than two values can be compared with nothing and does not count. NaN
    where no unit has two values, or all values are the same: chance is then not known.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011). Fleiss' and Cohen's kappa ask that every
    judge has judged every unit. The package `krippendorff` computes the same, but its licence (GPL) is not this package's.
    """
    counted = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(counted, Counter())
    n = totals.total()
    expected = n**2 - sum(count**2 for count in totals.values())
    if not expected:
        return math.nan
    unequal = math.fsum((one.total() ** 2 - sum(c**2 for c in one.values())) / (one.total() - 1) for one in counted)
    return 1 - (n - 1) * unequal / expected


def pairwise_agreement(units: Iterable[Unit]) -> float:
    """The share of equal values among all pairs of values of a unit, over all units; NaN where there is no pair."""
    equal = [one == other for unit in units for one, other in combinations(unit, 2)]
    return sum(equal) / len(equal) if equal else math.nan
