"""Sweeps as the command runs them: cells side by side, killed, interrupted, held by others, and failed."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from semantic.config.sweeps import load_sweep
from semantic.runs.folder import RunFolder
from semantic.runs.plan import FILE, Plan, read_plan
from semantic.runtime.claims import claim
from semantic.runtime.errors import UserError
from semantic.sweeps.running import run_sweep
from semantic.training.loop import train
from tests.commands import COMMAND, answering_interrupts, environment, semantic
from tests.kills import differences
from tests.worlds import tiny_values

pytestmark = pytest.mark.slow

VARIED = {"vary": {"data.labelled_share": [0, 1]}, "seeds": "0-1"}
OWN_MODELS = """
import os
from dataclasses import replace
from semantic.models.semantic.small_data import SmallDataSemantic

class Dies(SmallDataSemantic):
    def loss(self, shard):
        os.kill(os.getpid(), 9)

class Diverges(SmallDataSemantic):
    def loss(self, shard):
        loss = super().loss(shard)
        return replace(loss, total=loss.total * float("inf"))

class Errs(SmallDataSemantic):
    def loss(self, shard):
        raise ZeroDivisionError("of its own")
"""


@pytest.fixture
def place(tmp_path, shop_path, shop_features):
    """A folder with an experiment of four runs, study.yaml, over a copy of the shop that it may write into."""
    shutil.copytree(shop_path, tmp_path / "store")
    shutil.copy(shop_features, tmp_path / "features.npy")
    values = tiny_values(Path("store"), Path("features.npy")) | {"experiment": "study"}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"base": "tiny.yaml"} | VARIED))
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, shop_path, shop_features):
    """The folder after a sweep that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(shop_path, folder / "store")
    shutil.copy(shop_features, folder / "features.npy")
    values = tiny_values(Path("store"), Path("features.npy")) | {"experiment": "study"}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    (folder / "study.yaml").write_text(yaml.safe_dump({"base": "tiny.yaml"} | VARIED))
    semantic("sweep", "study.yaml", "--jobs", "2", cwd=folder)
    return folder


def started(place, *words):
    return subprocess.Popen(
        [str(COMMAND), "sweep", "study.yaml", *words],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=answering_interrupts,
    )


def await_first_epoch(place, process):
    """Return once an epoch of a cell is on disk."""
    while not list(place.glob("runs/study/*/*/metrics.jsonl")):
        assert process.poll() is None, process.stdout.read()


def written_files(folder):
    return {file: file.stat().st_mtime_ns for file in (folder / "runs").rglob("*") if file.is_file()}


def now(text):
    return int(re.search(r"\((\d+) now\)", text)[1])


