"""Configurations from YAML, presets and overrides; the one module that knows YAML. The fields are in `settings`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from semantic.config.schema import Config
from semantic.runtime.errors import UserError


class ConfigError(UserError):
    """Faults of an experiment's configuration: all of them, one a line, each with where, expected and found."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The fields' defaults are the paper's.
    "paper": {},
    # Where the code published with the paper differs from the paper.
    "released": {
        "model": {
            "pool": "leaky_sum",
            "photos": "sum",
            "memory": "input",
            "value_mean": "padded_sum",
            "text": {"product_encoder": "separate"},
            "image": {"batch_norm": "train"},
            "interaction": {"map": "affine"},
        },
        "loss": {"divergence": "symmetric_kl", "correlation": "mean"},
        "training": {"teacher_first": True, "selection": "loss_or_ndcg@5"},
    },
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers: `1e-3` is a float."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


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
        if not path.is_file():
            raise ConfigError(f"experiment {experiment}: expected a YAML file, found none there")
        text, name = path.read_text(encoding="utf-8"), path.stem
    elif experiment in experiments():
        text, name = (
            (resources.files("semantic.experiments") / f"{experiment}.yaml").read_text(encoding="utf-8"),
            experiment,
        )
    else:
        raise ConfigError(f"experiment {experiment!r}: expected a YAML file or one of {', '.join(experiments())}")
    try:
        values = yaml.load(text, _Loader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"experiment {experiment}: expected YAML, got: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"experiment {experiment}: expected a mapping of sections, got {type(values).__name__}")
    return make_config({"experiment": name, **values}, overrides, where=experiment)


def make_config(values: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "configuration") -> Config:
    """A configuration from nested values laid over their preset, then `a.b=c` overrides (values are YAML)."""
    values = _merge({}, values)
    faults = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            faults.append(f"--set {override}: expected a.b=c")
            continue
        try:
            _assign(values, key.strip().split("."), yaml.load(text, _Loader))
        except (yaml.YAMLError, TypeError):
            faults.append(f"--set {override}: expected a value for a field, got none that fits {key!r}")
    preset = values.get("preset", "paper")
    merged = _merge(PRESETS[preset], values) if isinstance(preset, str) and preset in PRESETS else values
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        faults += [_fault(e) for e in error.errors()]
    if faults:
        raise ConfigError(
            f"{where}: {len(faults)} fault{'s' * (len(faults) > 1)}\n" + "\n".join(f"  {f}" for f in faults)
        )
    return config


def read_values(text: str) -> dict[str, Any]:
    """The values of a configuration's text as they stand, unchecked; none where it holds something else."""
    values = yaml.load(text, _Loader)
    return values if isinstance(values, dict) else {}


def read_config(file: Path) -> Config:
    """A configuration as `dump_config` wrote it.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: expected a configuration, got: {' '.join(str(error).split())}") from None
    return make_config(values, where=str(file))


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def describe_config(config: Config) -> str:
    """The resolved configuration as YAML, each field with its description as a comment."""
    return "\n".join(_described(config))


def _described(section: BaseModel, indent: str = "") -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _described(value, indent + "  ")
        else:
            shown = yaml.safe_dump(value if not isinstance(value, tuple) else list(value), default_flow_style=True)
            yield f"{f'{indent}{name}: {shown.splitlines()[0]}':<36}  # {field.description}"


def read_slots(path: Path) -> dict[str, str]:
    """A user's own slot schema: a YAML mapping {slot: words its key is embedded as}.

    Raises:
        ConfigError: no such file, or something else in it.
    """
    try:
        slots = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"slots {path}: expected a YAML file, got: {' '.join(str(error).split())}") from None
    if not isinstance(slots, dict) or not slots or not all(isinstance(w, str) for item in slots.items() for w in item):
        raise ConfigError(f"slots {path}: expected a mapping of slots to words, both strings, got {slots!r}")
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


def _fault(error: Any) -> str:
    """One pydantic error as a line: where, expected, got, and the nearest key for an unknown one."""
    where = ".".join(str(part) for part in error["loc"]) or "together"
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in error["loc"][:-1]:
            section = section.model_fields[part].annotation
        near = get_close_matches(str(error["loc"][-1]), section.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; the keys here are {', '.join(section.model_fields)}"
        return f"{where}: no such key{hint}"
    if error["type"] == "value_error" and not error["loc"]:
        return f"{where}: {error['ctx']['error']}"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where}: expected {expected}, got {error['input']!r}"
