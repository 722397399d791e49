"""Configurations from YAML, presets and overrides; their fields are in `schema` and in each model's own Config."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from semantic.config.describing import fault_line, is_key, shortened
from semantic.config.errors import ConfigError
from semantic.config.registry import DEFAULT, find_model
from semantic.config.renamed import old_keys
from semantic.config.schema import Config, ModelConfig
from semantic.config.values import MOST_DEPTH, dump_yaml, read_yaml, read_yaml_file
from semantic.runtime.terminal import visible


def experiments() -> tuple[str, ...]:
    """Names of the shipped experiments."""
    files = resources.files("semantic.experiments").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_config(experiment: str, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file, or of a shipped experiment by name, with `a.b=c` overrides on top.

    Raises:
        ConfigError: every fault at once.
    """
    path = Path(experiment)
    if path.suffix in (".yaml", ".yml"):
        values, name = read_yaml_file(path, f"experiment {experiment}"), path.stem
    elif experiment in experiments():
        text = (resources.files("semantic.experiments") / f"{experiment}.yaml").read_text(encoding="utf-8")
        values, name = read_yaml(text, f"experiment {experiment}"), experiment
    else:
        raise ConfigError(f"experiment {experiment!r}: expected a YAML file or one of {', '.join(experiments())}")
    return make_config(
        {"experiment": name, **_sections(values, f"experiment {experiment}")}, overrides, where=experiment
    )


def _sections(values: Any, where: str) -> dict[str, Any]:
    """A file's values, none where it is empty; ConfigError where they are no mapping."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of sections, got {type(values).__name__}")
    return values


def make_config(values: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "configuration") -> Config:
    """A configuration from nested values laid over the model's preset, then `a.b=c` overrides (values are YAML).

    Raises:
        ConfigError: every fault at once.
    """
    values, faults = _with_overrides(values, overrides)
    section = values.get("model")
    name = section.get("name", DEFAULT) if isinstance(section, Mapping) else DEFAULT
    try:
        model_type = find_model(str(name)).Config
    except ConfigError as error:
        raise _together(where, [*faults, str(error)]) from None
    merged = _merge(_preset(model_type, name, values.get("preset"), faults), values)
    for path, fault in list(old_keys(merged, lambda path: is_key(path, model_type))):
        faults.append(fault)
        _remove(merged, path)
    section = merged.get("model", {})
    model = ModelConfig(name=str(name))  # stands in where the model's section has faults, so that all others are found
    try:
        # A section that is no mapping is a fault that Config names.
        model = model_type.model_validate({"name": name, **section}) if isinstance(section, Mapping) else section
    except ValidationError as error:
        faults += [fault_line(e, model_type, ("model",)) for e in error.errors()]
    try:
        config = Config.model_validate({**merged, "model": model})
    except ValidationError as error:
        faults += [fault_line(e, Config) for e in error.errors()]
    if faults:
        raise _together(where, faults)
    return config


def _with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values with `a.b=c` set in them, and what was wrong with these."""
    values, faults = _merge({}, values), []
    for override in overrides:
        key, equals, text = override.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path) or len(path) > MOST_DEPTH:
            faults.append(f"--set {shortened(override)}: expected a.b=c")
            continue
        try:
            _assign(values, path, read_yaml(text, f"--set {shortened(override)}"))
        except ConfigError as error:
            faults.append(str(error))
        except TypeError:
            faults.append(f"--set {shortened(override)}: expected a value for a field, got none that fits {key!r}")
    return values, faults


def _preset(model: type[ModelConfig], name: Any, preset: Any, faults: list[str]) -> Mapping[str, Any]:
    """The values of a model's preset, its first where none is named."""
    if preset is None:
        return next(iter(model.presets.values()), {})
    if not isinstance(preset, str) or preset not in model.presets:
        known = " or ".join(map(repr, model.presets)) or "null (this model has no presets)"
        faults.append(f"preset: expected {known} for the model {name!r}, got {preset!r}")
        return {}
    return model.presets[preset]


def _together(where: str, faults: Sequence[str]) -> ConfigError:
    lines = "\n".join(f"  {visible(fault)}" for fault in faults)
    return ConfigError(f"{visible(where)}: {len(faults)} fault{'s' * (len(faults) > 1)}\n{lines}")


def read_values(text: str, where: str = "configuration") -> dict[str, Any]:
    """The values of a configuration's text as they stand, unchecked; `where` it is, for messages.

    Raises:
        ConfigError: no YAML, or something else than a mapping.
    """
    return _sections(read_yaml(text, where), where)


def read_config(file: Path) -> Config:
    """A configuration as `dump_config` wrote it.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    return make_config(_sections(read_yaml_file(file, str(file)), str(file)), where=str(file))


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML."""
    return dump_yaml(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def read_slots(path: Path) -> dict[str, str]:
    """A user's own slot schema: a YAML mapping {slot: words its key is embedded as}.

    Raises:
        ConfigError: no such file, or something else in it.
    """
    slots = read_yaml_file(path, f"slots {path}")
    if not isinstance(slots, dict) or not slots or not all(isinstance(words, str) for words in slots.values()):
        raise ConfigError(f"slots {path}: expected a mapping of slots to words, got {shortened(repr(slots))}")
    return slots


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
        )
    return merged


def _assign(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise TypeError(key)
    values[path[-1]] = value


def _remove(values: dict[str, Any], path: tuple[str, ...]) -> None:
    """Take a key out, and sections that hold nothing then."""
    if len(path) > 1:
        _remove(values[path[0]], path[1:])
        if not values[path[0]]:
            del values[path[0]]
    else:
        del values[path[0]]
