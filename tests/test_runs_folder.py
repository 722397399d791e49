"""A run's folder: names, the record of its start, and files a crash left half written."""

import json

import pytest
import torch

from semantic.config.loading import ConfigError, make_config
from semantic.runs.folder import RunData, RunError, RunFolder
from semantic.runtime.claims import BusyError
from semantic.runtime.errors import DataError


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_the_folder_is_named_by_experiment_variant_seed_and_fold(tmp_path):
    config = make_config({"experiment": "fashion", "variant": "no-state", "seed": 7})
    assert RunFolder.of(config, tmp_path).path == tmp_path / "fashion" / "no-state" / "seed_7"
    fold = make_config(config.model_dump(mode="json"), ["data.fold.count=5", "data.fold.index=2"])
    assert RunFolder.of(fold, tmp_path).path == tmp_path / "fashion" / "no-state" / "seed_7" / "fold_2_of_5"


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


def test_metrics_are_written_anew_from_the_finished_epochs(folder):
    folder.path.mkdir()
    lines = [{"epoch": epoch, "value": epoch / 7} for epoch in (1, 2)]
    for line in lines:
        folder.append_metrics(line)
    folder.metrics.write_text(folder.metrics.read_text()[:-9])  # a kill cut the last line short
    folder.write_metrics(lines)
    folder.append_metrics({"epoch": 3})
    assert [json.loads(line) for line in folder.metrics.read_text().splitlines()] == [*lines, {"epoch": 3}]
    folder.write_metrics([])
    assert folder.metrics.read_text() == ""


def waiting(folder, epoch, content):
    staged = folder.staged_model(epoch)
    staged.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (staged / name).write_text(content)


def test_weights_are_published_when_their_epoch_is_finished_and_others_dropped(folder):
    waiting(folder, 1, "first")
    folder.publish_model(1)
    assert {file.name: file.read_text() for file in folder.model.iterdir()} == {
        "config.json": "first", "model.safetensors": "first",
    }  # fmt: skip
    waiting(folder, 3, "third, whose epoch did not finish")
    folder.publish_model(1)
    assert (folder.model / "model.safetensors").read_text() == "first"
    assert list(folder.state.parent.iterdir()) == []


def test_publishing_goes_on_where_it_was_stopped(folder):
    waiting(folder, 1, "first")
    folder.publish_model(1)
    waiting(folder, 2, "second")
    (folder.staged_model(2) / "config.json").replace(folder.model / "config.json")  # a kill came after this rename
    folder.publish_model(2)
    assert {file.read_text() for file in folder.model.iterdir()} == {"second"}
    assert list(folder.state.parent.iterdir()) == []


def test_a_claim_removes_what_a_killed_process_left_half_written(folder):
    (folder.path / "state").mkdir(parents=True)
    left = [
        folder.path / ".config.yaml.0123456789ab.partial",
        folder.path / "state" / ".training.pt.ba9876543210.partial",
    ]
    mine = [folder.path / "notes.partial", folder.path / ".notes.2024.partial"]
    for file in (*left, *mine):
        file.write_text("x")
    with folder.claimed(), pytest.raises(BusyError, match="run: expected no other process at work there"):
        folder.claimed().__enter__()
    assert sorted(path for path in folder.path.rglob("*") if path.is_file()) == sorted(mine)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"store": 1}', '{"store": "", "identity": "", "train": 1, "valid": []}']
)
def test_data_that_says_something_else_is_refused(folder, content):
    assert folder.read_data() is None
    folder.path.mkdir()
    (folder.path / "data.json").write_text(content)
    with pytest.raises(RunError, match=r"data.json: expected the store and the dialogues of the run"):
        folder.read_data()


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


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_flipped_bit_of_a_state_is_refused(folder, share):
    folder.save_state({"epoch": 1, "model": {"weight": torch.ones(5003)}})
    content = bytearray(folder.state.read_bytes())
    content[int(share * len(content))] ^= 1
    folder.state.write_bytes(content)
    with pytest.raises(
        RunError, match=r"training.pt: expected the state that was saved, found another checksum of .+/0$"
    ):
        folder.load_state()


def test_a_state_that_is_no_dictionary_is_refused(folder):
    folder.save_state(torch.ones(2))
    with pytest.raises(RunError, match=r"training.pt: expected the run's state, found a Tensor"):
        folder.load_state()


def test_a_changed_list_of_dialogues_is_refused(folder):
    folder.start(make_config({}), RunData("store", "0123456789abcdef", ["0d" * 32], []))
    assert folder.read_data() == RunData("store", "0123456789abcdef", ["0d" * 32], [])
    file = folder.path / "data.json"
    file.write_text(file.read_text().replace("0d0d", "0d0e", 1))
    with pytest.raises(
        RunError, match=r"data.json: expected what was written as the run was started, found it changed"
    ):
        folder.read_data()


def test_a_configuration_without_a_store_is_named(folder):
    folder.start(make_config({}))
    with pytest.raises(RunError, match=r"config.yaml: data.store: expected the folder of the run's store, found none"):
        folder.open_store()
    folder.start(make_config({}, ["data.store=shop"]))
    with pytest.raises(DataError, match="shop: expected a prepared store"):
        folder.open_store()


def test_a_state_never_runs_code(folder, tmp_path):
    folder.state.parent.mkdir(parents=True)

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "written"), "w")

    torch.save({"epoch": Evil()}, folder.state)
    with pytest.raises(RunError, match="does not load"):
        folder.load_state()
    assert not (tmp_path / "written").exists()


def assert_words_left_out_are_noticed(folder):
    folder.start(make_config({}, ["data.slot_words={colour: color}"]))
    with pytest.raises(RunError, match=r"data\.slot_words\.colour: expected 'color', got None"):
        folder.check_same(make_config({}), "")


def test_resuming_checks_every_field_but_those_that_change_no_number(folder):
    config = make_config({}, ["training.epochs=3"])
    folder.start(config, RunData("store", "0123456789abcdef", [], []))
    folder.check_same(config, "0123456789abcdef")
    free = ("training.workers=4", "evaluation.batch_size=1", "data.store=elsewhere")
    folder.check_same(make_config({}, ["training.epochs=3", *free]), "0123456789abcdef")
    assert_words_left_out_are_noticed(RunFolder(folder.path / "other"))
    other = make_config({}, ["training.epochs=4", "data.slot_words={colour: color}", "data.store=elsewhere"])
    with pytest.raises(RunError) as caught:
        folder.check_same(other, "fedcba9876543210")
    message = str(caught.value)
    assert "run: expected the configuration the run was started with to resume it; " in message
    assert "training.epochs: expected 3, got 4" in message
    assert "data.slot_words" in message
    assert "workers" not in message
    assert message.endswith(
        "data.store: expected the content it was started on (0123456789ab, then in store), got fedcba987654 in elsewhere"
    )
