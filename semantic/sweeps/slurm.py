"""A sweep on a SLURM cluster, through submitit: an array of jobs, one a run, each requeued until its run is finished."""

import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from semantic.config.loading import dump_config
from semantic.config.sweeps import Cell, Sweep
from semantic.runs.plan import Plan, write_plan
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError, FailedError, UserError
from semantic.runtime.files import remove_leftovers, write_text
from semantic.sweeps.cells import cell_states
from semantic.sweeps.slurm_jobs import SIGNAL_SECONDS, RunJob
from semantic.sweeps.slurm_options import SlurmOptions

FOLDER, JOBS = "slurm", "jobs.json"
"""In the folder of an experiment's runs: the logs of its jobs, and which job was submitted last for each run."""

COMMANDS = ("sbatch", "srun", "squeue", "scontrol")
UNSENT = re.compile(r"[0-9a-f]{32}\.pkl|\.submission_file_[0-9a-f]{32}\.sh")
"""Files that submitit writes before it has the number of a job."""

OF_ANOTHER_JOB = re.compile(
    r"(SLURM_(?!(CONF|CLUSTERS)$)|SLURMD_|SRUN_|PMIX?_)\w+|(LOCAL_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)"
)
"""Variables of a job of SLURM, or of a launcher, in which the command may run itself: sbatch and srun take them for options,
and a run for a part of many. `SBATCH_ACCOUNT` and others are the user's.
"""

MOST_REQUEUES = 10_000
"""Time limits of a job, so many that none counts: `RunJob` ends a run that gets nowhere."""


@dataclass(frozen=True)
class Submission:
    """What was submitted: cells by the number of their job; those finished before, and those whose job is still queued."""

    logs: Path
    jobs: dict[str, Cell] = field(default_factory=dict)
    before: list[Cell] = field(default_factory=list)
    queued: dict[str, Cell] = field(default_factory=dict)


def submit_sweep(
    sweep: Sweep, cells: Sequence[Cell], options: SlurmOptions, *, runs: Path = Path("runs"), at_once: int | None = None
) -> Submission:
    """Submit the cells that are neither finished nor queued as one array, of which at most `at_once` jobs run at a time.

    Everything a job needs must be on a disk that all nodes share: this folder, the environment, the runs and their store.

    Raises:
        FailedError: no SLURM here, or one that does not answer.
        UserError: sbatch does not take the options.
        BusyError: another process submits runs of this experiment.
    """
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise FailedError(f"--slurm: expected SLURM's commands on PATH, found no {', '.join(missing)}")
    write_plan(Plan.of(sweep), runs)
    root = runs / sweep.name
    folder = root / FOLDER
    with claim(folder):
        known, queue = _read_jobs(folder / JOBS), _queue()
        found = Submission(folder)
        todo: dict[str, Cell] = {}
        for state in cell_states(cells, runs):
            place = state.folder.path.relative_to(root).as_posix()
            if state.state == "finished":
                found.before.append(state.cell)
            elif known.get(place) in queue:
                found.queued[known[place]] = state.cell
            else:
                todo[place] = state.cell
        if todo:
            jobs = [RunJob(dump_config(cell.config), os.path.abspath(runs), options.minutes) for cell in todo.values()]
            numbers = _submit(jobs, options, folder, sweep.name, at_once)
            found.jobs.update(zip(numbers, todo.values(), strict=True))
            known.update(zip(todo, numbers, strict=True))
            remove_leftovers(folder / JOBS)
            write_text(folder / JOBS, json.dumps(known, indent=1))
    return found


def _submit(jobs: Sequence[RunJob], options: SlurmOptions, folder: Path, name: str, at_once: int | None) -> list[str]:
    """The numbers of the jobs, in order."""
    executor = SlurmExecutor(folder, max_num_timeout=MOST_REQUEUES)
    executor.update_parameters(
        job_name=name,
        time=options.minutes,
        signal_delay_s=SIGNAL_SECONDS,
        array_parallelism=at_once or len(jobs),
        stderr_to_stdout=True,
        wckey=None,
        srun_args=options.of_steps,
        additional_parameters={"requeue": True, **options.others},
    )
    with _tidied(folder), _environment_of_jobs(), redirect_stderr(io.StringIO()):  # submitit prints what sbatch says
        try:
            return [job.job_id for job in executor.submit_array(jobs)]
        except (FailedJobError, FailedSubmissionError) as error:
            said = _words_of(str(error))
            if "job array" in said:  # more than MaxArraySize of the cluster
                said += "; --shard 1/2 submits half of the runs"
            message = f"sbatch: expected it to take {len(jobs):,} job{'s' * (len(jobs) != 1)}, found: {said}"
            raise (UserError if options.named_in(said) else FailedError)(message) from None


@contextmanager
def _tidied(folder: Path) -> Iterator[None]:
    """Remove, at the end, what submitit wrote for jobs that were not taken, and its links to what it renamed."""
    try:
        yield
    finally:
        for file in [one for one in folder.glob("*") if UNSENT.fullmatch(one.name)]:
            file.unlink()


@contextmanager
def _environment_of_jobs() -> Iterator[None]:
    """Without the variables of another job, which sbatch would hand on."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if OF_ANOTHER_JOB.fullmatch(name)}
    try:
        yield
    finally:
        os.environ.update(kept)


def _queue() -> set[str]:
    """The numbers of the user's jobs that wait or run."""
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"squeue: expected the jobs that are queued, found: {_words_of(done.stderr)}")
    return set(done.stdout.split())


def _read_jobs(file: Path) -> dict[str, str]:
    """The job that was submitted last for each run, by the run's folder."""
    if not file.exists():
        return {}
    try:
        jobs = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(jobs, dict) and all(isinstance(number, str) for number in jobs.values()):
            return jobs
    except (OSError, ValueError, RecursionError):
        pass
    raise DataError(
        f"{file}: expected the jobs of runs, found something else; without the file, runs may be queued twice"
    )


def _words_of(said: str) -> str:
    """What a command of SLURM said of an error, without its own name and the hint at its help."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in said.splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("Try ")) or "no word"
