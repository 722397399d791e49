"""Sweeps on a cluster: beside commands that stand for SLURM's on every machine, and on a SLURM where one can be started."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from submitit.core.utils import DelayedSubmission

from semantic.config.loading import dump_config
from semantic.config.sweeps import load_sweep
from semantic.runs.folder import RunFolder
from semantic.runtime.claims import BusyError, claim
from semantic.runtime.errors import DataError, FailedError, UserError
from semantic.sweeps.slurm import Submission, submit_sweep
from semantic.sweeps.slurm_options import parse_options
from semantic.training.loop import train
from tests.commands import COMMAND
from tests.kills import differences
from tests.slurm import Slurm
from tests.worlds import tiny_values

SEEDS = [0, 1, 2]


@dataclass(frozen=True)
class Cluster:
    """Commands in the place of SLURM's: sbatch says what `answer` holds, squeue what `queue` holds."""

    folder: Path

    def write(self, name: str, *lines: str) -> None:
        file = self.folder / name
        file.write_text("\n".join(("#!/bin/sh", *lines, "")))
        file.chmod(0o755)

    def queue(self, *numbers: str) -> None:
        self.write("squeue", *(f"echo {number}" for number in numbers))

    def takes(self, number: int) -> None:
        self.write("sbatch", f"echo Submitted batch job {number}")

    def refuses(self, *said: str) -> None:
        self.write("sbatch", *(f"echo '{line}' >&2" for line in said), "exit 1")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    made = Cluster(folder)
    for name in ("srun", "scontrol"):
        made.write(name, "exit 1")
    made.queue()
    made.takes(7)
    return made


@pytest.fixture
def values(shop_path: Path, shop_features: Path) -> dict:
    return tiny_values(shop_path, shop_features) | {"seeds": SEEDS}


@pytest.fixture
def experiment(values: dict, tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(values))
    return str(file)


def submit(experiment: str, runs: Path, *options: str, at_once: int | None = None) -> Submission:
    sweep = load_sweep(experiment)
    return submit_sweep(sweep, sweep.cells, parse_options(options), runs=runs, at_once=at_once)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("cluster")
def test_an_array_has_a_job_a_run(experiment, tmp_path):
    done = submit(experiment, tmp_path / "runs", "partition=gpu", "time=2:00:00", "gpus-per-node=1", at_once=2)

    assert {number: cell.config.seed for number, cell in done.jobs.items()} == {"7_0": 0, "7_1": 1, "7_2": 2}
    assert done.logs == tmp_path / "runs" / "tiny" / "slurm"
    script = (done.logs / "7_submission.sh").read_text()
    given = re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.M)
    assert dict(given) == {
        "array": "0-2%2",
        "gpus-per-node": "1",
        "job-name": "tiny",
        "nodes": "1",
        "open-mode": "append",
        "output": f"{done.logs}/%A_%a_0_log.out",
        "partition": "gpu",
        "requeue": "",
        "signal": "USR2@60",
        "time": "120",
    }
    assert f"{sys.executable} -u -m submitit.core._submit" in script
    for number, cell in done.jobs.items():
        job = DelayedSubmission.load(done.logs / f"{number}_submitted.pkl").function
        assert (job.config, job.runs, job.minutes) == (dump_config(cell.config), str(tmp_path / "runs"), 120)
    assert names(done.logs) == [
        "7_0_submitted.pkl", "7_1_submitted.pkl", "7_2_submitted.pkl", "7_submission.sh", "jobs.json",
    ]  # fmt: skip
    assert (tmp_path / "runs" / "tiny" / "sweep.json").is_file()


@pytest.mark.usefixtures("cluster")
def test_without_a_limit_the_whole_array_may_be_at_work(experiment, tmp_path):
    done = submit(experiment, tmp_path)
    script = (done.logs / "7_submission.sh").read_text()
    assert "#SBATCH --array=0-2%3\n" in script
    assert "#SBATCH --time=240\n" in script


@pytest.mark.usefixtures("cluster")
def test_a_job_has_all_cores_that_were_asked_for(experiment, tmp_path):
    """srun starts a job's process, and asks for one core unless it is told."""
    done = submit(experiment, tmp_path, "cpus-per-task=5")
    script = (done.logs / "7_submission.sh").read_text()
    assert "#SBATCH --cpus-per-task=5\n" in script
    assert re.search(r"^srun .* --cpus-per-task=5 ", script, re.M)


