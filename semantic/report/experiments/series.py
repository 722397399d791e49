"""What an experiment's figure draws: our rows over an axis or one beneath the other, and what is published beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from semantic.report.experiments.record import PublishedLine
from semantic.report.experiments.results import ExperimentResult
from semantic.runs.plan import Plan
from semantic.runtime.errors import DataError

CROWDED = 0.04
"""Points nearer than this share of the axis stand side by side at equal distances instead."""
MOST_TICKS = 9
OURS = "ours"


@dataclass(frozen=True)
class Point:
    """A mean with its deviation (None where there is one value alone, or none was published), and the values it is of."""

    place: float
    mean: float
    deviation: float | None
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Series:
    """A line of the figure: ours or a published one; per cent. `of` is the number of our line that it is the counterpart of."""

    name: str
    points: tuple[Point, ...]
    published: bool = False
    of: int | None = None


@dataclass(frozen=True)
class Axis:
    """The axis of a line: its ticks, each a place and what stands there, and its label."""

    label: str
    ticks: tuple[tuple[float, str], ...] | None  # None: where matplotlib finds them good
    places: Mapping[float, float]

    def place(self, value: float) -> float:
        return self.places[value]

    @property
    def span(self) -> float:
        return max(self.places.values()) - min(self.places.values())


def line_axis(result: ExperimentResult) -> Axis:
    """The axis of a `line`: the values of our rows and of what is published.

    Shares read as per cent. Values that are very unevenly far from one another stand at equal distances, which the label says.

    Raises:
        DataError: a value of the axis is no number.
    """
    plan = result.plan
    key = _axis_key(plan)
    for variant, point in plan.points.items():
        if isinstance(point.get(key), bool) or not isinstance(point.get(key), int | float):
            raise DataError(
                f"{plan.experiment}: report.axis: expected numbers for a line, found {point.get(key)!r} of {variant}"
            )
    values = sorted(
        {float(point[key]) for point in plan.points.values()}
        | {o.at for o in result.results.published if o.at is not None}
    )
    share = key.endswith("share")
    scale = 100 if share else 1
    span = (values[-1] - values[0]) or 1.0
    crowded = any(after - before < CROWDED * span for before, after in pairwise(values))
    label = key.rpartition(".")[2].replace("_", " ") + (", per cent" if share else "")
    texts = [f"{scale * value:g}" for value in values]
    if crowded:
        equal = [float(place) for place in range(len(values))]
        return Axis(
            f"{label} (not to scale)", tuple(zip(equal, texts, strict=True)), dict(zip(values, equal, strict=True))
        )
    places = {value: scale * value for value in values}
    return Axis(label, tuple(zip(places.values(), texts, strict=True)) if len(values) <= MOST_TICKS else None, places)


def line_series(result: ExperimentResult, metric: str, axis: Axis) -> list[Series]:
    """Our lines over the axis, one of each variant and of each place on the other axes; then the published ones that have a
    place on it, those of one name as one line, or those of one counterpart.
    """
    plan, key = result.plan, _axis_key(result.plan)
    lines: dict[str, dict[float, str]] = {}
    for variant, point in plan.points.items():
        if variant in result.groups:
            lines.setdefault(_series_name(variant, point, key), {})[float(point[key])] = variant
    series = [
        Series(name, tuple(_point(result, variant, metric, axis.place(at)) for at, variant in sorted(rows.items())))
        for name, rows in lines.items()
    ]
    names = list(lines)
    published: dict[tuple[str, int | None], list[PublishedLine]] = {}
    for one in result.results.published:
        if one.at is not None and metric in one.values:
            beside = one.beside
            name = _series_name(beside, plan.points[beside], key) if beside in plan.points and beside else None
            of = names.index(name) if name in names else None
            published.setdefault(("" if of is not None else one.name, of), []).append(one)
    for (name, of), ones in published.items():
        points = sorted((one.at, one.values[metric]) for one in ones if one.at is not None)
        label = name or (ones[0].name if len(ones) == 1 else series[of or 0].name if len(series) > 1 else "")
        drawn = tuple(Point(axis.place(at), 100 * mean, None if sd is None else 100 * sd) for at, (mean, sd) in points)
        series.append(Series(f"published: {label}" if label else "published", drawn, True, of))
    return series


def levels(result: ExperimentResult, metric: str) -> list[tuple[str, float]]:
    """Published values without a place on the axis: name and per cent."""
    return [
        (f"published: {one.name}", 100 * one.values[metric][0])
        for one in result.results.published
        if one.at is None and metric in one.values
    ]


def row_points(result: ExperimentResult, metric: str) -> dict[str, Point]:
    """Our rows, in the order of the plan; their places count from 0."""
    return {name: _point(result, name, metric, float(place)) for place, name in enumerate(result.groups)}


def best_floor(result: ExperimentResult, metric: str) -> tuple[str, float] | None:
    """The best floor of the table's protocol, in per cent; None where there is none, or rows stand on several sets of queries."""
    results = result.results
    floor = results.parts[0].best("floor", results.protocol, metric)
    if floor is None or len(results.parts) > 1:
        return None
    return f"floor: {floor.name}", 100 * floor.values[results.protocol][metric].mean


def _axis_key(plan: Plan) -> str:
    return plan.report.axis or next(iter(next(iter(plan.points.values()))))


def _series_name(variant: str, point: Mapping[str, object], key: str) -> str:
    """A row's name without its place on the axis: "full,labelled_share=0.05" -> "full"."""
    parts, axes = variant.split(","), list(point)
    del parts[len(parts) - len(axes) + axes.index(key)]
    return ",".join(parts) or OURS


def _point(result: ExperimentResult, row: str, metric: str, place: float) -> Point:
    protocol = result.results.protocol
    (line,) = (line for part in result.results.parts for line in part.variants if line.name == row)
    value = line.values[protocol][metric]
    values = tuple(100 * run.summary.protocols[protocol][metric] for run in result.groups[row].runs)
    return Point(place, 100 * value.mean, 100 * value.deviation if values[1:] else None, values)
