"""Optuna's distributions, samplers and pruners, as an experiment's `search` section describes them."""

import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, PercentilePruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler

from semantic.config.search_space import Parameter, Space
from semantic.config.sweep_schema import SearchSection


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The distribution of each searched field, in an order of their own: that of the file changes nothing."""
    return {one.field: _distribution(one) for one in _in_order(space)}


def _in_order(space: Space) -> list[Parameter]:
    return sorted(space, key=lambda one: one.field)


def _distribution(one: Parameter) -> BaseDistribution:
    if one.choices is not None:
        return CategoricalDistribution(one.labels)
    if one.integer:
        return IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
    return FloatDistribution(one.low, one.high, log=one.log, step=one.step)


def make_sampler(search: SearchSection, number: int) -> BaseSampler:
    """The sampler that draws the trial of this number: with a seed of its own, so that a search that was stopped and goes
    on draws what it would have drawn. A grid's points are given (`grid_point`), and nothing of them is drawn.
    """
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    if search.sampler == "tpe":
        return TPESampler(n_startup_trials=search.startup_trials, seed=seed)
    if search.sampler == "cmaes":
        return CmaEsSampler(n_startup_trials=max(1, search.startup_trials), seed=seed)
    return RandomSampler(seed=seed)


def grid_size(space: Space) -> int:
    """The number of points of a grid, whose parameters all have points."""
    return math.prod(len(one.points() or ()) for one in space)


def grid_point(space: Space, search: SearchSection, place: int) -> dict[str, Any]:
    """A point of the grid, by its place in an order that the seed draws."""
    index = int(np.random.default_rng(search.seed).permutation(grid_size(space))[place])
    point = {}
    for one in _in_order(space):
        points = one.points() or ()
        index, here = divmod(index, len(points))
        point[one.field] = points[here]
    return point


def make_pruner(search: SearchSection, epochs: int) -> BasePruner:
    """The pruner of trials that have this many epochs."""
    begin = search.warmup_epochs + 1  # the first epoch after which a trial may be pruned
    if search.pruner == "median":
        return MedianPruner(search.startup_trials, begin)
    if search.pruner == "percentile":
        return PercentilePruner(search.percentile, search.startup_trials, begin)
    if search.pruner == "hyperband":
        return HyperbandPruner(min_resource=min(begin, epochs), max_resource=epochs)
    return NopPruner()
