"""The installed command as a person meets it: the way through once, every fault in one line, and a killed run resumed."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from semantic import cli
from semantic.config import make_config
from semantic.datasets import preparing_products
from semantic.datasets.store import open_store
from semantic.model import Semantic
from semantic.runs import RunFolder
from semantic.trainer import train
from tests.worlds import STATELESS, colour_features, tiny_values, without_seconds

COMMAND = Path(sys.executable).with_name("semantic")
COMMANDS = (
    "simulate", "prepare", "inspect", "train", "evaluate", "report", "recommend", "import-released", "config",
)  # fmt: skip
ESCAPE = "\x1b"


def environment() -> dict[str, str]:
    """A plain pipe of 80 columns, one thread, no network."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE")}
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}


def semantic(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the installed command; its exit code is checked, and what it printed comes back."""
    words = [str(COMMAND), *map(str, arguments)]
    done = subprocess.run(words, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def test_every_command_has_a_page_of_help(tmp_path):
    overview = semantic("--help", cwd=tmp_path).stdout
    listed = re.findall(r"^│ ([a-z][a-z-]*) +\S", overview, re.MULTILINE)
    assert set(COMMANDS) <= set(listed)
    for command in listed:
        page = semantic(command, "--help", cwd=tmp_path).stdout
        assert f"Usage: semantic {command}" in page
        assert ESCAPE not in page
        options = re.findall(r"(--[a-z-]+)", page)
        assert "--help" in options
        for line in re.findall(r"^│ \*? *(?:--[a-z-]+|[a-z]+) +(?:<\w+>|[A-Z.=]+)? *(.*?) *│$", page, re.MULTILINE):
            assert line, f"{command}: an option without a word of help"


@dataclass(frozen=True)
class Way:
    """A folder in which the commands were run in their usual order, and what each printed."""

    folder: Path
    said: dict[str, subprocess.CompletedProcess[str]]

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder / "runs" / "tiny" / "base" / "seed_0")


@pytest.fixture(scope="module")
def way(tmp_path_factory) -> Way:
    folder, said = tmp_path_factory.mktemp("way"), {}

    def step(name: str, *arguments: object) -> None:
        said[name] = semantic(name, *arguments, cwd=folder)

    step("simulate", "data", "--dialogues", 12, "--products", 40, "--seed", 3, "--unlabelled", 4)
    step("prepare", "mmd", "data", "--out", "store")
    step("inspect", "store")
    colour_features(open_store(folder / "store"), folder / "features.npy")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_values(Path("store"), Path("features.npy"))))
    step("train", "tiny.yaml", "--set", "training.epochs=3", "--set", f"data.unlabelled=[{STATELESS}]")
    step("evaluate", "runs/tiny/base/seed_0", "--split", "valid", "--out", "on_valid")
    step("report", "runs", "--out", "report", "--turns", 4)
    dialogue = [
        {"speaker": "user", "text": "show me a red dress"},
        {"speaker": "system", "text": "", "images": [open_store(folder / "store").product_names[3]]},
        {"speaker": "user", "text": "cheaper"},
    ]
    (folder / "dialogue.json").write_text(json.dumps(dialogue))
    step(
        "recommend", "runs/tiny/base/seed_0", "--dialogue", "dialogue.json", "--top", 7, "--html", "recommend.html"
    )  # fmt: skip
    return Way(folder, said)


def test_a_pipe_gets_plain_lines_and_errors_only_where_there_are_any(way):
    for name, done in way.said.items():
        assert ESCAPE not in done.stdout + done.stderr, name
        assert "\r" not in done.stdout + done.stderr, name
        assert name == "recommend" or done.stderr == "", name  # JSON alone goes to recommend's standard output


def test_simulate_and_prepare_say_what_there_is(way):
    manifest = json.loads((way.folder / "store" / "manifest.json").read_text())
    said = " ".join(way.said["simulate"].stdout.split())
    assert said.startswith("data: 40 products, 8 train, 2 valid, 2 test, 4 unlabelled, ")
    lines = way.said["prepare"].stdout.splitlines()
    assert lines[0] == "store: 40 products, 40 with a photo"
    for line, (name, counts) in zip(lines[1:], manifest["splits"].items(), strict=True):
        assert line.startswith(f"  {name}: {counts['dialogues']} dialogues, ")
        assert f"{counts['examples']} examples" in line


def test_inspect_repeats_the_counts_and_writes_a_page(way):
    lines = way.said["inspect"].stdout.splitlines()
    assert lines[:-1] == way.said["prepare"].stdout.splitlines()
    assert lines[-1] == "page: store/inspect.html"
    page = (way.folder / "store" / "inspect.html").read_text()
    assert page.count("data:image/") >= 1


def test_train_says_what_it_does_and_ends_with_the_table(way):
    said = way.said["train"].stdout
    assert said.count("a WordPiece vocabulary is trained on this data's own text") == 1
    assert re.search(r"^D_F: \d+ examples of 8 dialogues with states; D_P: \d+ examples of 4 dialogues", said, re.M)
    epochs = re.findall(r"^epoch (\d)/3  train loss [\d.]+ train unlabelled loss [\d.]+  valid NDCG@5", said, re.M)
    assert epochs == ["1", "2", "3"]
    assert said.index("standard protocol") < said.index("released protocol") < said.index("run: runs/tiny/base/seed_0")
    for floor in ("random", "popularity", "tfidf"):
        assert floor in said
    summary = json.loads(way.run.summary.read_text())
    assert f"{100 * summary['protocols']['standard']['ndcg@5']:.1f}" in said
    command = json.loads((way.run.path / "environment.json").read_text())["command"]
    assert command.startswith("semantic train tiny.yaml --set training.epochs=3")


def test_the_command_and_the_library_give_the_same_bits(way, tmp_path, monkeypatch):
    monkeypatch.chdir(way.folder)
    folder = train(way.run.read_config(), runs=tmp_path)
    assert without_seconds(folder.metrics) == without_seconds(way.run.metrics)
    assert pq.read_table(folder.queries).equals(pq.read_table(way.run.queries))


def test_evaluate_ranks_another_split(way):
    summary = json.loads((way.folder / "on_valid" / "summary.json").read_text())
    assert summary["split"] == "valid"
    assert "valid split" in way.said["evaluate"].stdout
    assert f"{100 * summary['protocols']['standard']['ndcg@5']:.1f}" in way.said["evaluate"].stdout


def test_report_writes_what_it_names(way):
    said = way.said["report"].stdout
    (written,) = re.findall(r"^written: (.*)$", said, re.M)
    files = [way.folder / name for name in written.split(", ")]
    assert sorted(file.suffix for file in files) == [".csv", ".html", ".md"]
    assert all(file.stat().st_size > 200 for file in files)
    value = json.loads(way.run.summary.read_text())["protocols"]["standard"]["ndcg@5"]
    (sheet,) = (file.read_text() for file in files if file.suffix == ".csv")
    assert repr(value) in sheet


def test_recommend_prints_json_and_writes_a_page(way):
    done = way.said["recommend"]
    content = json.loads(done.stdout)
    found = content["recommendations"]
    assert content["store"] == "store"
    assert len({one["product"] for one in found}) == len(found) == 7
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert found[0].keys() == {"product", "name", "text", "score", "attention_text", "attention_image"}
    assert done.stderr == "page: recommend.html\n"
    assert (way.folder / "recommend.html").read_text().count("data:image/") >= 7


def test_config_explains_every_field(way):
    said = semantic("config", "tiny.yaml", "--set", "loss.alpha=0.25", cwd=way.folder).stdout
    assert re.search(r"^  alpha: 0.25 +# weight of the teacher's losses", said, re.M)
    resolved = yaml.safe_load(said)
    assert make_config(resolved) == make_config(tiny_values(Path("store"), Path("features.npy")), ["loss.alpha=0.25"])


def test_folds_are_runs_beside_each_other_in_one_table(way, monkeypatch, capsys):
    monkeypatch.chdir(way.folder)
    words = ("train", "tiny.yaml", "--folds", "3", "--set", "variant=crossed", "--set", "training.epochs=1")
    monkeypatch.setattr(sys, "argv", ["semantic", *words])
    cli.main()
    said = capsys.readouterr().out
    assert [f"fold {i} of 3" in said for i in (1, 2, 3)] == [True] * 3
    folder = way.folder / "runs" / "tiny" / "crossed" / "seed_0"
    assert sorted(p.name for p in folder.iterdir()) == ["fold_0", "fold_1", "fold_2"]
    assert "(n=3)" in said
    assert said.rstrip().endswith("run: runs/tiny/crossed/seed_0")


def faulty(*arguments: object, cwd: Path, code: int = 2) -> str:
    """What the command says on standard error, which must be a message and no traceback."""
    said = semantic(*arguments, cwd=cwd, code=code).stderr
    assert "Traceback" not in said
    assert said.startswith("semantic: ")
    return said.removeprefix("semantic: ").rstrip("\n")


def in_process(monkeypatch, capsys, *arguments: object, cwd: Path, code: int = 2) -> str:
    """`faulty` through the console script's own function, without the seconds a new process takes to import torch."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["semantic", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == code, said
    assert said.startswith("semantic: ")
    return said.removeprefix("semantic: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "nowhere"), "nowhere: expected a prepared store (a folder with manifest.json), found nothing"),
        (("prepare", "mmd", "nowhere", "--out", "new"), "nowhere: expected a dataset, found none; looked for"),
        (("prepare", "text", "data", "--out", "new"), "layout: expected mmd or simmc, got 'text'"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_a_folder_or_a_word_that_is_wrong_is_one_line(way, arguments, message):
    said = faulty(*arguments, cwd=way.folder)
    assert said.startswith(message)
    assert "\n" not in said
    assert not (way.folder / "new").exists()


def test_a_configuration_with_three_faults_names_all_three(way):
    faults = ("model.dims=3", "training.epochs=many", "loss.alpha=2")
    said = faulty("train", "tiny.yaml", *(word for fault in faults for word in ("--set", fault)), cwd=way.folder)
    first, *lines = said.splitlines()
    assert first == "tiny.yaml: 3 faults"
    assert sorted(line.split(":")[0].strip() for line in lines) == ["loss.alpha", "model.dims", "training.epochs"]
    assert "did you mean 'dim'?" in said
    assert "got 2" in said
    assert "got 'many'" in said


RUN = "runs/tiny/base/seed_0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nothing"), "experiment 'nothing': expected a YAML file or one of"),
        (("train", "nothing.yaml"), "experiment nothing.yaml: expected a YAML file, found none there"),
        (("train", "tiny.yaml", "--set", "data.store=data"), "data: expected a prepared store"),
        (("train", "tiny.yaml", "--set", "data.test=dev"), "store: expected a split of train, valid, test, v2_train"),
        (
            ("train", "tiny.yaml", "--set", "training.epochs=3", "--set", f"data.unlabelled=[{STATELESS}]"),
            f"{RUN}: expected no run there yet, found one; go on with --resume",
        ),
        (
            ("train", "tiny.yaml", "--resume", "--set", "training.learning_rate=0.5"),
            f"{RUN}: expected the configuration the run was started with to resume it; ",
        ),
        (("train", "tiny.yaml", "--folds", "2", "--set", "variant=two"), "folds: expected 3 or more"),
        (
            ("train", "tiny.yaml", "--set", "variant=slots", "--set", "data.slot_words={hue: colour}"),
            "data.slot_words: expected the slots of store (age, ",
        ),
        (("evaluate", RUN, "--split", "dev"), "store: expected a split of train, valid, test, v2_train, found 'dev'"),
        (("evaluate", "data"), "data: expected a run's folder with its config.yaml, found none"),
        (("report", "data"), "data: expected a run's folder with its summary.json"),
        (("recommend", RUN, "--dialogue", "absent.json"), "absent.json: expected a JSON file"),
        (("import-released", "absent.pth", "--out", "imported"), "released checkpoint absent.pth: expected a torch"),
        (("import-released", "tiny.yaml", "--out", "imported"), "released checkpoint tiny.yaml: expected a torch file"),
        (
            ("import-released", "tiny.yaml", "--out", "imported", "--slots", "own"),
            "slots: expected mmd or simmc, got 'own'",
        ),
        (("inspect", "store", "--dialogue", "99"), "store: expected a dialogue"),
    ],
)
def test_what_does_not_fit_is_one_line(way, monkeypatch, capsys, arguments, message):
    said = in_process(monkeypatch, capsys, *arguments, cwd=way.folder)
    assert said.startswith(message)
    assert "\n" not in said
    assert not (way.folder / "imported").exists()


