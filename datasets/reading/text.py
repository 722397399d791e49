"""Normalised texts of utterances, products and state values, as in the paper's preprocessing."""

import ast
import math
import re
import warnings
from collections.abc import Mapping

from semantic.datasets.reading.faults import kind, shown
from semantic.runtime.errors import DataError

IGNORED_PRODUCT_KEYS = frozenset(
    {"details", "available_sizes", "bestsellerrank", "review", "care", "avgstars", "reviewstars"}
)
"""Keys of a product's JSON left out of its text, compared in lower case."""

MISSING_VALUES = frozenset({"", "unk"})
"""How missing values of a product read, stripped and lower-cased."""

_PUNCTUATION = re.compile(r"[()\[\]<>,=:;]")
_PUNCTUATION_AND_SLASH = re.compile(r"[()\[\]<>,=:;/]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class TextError(DataError):
    """A value of a file that is no text: the message says what was expected and what was found."""


def encodable(text: str) -> bool:
    """Whether UTF-8 can hold the text. JSON can write lone surrogates, which are no characters."""
    return text.isascii() or _SURROGATE.search(text) is None


def checked(text: str) -> str:
    """The text itself; TextError where UTF-8, in which a store keeps its texts, cannot hold it."""
    if not encodable(text):
        raise TextError(f"expected text that UTF-8 can hold, found a lone surrogate: {shown(text)}")
    return text


def utterance_text(text: str) -> str:
    """The text lower-cased, runs of space collapsed, without the curly quotation marks MMD puts around some utterances.

    Punctuation stays, because word-piece vocabularies have it. TextError for text that UTF-8 cannot hold.
    """
    return " ".join(_unquoted(checked(text)).lower().split())


def _unquoted(text: str) -> str:
    return text.strip().lstrip("\u2018").rstrip("\u2019")


def state_text(text: str) -> str:
    """The text lower-cased, `()[]<>,=:;` turned into spaces, runs of space collapsed."""
    return " ".join(_PUNCTUATION.sub(" ", text).lower().split())


def state_value_text(value: object) -> str:
    """A state's value as one text. A list, or a string that prints one (SIMMC: "['XL', 'S']"), is joined by spaces.

    TextError for what is neither null, a text, a truth value, a finite number, nor a list of these.
    """
    texts, waiting = [], [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and value.strip().startswith("["):
            value = _printed_list(value)
        if isinstance(value, list | tuple):
            waiting.extend(reversed(value))
        elif value is not None:
            texts.append(state_text(_scalar(value)))
    return " ".join(filter(None, texts))


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return checked(value)
    if not isinstance(value, int | float):
        raise TextError(f"expected a text, a number or a list of these, found {kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise TextError(f"expected a finite number, found {value}")
    try:
        return str(value)
    except ValueError as error:
        raise TextError("expected a number of a usual length, found one of thousands of digits") from error


def _printed_list(value: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's about how a literal is spelt
            return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value.strip().lstrip("[")  # not a list after all: a text that opens with a bracket


def product_text(product: str | Mapping[str, object]) -> str | None:
    """A product's text, or None where nothing is left of it.

    A mapping becomes "key value key value ..." without `IGNORED_PRODUCT_KEYS` and missing values ("unk", "", " "); a
    string is taken as it is. The text is lower-cased, `()[]<>,=:;/` turned into spaces, runs of space collapsed.
    TextError for text that UTF-8 cannot hold.
    """
    if not isinstance(product, str):
        product = " ".join(f"{key} {value}" for key, value in _present(product))
    return " ".join(_PUNCTUATION_AND_SLASH.sub(" ", _unquoted(checked(product))).lower().split()) or None


def _present(product: Mapping[str, object]) -> list[tuple[str, str]]:
    pairs = []
    for key, value in product.items():
        if isinstance(value, list):
            value = " ".join(str(item) for item in value if _is_scalar(item))
        if key.lower() in IGNORED_PRODUCT_KEYS or not _is_scalar(value):
            continue
        if str(value).strip().lower() not in MISSING_VALUES:
            pairs.append((key, str(value)))
    return pairs


def _is_scalar(value: object) -> bool:
    """Whether a value is a text or a number; NaN and infinities, which programs write for a missing value, are not."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
