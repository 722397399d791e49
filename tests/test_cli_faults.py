"""What the installed command says to bad input: one line that names it (a line a fault in a configuration)."""

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from semantic.cli import app as cli
from semantic.datasets.preparing import products as preparing_products
from semantic.datasets.store.store import open_store
from tests.commands import RUN, semantic
from tests.worlds import STATELESS, reseal


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
    faults = ("model.dims=3", "training.epochs=many", "model.loss.alpha=2")
    said = faulty("train", "tiny.yaml", *(word for fault in faults for word in ("--set", fault)), cwd=way.folder)
    first, *lines = said.splitlines()
    assert first == "tiny.yaml: 3 faults"
    assert sorted(line.split(":")[0].strip() for line in lines) == ["model.dims", "model.loss.alpha", "training.epochs"]
    assert "did you mean 'dim'?" in said
    assert "got 2" in said
    assert "got 'many'" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nothing"), "experiment 'nothing': expected a YAML file or one of"),
        (("train", "nothing.yaml"), "experiment nothing.yaml: expected a YAML file, got none there"),
        (("train", "tiny.yaml", "--set", "data.store=data"), "data: expected a prepared store"),
        (
            ("train", "tiny.yaml", "--set", "data.test=dev", "--set", "variant=dev"),
            "store: expected a split of train, valid, test, v2_train",
        ),
        (
            ("train", "tiny.yaml", "--set", "training.epochs=3", "--set", f"data.unlabelled=[{STATELESS}]"),
            f"{RUN}: expected no run there yet, found one; go on with --resume",
        ),
        (
            ("train", "tiny.yaml", "--resume", "--set", "training.learning_rate=0.5"),
            f"{RUN}: expected the configuration the run was started with to resume it; ",
        ),
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
    splits = json.loads((tmp_path / "gap" / "manifest.json").read_text())["splits"]
    splits["test"]["examples"] += splits["valid"]["examples"]
    splits["valid"]["examples"] = 0
    reseal(tmp_path / "gap", splits=splits)
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
    said = in_process(monkeypatch, capsys, "evaluate", tmp_path / "run", "--out", tmp_path / "out", cwd=way.folder)
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
    assert f"  rejected: 1 x photo does not decode (first: product {photo.stem!r})\n" in said
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
    assert re.search(r"  rejected: 1 x malformed dialogue file \(first: .*2_genuine.json\)\n", said)
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


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", RUN, "--split", "v2_train", "--out", "wide", "--seen", "keep"),
        ("recommend", RUN, "--dialogue", "dialogue.json"),
    ],
)
def test_other_features_in_the_place_of_the_runs_are_refused(way, monkeypatch, capsys, arguments):
    features = np.load(way.folder / "features.npy")
    np.save(way.folder / "features.npy", np.concatenate([features, features], axis=1))
    try:
        said = in_process(monkeypatch, capsys, *arguments, cwd=way.folder)
    finally:
        np.save(way.folder / "features.npy", features)
    assert said == "features.npy: expected the image features that the run was trained on, found others in their place"
    assert not (way.folder / "wide").exists()


def test_features_that_are_no_numbers_are_named_by_product(way, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((40, 48), np.nan, dtype=np.float32))
    words = ("--set", f"model.image.features={tmp_path}/nan.npy", "--set", "variant=nan")
    said = faulty("train", "tiny.yaml", *words, cwd=way.folder)
    assert re.fullmatch(rf"{tmp_path}/nan.npy row \d+ \(product '[\w-]+'\): expected finite numbers, found nan", said)


def test_weights_that_are_no_numbers_are_one_line_and_exit_code_1(way, monkeypatch, capsys):
    words = ("variant=wild", "training.batch_size=64", "training.learning_rate=1000000")
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


def test_heads_that_do_not_divide_the_width_are_a_fault(way, monkeypatch, capsys):
    said = in_process(monkeypatch, capsys, "train", "tiny.yaml", "--set", "model.heads=3", cwd=way.folder)
    assert said.startswith("tiny.yaml: 1 fault")


def test_a_refused_checkpoint_gives_no_advice_to_load_it_unsafely(way, monkeypatch, capsys):
    said = in_process(monkeypatch, capsys, "import-released", "tiny.yaml", "--out", "imported", cwd=way.folder)
    assert "weights_only" not in said


def test_a_start_that_failed_does_not_stand_in_the_way(way, monkeypatch, capsys):
    wrong = ("train", "tiny.yaml", "--set", "variant=again", "--set", "training.epochs=1")
    in_process(monkeypatch, capsys, *wrong, "--set", "model.image.features=absent.npy", cwd=way.folder)
    monkeypatch.setattr(sys, "argv", ["semantic", *wrong])
    cli.main()
