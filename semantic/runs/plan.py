"""Which runs an experiment has, kept beside them, so that its report knows their order and what is missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from semantic.config.sweep_schema import ReportSection
from semantic.config.sweeps import Sweep
from semantic.runs.reading import read_bytes
from semantic.runs.summary import Count, Record, Word, fault
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError
from semantic.runtime.files import write_text

FILE = "sweep.json"
"""In the folder of an experiment's runs."""


class PlannedRun(Record):
    """A run of an experiment: its folder below that of the experiment, its variant, and its place on each axis."""

    folder: str
    variant: Word
    point: dict[str, Any]
    seed: Count
    fold: Count | None


class Plan(Record):
    """An experiment's runs in order, what its report shows, and which variants do not exist there and why."""

    experiment: Word
    runs: tuple[PlannedRun, ...]
    report: ReportSection
    left_out: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in order, each once: the rows of a table."""
        return tuple(dict.fromkeys(run.variant for run in self.runs))

    @property
    def points(self) -> dict[str, Mapping[str, Any]]:
        """The place of each variant on the axes."""
        return {run.variant: run.point for run in self.runs}

    @classmethod
    def of(cls, sweep: Sweep) -> "Plan":
        """The plan of a sweep's cells."""
        from semantic.runs.folder import RunFolder  # with torch, which those who read a plan have no need of

        root = Path(sweep.name)
        runs = []
        for cell in sweep.cells:
            config, fold = cell.config, cell.config.data.fold
            folder = RunFolder.of(config, Path()).path.relative_to(root).as_posix()
            index = fold.index if fold.count else None
            runs.append(
                PlannedRun(folder=folder, variant=config.variant, point=dict(cell.point), seed=config.seed, fold=index)
            )
        return cls(experiment=sweep.name, runs=tuple(runs), report=sweep.report, left_out=sweep.left_out)


def write_plan(plan: Plan, runs: Path) -> Path:
    """Write an experiment's plan into its folder below `runs`, where another one or none is there; the file's path."""
    file = runs / plan.experiment / FILE
    text = plan.model_dump_json(indent=1)
    with claim(file, lambda _: None):
        if not file.is_file() or read_bytes(file).rstrip(b"\n") != text.encode():
            write_text(file, text)
    return file


def read_plan(folder: Path) -> Plan | None:
    """The plan in an experiment's folder; None where there is none. DataError where the file is damaged."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        return Plan.model_validate_json(read_bytes(file))
    except ValidationError as error:
        raise DataError(f"{file}: {fault(error)}") from None
