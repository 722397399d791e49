"""The sections of an experiment's file that say which runs it has, what its report shows and what is searched."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, ValidationError, field_validator, model_validator

from semantic.config.describing import fault_line, shortened
from semantic.config.schema import Name, NaturalInt, Section, Seed

MOST_SEEDS = 1_000
_SPAN = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")
_PUBLISHED = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?: ?(?:±|\+-) ?([0-9]+(?:\.[0-9]+)?))?")


def _metric(name: str) -> str:
    if not re.fullmatch(r"(precision|recall|ndcg)@[1-9][0-9]*", name):
        raise ValueError("precision@k, recall@k or ndcg@k")
    return name


MetricName = Annotated[str, AfterValidator(_metric)]


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-2,7" -> (0, 1, 2, 7). ValueError, which says what was expected, for anything else."""
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = _SPAN.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < 2**32 or last - first >= MOST_SEEDS:
            raise ValueError(f"seeds like 0-4 or 0,3,7-9, at most {MOST_SEEDS:,} of them")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed or more, each once")
    return tuple(seeds)


class Published(Section):
    """A published row, in per cent, and where it stands: beside one of our rows, or at a place of the figure's axis."""

    name: str = Field(description="what the row is called")
    beside: str | None = Field(None, description="our row (variant) that it is the counterpart of")
    at: float | None = Field(None, description="its place on the figure's axis; null: a level line")
    values: dict[MetricName, tuple[float, float | None]] = Field(
        description="metric: value, or value ± standard deviation"
    )

    @field_validator("values", mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        return {key: _value(key, value) for key, value in values.items()} if isinstance(values, Mapping) else values


def _value(metric: str, value: Any) -> Any:
    found = _PUBLISHED.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        return float(found[1]), None if found[2] is None else float(found[2])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), None
    if isinstance(value, list | tuple) and len(value) == 2:  # as a plan's file holds it
        return tuple(value)
    raise ValueError(f"expected a number in per cent, or 63.9 ± 0.4, of {metric}, got {value!r}")


