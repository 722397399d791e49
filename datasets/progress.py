"""How long steps say how far they are."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""(what is being done, done, total). Raising from it interrupts the step; nothing written before is lost."""


def no_progress(_what: str, _done: int, _total: int) -> None:
    """For callers who want none."""