def test_every_cell_is_the_run_that_train_makes(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(whole)
    sweep = load_sweep("study.yaml")

    assert read_plan(whole / "runs" / "study") == Plan.of(sweep)
    assert {str(file.parent.relative_to(whole / "runs")) for file in (whole / "runs").rglob("summary.json")} == {
        f"study/labelled_share={share}/seed_{seed}" for share in (0, 1) for seed in (0, 1)
    }
    for cell in (sweep.cells[0], sweep.cells[3]):
        alone = train(cell.config, runs=tmp_path / "runs")
        assert differences(alone.path, RunFolder.of(cell.config, whole / "runs").path) == []


def test_what_is_finished_is_left_as_it_is(whole):
    before = written_files(whole)

    said = semantic("sweep", "study.yaml", cwd=whole).stdout
    planned = semantic("sweep", "study.yaml", "--dry-run", "--shard", "2/2", cwd=whole).stdout

    assert "4 of 4 runs finished (0 now)" in said
    assert "report: semantic report study.yaml" in said
    assert re.search(r"1 +labelled_share=0, seed 1 +finished in \d+ s", planned)
    assert "2 runs, 2 finished; expected time by 1 job: 0 s" in planned
    assert written_files(whole) == before


def test_what_an_earlier_version_finished_gets_the_fields_that_came_since(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(whole, tmp_path / "place"))
    sweep = load_sweep("study.yaml")
    config = RunFolder.of(sweep.cells[0].config, Path("runs")).config
    now = config.read_text()
    values = yaml.safe_load(now)
    del values["training"]["validate_every"]
    config.write_text(yaml.safe_dump(values))

    result = run_sweep(sweep, sweep.cells)

    assert result.before == list(sweep.cells)
    assert config.read_text() == now


def test_a_dry_run_starts_nothing(place):
    said = semantic("sweep", "study.yaml", "--dry-run", "--set", "folds=3", cwd=place).stdout

    assert "12 runs, 0 finished; expected time by 1 job: unknown, for no run is finished" in said
    assert not (place / "runs").exists()


def test_a_killed_sweep_goes_on_and_ends_with_the_same_files(place, whole):
    process = started(place, "--jobs", "2")
    await_first_epoch(place, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive  # nobody trains on where no one waits

    said = semantic("sweep", "study.yaml", "--jobs", "2", cwd=place).stdout

    assert "4 of 4 runs finished" in said
    assert differences(place / "runs", whole / "runs") == []


def test_an_interrupted_sweep_ends_its_processes_and_goes_on(place, whole):
    process = started(place, "--jobs", "2")
    await_first_epoch(place, process)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)

    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith("interrupted; what was finished is saved")
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    semantic("sweep", "study.yaml", cwd=place)
    assert differences(place / "runs", whole / "runs") == []


def test_two_sweeps_at_once_train_no_cell_twice(place, whole):
    one, other = started(place), started(place, "--jobs", "2")
    said = [process.communicate(timeout=300)[0] for process in (one, other)]

    assert (one.returncode, other.returncode) == (0, 0), said
    assert sum(map(now, said)) == 4
    assert differences(place / "runs", whole / "runs") == []


def test_a_cell_that_another_process_holds_is_left_to_it(place):
    with claim(place / "runs" / "study" / "labelled_share=0" / "seed_1"):
        done = semantic("sweep", "study.yaml", "--set", "training.epochs=1", cwd=place)

    assert "3 of 4 runs finished (3 now)" in done.stdout
    assert "labelled_share=0, seed 1: left to another process; " in done.stderr
    assert f"found process {os.getpid()} on" in done.stderr


def test_a_cell_that_fails_ends_alone(place):
    (place / "own_models.py").write_text(OWN_MODELS)
    small = {"name": "semantic_small_data", "dim": 16, "text": {"vocabulary": 300}}
    variants = {
        "dies": {"model": small | {"name": "own_models:Dies"}},
        "errs": {"model": small | {"name": "own_models:Errs"}},
        "diverges": {"model": small | {"name": "own_models:Diverges"}},
        "works": {},
    }
    (place / "study.yaml").write_text(yaml.safe_dump({"base": "tiny.yaml", "variants": variants}, sort_keys=False))

    done = semantic("sweep", "study.yaml", "--jobs", "2", "--set", "training.epochs=1", cwd=place, code=1)

    assert "1 of 4 runs finished (1 now)" in done.stdout
    assert "ZeroDivisionError: of its own" in done.stdout  # a bug of the user's own model keeps its traceback
    assert done.stdout.count("Traceback") == 1
    said = done.stderr.splitlines()
    assert any(
        line.startswith("dies, seed 0: its process ended with signal 9 (often: no memory left)") for line in said
    )
    assert any(line.startswith("diverges, seed 0: ") and "expected a finite loss" in line for line in said)
    assert said[-1] == "semantic: sweep: expected every run to finish, found 3 runs failed"
    assert read_plan(place / "runs" / "study").variants == ("dies", "errs", "diverges", "works")
    assert (place / "runs" / "study" / FILE).is_file()


def test_a_launched_process_is_no_place_for_a_sweep(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("WORLD_SIZE", "2")
    sweep = load_sweep("study.yaml")

    with pytest.raises(UserError, match="expected one process for a sweep, which starts its own"):
        run_sweep(sweep, sweep.cells, runs=place / "runs")
