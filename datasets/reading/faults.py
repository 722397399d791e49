"""Faults of the data that is read: counted by reason, or raised, by the user's policy."""

from collections.abc import Iterable, Mapping
from reprlib import Repr

from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

POLICIES = ("stop", "skip")
EXAMPLES_A_REASON = 10
EXAMPLES = 100
LONGEST = 1000
"""The most characters of a message's place, and of its detail."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 2
_KINDS = {
    dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number",
    type(None): "null",
}  # fmt: skip


def kind(value: object) -> str:
    """What a value of a JSON file is, for a message: "an object", "a list", "null" and so on."""
    return next((_KINDS[each] for each in type(value).__mro__ if each in _KINDS), type(value).__name__)


def shown(value: object) -> str:
    """A value of a JSON file for a message: its `repr`, shortened. It is one line, and UTF-8 can hold it."""
    return _SHORT.repr(value)


def one_line(text: str) -> str:
    """1,000 characters of the text, as `visible` shows them."""
    return visible(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


class Faults:
    """Counts of everything rejected, with a few examples of each reason.

    A *note* is a defect that is common in real files (a null turn, an image id without URL): it is counted and never
    raised. A *fault* is a defect the user should know about before going on (a malformed file, an unknown slot): it
    raises DataError under `on_error="stop"` and is counted under "skip". Messages and examples are one line each.
    """

    def __init__(self, on_error: str = "stop") -> None:
        if on_error not in POLICIES:
            raise DataError(f"on_error: expected one of {', '.join(POLICIES)}, found {on_error!r}")
        self.on_error = on_error
        self.counts: dict[str, int] = {}
        self.examples: list[dict[str, str]] = []
        self._shown: dict[str, int] = {}

    def note(self, reason: str, where: str, detail: str = "") -> None:
        """Count one more of `reason`; the first few are kept as examples with their place."""
        self.merge({reason: 1}, [{"where": where, "reason": f"{reason}: {detail}" if detail else reason}])

    def fault(self, reason: str, where: str, detail: str) -> None:
        """Raise DataError "where: detail" under "stop"; count it as a note under "skip"."""
        if self.on_error == "stop":
            raise DataError(f"{one_line(where)}: {one_line(detail)}")
        self.note(reason, where, detail)

    def merge(self, counts: Mapping[str, int], examples: Iterable[Mapping[str, str]]) -> None:
        """Add counts and examples. The first 10 examples of a reason are kept, and at most 100 in all."""
        for reason, count in counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + count
        for example in examples:
            reason = example["reason"].split(": ")[0]
            if self._shown.get(reason, 0) < EXAMPLES_A_REASON and len(self.examples) < EXAMPLES:
                self._shown[reason] = self._shown.get(reason, 0) + 1
                self.examples.append({key: one_line(text) for key, text in example.items()})


class Found:
    """Notes and faults found while tables are opened, before a policy is known; `report` hands them on in their order."""

    def __init__(self) -> None:
        self._entries: list[tuple[bool, str, str, str]] = []

    def note(self, reason: str, where: str, detail: str = "") -> None:
        self._entries.append((False, reason, where, detail))

    def fault(self, reason: str, where: str, detail: str) -> None:
        self._entries.append((True, reason, where, detail))

    def report(self, faults: Faults) -> None:
        for is_fault, *entry in self._entries:
            (faults.fault if is_fault else faults.note)(*entry)
