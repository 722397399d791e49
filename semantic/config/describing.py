"""Words about a configuration: what each field means, and what is wrong with a value."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from semantic.config.schema import SWEEP, Config
from semantic.config.values import dump_yaml


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
            shown = dump_yaml(value if not isinstance(value, tuple) else list(value), default_flow_style=True)
            yield f"{f'{indent}{name}: {shown.splitlines()[0]}':<36}  # {field.description}"


def is_key(path: Sequence[str], model: type[BaseModel]) -> bool:
    """Whether a path names a field or a section of a configuration whose model's section is `model`."""
    sections: Sections = (Config,)
    for place, name in enumerate(path):
        below = _below(sections, name)
        if below is None:
            return False
        sections = (model,) if (place, name) == (0, "model") else below
    return True


def fault_line(error: Any, root: type[BaseModel], above: tuple[str, ...] = ()) -> str:
    """One of pydantic's errors as a line: where, expected, got, and the nearest key for an unknown one.

    `root` is what was validated, a section at the path `above`.
    """
    *parents, last = error["loc"] or ("",)
    sections: Sections = (root,)
    keys = list(above)
    for name in parents:
        below = _below(sections, name)
        if below is not None:
            keys.append(str(name))
            sections = below
        elif sections:  # of alternative sections pydantic names the one it took, which is no key
            sections = tuple(section for section in sections if name in _kinds(section))
        else:
            keys.append(str(name))  # of a mapping or a list
    where = ".".join([*keys, *([str(last)] if error["loc"] else [])]) or "together"
    if error["type"] == "extra_forbidden":
        known = list(dict.fromkeys(name for section in sections for name in section.model_fields))
        if sections == (Config,):
            known += ["base", *SWEEP]
        near = get_close_matches(str(last), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; the keys here are {', '.join(known)}"
        return f"{where}: no such key{hint}"
    if error["type"] == "union_tag_invalid":
        kinds = error["ctx"]["expected_tags"].replace(", ", " or ")
        return f"{where}.kind: expected {kinds}, got {shortened(repr(error['ctx']['tag']))}"
    if error["type"] == "model_type":
        return f"{where}: expected a section, a mapping of keys to values, got {shortened(repr(error['input']))}"
    if error["type"] == "value_error" and isinstance(error["input"], Mapping):  # of a section as a whole
        return f"{where}: {error['ctx']['error']}"
    expected = error["msg"]
    for opening in ("Input should be ", "Value error, ", "String should have "):
        expected = expected.removeprefix(opening)
    if error["type"] == "string_pattern_mismatch":
        expected = "a name of letters, digits and _ . + - , =, which begins with a letter, a digit or _"
    return f"{where}: expected {expected}, got {shortened(repr(error['input']))}"


def shortened(text: str) -> str:
    """At most 200 characters of a text, for a message."""
    return text if len(text) <= 200 else f"{text[:190]} ... ({len(text):,} characters)"


Sections = tuple[type[BaseModel], ...]
"""The section that a field holds; of a field with alternatives, each of them."""


def _sections(annotation: Any) -> Sections:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(section for part in get_args(annotation) for section in _sections(part))


def _below(sections: Sections, name: Any) -> Sections | None:
    """What the field `name` of the sections holds; None where none of them has it."""
    fields = [section.model_fields[name] for section in sections if name in section.model_fields]
    return _sections(fields[0].annotation) if fields else None


def _kinds(section: type[BaseModel]) -> tuple[Any, ...]:
    """The names a section goes by among alternatives: the values of its `kind`."""
    return get_args(section.model_fields["kind"].annotation) if "kind" in section.model_fields else ()
