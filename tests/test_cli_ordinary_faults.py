"""What goes wrong in ordinary life, through the commands: one line, a known exit code, and what was there is there still."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic.cli import app as cli
from tests.commands import COMMAND, RUN, environment


@pytest.fixture
def place(way, tmp_path) -> Path:
    """A copy of the folder in which the commands were run."""
    return Path(shutil.copytree(way.folder, tmp_path / "place"))


def ended(monkeypatch, capsys, *words: object, cwd: Path, code: int) -> str:
    """What a command says on standard error before it ends with `code`."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["semantic", *map(str, words)])
    capsys.readouterr()
    if code:
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == code
    else:
        cli.main()
    return capsys.readouterr().err


def digests(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("key", ["experiment", "variant"])
@pytest.mark.parametrize("name", ["..", ".", "../..", "/tmp", "-x", ".git"])
def test_a_run_cannot_be_put_outside_its_folder(place, monkeypatch, capsys, key, name):
    before = digests(place.parent)
    said = ended(monkeypatch, capsys, "train", "tiny.yaml", "--set", f"{key}={name}", cwd=place, code=2)
    assert said.startswith(
        f"semantic: tiny.yaml: 1 fault\n  {key}: expected a name of letters, digits and _ . + - , =, "
    )
    assert said.count("\n") == 2
    assert digests(place.parent) == before


@pytest.mark.parametrize(
    "command", [("evaluate", RUN, "--out", "on"), ("recommend", RUN, "--dialogue", "dialogue.json")]
)
def test_a_run_whose_model_is_gone_is_named_and_the_hub_not_asked(place, monkeypatch, capsys, command):
    shutil.rmtree(place / RUN / "model")
    said = ended(monkeypatch, capsys, *command, cwd=place, code=2)
    assert said == f"semantic: model {RUN}/model: expected a folder, found none there\n"


def test_an_empty_features_file_is_no_interrupt(place, monkeypatch, capsys):
    (place / "features.npy").write_bytes(b"")
    said = ended(monkeypatch, capsys, "train", "tiny.yaml", "--set", "variant=empty", cwd=place, code=2)
    assert said.startswith("semantic: model.image.features features.npy: expected a .npy array, got: ")
    assert said.count("\n") == 1


def test_a_misspelt_key_of_a_dialogue_is_named(place, monkeypatch, capsys):
    (place / "dialogue.json").write_text(json.dumps([{"speaker": "user", "txet": "a red dress"}]))
    said = ended(monkeypatch, capsys, "recommend", RUN, "--dialogue", "dialogue.json", cwd=place, code=2)
    assert said == 'semantic: dialogue.json, turn 0: no such key "txet"; did you mean "text"?\n'


@pytest.mark.parametrize("folder", ["pieces", "vectors"])
def test_damaged_caches_are_made_again_and_change_nothing(place, monkeypatch, capsys, folder):
    words = ("recommend", RUN, "--dialogue", "dialogue.json", "--top", "7")
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["semantic", *words])
    cli.main()
    expected = capsys.readouterr().out
    for file in (place / "store" / folder).glob("*.npy"):
        file.write_bytes(file.read_bytes()[:-5])
    cli.main()
    said = capsys.readouterr()
    assert said.out == expected
    assert " is damaged (" in said.err
    cli.main()
    assert "damaged" not in capsys.readouterr().err


def test_part_of_a_launchers_environment_is_one_line(place, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = ended(monkeypatch, capsys, "evaluate", RUN, "--out", "on", cwd=place, code=2)
    assert said.startswith(
        "semantic: environment: expected RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside WORLD_SIZE=2"
    )
    assert said.count("\n") == 1
    assert not (place / "on").exists()


def test_no_memory_for_training_is_one_line_and_exit_code_1(place, monkeypatch, capsys):
    def exhausted(*_: object, **__: object) -> None:
        torch.empty(2**60)

    monkeypatch.setattr("semantic.training.loop.train", exhausted)
    said = ended(monkeypatch, capsys, "train", "tiny.yaml", "--set", "variant=large", cwd=place, code=1)
    assert said.startswith("semantic: memory: expected enough for this work, found too little: ")
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [3, 60, 150])
def test_a_limit_on_the_size_of_files_ends_training_in_one_line(place, kilobytes):
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1000, resource.RLIM_INFINITY))

    words = [COMMAND, "train", "tiny.yaml", "--set", "variant=limited", "--set", "training.epochs=2"]
    done = subprocess.run(
        words, cwd=place, env=environment(), capture_output=True, text=True, check=False, preexec_fn=limited
    )
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr.startswith("semantic: ")
    assert done.stderr.count("\n") == 1
    sizes = [file.stat().st_size for file in (place / "runs" / "tiny" / "limited").rglob("*") if file.is_file()]
    assert all(size <= kilobytes * 1000 for size in sizes)


def test_a_features_file_of_no_numbers_at_all_is_named(place, monkeypatch, capsys):
    np.save(place / "features.npy", np.array([{"a": 1}] * 40, dtype=object), allow_pickle=True)
    said = ended(monkeypatch, capsys, "train", "tiny.yaml", "--set", "variant=objects", cwd=place, code=2)
    assert said.startswith("semantic: model.image.features features.npy: expected a .npy array, got: ")
