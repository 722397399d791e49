"""A run's folder: names, the record of its start, and files a crash left half written."""

import json

import pytest
import torch

from semantic.config.loading import ConfigError, make_config
from semantic.runs.folder import RunError, RunFolder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_the_folder_is_named_by_experiment_variant_seed_and_fold(tmp_path):
    config = make_config({"experiment": "fashion", "variant": "no-state", "seed": 7})
    assert RunFolder.of(config, tmp_path).path == tmp_path / "fashion" / "no-state" / "seed_7"
    assert RunFolder.of(config, tmp_path, 0).path == tmp_path / "fashion" / "no-state" / "seed_7" / "fold_0"


def test_the_configuration_comes_back_as_it_went(folder):
    config = make_config({"preset": "released", "data": {"slot_words": {"colour": "color"}}}, ["seed=3"])
    folder.start(config)
    assert folder.read_config() == config
    assert json.loads((folder.path / "environment.json").read_text())["seed"] == 3


def test_a_folder_without_configuration_is_no_run(folder):
    with pytest.raises(RunError, match=r"run: expected a run's folder with its config.yaml, found none"):
        folder.read_config()


@pytest.mark.parametrize(
    ("content", "message"),
    [("model: {dims: 3}", r"model.dims: no such key; did you mean 'dim'\?"), ("a: [", "while parsing")],
)
def test_a_configuration_that_was_edited_into_nonsense_is_refused(folder, content, message):
    folder.path.mkdir()
    folder.config.write_text(content)
    with pytest.raises((RunError, ConfigError), match=message) as caught:
        folder.read_config()
    assert "run/config.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_metrics_of_the_finished_epochs_are_kept_and_the_rest_dropped(folder):
    folder.path.mkdir()
    for epoch in (1, 2, 3):
        folder.append_metrics({"epoch": epoch, "value": epoch / 7})
    folder.keep_metrics(2)
    assert [json.loads(line) for line in folder.metrics.read_text().splitlines()] == [
        {"epoch": 1, "value": 1 / 7},
        {"epoch": 2, "value": 2 / 7},
    ]
    folder.keep_metrics(0)
    assert folder.metrics.read_text() == ""


@pytest.mark.parametrize("cut", [1, 10, 25])
def test_a_line_that_a_kill_cut_short_is_dropped_and_written_again(folder, cut):
    folder.path.mkdir()
    folder.append_metrics({"epoch": 1, "value": 0.5})
    whole = folder.metrics.read_text()
    folder.append_metrics({"epoch": 2, "value": 0.25})
    folder.metrics.write_text(whole + folder.metrics.read_text()[len(whole) :][:cut])
    folder.keep_metrics(2)
    assert folder.metrics.read_text() == whole
    folder.append_metrics({"epoch": 2, "value": 0.125})
    assert [json.loads(line)["epoch"] for line in folder.metrics.read_text().splitlines()] == [1, 2]


def test_no_metrics_yet_are_no_lines(folder):
    folder.keep_metrics(0)
    assert folder.metrics.read_text() == ""


def test_a_state_comes_back_and_a_failed_save_leaves_the_one_before(folder):
    assert folder.load_state() is None
    folder.save_state({"epoch": 1, "model": {"weight": torch.arange(3)}})

    class Unpicklable:
        def __reduce__(self):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        folder.save_state({"epoch": 2, "model": Unpicklable()})
    state = folder.load_state()
    assert state["epoch"] == 1
    assert torch.equal(state["model"]["weight"], torch.arange(3))
    assert [path.name for path in folder.state.parent.iterdir()] == ["training.pt"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"some text"])
def test_a_state_that_does_not_load_is_named(folder, content):
    folder.save_state({"epoch": 1})
    folder.state.write_bytes(content)
    with pytest.raises(RunError, match=r"state/training.pt: expected the run's state, got a file that does not load"):
        folder.load_state()
    folder.save_state({"epoch": 1, "model": {"weight": torch.zeros(101)}})
    folder.state.write_bytes(folder.state.read_bytes()[:-200])
    with pytest.raises(RunError, match="got a file that does not load"):
        folder.load_state()


def test_a_state_never_runs_code(folder, tmp_path):
    folder.state.parent.mkdir(parents=True)

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "written"), "w")

    torch.save({"epoch": Evil()}, folder.state)
    with pytest.raises(RunError, match="does not load"):
        folder.load_state()
    assert not (tmp_path / "written").exists()


def test_resuming_checks_every_field_but_those_that_change_no_number(folder):
    config = make_config({}, ["training.epochs=3"])
    folder.start(config)
    folder.check_same(config)
    folder.check_same(make_config({}, ["training.epochs=3", "training.workers=4", "evaluation.batch_size=1"]))
    other = make_config({}, ["training.epochs=4", "data.slot_words={colour: color}"])
    with pytest.raises(RunError) as caught:
        folder.check_same(other)
    message = str(caught.value)
    assert "run: expected the configuration the run was started with to resume it; " in message
    assert "training.epochs: expected 3, got 4" in message
    assert "data.slot_words" in message
    assert "workers" not in message