def test_jobs_inherit_nothing_of_a_job_that_submits_them(cluster, experiment, tmp_path, monkeypatch):
    for name in ("SLURM_NTASKS", "SLURM_CPU_BIND", "SRUN_DEBUG", "PMI_SIZE", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "7")
    for name in ("SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "mine")
    cluster.write("sbatch", f"env > {tmp_path}/seen", "echo Submitted batch job 7")
    before = dict(os.environ)
    submit(experiment, tmp_path / "runs")
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert {name: value for name, value in seen.items() if value in ("7", "mine")} == {
        "SLURM_CONF": "mine",
        "SBATCH_ACCOUNT": "mine",
    }
    assert dict(os.environ) == before


def test_what_is_finished_or_queued_is_not_submitted_again(cluster, experiment, tmp_path):
    sweep = load_sweep(experiment)
    train(sweep.cells[1].config, runs=tmp_path)

    first = submit(experiment, tmp_path)
    cluster.queue("7_0", "8")  # the other ended before its run was finished, or was cancelled
    cluster.takes(9)
    second = submit(experiment, tmp_path)
    cluster.queue("7_0", "9")
    third = submit(experiment, tmp_path)

    def seeds(submission: Submission) -> list:
        jobs, queued = (
            {k: cell.config.seed for k, cell in part.items()} for part in (submission.jobs, submission.queued)
        )
        return [jobs, queued, [cell.config.seed for cell in submission.before]]

    assert seeds(first) == [{"7_0": 0, "7_1": 2}, {}, [1]]
    assert seeds(second) == [{"9": 2}, {"7_0": 0}, [1]]
    assert seeds(third) == [{}, {"7_0": 0, "9": 2}, [1]]
    assert json.loads((first.logs / "jobs.json").read_text()) == {"base/seed_0": "7_0", "base/seed_2": "9"}


@pytest.mark.parametrize(
    ("said", "option", "error", "message"),
    [
        (
            ("sbatch: error: invalid partition specified: nix", "sbatch: error: Batch job submission failed: no"),
            "partition=nix",
            UserError,
            "sbatch: expected it to take 3 jobs, found: invalid partition specified: nix; Batch job submission failed: no",
        ),
        (
            ("sbatch: unrecognized option --quality=1", 'Try "sbatch --help" for more information'),
            "quality=1",
            UserError,
            "sbatch: expected it to take 3 jobs, found: unrecognized option --quality=1",
        ),
        (
            ("sbatch: error: Unable to contact slurm controller (connect failure)",),
            "partition=nix",
            FailedError,
            "sbatch: expected it to take 3 jobs, found: Unable to contact slurm controller (connect failure)",
        ),
        (
            ("sbatch: error: Batch job submission failed: Invalid job array specification",),
            "partition=nix",
            FailedError,
            "Invalid job array specification; --shard 1/2 submits half of the runs",
        ),
        ((), "partition=nix", FailedError, "sbatch: expected it to take 3 jobs, found: no word"),
    ],
)
def test_what_sbatch_refuses_is_one_line_and_leaves_nothing(
    cluster, experiment, tmp_path, capfd, said, option, error, message
):
    cluster.refuses(*said)
    with pytest.raises(error, match=re.escape(message)) as caught:
        submit(experiment, tmp_path / "runs", option)
    assert type(caught.value) is error
    assert names(tmp_path / "runs" / "tiny" / "slurm") == []
    assert capfd.readouterr().err == ""


def test_an_answer_without_a_number_is_one_line(cluster, experiment, tmp_path):
    cluster.write("sbatch", "echo Welcome")
    with pytest.raises(FailedError, match="expected it to take 3 jobs, found: Could not make sense of sbatch output"):
        submit(experiment, tmp_path / "runs")
    assert names(tmp_path / "runs" / "tiny" / "slurm") == []


def test_a_queue_that_does_not_answer_is_one_line(cluster, experiment, tmp_path):
    cluster.write("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2", "exit 1")
    with pytest.raises(FailedError, match=r"^squeue: expected the jobs that are queued, found: .*Unable to contact"):
        submit(experiment, tmp_path / "runs")


@pytest.mark.parametrize("missing", ["sbatch", "squeue", "srun", "scontrol"])
def test_without_slurm_nothing_is_written(cluster, experiment, tmp_path, monkeypatch, missing):
    monkeypatch.setenv("PATH", str(cluster.folder))
    (cluster.folder / missing).unlink()
    with pytest.raises(FailedError, match=f"^--slurm: expected SLURM's commands on PATH, found no {missing}$"):
        submit(experiment, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("text", ["", "[]", '{"base/seed_0": 7}', "\xff", "[" * 100_000])
def test_a_damaged_record_of_jobs_is_one_line(experiment, tmp_path, text):
    file = submit(experiment, tmp_path).logs / "jobs.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(
        DataError, match=f"^{re.escape(str(file))}: expected the jobs of runs, found something else; with"
    ):
        submit(experiment, tmp_path)


@pytest.mark.usefixtures("cluster")
def test_one_process_at_a_time_submits(experiment, tmp_path):
    with claim(tmp_path / "tiny" / "slurm"), pytest.raises(BusyError, match="expected no other process at work there"):
        submit(experiment, tmp_path)


def sweep_there(slurm: Slurm, folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command in a folder, on that SLURM."""
    given = [str(COMMAND), "sweep", "tiny.yaml", "--slurm", *words]
    done = subprocess.run(
        given, cwd=folder, env=slurm.environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def until_epochs(folder: RunFolder, count: int, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not folder.metrics.is_file() or folder.metrics.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, f"no epoch {count} of {folder.path} in {seconds} s"
        time.sleep(0.01)


@pytest.mark.slow
def test_runs_that_are_preempted_end_as_if_they_had_not_been(slurm, values, tmp_path):
    epochs = values["training"]["epochs"] = 17
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values | {"seeds": [0, 1]}))
    cells = load_sweep(str(tmp_path / "tiny.yaml")).cells
    runs = [RunFolder.of(cell.config, tmp_path / "runs") for cell in cells]

    first = sweep_there(slurm, tmp_path, "--slurm-option", "partition=main")
    number = re.search(r"^base, seed 0: job (\d+)_0$", first.stdout, re.M)[1]
    assert f"base, seed 1: job {number}_1\n2 runs submitted, 0 queued before, 0 finished; logs in " in first.stdout
    for run in runs:
        until_epochs(run, 2)
    slurm("scancel", "--signal=USR2", f"{number}_1")  # as SLURM warns a job
    slurm.preempt(f"{number}_0")
    again = sweep_there(slurm, tmp_path)
    assert f"base, seed 1: queued before, as job {number}_1\n0 runs submitted, 2 queued before, 0 " in again.stdout
    whole = [train(cell.config, runs=tmp_path / "whole") for cell in cells]
    slurm.wait()

    for index, (run, other) in enumerate(zip(runs, whole, strict=True)):
        job = f"{number}_{index}"
        assert (slurm.field(job, "JobState"), slurm.field(job, "Restarts")) == ("COMPLETED", "1")
        log = (tmp_path / "runs" / "tiny" / "slurm" / f"{job}_0_log.out").read_text()
        assert re.search(rf"^resuming after epoch \d+ of {epochs}$", log, re.M), log
        assert differences(run.path, other.path) == []
    assert "0 runs submitted, 0 queued before, 2 finished; logs in " in sweep_there(slurm, tmp_path).stdout


@pytest.mark.slow
def test_a_run_that_cannot_go_on_is_a_failed_job_with_one_line(slurm, values, tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values | {"seeds": [0, 1]}))
    cells = load_sweep(str(tmp_path / "tiny.yaml")).cells
    busy, damaged = (RunFolder.of(cell.config, tmp_path / "runs") for cell in cells)
    damaged.path.mkdir(parents=True)
    (damaged.path / "state").mkdir()
    damaged.state.touch()  # beside no config.yaml
    with claim(busy.path):
        said = sweep_there(slurm, tmp_path).stdout
        number = re.search(r"seed 0: job (\d+)_0$", said, re.M)[1]
        slurm.wait()

    def log(index: int) -> str:
        return (tmp_path / "runs" / "tiny" / "slurm" / f"{number}_{index}_0_log.out").read_text()

    assert [slurm.field(f"{number}_{index}", "JobState") for index in (0, 1)] == ["FAILED", "FAILED"]
    assert [slurm.field(f"{number}_{index}", "ExitCode") for index in (0, 1)] == ["1:0", "2:0"]
    assert f"\nsemantic: {busy.path}: expected no other process at work there, found process {os.getpid()} " in log(0)
    assert f"\nsemantic: {damaged.path}: expected the run's config.yaml beside its state, found none" in log(1)
    assert "Traceback" not in log(0) + log(1)


@pytest.mark.slow
def test_what_a_real_slurm_refuses_is_one_line(slurm, values, tmp_path, monkeypatch):
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    few, many, runs = tmp_path / "few.yaml", tmp_path / "many.yaml", tmp_path / "runs"
    few.write_text(yaml.safe_dump(values))
    many.write_text(yaml.safe_dump(values | {"seeds": [0, 1, 2, 3, 4]}))
    with pytest.raises(
        UserError, match=r"^sbatch: expected it to take 3 jobs, found: invalid partition specified: nix"
    ):
        submit(str(few), runs, "partition=nix")
    with pytest.raises(UserError, match="unrecognized option '--quality=7'"):
        submit(str(few), runs, "quality=7")
    with pytest.raises(FailedError, match=r"Invalid job array specification; --shard 1/2 submits half of the runs$"):
        submit(str(many), runs)
    assert names(runs / "tiny" / "slurm") == []
