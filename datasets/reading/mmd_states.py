"""Belief states from the `ds` of MMD's user turns."""

from typing import Any

from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.records import BeliefState
from semantic.datasets.reading.text import state_text, state_value_text

UNNAMED = frozenset({"", "none"})


def mmd_state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    """The turn's belief state, or None where it has no `ds`.

    It maps each slot of the `informable` entries to "<sentiment> <value>", repeats joined by a space. Of a
    hierarchical slot such as `materials >> upper materials (shoes)`, only `materials` counts. The slots `likes` and
    `dislikes`, where the schema has them, hold the attributes that `requestable` names. A slot outside the schema is a
    fault; an entry without a slot or a value is a note.
    """
    ds = turn.get("ds")
    if not isinstance(ds, dict):
        return None
    texts: dict[str, list[str]] = {}
    for entry in _entries(ds.get("informable")):
        value = state_value_text(entry.get("values"))
        names = [state_text(str(name).split(">>")[0]) for name in _listed(entry.get("slot"))]
        if not value or not any(name not in UNNAMED for name in names):
            faults.note("state entry without a slot or a value", where)
            continue
        text = f"{state_value_text(entry.get('sentiment'))} {value}".strip()
        for name in names:
            if name in slots:
                texts.setdefault(name, []).append(text)
            elif name not in UNNAMED:
                faults.fault("unknown slot", where, f"expected a slot of {', '.join(slots)}, found {name!r}")
    for entry in _entries(ds.get("requestable")):
        for name in ("likes", "dislikes"):
            value = state_value_text(entry.get(name))
            if value and name in slots:
                texts.setdefault(name, []).append(value)
    return {slot: " ".join(values) for slot, values in texts.items()}


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
