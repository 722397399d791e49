"""What is wrong with the data that was read: counted by reason, or raised, as the user's policy says."""

from collections.abc import Iterable, Mapping

from semantic.runtime.errors import DataError

POLICIES = ("stop", "skip")
EXAMPLES_A_REASON = 10
EXAMPLES = 100


class Faults:
    """Counts of everything rejected, with a few places for each reason.

    A *note* is a blemish that real files are full of (a null turn, an image id without URL): always counted, never
    fatal. A *fault* is something the user should know before going on (a malformed file, an unknown slot): a
    DataError under `on_error="stop"`, counted and stepped over under "skip".
    """

    def __init__(self, on_error: str = "stop") -> None:
        if on_error not in POLICIES:
            raise DataError(f"on_error: expected one of {', '.join(POLICIES)}, found {on_error!r}")
        self.on_error = on_error
        self.counts: dict[str, int] = {}
        self.examples: list[dict[str, str]] = []
        self._shown: dict[str, int] = {}

    def note(self, reason: str, where: str, detail: str = "") -> None:
        """Count one more of `reason`; the first few of a reason keep their place."""
        self.merge({reason: 1}, [{"where": where, "reason": f"{reason}: {detail}" if detail else reason}])

    def fault(self, reason: str, where: str, detail: str) -> None:
        """Raise DataError "where: detail" under "stop", else count it as a note."""
        if self.on_error == "stop":
            raise DataError(f"{where}: {detail}")
        self.note(reason, where, detail)

    def merge(self, counts: Mapping[str, int], examples: Iterable[Mapping[str, str]]) -> None:
        """Add counts and examples, at most 10 examples a reason and 100 in all, the first ones kept."""
        for reason, count in counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + count
        for example in examples:
            reason = example["reason"].split(": ")[0]
            if self._shown.get(reason, 0) < EXAMPLES_A_REASON and len(self.examples) < EXAMPLES:
                self._shown[reason] = self._shown.get(reason, 0) + 1
                self.examples.append(dict(example))
