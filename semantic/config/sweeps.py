"""An experiment's file as its runs: named variants and axes over a base, each with several seeds and folds."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from semantic.config.describing import describe_config, fault_line, is_key, shortened
from semantic.config.errors import ConfigError
from semantic.config.layers import Overrides, assign, laid_over, merge, override_lines, read_experiment
from semantic.config.loading import make_config, together
from semantic.config.registry import MODELS, find_model
from semantic.config.schema import SEVERAL, SWEEP, Config
from semantic.config.sweep_schema import ReportSection, SearchSection, SweepSections, parse_axes, parse_space
from semantic.config.values import dotted

MOST_CELLS = 10_000
WHEN, NOT = "when", ".not"
"""Key of a variant: the values of the base, one or a list of them, with which it exists; below a key, those with which not."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: its configuration, the variant it is of (empty where none is named) and its place on each axis.

    `config.variant` joins the variant and the places into the name of a folder: "full,labelled_share=0.05".
    """

    config: Config
    variant: str
    point: Mapping[str, Any]

    @property
    def name(self) -> str:
        """ "labelled_share=0.05, seed 1, fold 2"."""
        fold = self.config.data.fold
        return f"{self.config.variant}, seed {self.config.seed}" + (f", fold {fold.index}" if fold.count else "")


@dataclass(frozen=True)
class Sweep:
    """An experiment: its cells in order of variants, axes, seeds and folds, and what its report and its search are.

    `base` is the configuration without variants and axes, made of `fields`. `left_out` says of each variant that does not exist here why.
    """

    name: str
    base: Config
    fields: Mapping[str, Any]
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...]
    report: ReportSection
    search: SearchSection | None

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the cells' folders, each once: the rows of a table."""
        return tuple(dict.fromkeys(cell.config.variant for cell in self.cells))


def has_several_runs(experiment: str, overrides: Sequence[str] = ()) -> bool:
    """Whether an experiment's file, with its overrides, is of several runs. ConfigError where it cannot be read."""
    values, _ = read_experiment(experiment, overrides)
    return any(values.get(section) for section in SEVERAL)


def describe_sweep(sweep: Sweep) -> str:
    """The configuration beneath all runs, every field with what it means; then, as comments, what each variant changes."""
    lines = [describe_config(sweep.base), f"# {len(sweep.cells)} runs. Beside seed and fold they differ in:"]
    own = {cell.config.variant: dotted(cell.config.model_dump(mode="json")) for cell in reversed(sweep.cells)}
    known = dotted(sweep.base.model_dump(mode="json"))
    for variant in sweep.variants:
        changed = {
            key: value
            for key, value in own[variant].items()
            if known.get(key, ...) != value and key not in ("variant", "seed", "data.fold.index")
        }
        shown = ", ".join(f"{key}: {json.dumps(value)}" for key, value in changed.items())
        lines.append(f"#   {variant}: {shown or 'nothing'}")
    return "\n".join([*lines, *(f"#   {line}" for line in sweep.left_out)])


def load_sweep(experiment: str | Path, overrides: Overrides = ()) -> Sweep:
    """The sweep of an experiment's file; an experiment that varies nothing is one of its seeds and folds.

    An override lies beneath variants and axes, and must not be a key that these change; `base=...` takes another base.

    Raises:
        ConfigError: every fault at once.
    """
    experiment = str(experiment)
    sweep, faults = read_sweep(experiment, override_lines(overrides))
    if faults or sweep is None:
        raise together(experiment, faults)
    return sweep


