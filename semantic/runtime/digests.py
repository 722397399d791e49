"""SHA-256 of files and of JSON values; objects of JSON and texts in Markdown that carry their own."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "seal"
"""The key of an object's digest of all its other keys."""

_LAST_LINE = re.compile(r"\n<!-- written by semantic, seal ([0-9a-f]{16}) -->\s*\Z")


def file_digest(file: Path) -> str:
    """The digest of a file, which is read 1 MiB at a time."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def value_digest(value: Any) -> str:
    """The digest of a value that JSON holds; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def with_seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with their seal, in place of one that they had."""
    kept = {key: value for key, value in values.items() if key != SEAL}
    return kept | {SEAL: value_digest(kept)}


def is_broken(values: Mapping[str, Any]) -> bool:
    """Whether the values were changed since they were sealed; those without a seal were not."""
    return SEAL in values and with_seal(values)[SEAL] != values[SEAL]


def with_text_seal(text: str) -> str:
    """A text in Markdown with a comment as its last line, which says who wrote it and has the digest of the rest."""
    return f"{text.rstrip()}\n\n<!-- written by semantic, seal {_text_digest(text)} -->\n"


def has_text_seal(text: str) -> bool:
    """Whether a text is one that `with_text_seal` returned; blank lines at its end and kinds of line breaks do not count."""
    text = text.replace("\r\n", "\n")
    found = _LAST_LINE.search(text)
    return found is not None and found[1] == _text_digest(text[: found.start()])


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.rstrip().encode()).hexdigest()[:16]
