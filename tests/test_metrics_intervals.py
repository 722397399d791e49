"""Means with intervals over groups: known means, known resamples, and what one group cannot say."""

import numpy as np
import pytest

from semantic.metrics.intervals import bootstrap_means


def test_the_mean_is_of_observations_not_of_groups():
    found = bootstrap_means(np.array([[1.0, 1.0, 1.0, 0.0]]), ["a", "a", "a", "b"], resamples=7)
    assert found.mean.tolist() == [3 / 4]


def test_the_interval_is_the_quantiles_of_means_over_drawn_groups():
    rng = np.random.default_rng(5)
    values, groups = rng.random((2, 23)), rng.integers(0, 7, 23)
    found = bootstrap_means(values, groups, resamples=3000, seed=1)
    names = np.unique(groups)
    draws = np.random.default_rng(2).integers(0, len(names), (3000, len(names)))
    means = np.array(
        [np.concatenate([values[:, groups == names[n]] for n in draw], axis=1).mean(axis=1) for draw in draws]
    )
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found.low, low, atol=0.02)
    np.testing.assert_allclose(found.high, high, atol=0.02)


def test_observations_of_one_group_are_drawn_together():
    values = np.repeat([0.0, 1.0], 50)
    apart = bootstrap_means(values, list(range(100)))
    together = bootstrap_means(values, ["low"] * 50 + ["high"] * 50)
    assert apart.high - apart.low < 0.25
    assert (together.low[0], together.high[0]) == (0.0, 1.0)  # of two groups, one is often drawn twice


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values = np.random.default_rng(0).random(31)
    ends = [bootstrap_means(values, range(31), seed=seed).low[0] for seed in (3, 3, 5)]
    assert ends[0] == ends[1] != ends[2]


def test_a_constant_has_an_interval_of_no_length_and_one_group_none():
    constant = bootstrap_means(np.full((1, 5), 0.25), range(5), resamples=11)
    assert (constant.low[0], constant.high[0]) == (0.25, 0.25)
    alone = bootstrap_means(np.array([0.0, 1.0]), ["a", "a"])
    assert alone.mean[0] == 0.5
    assert np.isnan([alone.low[0], alone.high[0]]).all()


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0, 2.0], ["a"])])
def test_observations_without_groups_are_refused(values, groups):
    with pytest.raises(ValueError, match="expected observations, and a group of each"):
        bootstrap_means(np.array(values), groups)