def read_sweep(experiment: str, overrides: Sequence[str] = ()) -> tuple[Sweep | None, list[str]]:
    """The sweep and every fault found; None where not even the base holds. With faults its cells may be fewer.

    Raises:
        ConfigError: a file that is not there, or no YAML.
    """
    values, faults = read_experiment(experiment, overrides)
    fields = {key: value for key, value in values.items() if key not in SWEEP}
    sections = _sections({key: values[key] for key in SWEEP if key in values}, faults)
    if sections.folds:
        fields = merge(fields, {"data": {"fold": {"count": sections.folds}}})
    faults += _overridden(sections, overrides)
    base = _config(fields, "", faults)
    variants, left_out = _variants(sections, fields, base, faults)
    for axis, points in sections.vary.items():
        for value in points.values():
            _config(with_value(fields, axis, value), "vary: ", faults)
    faults = list(dict.fromkeys(faults))
    if base is None:
        return None, faults
    cells, twins = ((), ()) if faults else _each_once(list(_cells(sections, fields, variants, faults)))
    sweep = Sweep(base.experiment, base, fields, tuple(cells), (*left_out, *twins), sections.report, sections.search)
    return sweep, [*faults, *_of_report(sweep, sections)]


def _sections(values: Mapping[str, Any], faults: list[str]) -> SweepSections:
    """The sections that hold; of one with faults the default."""
    held = dict(values)
    if "vary" in held:
        held["vary"] = parse_axes(held["vary"], faults)
    if "search" in held:
        held["search"] = parse_space(held["search"], faults)
    while True:
        try:
            return SweepSections.model_validate(held)
        except ValidationError as error:
            faults += [fault_line(one, SweepSections) for one in error.errors()]
            for one in error.errors():
                _leave_out(held, one["loc"])


def _leave_out(held: dict[str, Any], place: Sequence[Any]) -> None:
    """Take a section out that has a fault; of a search the faulty field alone, so that its space is read all the same."""
    section, *below = map(str, place)
    search = held.get("search")
    if section == "search" and below and isinstance(search, Mapping) and below[0] in search and below[0] != "space":
        held["search"] = {key: value for key, value in search.items() if key != below[0]}
    else:
        held.pop(section, None)


def _config(fields: Mapping[str, Any], where: str, faults: list[str]) -> Config | None:
    """A configuration, or None and those of its faults, each after `where`, that are not there yet."""
    try:
        return make_config(fields)
    except ConfigError as error:
        lines = [line.removeprefix("  ") for line in str(error).split("\n")[1:]]
        faults += [where + line for line in lines if line not in faults]
        return None


