"""The space that a search draws from: each field with its choices or its range, tried in configurations before anything starts."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from semantic.config.describing import shortened
from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.config.schema import Config
from semantic.config.sweep_schema import Choices, SearchedValues, SearchSection
from semantic.config.sweeps import Sweep, with_value

FIXED = (
    "experiment", "variant", "seed", "data.store", "data.train", "data.valid", "data.test", "data.fold", "data.overlap",
    "data.subset_seed", "training.validate_every", "training.selection", "training.workers", "training.threads",
    "training.compile", "evaluation",
)  # fmt: skip
"""Fields, and sections of them, that say where a trial lies, by what it is compared, or how fast it is."""

MOST_POINTS = 10_000
"""Of a grid."""

TRIED = 64
"""Values of a range of integers that are tried in a configuration; of a longer one that many, spread over it."""


@dataclass(frozen=True)
class Parameter:
    """A searched field, with choices or a range."""

    field: str
    choices: Choices | None = None
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    integer: bool = False

    @property
    def labels(self) -> tuple[Any, ...]:
        """The choices as a study stores them: numbers, words, truth values and null as they are, others as JSON."""
        return tuple(map(label, self.choices or ()))

    def value(self, drawn: Any) -> Any:
        """What the field takes where a study drew this."""
        return drawn if self.choices is None else self.choices[self.labels.index(drawn)]

    def points(self) -> tuple[Any, ...] | None:
        """All labels or numbers there are; None where there is no end of them."""
        if self.choices is not None:
            return self.labels
        step = self.step or (1 if self.integer else None)
        if step is None:
            return None
        return tuple(self.low + number * step for number in range(int((self.high - self.low) / step + 1e-9) + 1))

    def probes(self) -> tuple[Any, ...]:
        """Values of the field by which it is tried: all choices, both ends of a range, and of integers more."""
        if self.choices is not None:
            return self.choices
        points = self.points() if self.integer else None
        if points is None:
            return (self.low, self.high)
        return points if len(points) <= TRIED else (*points[:: len(points) // TRIED + 1], points[-1])

    def describe(self) -> Any:
        """The space of the field as JSON holds it."""
        if self.choices is not None:
            return list(self.choices)
        return {"low": self.low, "high": self.high, "log": self.log, "step": self.step}


Space = tuple[Parameter, ...]


def label(choice: Any) -> Any:
    """A choice as a study stores it."""
    return json.dumps(choice, sort_keys=True) if isinstance(choice, Mapping | list | tuple) else choice


def read_space(sweep: Sweep) -> tuple[Space, list[Config], list[str]]:
    """The space of a sweep's search, the configurations by which it was tried, a field of the base changed in each, and
    every fault found.
    """
    if sweep.search is None:
        return (
            (),
            [],
            ["search: expected the section that says what is searched (search: {space: {field: ...}}), got none"],
        )
    faults: list[str] = []
    space, tried = [], []
    for field, values in sweep.search.space.items():
        parameter, configs = _read(sweep, field, values, faults)
        tried += configs
        if parameter is not None:
            space.append(parameter)
    if not sweep.base.training.epochs:
        faults.append("training.epochs: expected an epoch or more for a search, which compares validations; got 0")
    if not faults:
        faults += _of_sampler(sweep.search, space)
    return tuple(space), tried, list(dict.fromkeys(faults))


def drawn_fields(sweep: Sweep, values: Mapping[str, Any]) -> dict[str, Any]:
    """The base's fields with these values of searched ones."""
    fields = dict(sweep.fields)
    for field, value in values.items():
        fields = with_value(fields, field, value)
    return fields


def _read(
    sweep: Sweep, field: str, values: Choices | SearchedValues, faults: list[str]
) -> tuple[Parameter | None, list[Config]]:
    where = f"search.space.{field}"
    if any(f"{field}.".startswith(f"{fixed}.") for fixed in FIXED):
        faults.append(
            f"{where}: expected a field of the model, of its data or of its training that makes a difference, got one that "
            "says where a trial lies, by what it is compared, or how fast it is"
        )
        return None, []
    if isinstance(values, SearchedValues):
        first = _config(sweep, field, values.low, where, faults)
        if first is None:
            return None, []
        kind = _number(first, field)
        if kind is None:
            faults.append(f"{where}: expected a list of choices for a field that is no number, got a range")
            return None, [first]
        fractions = [key for key in ("low", "high", "step") if isinstance(getattr(values, key), float)]
        if kind is int and fractions:
            faults.append(f"{where}.{fractions[0]}: expected an integer, got {getattr(values, fractions[0])!r}")
            return None, [first]
        parameter = Parameter(
            field, None, kind(values.low), kind(values.high), values.log, values.step and kind(values.step), kind is int
        )
    else:
        parameter = Parameter(field, values)
    configs = [_config(sweep, field, value, where, faults) for value in parameter.probes()]
    return parameter, [config for config in configs if config is not None]


def _config(sweep: Sweep, field: str, value: Any, where: str, faults: list[str]) -> Config | None:
    """The base with one field changed; None and one fault where that is no configuration."""
    try:
        return make_config(drawn_fields(sweep, {field: value}))
    except ConfigError as error:
        lines = [line.removeprefix("  ").removeprefix(f"{field}: ") for line in str(error).split("\n")[1:]]
        faults.append(f"{where}: {'; '.join(lines)}")
    except TypeError:
        faults.append(f"{where}: expected a field, got {shortened(repr(field))}, which lies below one")
    return None


def _number(config: Config, field: str) -> type[int] | type[float] | None:
    """The kind of number that a field takes; None where it takes none."""
    *sections, last = field.split(".")
    section: Any = config
    for name in sections:
        section = getattr(section, name)
    if not isinstance(section, BaseModel):
        return None
    kinds = set(_types(type(section).model_fields[last].annotation))
    return float if float in kinds else int if int in kinds else None


def _types(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type):
        yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def _of_sampler(search: SearchSection, space: Sequence[Parameter]) -> list[str]:
    """What a sampler cannot draw."""
    if search.sampler == "cmaes":
        choices = [one.field for one in space if one.choices is not None]
        if choices or len(space) < 2:
            found = f"choices of {choices[0]}" if choices else "one range"
            return [f"search.sampler: expected two ranges or more, and no choices, for cmaes, got {found}"]
    if search.sampler == "grid":
        points = [one.points() for one in space]
        endless = [one.field for one, values in zip(space, points, strict=True) if values is None]
        if endless:
            return [
                f"search.sampler: expected choices, integers or a step in every range for a grid, got none in {endless[0]}"
            ]
        count = math.prod(len(values) for values in points if values is not None)
        if count > MOST_POINTS:
            return [f"search.sampler: expected a grid of at most {MOST_POINTS:,} points, got {count:,}"]
    return []
