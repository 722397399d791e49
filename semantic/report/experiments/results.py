"""An experiment's results from its plan and the folders of its runs: rows in the plan's order, compared, floors beneath."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from semantic.config.schema import Config
from semantic.config.sweep_schema import Published
from semantic.report.experiments.planned import changed_since, finished_runs, row_groups
from semantic.report.experiments.record import Line, Machine, Part, PublishedLine, Results, Value, Values
from semantic.report.experiments.testing import with_tests
from semantic.report.tables import Cell, Key, cells_of, dropped_of, floors_of, places_of, store_name, warnings_of
from semantic.runs.grouping import Group
from semantic.runs.plan import Plan
from semantic.runs.summary import PROTOCOLS
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

MOST_MISSING = 6


@dataclass(frozen=True)
class ExperimentResult:
    """The results, and the runs of each row behind them, in the order of the plan."""

    plan: Plan
    results: Results
    groups: dict[str, Group]


def experiment_result(plan: Plan, folder: Path, configs: Mapping[str, Config] | None = None) -> ExperimentResult:
    """The results of a plan, whose runs lie below a folder; `configs` are what the rows would be run with now, where known.

    Raises:
        DataError: no run is finished, a file of a run is damaged, or the report names a metric that the runs have not.
    """
    rows, missing, warnings = finished_runs(plan, folder)
    if not rows:
        raise DataError(
            f"{folder}: expected a finished run of the experiment or more, found none of {len(plan.runs)}: "
            f"{_listed(missing)}; `semantic sweep` runs them"
        )
    groups, more = row_groups(rows)
    warnings += [*more, *changed_since(groups, configs or {})]
    warnings += [line for name, group in groups.items() for line in warnings_of(name, group)]
    members = _members(groups)
    parts = [_part(plan, groups, names) for names in members]
    _check_metrics(plan, parts)
    runs = [run for group in groups.values() for run in group.runs]
    environments = [run.environment for run in runs if run.environment]
    results = Results(
        experiment=plan.experiment,
        title=plan.report.title or plan.experiment,
        source=plan.report.source,
        protocol=plan.report.protocol,
        metrics=plan.report.metrics,
        baseline=plan.report.baseline if plan.report.baseline in groups else None,
        planned=len(plan.runs),
        finished=len(plan.runs) - len(missing),
        missing=tuple(missing),
        left_out=plan.left_out,
        parts=tuple(parts),
        published=tuple(map(_published, plan.report.published)),
        notes=(*plan.report.notes, *_notes(plan, groups, members)),
        warnings=tuple(warnings),
        seconds=sum(run.summary.seconds for run in runs),
        machines=tuple(dict.fromkeys(map(_machine, environments))),
        packages=_packages(environments),
        costs=plan.report.costs,
        revisions=tuple(
            dict.fromkeys(_revision(one["git"]) for one in environments if isinstance(one.get("git"), dict))
        ),
    )
    return ExperimentResult(plan, results, groups)


def progress_line(results: Results) -> str:
    """ "14 of 21 runs finished; missing: labelled_share=0.1, seed 2 (epoch 3 of 15), ..."."""
    found = f"{results.finished} of {results.planned} runs finished"
    return f"{found}; missing: {_listed(results.missing)}." if results.missing else f"{found}."


def _listed(missing: Sequence[str]) -> str:
    more = len(missing) - MOST_MISSING
    return "; ".join(missing[:MOST_MISSING]) + (f"; and {more} more" if more > 0 else "")


def _members(groups: Mapping[str, Group]) -> list[list[str]]:
    """The names of rows by what they were evaluated on: one store, one split or one division into folds, the same queries."""
    found: list[tuple[tuple[Any, ...], dict[int | None, str], list[str]]] = []
    for name, group in groups.items():
        one = group.runs[0].summary
        scheme = None if one.fold is None else (one.fold.count, one.fold.seed, one.fold.pooled)
        key = (one.identity, one.split, scheme)
        sets = {None if r.summary.fold is None else r.summary.fold.index: r.summary.queries for r in group.runs}
        for known, queries, names in found:
            if known == key and all(queries.get(fold, digest) == digest for fold, digest in sets.items()):
                queries.update(sets)
                names.append(name)
                break
        else:
            found.append((key, sets, [name]))
    return [names for _, _, names in found]


def _part(plan: Plan, groups: Mapping[str, Group], names: Sequence[str]) -> Part:
    planned = {name: sum(run.variant == name for run in plan.runs) for name in names}
    own = {name: groups[name] for name in names}
    fullest = sorted(own.values(), key=lambda group: -len(group.runs))
    lines = [_line(name, group, planned[name]) for name, group in own.items()]
    for floor in floors_of([run for group in own.values() for run in group.runs]):
        lines.append(Line(**_floor(floor.label, floor.runs, floor.cells)))
    metrics = tuple(
        metric
        for metric in lines[0].values["standard"]
        if all(metric in line.values[p] for line in lines for p in PROTOCOLS)
    )
    one = fullest[0].runs[0].summary
    part = Part(
        place=places_of([fullest])[0],
        store=visible(store_name(one.store)),
        identity=one.identity,
        split=visible(one.split),
        metrics=metrics,
        lines=tuple(lines),
        tests=(),
    )
    return with_tests(part, plan.report.baseline, own)


def _line(name: str, group: Group, planned: int) -> Line:
    runs = len(group.runs)
    size = group.size if runs == planned else f"{runs} of {planned} runs"
    values = _values(cells_of(group.runs))
    ties = fmean(run.summary.tie_rate for run in group.runs)
    return Line(
        name=name,
        kind="variant",
        size=size,
        runs=runs,
        planned=planned,
        seen=group.seen,
        gold=group.reads_gold_states,
        ties=ties,
        values=values,
        parameters=group.runs[0].summary.counts.get("parameters"),
        seconds=fmean(run.summary.seconds for run in group.runs),
    )


def _floor(name: str, sets: int, cells: Mapping[Key, Cell]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "floor",
        "size": "",
        "runs": sets,
        "planned": sets,
        "seen": 0,
        "ties": 0.0,
        "values": _values(cells),
    }


def _values(cells: Mapping[Key, Cell]) -> Values:
    return {
        protocol: {
            metric: Value(mean=c.mean, deviation=c.deviation) for (p, metric), c in cells.items() if p == protocol
        }
        for protocol in PROTOCOLS
    }


def _check_metrics(plan: Plan, parts: Sequence[Part]) -> None:
    """DataError where the report names a metric that the runs have not."""
    known = [metric for metric in parts[0].metrics if all(metric in part.metrics for part in parts)]
    named = {f"report.published ({visible(one.name)})": one.values for one in plan.report.published}
    for where, metrics in {"report.metrics": plan.report.metrics, **named}.items():
        for metric in metrics:
            if metric not in known:
                raise DataError(f"{plan.experiment}: {where}: expected one of {', '.join(known)}, found {metric}")


def _published(one: Published) -> PublishedLine:
    values = {key: (mean / 100, None if sd is None else sd / 100) for key, (mean, sd) in one.values.items()}
    return PublishedLine(name=visible(one.name), beside=one.beside, at=one.at, values=values)


def _notes(plan: Plan, groups: Mapping[str, Group], members: Sequence[Sequence[str]]) -> list[str]:
    notes = []
    if len(members) > 1:
        notes.append("Rows on other queries stand in a table of their own; only rows of one table are compared.")
    if any(len({len(groups[name].runs) for name in names}) > 1 for names in members):
        notes.append(
            "Rows have different numbers of runs: two rows are compared on the runs that both have, and the best of a column is "
            "one of those with the most runs."
        )
    silent = [f"{name} ({run.place})" for name, group in groups.items() for run in group.runs if not run.has_queries]
    if silent and len(groups) > 1:
        notes.append(f"Not compared, for no queries were kept: {_listed(silent)}.")
    notes += [line for name, group in groups.items() for line in dropped_of(name, group)]
    return [*notes, *plan.left_out]


def _machine(environment: Mapping[str, Any]) -> Machine:
    words = {key: str(environment.get(key, "unknown")) for key in ("cpu", "device", "platform")}
    cores, processes = environment.get("cores"), environment.get("processes")
    return Machine(
        **words, cores=cores if type(cores) is int else None, processes=processes if type(processes) is int else 1
    )


def _packages(environments: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The versions of Python and of each package that the runs were made with."""
    found: dict[str, dict[str, None]] = {}
    for one in environments:
        packages = one.get("packages")
        named = {"python": one.get("python"), **(packages if isinstance(packages, dict) else {})}
        for name, version in named.items():
            if isinstance(version, str):
                found.setdefault(str(name), {})[version] = None
    return {name: tuple(versions) for name, versions in found.items()}


def _revision(git: Mapping[str, Any]) -> str:
    return f"{git.get('commit')}" + (" with changes" if git.get("changed") else "")
