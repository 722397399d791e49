"""Strategies of hypothesis that damage files: any JSON value in any place, keys deleted and doubled, bytes flipped and cut."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st


class Raw(str):
    """A piece of JSON as it is to stand in the file."""


class Pairs(list[tuple[str, Any]]):
    """An object of JSON as pairs, so that a key may stand twice."""


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, "", " ", "id foo", "id 12", "id -3", "null", "none", "\ud800", "a\udfffb", "\0", "\n",
    "\x1b[31m", "../../x", "/etc/passwd", ".", "..", "[", "[1, 'x'", "['\\ud800']", "[0x" + "f" * 5000 + "]", "['\\d']",
    "\u0663", "9" * 5000, 2**31, 2**64, -(2**70), float("nan"), float("inf"), Raw("9" * 5000), Raw("-" + "9" * 5000),
    Raw("1e999"), Raw("[" * 600 + "]" * 600), Raw("[" * 100_000), Raw('{"a":' * 500 + "1" + "}" * 500), [], {}, [[]], [{}],
    [None], [True], [float("nan")], {"": ""}, {"\ud800": "\ud800"},
)  # fmt: skip
"""Values that have been trouble, or look like it."""

_texts = st.text(st.characters(), max_size=7) | st.text(st.characters(categories=("Cs", "Cc", "Nd", "Zs")), max_size=3)
_leaves = st.sampled_from(ODD) | st.integers() | st.floats() | _texts

json_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3), max_leaves=7
)
"""Any value of JSON, and some that a file can spell though they are none: NaN, lone surrogates, a depth no reader follows."""


def dumps(value: Any) -> str:
    """JSON text of a value with `Raw` and `Pairs` in it; everything beyond ASCII is escaped."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict | Pairs):
        pairs = value.items() if isinstance(value, dict) else value
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(inner)}" for key, inner in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)


Path = tuple[Any, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value in a value, its own first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def _changed(value: Any, path: Path, change: Any) -> Any:
    """The value with what stands at the path replaced by what `change(container, key)` makes of its container."""
    if len(path) == 1:
        return change(value, path[0])
    key, *rest = path
    if isinstance(value, dict):
        return value | {key: _changed(value[key], tuple(rest), change)}
    return [_changed(each, tuple(rest), change) if place == key else each for place, each in enumerate(value)]


def _replaced(container: Any, key: Any, new: Any) -> Any:
    if isinstance(container, dict):
        return container | {key: new}
    return [new if place == key else each for place, each in enumerate(container)]


def _deleted(container: Any, key: Any) -> Any:
    if isinstance(container, dict):
        return {name: each for name, each in container.items() if name != key}
    return [each for place, each in enumerate(container) if place != key]


def _doubled(container: Any, key: Any, new: Any) -> Any:
    return Pairs([*container.items(), (key, new)]) if isinstance(container, dict) else [*container, new]


def _renamed(container: Any, key: Any, new: str) -> Any:
    if isinstance(container, dict):
        return Pairs([(new if name == key else name, each) for name, each in container.items()])
    return container


@st.composite
def mutated_json(draw: st.DrawFn, document: Any) -> str:
    """JSON text of the document with one value replaced, deleted or doubled, or one key renamed."""
    path = draw(st.sampled_from(list(places(document))))
    new = draw(json_values)
    if not path:
        return dumps(new)
    changes = [
        lambda container, key: _replaced(container, key, new),
        lambda container, key: _replaced(container, key, new),  # the most telling, so twice as often
        _deleted,
        lambda container, key: _doubled(container, key, new),
        lambda container, key: _renamed(container, key, new if isinstance(new, str) and type(new) is str else "x"),
    ]
    return dumps(_changed(document, path, draw(st.sampled_from(changes))))


@st.composite
def mutated_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes with a few of them flipped, cut out, doubled or followed by others; or cut off, or after a byte order mark."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        stop = min(len(content), start + draw(st.integers(1, 13)))
        new = draw(
            st.sampled_from(
                [b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\xef\xbb\xbf", b"../", b"\n", b"9" * 5000]
            )
            | st.binary(max_size=5)
            | st.just(content[start:stop] * 2)
        )
        how = draw(st.sampled_from(["replace", "replace", "insert", "cut"]))
        content = (
            content[:start] if how == "cut" else content[:start] + new + content[stop if how == "replace" else start :]
        )
    return content
