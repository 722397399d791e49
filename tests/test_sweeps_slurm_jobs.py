import os
import pickle
import pickletools
import re
import signal
import time
from pathlib import Path

import cloudpickle
import psutil
import pytest
from submitit import LocalExecutor, LocalJob

from semantic.config.loading import dump_config
from semantic.config.schema import Config
from semantic.runs.folder import RunFolder
from semantic.runtime.claims import claim
from semantic.sweeps import slurm_jobs
from semantic.sweeps.slurm_jobs import RunJob
from semantic.training.loop import train
from tests.kills import differences
from tests.worlds import assert_same_run, with_changes

MINUTES = 11


@pytest.fixture(autouse=True)
def _no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered at forks stays for the life of a process."""
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)


def job_of(config: Config, runs: Path, minutes: int = MINUTES) -> RunJob:
    return RunJob(dump_config(config), str(runs), minutes)


def test_what_is_kept_until_the_job_starts_is_plain_values(config, tmp_path):
    job = job_of(config, tmp_path)
    kept = cloudpickle.dumps(job)
    text = [argument for code, argument, _ in pickletools.genops(kept) if isinstance(argument, str)]
    assert {one for one in text if one.startswith("semantic.")} == {"semantic.sweeps.slurm_jobs"}
    assert pickle.loads(kept) == job


def test_a_job_trains_its_run_and_once_more_does_nothing(config, run, tmp_path, capsys):
    job_of(config, tmp_path)()
    folder = RunFolder.of(config, tmp_path)
    assert_same_run(folder, run)
    said = capsys.readouterr().out
    assert re.search(r"^epoch 3/3", said, re.M)
    before = folder.summary.stat().st_mtime_ns
    job_of(config, tmp_path)()
    assert "is finished; nothing to do" in capsys.readouterr().out
    assert folder.summary.stat().st_mtime_ns == before


def test_a_run_that_another_process_holds_is_one_line(config, tmp_path, capsys):
    folder = RunFolder.of(config, tmp_path).path
    with claim(folder), pytest.raises(SystemExit) as ended:
        job_of(config, tmp_path)()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"semantic: {folder}: expected no other process at work there, found process {os.getpid()}")
    assert said.count("\n") == 1


def test_a_fault_of_what_was_given_is_one_line(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        job_of(with_changes(config, f"data.store={tmp_path / 'nowhere'}"), tmp_path)()
    assert ended.value.code == 2
    assert re.fullmatch(r"semantic: .*nowhere: expected .*\n", capsys.readouterr().err)


class Clock:
    """time.monotonic, set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(slurm_jobs, "time", made)
    return made


@pytest.mark.parametrize(
    ("minutes_at_work", "epoch_finished", "before", "after"),
    [
        (3, False, 1, 1),  # preempted: no time limit
        (10, False, 0, 1),
        (10, True, 1, 0),
        (3, True, 1, 0),
    ],
)
def test_the_job_that_goes_on_counts_time_limits_without_an_epoch(
    config, tmp_path, monkeypatch, clock, minutes_at_work, epoch_finished, before, after
):
    job = job_of(config, tmp_path)
    job.fruitless = before
    state = RunFolder.of(config, tmp_path).state

    def work(_config: Config, _runs: Path) -> None:
        clock.now = minutes_at_work * 60
        if epoch_finished:
            state.parent.mkdir(parents=True)
            state.touch()

    monkeypatch.setattr(slurm_jobs, "_train", work)
    assert job.checkpoint().function == job  # a signal before it has begun
    job()
    again = job.checkpoint().function
    assert again.fruitless == after
    assert (again.config, again.runs, again.minutes) == (job.config, job.runs, job.minutes)
    assert cloudpickle.dumps(again)


def test_a_run_that_finishes_no_epoch_within_two_time_limits_is_given_up(config, tmp_path, monkeypatch, clock, capsys):
    monkeypatch.setattr(slurm_jobs, "_train", lambda *_: setattr(clock, "now", clock.now + 60 * MINUTES))
    first = job_of(config, tmp_path)
    first()
    second = first.checkpoint().function
    second()
    with pytest.raises(SystemExit) as ended:
        second.checkpoint()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        f"semantic: {RunFolder.of(config, tmp_path).path}: expected to finish an epoch within 11 minutes, the time limit of "
        "a job, found none finished in 2 jobs; --slurm-option time=... gives them longer\n"
    )


def test_a_forked_process_passes_over_the_signal():
    """SLURM sends it to every process of a job; submitit's answer in each would requeue the job once more."""
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        slurm_jobs._ignore_signal()
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        slurm_jobs._ignore_signal()
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR2, before)


def until(condition, what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {seconds} s"
        time.sleep(0.01)


def interrupt(job: LocalJob) -> None:
    """Send the signal as SLURM does: to the process that works, and to those it has started."""
    (worker,) = psutil.Process(int(job.job_id)).children()
    for one in (worker, *worker.children(recursive=True)):
        one.send_signal(signal.SIGUSR2)


@pytest.mark.slow
def test_submitit_runs_requeues_and_ends_as_a_run_never_stopped(config, tmp_path):
    """Its executor for one machine, which starts a job anew where SLURM would requeue it."""
    longer = with_changes(config, "training.epochs=9", "training.workers=1")
    whole = train(longer, runs=tmp_path / "whole")
    executor = LocalExecutor(tmp_path / "logs")
    executor.update_parameters(timeout_min=60, stderr_to_stdout=True)
    stopped = RunFolder.of(longer, tmp_path / "stopped")
    (job,) = executor.submit_array([job_of(longer, tmp_path / "stopped")])
    until(lambda: stopped.metrics.is_file() and stopped.metrics.read_bytes().count(b"\n") >= 2, "second epoch")
    interrupt(job)
    until(job.done, "end")
    said = job.paths.stdout.read_text()

    assert said.count("Calling checkpoint method") == 1
    assert re.search(r"^resuming after epoch [1-8] of 9$", said, re.M), said
    assert job.result() is None
    assert differences(stopped.path, whole.path) == []
