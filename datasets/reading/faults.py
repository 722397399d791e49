"""Faults of the data that is read: counted by reason, or raised, by the user's policy."""

from collections.abc import Iterable, Mapping

from semantic.runtime.errors import DataError

POLICIES = ("stop", "skip")
EXAMPLES_A_REASON = 10
EXAMPLES = 100


class Faults:
    """Counts of everything rejected, with a few examples of each reason.

    A *note* is a defect that is common in real files (a null turn, an image id without URL): it is counted and never
    raised. A *fault* is a defect the user should know about before going on (a malformed file, an unknown slot): it
    raises DataError under `on_error="stop"` and is counted under "skip".
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
            raise DataError(f"{where}: {detail}")
        self.note(reason, where, detail)

    def merge(self, counts: Mapping[str, int], examples: Iterable[Mapping[str, str]]) -> None:
        """Add counts and examples. The first 10 examples of a reason are kept, and at most 100 in all."""
        for reason, count in counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + count
        for example in examples:
            reason = example["reason"].split(": ")[0]
            if self._shown.get(reason, 0) < EXAMPLES_A_REASON and len(self.examples) < EXAMPLES:
                self._shown[reason] = self._shown.get(reason, 0) + 1
                self.examples.append(dict(example))