def test_a_store_of_another_version_is_refused(way, tmp_path, monkeypatch, capsys):
    shutil.copytree(way.folder / "store", tmp_path / "old")
    manifest = json.loads((tmp_path / "old" / "manifest.json").read_text())
    (tmp_path / "old" / "manifest.json").write_text(json.dumps(manifest | {"version": manifest["version"] + 1}))
    expected = rf"old/manifest.json: expected store version {manifest['version']}, found {manifest['version'] + 1}; "
    said = in_process(monkeypatch, capsys, "inspect", "old", cwd=tmp_path)
    assert said.startswith(expected)
    said = in_process(monkeypatch, capsys, "evaluate", RUN, "--data", tmp_path / "old", cwd=way.folder)
    assert said.endswith(expected + "prepare it again")


def test_an_empty_split_is_named(way, tmp_path, monkeypatch, capsys):
    shutil.copytree(way.folder / "store", tmp_path / "gap")
    manifest = json.loads((tmp_path / "gap" / "manifest.json").read_text())
    manifest["splits"]["test"]["examples"] += manifest["splits"]["valid"]["examples"]
    manifest["splits"]["valid"]["examples"] = 0
    (tmp_path / "gap" / "manifest.json").write_text(json.dumps(manifest))
    words = ("train", "tiny.yaml", "--set", f"data.store={tmp_path}/gap", "--set", "variant=gap")
    said = in_process(monkeypatch, capsys, *words, cwd=way.folder)
    assert said == f"{tmp_path}/gap: expected examples in split 'valid', found none"


