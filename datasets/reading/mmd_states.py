"""Belief states from the `ds` of MMD's user turns."""

from typing import Any

from semantic.datasets.reading.faults import Faults, kind
from semantic.datasets.reading.records import BeliefState
from semantic.datasets.reading.text import TextError, checked, state_text, state_value_text

UNNAMED = frozenset({"", "none"})
ABSENT = (None, "null")
"""How MMD writes an annotation that is not there."""


def mmd_state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    """The turn's belief state, or None where it has no `ds`.

    It maps each slot of the `informable` entries to "<sentiment> <value>", repeats joined by a space. Of a
    hierarchical slot such as `materials >> upper materials (shoes)`, only `materials` counts. The slots `likes` and
    `dislikes`, where the schema has them, hold the attributes that `requestable` names. A slot outside the schema is a
    fault, and that slot is left out; an entry without a slot or a value is a note. Anything of another kind than
    expected is a fault, and the turn has no state: one with a part left out would teach that the part is unset.
    """
    try:
        return _state(turn, slots, where, faults)
    except TextError as error:
        faults.fault("malformed state", where, f"ds: {error}")
        return None


def _state(turn: dict[str, Any], slots: tuple[str, ...], where: str, faults: Faults) -> BeliefState | None:
    ds = turn.get("ds")
    if ds in ABSENT:
        return None
    if not isinstance(ds, dict):
        raise TextError(f"expected an object, found {kind(ds)}")
    texts: dict[str, list[str]] = {}
    for entry in _entries(ds, "informable"):
        value = state_value_text(entry.get("values"))
        names = _slot_names(entry.get("slot"))
        if not value or not any(name not in UNNAMED for name in names):
            faults.note("state entry without a slot or a value", where)
            continue
        text = f"{state_value_text(entry.get('sentiment'))} {value}".strip()
        for name in names:
            if name in slots:
                texts.setdefault(name, []).append(text)
            elif name not in UNNAMED:
                faults.fault("unknown slot", where, f"expected a slot of {', '.join(slots)}, found {name!r}")
    for entry in _entries(ds, "requestable"):
        for name in ("likes", "dislikes"):
            value = state_value_text(entry.get(name))
            if value and name in slots:
                texts.setdefault(name, []).append(value)
    return {slot: " ".join(values) for slot, values in texts.items()}


def _entries(ds: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list; a null is an empty one."""
    value = ds.get(key)
    if value in ABSENT:
        return []
    if not isinstance(value, list):
        raise TextError(f"expected a list under {key}, found {kind(value)}")
    for entry in value:
        if entry is not None and not isinstance(entry, dict):
            raise TextError(f"expected objects in the list {key}, found {kind(entry)}")
    return [entry or {} for entry in value]


def _slot_names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name is not None and not isinstance(name, str):
            raise TextError(f"expected a text as the name of a slot, found {kind(name)}")
    return [state_text(checked(name).split(">>")[0]) for name in names if name is not None]
