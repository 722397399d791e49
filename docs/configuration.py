"""The page of every configuration field, made from the pydantic models: its key, type, default and meaning."""

from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from semantic.config.registry import MODELS, find_model
from semantic.config.schema import Config
from semantic.config.sweep_schema import Published, ReportSection, SearchedValues, SearchSection, SweepSections

BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
PRIMITIVES = {int: "integer", float: "number", str: "text", bool: "true or false", NoneType: "null", Any: "any"}
SEVERAL_RUNS: dict[str, type[BaseModel]] = {
    "": SweepSections,
    "report": ReportSection,
    "report.published": Published,
    "search": SearchSection,
    "search.space": SearchedValues,
}
"""Key -> the section that it holds."""


def configuration_page() -> str:
    """The page, in Markdown."""
    lines = [
        "# Configuration",
        "",
        "An experiment is a YAML file with the fields that differ from its preset. Each field below is written by its full key,",
        "as in `--set training.epochs=3`. `semantic config EXPERIMENT` prints them all with the values of an experiment.",
        "",
        "This page is made from `semantic/config/schema.py` and from the `Config` of each model.",
        "",
        "## A run",
        "",
    ]
    lines += _section(Config, "", 3, leave_out=("model",))
    lines += [
        "## An experiment of several runs",
        "",
        "Beside the fields of a run, and `base`, the experiment that a file lies over.",
        "",
    ]
    for key, section in SEVERAL_RUNS.items():
        lines += [f"### `{key}`", "", _first_line(section), ""] if key else []
        lines += _rows(
            _row(section, f"{key}." if key else "", name) for name in section.model_fields if name not in SEVERAL_RUNS
        )
    for name in MODELS:
        model = find_model(name).Config
        lines += [f"## The model `{name}`", "", _first_line(model), ""]
        lines += _section(model, "model.", 3)
        for preset, values in model.presets.items():
            given = yaml.safe_dump(values, sort_keys=False).rstrip() if values else "# the defaults"
            lines += [f"### Preset `{preset}`", "", "```yaml", given, "```", ""]
    return "\n".join(lines)


def _section(section: type[BaseModel], prefix: str, level: int, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    """A table of a section's own fields, then the sections within it."""
    rows, inner = [], []
    for name, field in section.model_fields.items():
        if name in leave_out:
            continue
        sections = tuple(_sections(field.annotation))
        if len(sections) == 1 and field.annotation is sections[0]:
            inner.append((sections[0], f"{prefix}{name}.", f"`{prefix}{name}`"))
            continue
        if sections:  # alternatives, each with a `kind`
            default = field.default.kind
            kinds = " or ".join(f'`"{_kind(one)}"`' for one in sections)
            rows.append((f"{prefix}{name}.kind", kinds, f"`{default}`", "which of the sections below this is"))
            inner += [(one, f"{prefix}{name}.", f"`{prefix}{name}` of kind `{_kind(one)}`") for one in sections]
            continue
        rows.append(_row(section, prefix, name))
    if rows:
        yield from _rows(rows)
    for one, path, title in inner:
        kind = ("kind",) if " of kind " in title else ()
        yield from (f"{'#' * level} {title}", "", _first_line(one), "")
        yield from _section(one, path, level, kind)


Cells = tuple[str, str, str, str]
"""Of a field: its key, type, default and meaning."""


def _row(section: type[BaseModel], prefix: str, name: str) -> Cells:
    field = section.model_fields[name]
    return f"{prefix}{name}", shown_type(field), _default(field), _description(section, name)


def _rows(rows: Iterable[Cells]) -> Iterator[str]:
    yield from ("| field | type | default | |", "|---|---|---|---|")
    for key, *cells in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{key}`", *cells)) + " |"
    yield ""


def _kind(section: type[BaseModel]) -> str:
    return section.model_fields["kind"].default


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().split("\n\n")[0]


def _description(section: type[BaseModel], name: str) -> str:
    """What a field means, in the words of the nearest section that says it."""
    fields = [one.model_fields[name] for one in section.__mro__ if name in getattr(one, "model_fields", {})]
    return next((field.description for field in fields if field.description), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    shown = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True)
    return f"`{shown.splitlines()[0]}`"


def shown_type(field: FieldInfo) -> str:
    """The type of a field in words, with its bounds."""
    return _shown(field.annotation, field.metadata)


def _shown(annotation: Any, metadata: Any = ()) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shown(parts[0], _flat(parts[1:]))
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(_shown(part, metadata) if part is not NoneType else "null" for part in parts)
    if origin is tuple:
        return f"list of {_shown(parts[0])}"
    if origin is dict:
        return f"mapping of {_shown(parts[0])} to {_shown(parts[1])}"
    name = PRIMITIVES.get(annotation, getattr(annotation, "__name__", str(annotation)))
    bounds = [
        f"{sign} {getattr(one, bound)}" for one in metadata for bound, sign in BOUNDS.items() if hasattr(one, bound)
    ]
    patterns = [f"like `{one.pattern}`" for one in metadata if getattr(one, "pattern", None)]
    return ", ".join([name, *bounds, *patterns])


def _flat(metadata: Any) -> list[Any]:
    """Constraints, those inside a `Field(...)` too."""
    return [inner for one in metadata for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