def test_features_of_another_store_are_refused(way, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "short.npy", np.zeros((39, 48), np.float32))
    words = ("train", "tiny.yaml", "--set", f"model.image.features={tmp_path}/short.npy", "--set", "variant=short")
    said = in_process(monkeypatch, capsys, *words, cwd=way.folder)
    assert said == (
        f"model.image.features {tmp_path}/short.npy: expected floats [40 products, feature], got float32 [39 x 48]"
    )


def test_a_checkpoint_of_other_dimensions_is_refused(way, tmp_path, monkeypatch, capsys):
    shutil.copytree(way.run.path, tmp_path / "run")
    description = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    description["model"]["dim"] = 8
    (tmp_path / "run" / "model" / "config.json").write_text(json.dumps(description))
    said = in_process(monkeypatch, capsys, "evaluate", tmp_path / "run", cwd=way.folder)
    assert said.startswith(f"{tmp_path}/run/model/model.safetensors: expected the weights that config.json beside it")
    assert "size mismatch" in said
    assert "\n" not in said


@pytest.fixture
def dataset(way, tmp_path) -> Path:
    """A copy of the simulated dataset, to be damaged."""
    return Path(shutil.copytree(way.folder / "data", tmp_path / "data"))


def test_a_photo_that_does_not_decode_is_counted_and_named(dataset, tmp_path):
    photo = min((dataset / "images" / "images").iterdir())
    photo.write_bytes(b"not a photo")
    said = semantic("prepare", "mmd", "data", "--out", "store", cwd=tmp_path).stdout
    assert said.startswith("store: 39 products, 39 with a photo\n")
    assert "  rejected: 1 x photo does not decode\n" in said
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert [photo.name in example["reason"] for example in manifest["rejected_examples"]] == [True]


