"""The one reader and the one writer of YAML: plain values, each key once, bounded in size, depth and nodes.

Numbers are those of YAML 1.2 (`1e-3` is a float, `010` and `1:30` are none), booleans those of 1.1. Anchors and aliases
are read; tags and merge keys (`<<`) are not. A key is always the text that stands there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from semantic.config.errors import ConfigError
from semantic.runtime.reading import ReadingError, read_text

MOST_BYTES = 1 << 18
MOST_NODES = 10_000
"""Values and keys, those that aliases repeat included."""
MOST_DEPTH = 24

_EXPONENT = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(rf"{_EXPONENT}|[-+]?([0-9]+\.[0-9]*|\.[0-9]+)")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form: True for word in ("true", "yes", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("false", "no", "off") for form in (word, word.capitalize(), word.upper())},
    **{sign + form: float(sign + "inf") for sign in ("", "+", "-") for form in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DIGITS = 40
"""A longer number stays text: nobody means it, and Python refuses to print it."""


class _Dumper(yaml.SafeDumper):
    """Quotes words that `read_yaml` would take for numbers."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^({_EXPONENT})$"), list("-+.0123456789"))


def dump_yaml(values: Any, **style: Any) -> str:
    """Values as YAML that `read_yaml` reads back the same; `style` as of yaml.dump."""
    return yaml.dump(values, Dumper=_Dumper, **style)


def dotted(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested keys joined by dots: {"a": {"b": 1}} gives {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(dotted(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value})
    return flat


def read_yaml_file(file: Path, where: str, twice: list[str] | None = None) -> Any:
    """`read_yaml` of a file; `where` opens the message."""
    try:
        return read_yaml(read_text(file, MOST_BYTES), where, twice)
    except ReadingError as error:
        raise ConfigError(f"{where}: expected a YAML file, got {error}") from None


def read_yaml(text: str, where: str, twice: list[str] | None = None) -> Any:
    """The value of a YAML text. With `twice`, keys that are there twice are said in that list, and the last one counts.

    Raises:
        ConfigError: the text is no YAML of the kind above; one line, which begins with `where`.
    """
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{where}: expected YAML of at most {MOST_BYTES:,} characters, got {len(text):,}")
    try:
        document = _Document(text)
        if document.twice and twice is None:
            raise yaml.YAMLError("; ".join(document.twice))
        (twice if twice is not None else []).extend(document.twice)
        return document.value
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: expected YAML, got: {' '.join(str(error).split())}") from None


@dataclass(frozen=True)
class _Anchored:
    """What an anchor names: the value, how many nodes it has and how deep they are nested."""

    value: Any
    nodes: int
    height: int


class _Document:
    """The value of a text that holds one document."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.anchors: dict[str, _Anchored | None] = {}  # None: not whole yet
        self.nodes = 0
        self.twice: list[str] = []
        self.value = None
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), yaml.DocumentStartEvent):
            self.value, _ = self._node(next(self.events), 0)
            next(self.events)  # the end of the document
            after = next(self.events)
            if not isinstance(after, yaml.StreamEndEvent):
                raise _fault(after, "one document", "a second one")

    def _node(self, event: Any, depth: int) -> tuple[Any, int]:
        """The value that begins with an event, and its height: 0 of a scalar."""
        first = self.nodes
        self._count(event, 1, depth)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.tag is not None:
            raise _fault(event, "plain values", f"the tag {event.tag}")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value, height = _scalar(event), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            value, height = self._sequence(depth)
        else:
            value, height = self._mapping(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, self.nodes - first, height)
        return value, height

    def _alias(self, event: Any, depth: int) -> tuple[Any, int]:
        if event.anchor not in self.anchors:
            raise _fault(event, "an alias of something above", f"*{event.anchor}")
        found = self.anchors[event.anchor]
        if found is None:
            raise _fault(event, "values of a finite size", f"*{event.anchor}, which contains itself")
        self._count(event, found.nodes, depth + found.height)
        return found.value, found.height

    def _sequence(self, depth: int) -> tuple[list[Any], int]:
        items, height = [], 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item, below = self._node(event, depth + 1)
            items.append(item)
            height = max(height, below + 1)
        return items, height

    def _mapping(self, depth: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        height = 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _fault(event, "a word as key", "something else")
            self._node(event, depth + 1)
            if event.value in items:
                self.twice.append(f"the key {event.value!r} twice, again in line {_line(event)}")
            items[event.value], below = self._node(next(self.events), depth + 1)
            height = max(height, below + 1)
        return items, height

    def _count(self, event: Any, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise _fault(event, f"at most {MOST_NODES:,} values", "more")
        if depth > MOST_DEPTH:
            raise _fault(event, f"at most {MOST_DEPTH} levels", "more")


def _scalar(event: Any) -> Any:
    text: str = event.value
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise _fault(event, "text", "a character that no text has (NUL, or half a surrogate pair)")
    if event.style is not None:  # in quotes, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text.lstrip("+-")) <= _DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _fault(event: Any, expected: str, found: str) -> yaml.YAMLError:
    return yaml.YAMLError(f"{found} in line {_line(event)}, where {expected} should be")


def _line(event: Any) -> int:
    return event.start_mark.line + 1
