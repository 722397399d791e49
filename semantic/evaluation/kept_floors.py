"""Floors kept beside a store: a small JSON file for each, under a digest of all that it depends on."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semantic.datasets.store.store import Store
from semantic.runtime.claims import tidy, write_shared
from semantic.runtime.digests import value_digest
from semantic.runtime.progress import Progress

FOLDER = "floors"

Metrics = dict[str, dict[str, float]]
"""Protocol -> metric -> fraction."""


def rows_digest(rows: np.ndarray) -> str:
    """A digest of row numbers in their order."""
    return hashlib.sha256(np.asarray(rows, dtype="<i8").tobytes()).hexdigest()


@dataclass
class KeptFloors:
    """The floors kept beside a store. A file that does not read, or was changed, counts as none and is written anew."""

    store: Store
    progress: Progress
    told: bool = False  # that nothing can be kept here

    def read(self, floor: str, known: dict[str, Any]) -> Metrics | None:
        """The metrics of a floor that depends on `known`, bit for bit those that were kept; None where there are none."""
        known = self._of(floor, known)
        file = self._file(known)
        try:
            kept = json.loads(file.read_bytes())
            if kept["of"] == known and kept["digest"] == value_digest(kept["protocols"]):
                tidy(file)
                return kept["protocols"]
            found = "a file that was changed"
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            found = str(error.strerror or error)
        except (ValueError, LookupError, TypeError, RecursionError):
            found = "a file that does not read"
        self.progress.say(f"{file}: expected a floor that was kept, found {found}; it is computed again")
        return None

    def write(self, floor: str, known: dict[str, Any], metrics: Metrics) -> None:
        """Keep a floor; where the folder cannot be written to, say so once."""
        known = self._of(floor, known)
        kept = {"of": known, "protocols": metrics, "digest": value_digest(metrics)}
        file = self._file(known)
        try:
            write_shared(file, json.dumps(kept, indent=1))
        except OSError as error:
            if not self.told:
                folder = self.store.path / FOLDER
                self.progress.say(
                    f"{folder}: expected to keep floors there, got: {error.strerror or error}; every run computes them again"
                )
            self.told = True

    def _of(self, floor: str, known: dict[str, Any]) -> dict[str, Any]:
        return {"floor": floor, "store": self.store.identity, **known}

    def _file(self, known: dict[str, Any]) -> Path:
        return self.store.path / FOLDER / f"{known['floor'].replace(' ', '-')}-{value_digest(known)[:16]}.json"