def test_an_unknown_slot_stops_by_name_or_is_skipped_and_counted(dataset, tmp_path):
    file = min((dataset / "MMD2withDST" / "train").iterdir())
    turns = json.loads(file.read_text())
    number, turn = next((i, t) for i, t in enumerate(turns) if t.get("ds", {}).get("informable"))
    turn["ds"]["informable"][0]["slot"] = ["hue"]
    file.write_text(json.dumps(turns))
    said = faulty("prepare", "mmd", "data", "--out", "store", cwd=tmp_path)
    assert "\n" not in said
    assert said.startswith(f"train dialogue '{file.stem}' turn {number}: expected a slot of age, ")
    assert said.endswith("found 'hue'")
    assert not (tmp_path / "store" / "manifest.json").exists()
    said = semantic("prepare", "mmd", "data", "--out", "store", "--on-error", "skip", cwd=tmp_path).stdout
    assert re.search(r"  rejected: 1 x .*slot", said)


def test_the_genuine_malformed_file_stops_by_name_or_is_skipped_and_counted(dataset, tmp_path, shared_data):
    shutil.copy(shared_data / "data/mmd-samples/malformed/2.json", dataset / "MMD2withDST" / "train" / "2_genuine.json")
    said = faulty("prepare", "mmd", "data", "--out", "store", cwd=tmp_path)
    assert "\n" not in said
    assert re.search(r"2_genuine.json: expected valid JSON, found at line 340 column 5", said)
    assert not (tmp_path / "store" / "manifest.json").exists()
    said = semantic("prepare", "mmd", "data", "--out", "store", "--on-error", "skip", cwd=tmp_path).stdout
    assert "  rejected: 1 x malformed dialogue file\n" in said
    assert "train: 8 dialogues" in said  # the others are there


