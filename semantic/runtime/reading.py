"""Small text files that a user wrote: bounded in size, UTF-8, and JSON without what only some readers understand."""

import json
import math
from pathlib import Path
from typing import Any

from semantic.runtime.errors import UserError

MOST_DEPTH = 100
"""Levels of lists and objects in JSON."""


class ReadingError(UserError):
    """A file or a text that cannot be read. The message says what was found, as the end of a sentence of the caller's."""


def read_text(file: Path, most: int) -> str:
    """The text of a file of at most `most` bytes.

    Raises:
        ReadingError: no such file, no permission, too large, or no UTF-8.
    """
    try:
        if not file.is_file():
            check_readable(file)
        with file.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise ReadingError(f"one that cannot be read ({error.strerror or error})") from None
    if len(content) > most:
        raise ReadingError(f"one of more than {most:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReadingError(f"byte 0x{content[error.start]:02x} at {error.start}, which is no UTF-8") from None


def check_readable(file: Path) -> None:
    """Raise ReadingError where a file is not there or may not be read: some libraries call both "no such file"."""
    if file.is_dir():
        raise ReadingError("a folder")
    try:
        if file.exists() and not file.is_file():  # to open a pipe would wait for who writes to it
            raise ReadingError("something that is no file")
        file.open("rb").close()
    except FileNotFoundError:
        raise ReadingError("none there") from None
    except OSError as error:
        raise ReadingError(f"one that cannot be read ({error.strerror or error})") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text. A key that stands twice, NaN, infinities and halves of surrogate pairs are faults.

    Raises:
        ReadingError: the text is no such JSON, or nested too deeply.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite, parse_int=_short_integer
        )
    except json.JSONDecodeError as error:
        raise ReadingError(f"no JSON at line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ReadingError(f"JSON nested more than {MOST_DEPTH} levels deep") from None
    _check_inside(value)
    return value


def _check_inside(value: Any) -> None:
    """Raise ReadingError where a value is nested too deeply, or holds text that cannot be written."""
    left = [(value, 0)]
    while left:
        one, depth = left.pop()
        if isinstance(one, str):
            half = next((letter for letter in one if "\ud800" <= letter <= "\udfff"), None)
            if half is not None:
                raise ReadingError(f"half a surrogate pair, \\u{ord(half):04x}")
        elif isinstance(one, list | dict):
            if depth == MOST_DEPTH:
                raise ReadingError(f"JSON nested more than {MOST_DEPTH} levels deep")
            inside = [*one, *one.values()] if isinstance(one, dict) else one
            left += [(inner, depth + 1) for inner in inside]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the pairs, none of whose keys may stand twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ReadingError(f"the key {key!r} twice in one object")
        found[key] = value
    return found


def _no_number(name: str) -> Any:
    raise ReadingError(f"{name}, which is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ReadingError(f"a number too large to hold, {text[:40]}")
    return float(text)


def _short_integer(text: str) -> int:
    if len(text) > 40:
        raise ReadingError(f"a number of {len(text)} digits")
    return int(text)
