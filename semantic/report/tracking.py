"""How well the students of a set of runs track the dialogue state, as a table: joint goal accuracy, slot accuracy, every slot."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from semantic.report.tables import Cell
from semantic.runs.grouping import Group
from semantic.runs.summary import StateTracking

TRACKING = "Dialogue states: how often what the student infers is the gold value, per cent"
MEASURES = ("joint goal accuracy", "slot accuracy")


@dataclass(frozen=True)
class TrackingTable:
    """The rows of groups by title; `measures` are the first columns, `slots` the others. A slot that a group lacks has no cell."""

    slots: tuple[str, ...]
    rows: dict[str, dict[str, Cell]]

    @property
    def columns(self) -> tuple[str, ...]:
        return MEASURES + self.slots


def tracking_table(groups: Mapping[str, Group]) -> TrackingTable | None:
    """Mean and deviation over the runs of each group that tracks states; None where none does."""
    rows = {}
    for title, group in groups.items():
        tracked = [run.summary.states for run in group.runs if run.summary.states is not None]
        if len(tracked) == len(group.runs):
            values = [_values(one) for one in tracked]
            rows[title] = {name: _cell([one[name] for one in values if name in one]) for name in values[0]}
    names = dict.fromkeys(name for row in rows.values() for name in row if name not in MEASURES)
    return TrackingTable(tuple(names), rows) if rows else None


def _values(tracking: StateTracking) -> dict[str, float]:
    return {MEASURES[0]: tracking.joint_goal_accuracy, MEASURES[1]: tracking.slot_accuracy, **tracking.slots}


def _cell(values: list[float]) -> Cell:
    return Cell(fmean(values), stdev(values) if values[1:] else 0.0)