@pytest.mark.usefixtures("dataset")
def test_a_disk_that_fills_up_while_preparing_loses_nothing(tmp_path, monkeypatch, capsys):
    whole, read = preparing_products.GrowingArray.append, []

    def full(self, rows):
        read.append(rows)
        if len(read) > 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(self, rows)

    monkeypatch.setattr(preparing_products, "BLOCK", 8)
    with monkeypatch.context() as patch:
        patch.setattr(preparing_products.GrowingArray, "append", full)
        said = in_process(patch, capsys, "prepare", "mmd", "data", "--out", "store", cwd=tmp_path)
    assert said == (
        "store: expected room to write, found the disk full; what was written is kept: free some space and prepare "
        "again to go on"
    )
    kept = (tmp_path / "store" / "partial" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["read"] for line in kept[1:]] == [8, 16]  # two blocks of eight were done
    assert faulty("inspect", "store", cwd=tmp_path).startswith("store: expected a prepared store")
    semantic("prepare", "mmd", "data", "--out", "store", cwd=tmp_path)  # goes on, and the result is whole
    open_store(tmp_path / "store").verify()


LONG = ("--set", "training.epochs=15", "--set", f"data.unlabelled=[{STATELESS}]", "--set", "variant=long")


def start(folder: Path, runs: str, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", LISTENING, str(COMMAND), "train", "tiny.yaml", *LONG, "--runs", runs, *more]
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_epochs(process: subprocess.Popen[str], metrics: Path, epochs: int) -> None:
    """Return once so many epochs are on record; fails when the run ends before."""
    deadline = time.monotonic() + 120
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < epochs:
        assert process.poll() is None, f"the run ended before it could be stopped: {process.communicate()}"
        assert time.monotonic() < deadline, "no epoch in two minutes"
        time.sleep(0.002)


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
    first, second = (Semantic.from_pretrained(folder.model).state_dict() for folder in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert pq.read_table(resumed.queries).equals(pq.read_table(whole.queries))
    left, right = (json.loads(folder.summary.read_text()) for folder in (whole, resumed))
    assert left["protocols"] == right["protocols"]
    assert left["best_epoch"] == right["best_epoch"]


# 1. needs the fix of cli.main for typer >= 0.2x (an interrupt ends in exit code 0 and silence).
#    `start` must then run: [sys.executable, "-c", LISTENING, str(COMMAND), "train", ...]
# A shell without job control starts its background jobs deaf to the interrupt key.
LISTENING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


def test_an_interruption_by_hand_says_how_to_go_on(way, tmp_path):
    process = start(way.folder, str(tmp_path))
    wait_for_epochs(process, tmp_path / "tiny" / "long" / "seed_0" / "metrics.jsonl", 1)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint == ("interrupted; what was finished is saved, the same command (train: with --resume) goes on\n")


# 2. needs the width check in building.batch_builder (CLI: traceback)
@pytest.mark.parametrize(
    "arguments",
    [("evaluate", RUN, "--split", "valid", "--out", "wide"), ("recommend", RUN, "--dialogue", "dialogue.json")],
)
def test_features_of_another_width_are_refused(way, monkeypatch, capsys, arguments):
    features = np.load(way.folder / "features.npy")
    np.save(way.folder / "features.npy", np.concatenate([features, features], axis=1))
    try:
        said = in_process(monkeypatch, capsys, *arguments, cwd=way.folder)
    finally:
        np.save(way.folder / "features.npy", features)
    assert said == "model.image.features features.npy: expected the model's width 48, got 96"
    assert not (way.folder / "wide").exists()


# 3. needs the fix in trainer._step (detach before float: a UserWarning stands on standard error beside the one line)
def test_a_loss_that_is_no_number_is_one_line_and_exit_code_1(way, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((40, 48), np.nan, dtype=np.float32))
    words = ("--set", f"model.image.features={tmp_path}/nan.npy", "--set", "variant=nan")
    said = faulty("train", "tiny.yaml", *words, cwd=way.folder, code=1)
    assert "\n" not in said
    assert said.startswith("runs/tiny/nan/seed_0: epoch 1, step 1: expected a finite loss, got teacher_ranking nan")


# 4. needs the fix in trainer (weights that are no numbers after an epoch's last step: ValueError traceback from metrics)
def test_weights_that_are_no_numbers_are_one_line_and_exit_code_1(way, monkeypatch, capsys):
    words = ("variant=wild", "training.batch_size=64", "training.learning_rate=1e30")
    said = in_process(
        monkeypatch,
        capsys,
        "train",
        "tiny.yaml",
        *(w for word in words for w in ("--set", word)),
        cwd=way.folder,
        code=1,
    )
    assert "\n" not in said
    assert said.startswith("runs/tiny/wild/seed_0: epoch 1, ")


# 5. needs a check in Config (heads must divide dim), min=0 on --folds, cli.simulate with markup=False, no torch text in
#    released/load_state messages
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "tiny.yaml", "--set", "model.heads=3"), "tiny.yaml: 1 fault"),
        (("train", "tiny.yaml", "--folds", "-1"), ""),
    ],
)
def test_more_that_does_not_fit(way, monkeypatch, capsys, arguments, message):
    assert in_process(monkeypatch, capsys, *arguments, cwd=way.folder).startswith(message)