class ReportSection(Section):
    """What an experiment's report shows, beside the table of both protocols that it always has."""

    title: str = Field("", description="of the table or figure")
    figure: Literal["none", "line", "bars"] = Field(
        "none", description="a line over an axis of numbers, or a bar a variant"
    )
    axis: str | None = Field(None, description="the line's axis; null: the first one that varies")
    metrics: tuple[MetricName, ...] = Field(
        ("ndcg@5",), description="what the figure draws, and what is compared first"
    )
    protocol: Literal["standard", "released"] = Field(
        "released", description="the published values' protocol, which the figure draws"
    )
    baseline: str | None = Field(None, description="the row that others are tested against; null: the best one")
    source: str = Field("", description="where the published values are from")
    published: tuple[Published, ...] = Field((), description="published rows")
    notes: tuple[str, ...] = Field((), description="sentences beneath the table")
    costs: bool = Field(False, description="each row's parameters and the time of a run, where models are compared")

    @field_validator("metrics")
    @classmethod
    def _not_none(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if not metrics:
            raise ValueError("a metric or more")
        return metrics


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return value


Number = Annotated[float, PlainValidator(_number)]
"""A number as it is written: an integer stays one."""


class SearchedValues(Section):
    """The values a searched field may take: a range of numbers, both ends included. An integer field draws integers."""

    low: Number = Field(description="smallest")
    high: Number = Field(description="largest")
    log: bool = Field(False, description="drawn by its logarithm")
    step: Number | None = Field(None, description="distance of the values drawn; null: any number, and every integer")

    @model_validator(mode="after")
    def _is_a_range(self) -> "SearchedValues":
        if not self.low < self.high:
            raise ValueError(f"low: expected less than high, which is {self.high:g}, got {self.low:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: expected more than 0 beside log, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError(f"step: expected none beside log, got {self.step:g}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step: expected more than 0, got {self.step:g}")
        if self.step is not None:
            low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
            if (high - low) % step:
                last = low + (high - low) // step * step
                raise ValueError(f"high: expected low and a number of steps, like {last}, got {self.high:g}")
        return self


Choices = tuple[Any, ...]
"""The values a searched field may take, one by one; sections and lists too."""


class SearchSection(Section):
    """What `semantic tune` searches, and how."""

    space: dict[str, Choices | SearchedValues] = Field(
        description="field: a list of choices, or {low, high, log, step}", min_length=1
    )
    sampler: Literal["tpe", "random", "grid", "cmaes"] = Field(
        "tpe", description="of optuna; grid tries every combination once"
    )
    startup_trials: NaturalInt = Field(
        10, description="trials drawn at random before the sampler learns, and finished ones before any is pruned"
    )
    pruner: Literal["none", "median", "hyperband", "percentile"] = Field(
        "median", description="of optuna: ends trials that are worse than others after as many epochs"
    )
    warmup_epochs: NaturalInt = Field(0, description="epochs of a trial in which it is not pruned")
    percentile: Annotated[float, Field(gt=0, lt=100)] = Field(
        25.0, description="the pruner `percentile` keeps trials that are among so many per cent of the best"
    )
    seed: Seed = Field(0, description="of the sampler: the same trials are drawn, whatever interrupts the search")


def parse_space(section: Any, faults: list[str]) -> Any:
    """The section `search` with each field's values as choices or as a range; those with faults are left out, and said."""
    if not isinstance(section, Mapping) or not isinstance(section.get("space"), Mapping):
        return section
    if not section["space"]:
        faults.append("search.space: expected a field or more, got none")
    found: dict[str, Choices | SearchedValues] = {}
    for key, values in section["space"].items():
        where = f"search.space.{key}"
        if isinstance(values, list) and values:
            twice = next((one for place, one in enumerate(values) if one in values[:place]), None)
            if twice is not None:
                faults.append(f"{where}: expected each choice once, got {shortened(repr(twice))} twice")
            found[key] = tuple(values)
        elif isinstance(values, Mapping) and values:
            try:
                found[key] = SearchedValues.model_validate(values)
            except ValidationError as error:
                faults += [_within(where, fault_line(one, SearchedValues)) for one in error.errors()]
        else:
            faults.append(
                f"{where}: expected a list of choices or {{low, high, log, step}}, got {shortened(repr(values))}"
            )
    return {**section, "space": found} if found else None


def _within(where: str, fault: str) -> str:
    """A fault of a range as one of the field that it is for; "together" stands where it is of no single key."""
    return f"{where}: {fault.removeprefix('together: ')}" if fault.startswith("together: ") else f"{where}.{fault}"


class SweepSections(Section):
    """The sections beside the fields of a run."""

    seeds: tuple[Seed, ...] = Field((), description="a run each, in place of `seed`: a list, or 0-4")
    folds: Annotated[int, Field(ge=0, le=1_000)] = Field(
        0, description="cross-validation by dialogue over this many folds, each a run; 0: none"
    )
    vary: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="field: its values, a list or {name: value}; all combinations are run"
    )
    variants: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="name: the fields that it changes, and `when` it exists; or the experiment whose variants are meant",
    )
    report: ReportSection = ReportSection()
    search: SearchSection | None = None

    @field_validator("seeds", mode="before")
    @classmethod
    def _range(cls, seeds: Any) -> Any:
        if isinstance(seeds, str):
            return parse_seeds(seeds)
        if not isinstance(seeds, tuple):
            raise ValueError("a list of seeds, or a range like 0-4")
        if not seeds or len(set(map(repr, seeds))) < len(seeds):
            raise ValueError("a seed or more, each once")
        return seeds

    @field_validator("folds", mode="after")
    @classmethod
    def _enough(cls, folds: int) -> int:
        if folds in (1, 2):
            raise ValueError("0, or 3 or more (to test, to validate, to train)")
        return folds

    @field_validator("variants", mode="before")
    @classmethod
    def _variants(cls, variants: Any) -> Any:
        if not isinstance(variants, Mapping):
            return variants
        if not variants:
            raise ValueError("expected a variant or more, got none")
        return {name: {} if changes is None else changes for name, changes in variants.items()}


def parse_axes(axes: Any, faults: list[str]) -> Any:
    """The section `vary` with each axis as {name in a run's name: value}; those with faults are left out, and said."""
    if not isinstance(axes, Mapping):
        return axes
    if not axes:
        faults.append("vary: expected an axis or more, got none")
    found = {}
    for key, values in axes.items():
        try:
            found[key] = _points(key, values)
        except ValueError as error:
            faults.append(f"vary.{key}: expected {error}")
    return found


def _points(key: str, values: Any) -> Any:
    """The values of an axis, a list or {name: value}, by their names. ValueError, which says what was expected."""
    if isinstance(values, Mapping) and values:
        return {f"{_last(key)}={name}": value for name, value in values.items()}
    if not isinstance(values, list) or not values:
        raise ValueError(f"a list of values or {{name: value}}, got {values!r}")
    named: dict[str, Any] = {}
    for value in values:
        if isinstance(value, Mapping):
            raise ValueError(f"names for values that are sections, {{name: value}}, got {value!r}")
        name = f"{_last(key)}={_word(value)}"
        if name in named:
            raise ValueError(f"each value once, got {_word(value)} twice")
        named[name] = value
    return named


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _word(value: Any) -> str:
    """A value as a part of a folder's name."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, list | tuple):
        return "+".join(map(_word, value)) or "none"
    return re.sub(r"[^\w.+-]+", "-", f"{value:g}" if isinstance(value, float) else str(value)).strip("-") or "empty"
