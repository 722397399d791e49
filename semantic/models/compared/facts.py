"""Style tips and celebrities' tastes, from the files that come with MMD."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic.runtime.errors import DataError
from semantic.runtime.reading import ReadingError, parse_json, read_text

MOST_BYTES = 2**30


@dataclass(frozen=True)
class Fact:
    """An entry of a table: what a product's text must say for it, key, value, and how much it counts."""

    about: str
    key: str
    value: str
    score: float


def read_style_tips(file: str) -> Iterator[Fact]:
    """Two facts a line: b goes with what says a, and a with what says b.

    Raises:
        DataError: no such file, or a line of another form.
    """
    for number, line in enumerate(_text(file, "model.knowledge.style_tips").splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(" , ")]
        try:
            one, other, score = parts
            weight = float(score)
            if not math.isfinite(weight):
                raise ValueError
        except ValueError:
            raise DataError(
                f"model.knowledge.style_tips {file}, line {number}: expected `a , b , score`, found {line[:60]!r}"
            ) from None
        yield Fact(one, one, other, weight)
        yield Fact(other, other, one, weight)


def read_celebrities(file: str) -> Iterator[Fact]:
    """A fact for each thing a celebrity wears; of a WordNet name, `shirt.n.01`, the word alone is read.

    Raises:
        DataError: no such file, or JSON of another form.
    """
    found = _json(file, "model.knowledge.celebrities")
    form = f"model.knowledge.celebrities {file}: expected {{celebrity: {{what they wear: probability}}}}"
    if not isinstance(found, dict):
        raise DataError(f"{form}, found {type(found).__name__}")
    for name, worn in found.items():
        if not isinstance(worn, dict):
            raise DataError(f"{form}, found {json.dumps(worn)[:60]} for {name!r}")
        for thing, probability in worn.items():
            if isinstance(probability, bool) or not isinstance(probability, (int, float)):
                raise DataError(f"{form}, found {json.dumps(probability)[:60]} for {name!r}, {thing!r}")
            word = thing.split(".")[0].replace("_", " ")
            yield Fact(word, word, name.replace("_", " "), float(probability))


def _json(file: str, field: str) -> Any:
    try:
        return parse_json(_text(file, field))
    except ReadingError as error:
        raise DataError(f"{field} {file}: expected JSON, found {error}") from None


def _text(file: str, field: str) -> str:
    try:
        return read_text(Path(file), MOST_BYTES)
    except ReadingError as error:
        raise DataError(f"{field} {file}: expected a file, found {error}") from None
