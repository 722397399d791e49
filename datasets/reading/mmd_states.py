"""The `ds` of MMD's user turns as a belief state."""

from typing import Any

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.records import BeliefState
from semantic.datasets.reading.text import state_text, state_value_text

UNNAMED = frozenset({"", "none"})


def mmd_state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    """Slot -> "<sentiment> <value>" of the turn's `informable` entries, repeats of a slot joined by a space.

    Of a hierarchical slot, `materials >> upper materials (shoes)`, the part before `>>` counts. `requestable` fills
    `likes` and `dislikes` with the attributes named there, where the schema has these slots. A slot outside the
    schema is a fault; an entry without slot or value is a note.
    """
    ds = turn.get("ds")
    if not isinstance(ds, dict):
        return None
    parts: dict[str, list[str]] = {}
    for entry in _entries(ds.get("informable")):
        value = state_value_text(entry.get("values"))
        names = [state_text(str(name).split(">>")[0]) for name in _listed(entry.get("slot"))]
        if not value or not any(name not in UNNAMED for name in names):
            faults.note("state entry without a slot or a value", where)
            continue
        text = f"{state_value_text(entry.get('sentiment'))} {value}".strip()
        for name in names:
            if name in slots:
                parts.setdefault(name, []).append(text)
            elif name not in UNNAMED:
                faults.fault("unknown slot", where, f"expected a slot of {', '.join(slots)}, found {name!r}")
    for entry in _entries(ds.get("requestable")):
        for name in ("likes", "dislikes"):
            value = state_value_text(entry.get(name))
            if value and name in slots:
                parts.setdefault(name, []).append(value)
    return {slot: " ".join(texts) for slot, texts in parts.items()}


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
