"""results.json: all that an experiment's tables show, small enough to be kept beside its configuration."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from semantic.report.tables import Cell
from semantic.runs.reading import read_bytes
from semantic.runs.summary import Count, Digest, Record, Share, Word, fault
from semantic.runtime.errors import DataError

BEST, LIKE = "best", "like"
LINE = 140


class Value(Record):
    """Mean and standard deviation over runs; `mark` says best of its column, or not significantly worse than that."""

    mean: float
    deviation: float
    mark: Literal["", "best", "like"] = ""

    def text(self, separator: str = " ") -> str:
        """Per cent with one decimal: "41.2 ± 0.6"."""
        return Cell(self.mean, self.deviation).text(separator)


ProtocolName = Annotated[str, Field(pattern="^(standard|released)$")]
Values = dict[ProtocolName, dict[str, Value]]
"""By protocol and metric."""


MOST_TIES = 0.05
"""Share of queries with ties, above which the released protocol flatters a row too much for it to be the best."""


class Line(Record):
    """A row of the table: a variant with its finished runs, or a floor.

    `runs` of a variant are those that count, of `planned` ones; of a floor the sets of queries. `seen` counts dialogues
    that the runs both learned from and rank.
    """

    name: str
    kind: Literal["variant", "floor"]
    size: str
    runs: Count
    planned: Count
    seen: Count
    gold: bool = False  # it ranks by the gold state
    ties: Share  # queries in which a product that is right ties with one that is wrong; the mean over runs
    values: Values
    parameters: Count | None = None
    seconds: float | None = None  # of a run, the mean

    def competes(self, protocol: ProtocolName) -> bool:
        """Whether the row may be the best: it has seen neither what it ranks nor its label, and its ties, which the released
        protocol counts as won, are few there.
        """
        return (
            not self.seen
            and not self.gold
            and (protocol == "standard" or self.kind == "floor" or self.ties <= MOST_TIES)
        )

    @property
    def heading(self) -> str:
        """ "alpha=0.5 (5 folds)", "alpha=0.5 (3 of 5 runs)"."""
        return f"{self.name} ({self.size})" if self.size else self.name


class Tested(Record):
    """A test of a row against another, over what both have (`testing.with_tests`).

    `difference` is the mean over queries of the row's value less the other's, `corrected` is p after Holm's correction
    over the rows of the column, and `runs` of the row were shared.
    """

    row: str
    against: str
    is_best: bool  # whether `against` is the best of the column
    protocol: ProtocolName
    metric: str
    difference: float
    p: Share
    corrected: Share
    runs: Count
    dialogues: Count
    queries: Count


class Part(Record):
    """The rows on one set of queries, or on the sets of the same folds: only these are compared. `place` names it."""

    place: str
    store: str
    identity: Digest
    split: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    tests: tuple[Tested, ...]

    @property
    def variants(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind == "variant")

    @property
    def floors(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind == "floor")

    def best(self, kind: str, protocol: ProtocolName, metric: str) -> Line | None:
        """The best variant or floor of a column, of those that compete there; of variants, of those with the most runs."""
        rivals = [line for line in self.lines if line.kind == kind and line.competes(protocol)]
        most = max((line.runs for line in rivals), default=0)
        rivals = [line for line in rivals if kind == "floor" or line.runs == most]
        return max(rivals, key=lambda line: line.values[protocol][metric].mean, default=None)


class PublishedLine(Record):
    """A published row, in fractions; `beside` is our row that it is the counterpart of, `at` its place on the figure's axis."""

    name: str
    beside: str | None
    at: float | None
    values: dict[str, tuple[float, float | None]]

    def text(self, metric: str, separator: str = " ") -> str:
        """Per cent with one decimal, the deviation where one was published; empty where the metric was not."""
        if metric not in self.values:
            return ""
        mean, deviation = self.values[metric]
        return f"{100 * mean:.1f}" + ("" if deviation is None else f"{separator}± {100 * deviation:.1f}")


class Machine(Record):
    """Where runs were made."""

    cpu: str
    cores: Count | None
    device: str
    platform: str
    processes: Count


class Results(Record):
    """An experiment's results. All values are fractions, not per cent; `protocol` is that of the published ones.

    `metrics` are those that the figure draws and whose tests are kept here. `packages` has each version that a run had.
    """

    format: Literal["semantic-results"] = "semantic-results"
    version: Literal[1] = 1
    experiment: Word
    title: str
    source: str
    protocol: ProtocolName
    metrics: tuple[str, ...]
    baseline: str | None
    planned: Count
    finished: Count
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    parts: tuple[Part, ...]
    published: tuple[PublishedLine, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    machines: tuple[Machine, ...]
    packages: dict[str, tuple[str, ...]]
    revisions: tuple[str, ...]
    costs: bool = False  # whether readers are shown what each row costs

    def to_json(self) -> str:
        """The text of results.json: numbers with six decimals, and the tests of `metrics` alone; all are in tests.csv."""
        parts = [
            part.model_copy(update={"tests": tuple(one for one in part.tests if one.metric in self.metrics)})
            for part in self.parts
        ]
        values = self.model_copy(update={"parts": tuple(parts)}).model_dump(mode="json")
        return _written(json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 6)))


def _written(value: Any, indent: str = "") -> str:
    """JSON in which what fits stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= LINE or not isinstance(value, dict | list):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_written(one, inner)}" for key, one in value.items()]
    else:
        parts = [_written(one, inner) for one in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


def read_results(file: Path) -> Results:
    """The results in a results.json. DataError where it is not one."""
    try:
        return Results.model_validate_json(read_bytes(file))
    except ValidationError as error:
        raise DataError(f"{file}: {fault(error)}") from None