def with_value(fields: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The fields with the value of one, by its dotted key, laid over them."""
    layer: dict[str, Any] = {}
    assign(layer, key.split("."), value)
    return laid_over(fields, layer)


def _layer(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's changes with its dotted keys as sections."""
    layer: dict[str, Any] = {}
    for key, value in changes.items():
        if key != WHEN:
            below: dict[str, Any] = {}
            assign(below, key.split("."), value)
            layer = merge(layer, below)
    return layer


def _overridden(sections: SweepSections, overrides: Sequence[str]) -> list[str]:
    keys = [override.partition("=")[0].strip() for override in overrides]
    changed = {
        key: f"the variant {name}" for name, changes in sections.variants.items() for key in dotted(_layer(changes))
    }
    changed |= dict.fromkeys(sections.vary, "vary")
    changed |= {"seed": "seeds"} if sections.seeds else {}
    changed |= {"variant": "variants"} if sections.variants else {"variant": "vary"} if sections.vary else {}
    changed |= dict.fromkeys(("data.fold.count", "data.fold.index"), "folds") if sections.folds else {}
    faults = [
        f"--set {key}: expected a field that nothing varies, but {changed[key]} does" for key in keys if key in changed
    ]
    changed |= {key: f"--set {key}" for key in keys}
    for field in sections.search.space if sections.search is not None else ():
        by = [
            how
            for key, how in changed.items()
            if f"{key}.".startswith(f"{field}.") or f"{field}.".startswith(f"{key}.")
        ]
        faults += [f"search.space.{field}: expected a field that nothing else changes, but {by[0]} does"] if by else []
    return faults


def _variants(
    sections: SweepSections, fields: Mapping[str, Any], base: Config | None, faults: list[str]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The fields of each variant that exists with this base, and why the others do not."""
    known = {} if base is None else dotted(base.model_dump(mode="json"))
    found: dict[str, dict[str, Any]] = {}
    left_out = []
    for name, changes in sections.variants.items():
        conditions = changes.get(WHEN, {})
        if not isinstance(conditions, Mapping):
            faults.append(f"variants.{name}.{WHEN}: expected {{field: value}}, got {shortened(repr(conditions))}")
            continue
        unknown = [key for key in dotted(conditions) if base is not None and not _is_key(key.removesuffix(NOT), base)]
        faults += [f"variants.{name}.{WHEN}.{key}: no such key" for key in unknown]
        unmet = [
            f"{key.removesuffix(NOT)} is {json.dumps(known.get(key.removesuffix(NOT)))}"
            for key, wanted in dotted(conditions).items()
            if (known.get(key.removesuffix(NOT)) in (wanted if isinstance(wanted, list) else [wanted]))
            == key.endswith(NOT)
        ]
        if unmet and base is not None:
            left_out.append(f"{name}: left out, for {' and '.join(unmet)}")
            continue
        found[name] = laid_over(fields, _layer(changes))
        _config(found[name], f"variants.{name}: ", faults)
    if sections.variants and not found and not faults:
        faults.append(f"variants: expected one that exists here, got none ({'; '.join(left_out)})")
    return found or {"": dict(fields)}, left_out


def _is_key(key: str, base: Config) -> bool:
    """Whether a field of this name exists with any model: a base of another one has it not, and counts as null there."""
    return any(is_key(key.split("."), find_model(name).Config) for name in (base.model.name, *MODELS))


def _cells(
    sections: SweepSections, fields: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]], faults: list[str]
) -> Iterator[Cell]:
    seeds = sections.seeds or (fields.get("seed", 0),)
    size = len(variants) * len(seeds) * max(1, sections.folds)
    for points in sections.vary.values():
        size *= len(points)
    if size > MOST_CELLS:
        faults.append(f"experiment: expected at most {MOST_CELLS:,} runs, got {size:,}")
        return
    for name, changed in variants.items():
        for chosen in itertools.product(*(points.items() for points in sections.vary.values())):
            values = dict(changed)
            point = {}
            for axis, (_, value) in zip(sections.vary, chosen, strict=True):
                values = with_value(values, axis, value)
                point[axis] = value
            parts = [name] * bool(name) + [label for label, _ in chosen]
            if parts:
                values["variant"] = ",".join(parts)
            for seed, fold in itertools.product(seeds, range(max(1, sections.folds))):
                one = merge(values, {"seed": seed} | ({"data": {"fold": {"index": fold}}} if sections.folds else {}))
                config = _config(one, f"{values.get('variant', 'run')}: ", faults)
                if config is None:
                    break
                yield Cell(config, name, point)


def _each_once(cells: Sequence[Cell]) -> tuple[list[Cell], list[str]]:
    """The cells without those whose configuration an earlier one has, and what was left out."""
    kept: dict[str, Cell] = {}
    left_out = []
    for cell in cells:
        first = kept.setdefault(cell.config.model_copy(update={"variant": "base"}).model_dump_json(), cell)
        if first is not cell:
            left_out.append(f"{cell.config.variant}: left out, for with this base it is {first.config.variant}")
    return list(kept.values()), list(dict.fromkeys(left_out))


def _of_report(sweep: Sweep, sections: SweepSections) -> list[str]:
    """Rows and axes that a report names and the sweep has not."""
    faults, report = [], sweep.report
    axes = ", ".join(sections.vary) or "none, for nothing varies"
    if report.axis is not None and report.axis not in sections.vary:
        faults.append(f"report.axis: expected one of vary ({axes}), got {report.axis!r}")
    if report.figure == "line" and not sections.vary:
        faults.append("report.figure: expected an axis in vary for a line, got none")
    if sweep.cells and not sweep.left_out:
        named = {"report.baseline": report.baseline}
        named |= {f"report.published ({one.name}).beside": one.beside for one in report.published}
        faults += [
            f"{key}: expected one of {', '.join(sweep.variants)}, got {row!r}"
            for key, row in named.items()
            if row is not None and row not in sweep.variants
        ]
    return faults
