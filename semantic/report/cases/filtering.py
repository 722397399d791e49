"""Filters of queries: by slots that are set, by turn, by number of positives."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible


@dataclass(frozen=True)
class Span:
    """Whole numbers from `low` to `high`, both included; None has no end."""

    low: int | None
    high: int | None

    @classmethod
    def parse(cls, text: str, where: str) -> "Span":
        """The span of "3", "1-3", "2-" or "-3". DataError, with `where`, for anything else."""
        found = re.fullmatch(r"(?P<low>\d{1,9})?(?P<dash>-)?(?P<high>\d{1,9})?", text, re.ASCII)
        low, dash, high = found.group("low", "dash", "high") if found else (None, None, None)
        if (not low and not (dash and high)) or (high and not dash):
            raise DataError(f"{where}: expected a number or a span such as 3, 1-3, 2- or -3, found {visible(text)!r}")
        span = cls(int(low) if low else None, int(high) if high else None if dash else int(low or 0))
        if span.low is not None and span.high is not None and span.low > span.high:
            raise DataError(f"{where}: expected a span whose end is not below its beginning, found {visible(text)!r}")
        return span

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which of the values lie in it, bool."""
        result = np.ones(len(values), dtype=bool)
        if self.low is not None:
            result &= values >= self.low
        if self.high is not None:
            result &= values <= self.high
        return result

    def __str__(self) -> str:
        if self.low == self.high:
            return str(self.low)
        return f"{'' if self.low is None else self.low}-{'' if self.high is None else self.high}"


@dataclass(frozen=True)
class Filters:
    """Queries whose gold state sets each of `slots`, whose turn lies in `turn` and number of positives in `positives`."""

    slots: tuple[str, ...] = ()
    turn: Span | None = None
    positives: Span | None = None

    @classmethod
    def parse(cls, slots: Sequence[str], turn: str | None, positives: str | None) -> "Filters":
        """The filters as a command line gives them. DataError for one that is none."""
        return cls(
            tuple(dict.fromkeys(slots)),
            None if turn is None else Span.parse(turn, "--turn"),
            None if positives is None else Span.parse(positives, "--positives"),
        )

    def __bool__(self) -> bool:
        return bool(self.slots or self.turn or self.positives)

    def __str__(self) -> str:
        """ "slot color, turn 1-3"."""
        parts = [f"slot {visible(slot)}" for slot in self.slots]
        parts += [f"{name} {span}" for name, span in (("turn", self.turn), ("positives", self.positives)) if span]
        return ", ".join(parts)

    def check_slots(self, store: Store) -> None:
        """DataError where the store has not one of the slots."""
        unknown = [slot for slot in self.slots if slot not in store.slots]
        if unknown:
            raise DataError(
                f"--slot: expected slots of {store.path} ({', '.join(store.slots)}), found {', '.join(map(repr, unknown))}"
            )

    def keep(self, facets: pd.DataFrame) -> np.ndarray:
        """Which queries pass, bool [query]. DataError where none does."""
        kept = np.fromiter((set(self.slots) <= set(own or ()) for own in facets["slots"]), dtype=bool)
        for name, span in (("turn", self.turn), ("positives", self.positives)):
            if span is not None:
                kept &= span.holds(facets[name].to_numpy())
        if not kept.any():
            raise DataError(f"filters: expected a query with {self}, found none among {len(facets):,}")
        return kept
