"""The command `semantic tune` on a simulated shop: real trials, killed, side by side, and blind to the test split."""

import csv
import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from semantic.datasets.store.store import open_store
from tests.commands import COMMAND, answering_interrupts, environment, semantic
from tests.worlds import SMALL_DATA, reseal, tiny_values, without_seconds

pytestmark = pytest.mark.slow

LAB = {
    "space": {"training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "model.dim": [8, 16]},
    "startup_trials": 2,
    "seed": 1,
}


@pytest.fixture
def lab(tmp_path: Path, shop_path: Path) -> Path:
    """A folder with an experiment to search."""
    values = tiny_values(shop_path, model=SMALL_DATA)
    values["training"]["epochs"] = 3
    values["search"] = LAB
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump({**values, "experiment": "lab"}, sort_keys=False))
    return tmp_path


def history(folder: Path, runs: str = "runs") -> list[dict[str, str]]:
    """The lines of trials.csv, without seconds."""
    with (folder / runs / "lab" / "trials.csv").open(newline="") as stream:
        return [{key: value for key, value in line.items() if key != "seconds"} for line in csv.DictReader(stream)]


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    words = [str(COMMAND), "tune", "lab.yaml", *more]
    return subprocess.Popen(
        words,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=answering_interrupts,
    )


def wait_for_epochs(process: subprocess.Popen[str], metrics: Path, epochs: int) -> None:
    deadline = time.monotonic() + 600
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < epochs:
        assert process.poll() is None, f"ended before it could be stopped: {process.communicate()}"
        assert time.monotonic() < deadline, "no epoch in time"
        time.sleep(0.002)


def test_a_search_ends_with_an_experiment_that_trains_and_says_how(lab):
    done = semantic("tune", "lab.yaml", "--trials", 3, cwd=lab)

    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert sum(line.startswith("trial ") and " (best " in line for line in lines) == 3
    assert lines[-1] == "train it: semantic train runs/lab/best.yaml --seeds 0-2"
    assert any(line.startswith("3 of 3 trials: ") for line in lines)
    rows = history(lab)
    best = max((row for row in rows if row["state"] == "finished"), key=lambda row: float(row["ndcg@5"]))
    run = lab / "runs" / "lab" / f"trial-{best['number']}" / "seed_0"
    assert json.loads((run / "trial.json").read_text())["state"] == "finished"
    valid = [line["valid"]["standard"]["ndcg@5"] for line in without_seconds(run / "metrics.jsonl")]
    assert float(best["ndcg@5"]) == pytest.approx(max(valid), abs=1e-6)
    for trial in (lab / "runs" / "lab").glob("trial-*/seed_0"):
        assert not {"summary.json", "queries.parquet"} & {file.name for file in trial.iterdir()}
    for name in ("trials.svg", "trials.png"):
        assert (lab / "runs" / "lab" / name).stat().st_size > 1000

    semantic("train", "runs/lab/best.yaml", "--seeds", "0-1", cwd=lab)
    # Trained with the seed of the trials, it is the trial.
    assert without_seconds(lab / "runs/lab/best/seed_0/metrics.jsonl") == without_seconds(run / "metrics.jsonl")
    report = semantic("report", "runs", "--out", "report", cwd=lab)
    assert " best " in report.stdout
    assert "trial-" not in report.stdout + report.stderr


def test_a_killed_search_goes_on_from_the_last_epoch_to_the_same_trials(lab):
    semantic("tune", "lab.yaml", "--trials", 2, "--runs", "whole", cwd=lab)
    metrics = lab / "runs/lab/trial-0/seed_0/metrics.jsonl"
    for signalled, code, epochs in ((signal.SIGKILL, -9, 1), (signal.SIGINT, 130, 2)):
        process = start(lab, "--trials", "2")
        wait_for_epochs(process, metrics, epochs)
        process.send_signal(signalled)
        _, said = process.communicate(timeout=300)
        assert process.returncode == code
        if code > 0:
            assert said.startswith("interrupted; what was finished is saved, the same command")

    before = without_seconds(metrics)
    semantic("tune", "lab.yaml", "--trials", 2, cwd=lab)
    assert without_seconds(metrics)[: len(before)] == before
    assert history(lab) == history(lab, "whole")
    for number in (0, 1):
        place = f"lab/trial-{number}/seed_0/metrics.jsonl"
        assert without_seconds(lab / "runs" / place) == without_seconds(lab / "whole" / place)
    with sqlite3.connect(lab / "runs/lab/tune.db") as database:
        assert database.execute("select number, state from trials").fetchall() == [(0, "COMPLETE"), (1, "COMPLETE")]
    database.close()


def test_two_commands_and_jobs_share_one_study_and_train_each_trial_once(lab):
    first, second = start(lab, "--trials", "4", "--jobs", "2"), start(lab, "--trials", "4")
    said = []
    for process in (first, second):
        out, complaint = process.communicate(timeout=500)
        assert (process.returncode, complaint) == (0, "")
        said += [line.split(":")[0] for line in out.splitlines() if line.startswith("trial ") and " (best " in line]

    assert sorted(said) == [f"trial {number}" for number in range(4)]
    semantic("tune", "lab.yaml", "--trials", 4, cwd=lab)
    rows = history(lab)
    assert [row["number"] for row in rows] == [str(number) for number in range(4)]
    assert {row["state"] for row in rows} <= {"finished", "pruned"}


def test_what_the_test_split_says_changes_no_trial(lab, shop_path, tmp_path):
    semantic("tune", "lab.yaml", "--trials", 2, cwd=lab)
    other = tmp_path / "other"
    shutil.copytree(shop_path, other)
    store = open_store(other)
    rows = store.example_turns[store.split("test").start : store.split("test").stop]
    table = pq.read_table(other / "turns.parquet")
    texts = table["text"].to_pylist()
    changed = [f"{text} zzz" if _dialogue(store, row) in set(rows[:, 0]) else text for row, text in enumerate(texts)]
    assert changed != texts
    place = table.column_names.index("text")

    pq.write_table(table.set_column(place, "text", pa.array(changed)), other / "turns.parquet")
    reseal(other)
    semantic("tune", "lab.yaml", "--trials", 2, "--set", f"data.store={other}", "--runs", "blind", cwd=lab)
    assert history(lab, "blind") == history(lab)


def _dialogue(store, turn: int) -> int:
    return int((store.dialogue_first_turn <= turn).sum() - 1)
