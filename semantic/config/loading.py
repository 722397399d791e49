"""Configurations from YAML, presets and overrides; their fields are in `schema` and in each model's own Config."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from semantic.config.describing import fault_line, is_key, shortened
from semantic.config.errors import ConfigError
from semantic.config.layers import Overrides, merge, override_lines, read_experiment, sections, with_overrides
from semantic.config.registry import DEFAULT, find_model
from semantic.config.renamed import old_keys
from semantic.config.schema import SEVERAL, SWEEP, Config, ModelConfig
from semantic.config.values import dump_yaml, read_yaml, read_yaml_file
from semantic.runtime.terminal import visible


def load_config(experiment: str | Path, overrides: Overrides = ()) -> Config:
    """The configuration of a YAML file, or of a shipped experiment by name, with overrides on top: `["a.b=c"]` or {"a.b": c}.

    Raises:
        ConfigError: every fault at once; or an experiment of several runs (`semantic.config.sweeps` reads those).
    """
    experiment = str(experiment)
    values, faults = read_experiment(experiment, override_lines(overrides))
    several = [section for section in SEVERAL if values.get(section)]
    if several:
        faults.append(
            f"{', '.join(several)}: expected an experiment of one run, got one of several; semantic sweep runs them"
        )
    fields = {key: value for key, value in values.items() if key not in SWEEP}
    return make_config(fields, where=experiment, faults=faults)


def make_config(
    values: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    where: str = "configuration",
    faults: Sequence[str] = (),
) -> Config:
    """A configuration from nested values laid over the model's preset, then `a.b=c` overrides (values are YAML).

    `faults` are those found before, which are told with its own.

    Raises:
        ConfigError: every fault at once.
    """
    values, found = with_overrides(values, overrides)
    faults = [*faults, *found]
    section = values.get("model")
    name = section.get("name", DEFAULT) if isinstance(section, Mapping) else DEFAULT
    try:
        model_type = find_model(str(name)).Config
    except ConfigError as error:
        raise together(where, [*faults, str(error)]) from None
    merged = merge(_preset(model_type, name, values.get("preset"), faults), values)
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
        raise together(where, faults)
    return config


def _preset(model: type[ModelConfig], name: Any, preset: Any, faults: list[str]) -> Mapping[str, Any]:
    """The values of a model's preset, its first where none is named."""
    if preset is None:
        return next(iter(model.presets.values()), {})
    if not isinstance(preset, str) or preset not in model.presets:
        known = "one of " + ", ".join(map(repr, model.presets)) if model.presets else "null (this model has no presets)"
        faults.append(f"preset: expected {known} for the model {name!r}, got {preset!r}")
        return {}
    return model.presets[preset]


def together(where: str, faults: Sequence[str]) -> ConfigError:
    """All faults of a configuration as one error."""
    lines = "\n".join(f"  {visible(fault)}" for fault in faults)
    return ConfigError(f"{visible(where)}: {len(faults)} fault{'s' * (len(faults) > 1)}\n{lines}")


def read_values(text: str, where: str = "configuration") -> dict[str, Any]:
    """The values of a configuration's text as they stand, unchecked; `where` it is, for messages.

    Raises:
        ConfigError: no YAML, or something else than a mapping.
    """
    return sections(read_yaml(text, where), where)


def read_config(file: Path) -> Config:
    """A configuration as `dump_config` wrote it.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    return make_config(sections(read_yaml_file(file, str(file)), str(file)), where=str(file))


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


def _remove(values: dict[str, Any], path: tuple[str, ...]) -> None:
    """Take a key out, and sections that hold nothing then."""
    if len(path) > 1:
        _remove(values[path[0]], path[1:])
        if not values[path[0]]:
            del values[path[0]]
    else:
        del values[path[0]]
