"""Means with confidence intervals, by bootstrap over groups of observations that belong together."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 2_000
LEVEL = 0.95
NUMBERS_AT_ONCE = 4_000_000  # bounds the memory of the resamples


@dataclass(frozen=True)
class Intervals:
    """Means and the two ends of their confidence intervals, float64 [metric]; the ends are NaN where there is no interval."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap_means(
    values: np.ndarray,
    groups: Sequence[Hashable] | np.ndarray,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Intervals:
    """The mean of each metric over its observations, `values` [metric, observation], with a percentile bootstrap interval.

    Observations of one group (queries of a dialogue, votes on a turn) depend on each other: groups are drawn with
    replacement, each with all its observations, and a resample's mean is its sum over its number of observations. Of a
    single group nothing can be said, and its interval is NaN. The bootstrap is `scipy.stats.bootstrap` (Efron, 1979).

    Raises:
        ValueError: there is no observation, or not one group an observation.
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if not values.shape[1] or values.shape[1] != len(groups):
        raise ValueError(f"expected observations, and a group of each, got {values.shape[1]} and {len(groups)} groups")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    rows, size = [numbers[group] for group in groups], len(numbers)
    totals = np.stack(
        [np.bincount(rows, one, size) for one in [*values, np.ones(len(rows))]], axis=1
    )  # [group, metric + 1]
    mean = values.mean(axis=1)
    if size < 2:
        return Intervals(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))

    def means(drawn: np.ndarray, axis: int) -> np.ndarray:
        """[metric, resample]: of resamples [resample, group], or of one, each a list of the groups drawn."""
        drawn = np.atleast_2d(np.moveaxis(drawn, axis, -1))
        places = drawn + size * np.arange(len(drawn))[:, None]
        times = np.bincount(places.ravel(), minlength=size * len(drawn)).reshape(-1, size)  # how often each was drawn
        found = (times @ totals).T
        return found[:-1] / found[-1]

    found = bootstrap(
        (np.arange(size),),
        means,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, NUMBERS_AT_ONCE // size),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Intervals(mean, found.low, found.high)
