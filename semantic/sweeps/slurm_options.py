"""Options of sbatch, as the command line gives them: KEY=VALUE, or KEY of those that have no value."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from semantic.runtime.errors import UserError

MINUTES = 240
"""Time limit of a job that is given none. A run that needs longer goes on in the next turn."""

OWN = frozenset(
    {
        "array", "chdir", "error", "help", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "parsable",
        "requeue", "signal", "test-only", "version", "wait", "wrap",
    }
)  # fmt: skip
"""Options that a sweep sets itself, or that would keep sbatch from submitting it."""

TIME = re.compile(
    r"(?:(?P<days>\d{1,9})-(?P<d_hours>\d{1,9})(?::(?P<d_minutes>\d{1,9})(?::(?P<d_seconds>\d{1,9}))?)?"
    r"|(?P<hours>\d{1,9}):(?P<h_minutes>\d{1,9}):(?P<h_seconds>\d{1,9})"
    r"|(?P<minutes>\d{1,9})(?::(?P<seconds>\d{1,9}))?)",
    re.ASCII,
)
MOST_MINUTES = 60 * 24 * 366


@dataclass(frozen=True)
class SlurmOptions:
    """The time limit of each job in minutes, and other options of sbatch by their names, with `_` for `-`."""

    minutes: int = MINUTES
    others: dict[str, str | bool] = field(default_factory=dict)

    @property
    def of_steps(self) -> list[str]:
        """Options that srun, which starts a job's process, has to be given again: since 22.05 it takes over no number of cores."""
        cores = self.others.get("cpus_per_task")
        return [] if cores is None else [f"--cpus-per-task={cores}"]

    def named_in(self, text: str) -> bool:
        """Whether a text names one of the options or its value."""
        words = ["time", *(name.replace("_", "-") for name in self.others)]
        words += [value for value in self.others.values() if isinstance(value, str)]
        return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words if word)


def parse_options(given: Sequence[str]) -> SlurmOptions:
    """Options as `--slurm-option` gives them: "partition=gpu", "gpus_per_node=1", "time=8:00:00", "exclusive".

    Raises:
        UserError: no such form, an option that the sweep sets itself, or one given twice.
    """
    minutes, others = MINUTES, {}
    seen = set()
    for text in given:
        name, equals, value = text.partition("=")
        name, value = name.strip().replace("_", "-"), value.strip()
        where = f"--slurm-option {text}"
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or (equals and not value) or not value.isprintable():
            raise UserError(
                f"{where}: expected KEY=VALUE with a long option of sbatch, like partition=gpu, got {text!r}"
            )
        if name in OWN:
            raise UserError(f"{where}: expected an option that a sweep does not set itself, got {name}")
        if name in seen:
            raise UserError(f"{where}: expected each option once, got {name} again")
        seen.add(name)
        if name == "time":
            minutes = _minutes(value, where)
        else:
            others[name.replace("-", "_")] = value if equals else True
    return SlurmOptions(minutes, others)


def _minutes(text: str, where: str) -> int:
    """A time limit in any of SLURM's forms, in minutes, rounded up."""
    found = TIME.fullmatch(text)
    if found:
        parts = {name.removeprefix("d_").removeprefix("h_"): int(v) for name, v in found.groupdict().items() if v}
        units = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
        minutes = math.ceil(sum(units[name] * part for name, part in parts.items()) / 60)
        if 1 <= minutes <= MOST_MINUTES:
            return minutes
    raise UserError(f"{where}: expected minutes, hours:minutes:seconds or days-hours, at most a year, got {text!r}")
