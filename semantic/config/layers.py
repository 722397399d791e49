"""Experiment files, and the experiments they are based on, as layers of values that have not been checked."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from semantic.config.describing import shortened
from semantic.config.errors import ConfigError
from semantic.config.registry import DEFAULT, find_model
from semantic.config.schema import SWEEP
from semantic.config.values import MOST_DEPTH, dotted, read_yaml, read_yaml_file

Overrides = Sequence[str] | Mapping[str, Any]
"""`["a.b=c"]`, as on the command line, or {"a.b": c}."""


def override_lines(overrides: Overrides) -> list[str]:
    """Overrides as on the command line. TypeError for a value that YAML has not."""
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides)


def experiments() -> tuple[str, ...]:
    """Names of the shipped experiments."""
    files = resources.files("semantic.experiments").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def read_experiment(experiment: str, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """The values of an experiment laid over those of its `base`, with `a.b=c` overrides on top, and all faults found.

    `experiment` is a YAML file or the name of a shipped one; so is `base`, a file's path being relative to the file that
    names it. Of a base only the fields of a run count. The experiment is named after its file; where an override names
    another base, after that too: the same study on other data is another experiment. `variants` may name an experiment in
    place of a mapping: its variants are meant.

    Raises:
        ConfigError: a file that is not there or holds no mapping.
    """
    faults: list[str] = []
    changes = _overrides(overrides, faults)
    given = next((value for path, value in reversed(changes) if path == ("base",)), None)
    values, folder = _read(experiment, faults)
    values.setdefault("experiment", _name(experiment))
    if isinstance(values.get("variants"), str):
        values |= _variants_of(_place(values.pop("variants"), folder), faults)
    base = values.pop("base", None)
    if given is not None:
        base, folder = given, Path()
        values["experiment"] = f"{values['experiment']}.{_name(str(given))}"
    layers, seen = [values], {_place(experiment, Path())}
    while base is not None:
        if not isinstance(base, str):
            faults.append(f"base: expected a YAML file or the name of an experiment, got {shortened(repr(base))}")
            break
        if _place(base, folder) in seen:
            faults.append(f"base: expected experiments that end in one without a base, got {base!r} again")
            break
        seen.add(_place(base, folder))
        below, folder = _read(_place(base, folder), faults)
        base = below.pop("base", None)
        layers.append({key: value for key, value in below.items() if key not in {*SWEEP, "experiment"}})
    own = {*values, *(path[0] for path, _ in changes)}
    if "seeds" in own:
        if "seed" in own:
            faults.append("seed: expected none beside seeds, got both")
        layers = [{key: value for key, value in layer.items() if key != "seed"} for layer in layers]
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = laid_over(merged, layer)
    return _changed(merged, [change for change in changes if change[0] != ("base",)], faults), faults


def laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`merge`, but a layer that names another model starts the model's section and preset anew, with what feeds both
    (`ModelConfig.sources`).
    """
    below, above = _model(base, DEFAULT), _model(top, None)
    if above not in (None, below):
        fed = _fed(base.get("model", {}), str(below), str(above))
        base = {key: value for key, value in base.items() if key not in ("model", "preset")} | fed
    return merge(base, top)


def merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both, section by section; where both have one, that of `top`."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = merge(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return merged


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values with `a.b=c` set in them, and what was wrong with these."""
    faults: list[str] = []
    return _changed(merge({}, values), _overrides(overrides, faults), faults), faults


def assign(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set the value of a key in nested values. TypeError where something else than a section is on the way."""
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise TypeError(key)
    values[path[-1]] = value


def _overrides(overrides: Sequence[str], faults: list[str]) -> list[tuple[tuple[str, ...], Any]]:
    """The path and the value of each `a.b=c`. What varies, or is searched, is known by its whole key: `vary.a.b=[...]` is
    axis a.b, `search.space.a.b=[...]` the space of field a.b.
    """
    found = []
    for override in overrides:
        key, equals, text = override.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path) or len(path) > MOST_DEPTH:
            faults.append(f"--set {shortened(override)}: expected a.b=c")
            continue
        if path[0] == "vary" and len(path) > 2:
            path = ["vary", ".".join(path[1:])]
        if path[:2] == ["search", "space"] and len(path) > 3:
            path = ["search", "space", ".".join(path[2:])]
        try:
            found.append((tuple(path), read_yaml(text, f"--set {shortened(override)}")))
        except ConfigError as error:
            faults.append(str(error))
    return found


def _changed(
    values: dict[str, Any], changes: Sequence[tuple[tuple[str, ...], Any]], faults: list[str]
) -> dict[str, Any]:
    """The values with those of the overrides in them; where these name another model, over what feeds both."""
    for path, value in changes:
        layer: dict[str, Any] = {}
        assign(layer, path, value)
        if (name := _model(layer, None)) is not None:
            values = laid_over(values, {"model": {"name": name}})
    for path, value in changes:
        try:
            assign(values, path, value)
        except TypeError:
            key = ".".join(path)
            faults.append(f"--set {key}: expected a value for a field, got none that fits {key!r}")
    return values


def _model(layer: Mapping[str, Any], default: str | None) -> Any:
    section = layer.get("model")
    return section.get("name", default) if isinstance(section, Mapping) else default


def _variants_of(experiment: str, faults: list[str]) -> dict[str, Any]:
    """The section `variants` of another experiment."""
    section = {key: value for key, value in _read(experiment, faults)[0].items() if key == "variants"}
    if not isinstance(section.get("variants"), dict):
        faults.append(
            f"variants: expected a mapping, or an experiment that has one, got {experiment!r}, which has none"
        )
        return {}
    return section


def _fed(section: Mapping[str, Any], below: str, above: str) -> dict[str, Any]:
    """Of a section of the model `below` what says where words and photos come from, as far as the model `above` has it too."""
    try:
        shared = [key for key in find_model(below).Config.sources if key in find_model(above).Config.sources]
    except ConfigError:  # one that is not there, which is told where the configuration is made
        return {}
    fed: dict[str, Any] = {}
    for key, value in dotted(section).items():
        if key in shared:
            assign(fed, ["model", *key.split(".")], value)
    return fed


def _is_file(experiment: str) -> bool:
    return Path(experiment).suffix in (".yaml", ".yml")


def _name(experiment: str) -> str:
    return Path(experiment).stem if _is_file(experiment) else experiment


def _place(experiment: str, folder: Path) -> str:
    return str(folder / experiment) if _is_file(experiment) else experiment


def _read(experiment: str, faults: list[str]) -> tuple[dict[str, Any], Path]:
    """A file's values, none where it is empty, and the folder that its base is sought from."""
    where = f"experiment {experiment}"
    if _is_file(experiment):
        values, folder = read_yaml_file(Path(experiment), where, faults), Path(experiment).parent
    elif experiment in experiments():
        text = (resources.files("semantic.experiments") / f"{experiment}.yaml").read_text(encoding="utf-8")
        values, folder = read_yaml(text, where), Path()
    else:
        raise ConfigError(f"experiment {experiment!r}: expected a YAML file or one of {', '.join(experiments())}")
    return sections(values, where), folder


def sections(values: Any, where: str) -> dict[str, Any]:
    """A file's values, none where it is empty; ConfigError where they are no mapping."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of sections, got {type(values).__name__}")
    return values
