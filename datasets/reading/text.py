"""Normalised texts of utterances, products and state values, as in the paper's preprocessing."""

import ast
import re
from collections.abc import Mapping

IGNORED_PRODUCT_KEYS = frozenset(
    {"details", "available_sizes", "bestsellerrank", "review", "care", "avgstars", "reviewstars"}
)
"""Keys of a product's JSON left out of its text, compared in lower case."""

MISSING_VALUES = frozenset({"", "unk"})
"""How missing values of a product read, stripped and lower-cased."""

_PUNCTUATION = re.compile(r"[()\[\]<>,=:;]")
_PUNCTUATION_AND_SLASH = re.compile(r"[()\[\]<>,=:;/]")


def utterance_text(text: str) -> str:
    """The text lower-cased, runs of space collapsed, without the curly quotation marks MMD puts around some utterances.

    Punctuation stays, because word-piece vocabularies have it.
    """
    return " ".join(_unquoted(text).lower().split())


def _unquoted(text: str) -> str:
    return text.strip().lstrip("\u2018").rstrip("\u2019")


def state_text(text: str) -> str:
    """The text lower-cased, `()[]<>,=:;` turned into spaces, runs of space collapsed."""
    return " ".join(_PUNCTUATION.sub(" ", text).lower().split())


def state_value_text(value: object) -> str:
    """A state's value as one text. A list, or a string that prints one (SIMMC: "['XL', 'S']"), is joined by spaces."""
    if value is None:
        return ""
    if isinstance(value, str) and value.strip().startswith("["):
        value = _printed_list(value)
    if isinstance(value, list | tuple):
        return " ".join(filter(None, (state_value_text(item) for item in value)))
    return state_text(str(value))


def _printed_list(value: str) -> object:
    try:
        return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value.strip().lstrip("[")  # not a list after all: a text that opens with a bracket


def product_text(product: str | Mapping[str, object]) -> str | None:
    """A product's text, or None where nothing is left of it.

    A mapping becomes "key value key value ..." without `IGNORED_PRODUCT_KEYS` and missing values ("unk", "", " "); a
    string is taken as it is. The text is lower-cased, `()[]<>,=:;/` turned into spaces, runs of space collapsed.
    """
    if not isinstance(product, str):
        product = " ".join(f"{key} {value}" for key, value in _present(product))
    return " ".join(_PUNCTUATION_AND_SLASH.sub(" ", _unquoted(product)).lower().split()) or None


def _present(product: Mapping[str, object]) -> list[tuple[str, str]]:
    pairs = []
    for key, value in product.items():
        if isinstance(value, list):
            value = " ".join(str(item) for item in value if isinstance(item, str | int | float))
        if key.lower() in IGNORED_PRODUCT_KEYS or not isinstance(value, str | int | float):
            continue
        if str(value).strip().lower() not in MISSING_VALUES:
            pairs.append((key, str(value)))
    return pairs
