"""Runs of one configuration together: a group differs in seed and fold alone, and its runs may be averaged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semantic.config.schema import WITHOUT_EFFECT
from semantic.config.values import dotted
from semantic.runs.reading import CONFIG, Run
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

REPLICATES = {"seed", "data.fold.index", "data.test"}
"""Keys in which the runs of a group may differ; what they are tested on, their summaries say."""

FREE = {"training.threads", *WITHOUT_EFFECT}
"""Keys that change no result."""

TRAINED_ON = 12
SHOWN_KEYS, SHOWN_CHARACTERS = 3, 24

Settings = dict[str, str]
"""A configuration by dotted key, each value as JSON."""


@dataclass(frozen=True)
class Group:
    """Runs of one experiment, variant and configuration, evaluated on one split of one store, each seed and fold once.

    `label` says what tells the group from others of its experiment and variant; it is empty where there are none.
    """

    runs: tuple[Run, ...]
    settings: Settings | None  # None: the run has no config.yaml, and stands alone
    label: str = ""

    @property
    def name(self) -> str:
        """ "demo/base [training.learning_rate=0.01]"."""
        return self.runs[0].name + self.label

    @property
    def variant(self) -> str:
        return self.runs[0].summary.variant + self.label

    @property
    def queries(self) -> frozenset[str]:
        """The sets of queries the runs were evaluated on: one a fold, whatever the seed."""
        return frozenset(run.summary.queries for run in self.runs)

    @property
    def seeds(self) -> list[int]:
        return sorted({run.summary.seed for run in self.runs})

    @property
    def folds(self) -> list[int]:
        """The folds that the runs are of; none without a cross-validation."""
        return sorted({run.summary.fold.index for run in self.runs if run.summary.fold is not None})

    @property
    def size(self) -> str:
        """ "3 seeds", "5 folds" or "3 seeds x 5 folds"; with the number of runs where some of these are missing."""
        seeds, folds = len(self.seeds), len(self.folds)
        parts = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((seeds, "seed"), (folds, "fold")) if n]
        text = " x ".join(parts[1:] if folds and seeds == 1 else parts)
        return text if len(self.runs) == seeds * max(1, folds) else f"{len(self.runs)} runs of {text}"

    @property
    def seen(self) -> int:
        """The most dialogues that a run both learned from (training, or choice of weights) and was evaluated on."""
        return max(run.summary.seen.train + run.summary.seen.valid for run in self.runs)

    @property
    def reads_gold_states(self) -> bool:
        """Whether the runs rank by the gold state: an upper bound."""
        return any(run.summary.reads_gold_states for run in self.runs)

    @property
    def num_folds(self) -> int:
        """How many folds the whole cross-validation has; 0 without one."""
        fold = self.runs[0].summary.fold
        return 0 if fold is None else fold.count

    @property
    def missing(self) -> dict[int, list[int]]:
        """The folds that a seed's cross-validation lacks, by seed, where there are any."""
        there = {(run.summary.seed, run.summary.fold.index) for run in self.runs if run.summary.fold is not None}
        absent = {seed: [k for k in range(self.num_folds) if (seed, k) not in there] for seed in self.seeds}
        return {seed: folds for seed, folds in absent.items() if folds}


def group_runs(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """The groups of runs, in order of their first runs, and a warning for each run that is another's double.

    Runs are of one group where all of config.yaml is equal but the seed, the number of the fold, the evaluated split and
    what changes no result. Of the store that a run was trained on, the content counts; where no file says it, the path,
    unless it is the store that was evaluated. Of runs with the same seed and fold the first is kept.

    Raises:
        DataError: a configuration is damaged.
    """
    found: dict[Any, dict[Any, Run]] = {}
    settings: dict[Any, Settings | None] = {}
    warnings = []
    for run in runs:
        own = _settings(run)
        one, fold = run.summary, run.summary.fold
        key = (
            *(one.experiment, one.variant, one.identity, one.split),
            # Without folds all runs of a group rank the same queries; those of folds differ by fold.
            one.queries if fold is None else (fold.count, fold.seed, fold.pooled),
            run.path.resolve() if own is None else tuple(sorted(own.items())),
        )
        place = (one.seed, None if fold is None else fold.index)
        settings[key] = own
        first = found.setdefault(key, {}).setdefault(place, run)
        if first is not run:
            warnings.append(
                f"{visible(str(run.path))}: {run.place} of {run.name} is there twice, left out; "
                f"kept: {visible(str(first.path))}."
            )
    groups = [Group(tuple(places.values()), settings[key]) for key, places in found.items()]
    return _labelled(groups), warnings


def _settings(run: Run) -> Settings | None:
    if run.config is None:
        return None
    where = run.path / CONFIG
    flat = {}
    try:
        for key, value in dotted(run.config).items():
            if key not in REPLICATES | FREE:
                flat[key] = json.dumps(value, default=str, ensure_ascii=False)
        if run.trained_on is not None:
            return flat | {"data.store": run.trained_on[:TRAINED_ON]}  # what it holds, in place of its path
        data = run.config.get("data")
        trained_on = data.get("store") if isinstance(data, Mapping) else None
        if isinstance(trained_on, str) and Path(trained_on).resolve() == Path(run.summary.store).resolve():
            del flat["data.store"]  # the evaluated store, whose identity says more than its path
    except TypeError as error:  # keys of a kind that JSON lacks, in a list
        raise DataError(f"{where}: expected a run's configuration, found: {error}") from error
    return flat


def _labelled(groups: Sequence[Group]) -> list[Group]:
    """The groups, each with what tells it from the others of its experiment and variant."""
    result = []
    for group in groups:
        rivals = [other for other in groups if other.runs[0].name == group.runs[0].name]
        alone = len(rivals) > 1 and group.settings is None
        shown = f"no {CONFIG}: {group.runs[0].path}" if alone else _differences(group, rivals)
        result.append(replace(group, label=f" [{visible(shown)}]" if shown else ""))
    return result


def _differences(group: Group, rivals: Sequence[Group]) -> str:
    """The group's values of keys in which its rivals' configurations differ: as many as tell all apart, three if there are."""
    known = [other.settings for other in rivals if other.settings is not None]
    keys = list(dict.fromkeys(key for settings in known for key in settings))
    differing = [key for key in keys if len({settings.get(key) for settings in known}) > 1]
    telling: list[str] = []
    apart = 1
    for key in differing:
        kinds = len({tuple(settings.get(one) for one in (*telling, key)) for settings in known})
        if kinds > apart:
            telling, apart = [*telling, key], kinds
    more = [key for key in differing if key not in telling][: max(0, SHOWN_KEYS - len(telling))]
    values = group.settings or {}
    shown = [f"{key}={_short(values.get(key))}" for key in differing if key in {*telling, *more}]
    return ", ".join(shown + ["..."] * (len(shown) < len(differing)))


def _short(value: str | None) -> str:
    """A value as a label shows it: a word without quotes, and of a long one its two ends."""
    if value is None:
        return "absent"
    bare = value[1:-1] if value.startswith('"') else value
    half = SHOWN_CHARACTERS // 2
    return bare if len(bare) <= SHOWN_CHARACTERS else f"{bare[:half]}...{bare[-half:]}"