def test_a_folder_with_brackets_is_printed_as_it_is(tmp_path):
    assert semantic("simulate", "a[b]", "--dialogues", 3, "--products", 10, cwd=tmp_path).stdout.startswith("a[b]: ")


def test_a_refused_checkpoint_gives_no_advice_to_load_it_unsafely(way, monkeypatch, capsys):
    said = in_process(monkeypatch, capsys, "import-released", "tiny.yaml", "--out", "imported", cwd=way.folder)
    assert "weights_only" not in said


# 6. needs the fix in finished.load_runs (RUN/evaluations is counted as another run: n=2)
def test_an_evaluation_is_not_another_run_of_the_table(way, monkeypatch, capsys):
    monkeypatch.chdir(way.folder)
    for words in (["evaluate", RUN], ["report", "runs/tiny/base", "--out", "again"]):
        monkeypatch.setattr(sys, "argv", ["semantic", *words])
        cli.main()
    assert "(n=1)" in capsys.readouterr().out.split("standard protocol")[-1]


# 7. a first start that fails for a fault of the configuration must not occupy the run's folder
def test_a_start_that_failed_does_not_stand_in_the_way(way, monkeypatch, capsys):
    wrong = ("train", "tiny.yaml", "--set", "variant=again", "--set", "training.epochs=1")
    in_process(monkeypatch, capsys, *wrong, "--set", "model.image.features=absent.npy", cwd=way.folder)
    monkeypatch.setattr(sys, "argv", ["semantic", *wrong])
    cli.main()
