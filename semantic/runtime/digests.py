"""SHA-256 of files and of JSON values, and objects of JSON that carry their own."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "seal"
"""The key of an object's digest of all its other keys."""


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
