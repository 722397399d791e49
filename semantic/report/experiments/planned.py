"""The runs of a plan as they stand: finished ones by row, and what is missing, in words."""

import json
from collections.abc import Mapping
from pathlib import Path

from semantic.config.loading import read_values
from semantic.config.schema import Config
from semantic.config.values import dotted
from semantic.runs.grouping import FREE, REPLICATES, Group, group_runs
from semantic.runs.plan import Plan, PlannedRun
from semantic.runs.reading import CONFIG, SUMMARY, Run, count_epochs, read_bytes, read_run
from semantic.runtime.terminal import visible

NOT_COMPARED = {"data.store", "variant", "experiment", *REPLICATES, *FREE}
"""Keys that a run and its experiment's file may have otherwise: where the store lay, which run it is, what changes no result."""

SHOWN = 3


def finished_runs(plan: Plan, folder: Path) -> tuple[dict[str, list[Run]], list[str], list[str]]:
    """The finished runs of each row that has one, in the order of the plan; what is missing; and folders with another run.

    Raises:
        DataError: a file of a run is damaged.
    """
    rows: dict[str, list[Run]] = {}
    missing, warnings = [], []
    for planned in plan.runs:
        place = folder / planned.folder
        if not (place / SUMMARY).exists():
            missing.append(f"{_name(planned)} ({_state(place)})")
            continue
        run = read_run(place)
        if _is_it(run, planned):
            rows.setdefault(planned.variant, []).append(run)
        else:
            missing.append(f"{_name(planned)} (another run in its folder)")
            warnings.append(
                f"{visible(str(place))}: expected {_name(planned)}, found {run.summary.variant}, {run.place}; left out."
            )
    return rows, missing, warnings


def row_groups(rows: Mapping[str, list[Run]]) -> tuple[dict[str, Group], list[str]]:
    """The runs of each row that belong together, the most if they differ, and a warning for each of the others."""
    groups, warnings = {}, []
    for name, runs in rows.items():
        kinds, _ = group_runs(runs)
        kept = max(kinds, key=lambda group: len(group.runs))
        groups[name] = Group(kept.runs, kept.settings)
        for other in kinds:
            if other is not kept:
                what = (
                    f"another configuration{other.label}" if other.label else "another store, split or set of queries"
                )
                warnings += [
                    f"{visible(str(run.path))}: expected what the other runs of {name} have, found {what}; left out."
                    for run in other.runs
                ]
    return groups, warnings


def changed_since(groups: Mapping[str, Group], configs: Mapping[str, Config]) -> list[str]:
    """A warning of rows whose runs were made with other values than the experiment has now; `configs` are by row."""
    rows: dict[str, list[str]] = {}
    for name, group in groups.items():
        then = dotted(group.runs[0].config or {})
        now = dotted(configs[name].model_dump(mode="json")) if name in configs else {}
        changed = [
            f"{key} {json.dumps(then[key], default=str)}, now {json.dumps(value)}"
            for key, value in now.items()
            if key in then and key not in NOT_COMPARED and then[key] != value
        ]
        if changed:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            rows.setdefault(visible("; ".join(changed[:SHOWN])) + more, []).append(name)
    return [
        f"{'all rows' if len(names) == len(groups) else ', '.join(names)}: the runs were made with other values than the "
        f"experiment has now: {changed}."
        for changed, names in rows.items()
    ]


def _is_it(run: Run, planned: PlannedRun) -> bool:
    one = run.summary
    fold = None if one.fold is None else one.fold.index
    return (one.variant, one.seed, fold) == (planned.variant, planned.seed, planned.fold)


def _name(planned: PlannedRun) -> str:
    return f"{planned.variant}, seed {planned.seed}" + ("" if planned.fold is None else f", fold {planned.fold}")


def _state(folder: Path) -> str:
    """How far an unfinished run is: "epoch 3 of 15"."""
    file = folder / CONFIG
    if not file.exists():
        return "not begun"
    training = read_values(read_bytes(file).decode("utf-8", "replace"), str(file)).get("training")
    epochs = training.get("epochs") if isinstance(training, dict) else None
    done = count_epochs(folder)
    return f"epoch {done}" + (f" of {epochs}" if type(epochs) is int else "") + ", not evaluated" * (done == epochs)
