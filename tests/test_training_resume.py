"""Runs that were stopped, by an exception, a signal or SIGKILL, and what --resume makes of what they left."""

import json
import math
import random
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from semantic.batching.shards import Shard
from semantic.config.loading import make_config
from semantic.config.registry import find_model
from semantic.evaluation.run_evaluation import evaluate_run
from semantic.models.interface import Loss, Model
from semantic.models.semantic.paper import Semantic
from semantic.runs.folder import RunError, RunFolder
from semantic.training import loop as trainer
from semantic.training.loop import train
from semantic.training.run import TrainingError, TrainingRun
from tests.commands import COMMAND, answering_interrupts, environment
from tests.worlds import (
    SMALL_DATA,
    STATELESS,
    TWO_TOWER,
    Listener,
    assert_same_run,
    same_weights,
    tiny_values,
    with_changes,
    without_seconds,
)


class Stop(BaseException):
    """Stands for whatever ends a process."""


def interrupt(monkeypatch, owner: object, name: str, call: int, *, before: bool) -> None:
    """Raise Stop at the `call`-th call of a method, before it does its work or after."""
    original, calls = getattr(owner, name), 0

    def counted(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == call and before:
            raise Stop
        result = original(*arguments, **named)
        if calls == call:
            raise Stop
        return result

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("owner", "name", "call", "before"),
    [
        (TrainingRun, "_step", 2, False),  # within the first epoch: nothing is saved yet
        (TrainingRun, "_step", 12, False),  # within a later one
        (Model, "save_pretrained", 1, False),  # best weights of an epoch whose state is not saved
        (RunFolder, "append_metrics", 2, False),  # a line of metrics whose state is not saved
        (RunFolder, "save_state", 1, True),
        (RunFolder, "save_state", 2, False),
        (trainer, "write_summary", 1, True),  # after the last epoch
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(config, run, tmp_path, monkeypatch, owner, name, call, before):
    with monkeypatch.context() as patch:
        interrupt(patch, owner, name, call, before=before)
        with pytest.raises(Stop):
            train(config, runs=tmp_path)
    folder = RunFolder.of(config, tmp_path)
    assert not folder.summary.is_file()
    torch.manual_seed(5)

    assert_same_run(train(config, runs=tmp_path, resume=True), run)
    assert list(folder.path.rglob("*.partial")) == []


def test_averaged_weights_are_resumed_too(config, run, tmp_path, monkeypatch):
    averaged = with_changes(config, "training.ema_decay=0.9")
    whole = train(averaged, runs=tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt(patch, RunFolder, "save_state", 2, before=False)
        with pytest.raises(Stop):
            train(averaged, runs=tmp_path / "stopped")
    assert_same_run(train(averaged, runs=tmp_path / "stopped", resume=True), whole)
    assert not same_weights(whole, run)


@pytest.mark.parametrize("section", [SMALL_DATA, TWO_TOWER], ids=["small data", "two-tower"])
def test_any_model_goes_on_to_the_same_bits(shop_path, shop_features, tmp_path, monkeypatch, section):
    """What a model learns of the catalogue before the first epoch is in the state that is resumed."""
    features = None if section is TWO_TOWER else shop_features
    config = make_config(tiny_values(shop_path, features, model=section), ["training.shared_negatives=13"])
    whole = train(config, runs=tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt(patch, RunFolder, "save_state", 1, before=False)
        with pytest.raises(Stop):
            train(config, runs=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(find_model(section["name"]), "fit_catalogue", lambda *_: pytest.fail("fits the catalogue again"))
        assert_same_run(train(config, runs=tmp_path / "stopped", resume=True), whole)


def test_resuming_says_where_it_goes_on(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, RunFolder, "save_state", 2, before=False)
        with pytest.raises(Stop):
            train(config, runs=tmp_path)
    listener = Listener()
    train(config, runs=tmp_path, resume=True, progress=listener)
    assert "resuming after epoch 2 of 3" in listener.said
    assert sum(line.startswith("epoch ") for line in listener.said) == 1


@pytest.mark.parametrize("override", ["seed=1", "training.learning_rate=1e-4"])
def test_the_state_of_another_run_is_refused(config, tmp_path, monkeypatch, override):
    other = with_changes(config, override)
    for runs, one in (("mine", config), ("others", other)):
        with monkeypatch.context() as patch:
            interrupt(patch, RunFolder, "save_state", 1, before=False)
            with pytest.raises(Stop):
                train(one, runs=tmp_path / runs)
    mine, others = RunFolder.of(config, tmp_path / "mine"), RunFolder.of(other, tmp_path / "others")
    shutil.copy(mine.state, others.state)
    with pytest.raises(RunError, match=r"training.pt: expected the state of this run, found another one's"):
        train(other, runs=tmp_path / "others", resume=True)


def test_what_only_resuming_needs_is_dropped_with_the_last_epoch(config, tmp_path):
    kept = train(config, runs=tmp_path, keep_state=True)

    assert kept.state.is_file()
    train(config, runs=tmp_path, resume=True)  # finished, and left unkept by who asks now
    assert not kept.state.parent.exists()
    kept.summary.unlink()
    with pytest.raises(
        RunError, match="expected the summary of a finished run, or the state to go on from, found neither"
    ):
        train(config, runs=tmp_path, resume=True)


def test_a_state_without_its_configuration_is_not_gone_on_with(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, RunFolder, "save_state", 1, before=False)
        with pytest.raises(Stop):
            train(config, runs=tmp_path)
    folder = RunFolder.of(config, tmp_path)
    folder.config.unlink()
    for resume in (True, False):
        with pytest.raises(RunError, match=r"expected the run's config.yaml beside its state, found none; put it back"):
            train(config, runs=tmp_path, resume=resume)
    assert folder.state.is_file()


def test_changed_image_features_are_refused(config, run, shop_features):
    """By a run that goes on, and by an evaluation on the store that it was trained on."""
    whole = shop_features.read_bytes()
    try:
        shop_features.write_bytes(whole[:-4] + bytes(4))
        with pytest.raises(
            RunError, match=r"model.image.features: expected the content it was started on, got another in"
        ):
            train(config, runs=run.path.parents[2], resume=True)
        with pytest.raises(RunError, match=r"features.npy: expected the image features that the run was trained on"):
            evaluate_run(run.path)
    finally:
        shop_features.write_bytes(whole)


def test_a_run_that_is_there_is_not_overwritten(config, run):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"seed_0: expected no run there yet, found one; go on with --resume, or give"):
        train(config, runs=run.path.parents[2])
    listener = Listener()
    train(config, runs=run.path.parents[2], resume=True, progress=listener)
    assert listener.said == [f"{run.path} is finished; nothing to do."]
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_resuming_with_another_configuration_names_the_field(config, run):
    runs = run.path.parents[2]
    with pytest.raises(RunError, match=r"training.learning_rate: expected 0.003, got 0.01"):
        train(with_changes(config, "training.learning_rate=0.01"), runs=runs, resume=True)
    with pytest.raises(RunError, match=r"model.loss.alpha: expected 0.5, got 0.25; model.dim: expected 16, got 8"):
        train(with_changes(config, "model.loss.alpha=0.25", "model.dim=8"), runs=runs, resume=True)
    # What changes no number may change.
    assert train(with_changes(config, "training.workers=1", "evaluation.batch_size=3"), runs=runs, resume=True) == run


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_epochs_before(config, run, tmp_path, monkeypatch):
    steps = json.loads(run.metrics.read_text().splitlines()[0])["step"]
    original, calls = Semantic.loss, 0
    labelled = math.ceil(json.loads(run.summary.read_text())["counts"]["labelled_examples"] / 16)

    def broken(model: Semantic, shard: Shard) -> Loss:
        nonlocal calls
        calls += shard.labelled
        loss = original(model, shard)
        return replace(loss, total=loss.total * math.nan) if shard.labelled and calls > labelled else loss

    with monkeypatch.context() as patch:
        patch.setattr(Semantic, "loss", broken)
        message = rf"epoch 2, step {steps + 1}: expected a finite loss, got teacher_ranking .*; the epochs before"
        with pytest.raises(TrainingError, match=message) as caught:
            train(config, runs=tmp_path)
    assert caught.value.exit_code == 1
    folder = RunFolder.of(config, tmp_path)
    assert without_seconds(folder.metrics) == without_seconds(run.metrics)[:1]
    assert folder.load_state()["epoch"] == 1
    assert Model.from_pretrained(folder.model) is not None
    assert not folder.summary.is_file()

    assert_same_run(train(config, runs=tmp_path, resume=True), run)  # nothing was lost


LONG = ("--set", "training.epochs=15", "--set", f"data.unlabelled=[{STATELESS}]", "--set", "variant=long")


def start(folder: Path, runs: str, *more: str) -> subprocess.Popen[str]:
    words = [str(COMMAND), "train", "tiny.yaml", *LONG, "--runs", runs, *more]
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=answering_interrupts,
    )  # fmt: skip


def wait_for_epochs(process: subprocess.Popen[str], metrics: Path, epochs: int) -> None:
    """Return once so many epochs are on record; fails when the run ends before."""
    deadline = time.monotonic() + 120
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < epochs:
        assert process.poll() is None, f"the run ended before it could be stopped: {process.communicate()}"
        assert time.monotonic() < deadline, "no epoch in two minutes"
        time.sleep(0.002)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_resumed_ends_as_one_never_stopped(way, tmp_path, monkeypatch):
    monkeypatch.chdir(way.folder)
    values = tiny_values(Path("store"), Path("features.npy"))
    whole = train(make_config(values, LONG[1::2]), runs=tmp_path / "whole")
    seconds = [json.loads(line)["seconds"] for line in whole.metrics.read_text().splitlines()]
    resumed = RunFolder(tmp_path / "killed" / "tiny" / "long" / "seed_0")
    moments = random.Random(7)
    for more, epochs in (((), 1), (("--resume",), 4)):
        process = start(way.folder, str(tmp_path / "killed"), *more)
        wait_for_epochs(process, resumed.metrics, epochs)
        time.sleep(moments.uniform(0, 2) * seconds[-1])
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not resumed.summary.is_file()

    process = start(way.folder, str(tmp_path / "killed"), "--resume")
    said, complaint = process.communicate(timeout=300)

    assert (process.returncode, complaint) == (0, "")
    assert re.search(r"^resuming after epoch \d+ of 15$", said, re.M)
    assert without_seconds(resumed.metrics) == without_seconds(whole.metrics)
    first, second = (Model.from_pretrained(folder.model).state_dict() for folder in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert pq.read_table(resumed.queries).equals(pq.read_table(whole.queries))
    left, right = (json.loads(folder.summary.read_text()) for folder in (whole, resumed))
    assert left["protocols"] == right["protocols"]
    assert left["best_epoch"] == right["best_epoch"]


@pytest.mark.slow
def test_an_interruption_by_hand_says_how_to_go_on(way, tmp_path):
    process = start(way.folder, str(tmp_path))
    wait_for_epochs(process, tmp_path / "tiny" / "long" / "seed_0" / "metrics.jsonl", 1)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 130
    assert complaint == ("interrupted; what was finished is saved, the same command (train: with --resume) goes on\n")
