"""A sweep before it starts: faults of the data, where cells stand, what they may cost, and shards."""

import json
import shutil

import pytest
import yaml

from semantic.config.errors import ConfigError
from semantic.config.sweeps import load_sweep
from semantic.runs.folder import RunFolder
from semantic.runtime.errors import UserError
from semantic.sweeps.cells import cell_states, expected_seconds, open_sweep, shard_of
from semantic.training.loop import train
from tests.worlds import tiny_values

EPOCHS = 2


@pytest.fixture
def study(tmp_path, shop_path, shop_features):
    """A function that writes an experiment over the tiny one, and returns its file."""

    def write(**sections):
        values = {**tiny_values(shop_path, shop_features), "experiment": "study", **sections}
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(values))
        return str(file)

    return write


def test_faults_of_the_data_are_told_with_those_of_the_file(study, tmp_path):
    file = study(folds=97, vary={"data.labeled_share": [0, 1], "model.dim": []}, variants={"a": {"model.dims": 3}})

    with pytest.raises(ConfigError) as raised:
        open_sweep(file, [], tmp_path / "runs")

    assert [line.strip() for line in str(raised.value).splitlines()[1:]] == [
        "vary.model.dim: expected a list of values or {name: value}, got []",
        "variants.a: model.dims: no such key; did you mean 'dim'?",
        "vary: data.labeled_share: no such key; did you mean 'labelled_share'?",
        "folds: expected at least 97 dialogues for 97 folds, found 12",
    ]
    assert not (tmp_path / "runs").exists()


def test_a_fault_of_the_store_is_told_once(study, tmp_path):
    file = study(seeds=[0, 1, 2], vary={"data.store": [str(tmp_path / "nowhere")]})

    with pytest.raises(ConfigError, match=r"study\.yaml: 1 fault\n") as raised:
        open_sweep(file, [], tmp_path / "runs")

    assert f"{tmp_path / 'nowhere'}: expected" in str(raised.value)


def test_a_folder_with_another_configuration_is_a_fault(study, tmp_path):
    (first, _) = open_sweep(study(seeds=[0, 1]), [], tmp_path / "runs").cells
    train(first.config, runs=tmp_path / "runs")

    assert open_sweep(study(seeds=[0, 1]), [], tmp_path / "runs").cells[0].config == first.config
    with pytest.raises(
        ConfigError, match=r"1 fault\n.*seed_0: expected the configuration the run was started with"
    ) as raised:
        open_sweep(study(seeds=[0, 1]), ["training.epochs=7"], tmp_path / "runs")
    assert (
        "training.epochs: expected 2, got 7; give another experiment (--set experiment=NAME), or another --runs"
        in str(raised.value)
    )


def test_cells_stand_where_their_folders_say_and_cost_what_others_did(study, tmp_path):
    sweep = load_sweep(study(seeds=[0, 1], vary={"model.dim": [8, 16]}))
    runs = tmp_path / "runs"
    assert [state.state for state in cell_states(sweep.cells, runs)] == ["to do"] * 4
    assert expected_seconds(cell_states(sweep.cells, runs)) == [None] * 4

    narrow, wide = train(sweep.cells[0].config, runs=runs), train(sweep.cells[2].config, runs=runs)
    for run, seconds in ((narrow, 10.0), (wide, 40.0)):
        run.summary.write_text(json.dumps(json.loads(run.summary.read_text()) | {"seconds": seconds}))
    begun = RunFolder.of(sweep.cells[1].config, runs)
    shutil.copytree(narrow.path, begun.path)
    begun.summary.unlink()
    begun.metrics.write_text(begun.metrics.read_text().splitlines(keepends=True)[0])

    states = cell_states(sweep.cells, runs)

    assert [state.state for state in states] == ["finished", "begun", "finished", "to do"]
    assert [state.epochs for state in states] == [EPOCHS, 1, EPOCHS, 0]
    assert [state.seconds for state in states] == [10.0, None, 40.0, None]
    assert expected_seconds(states) == [0, 10 * 1 / EPOCHS, 0, 40]
    # A variant without a finished run is expected to cost what the others did.
    shutil.rmtree(wide.path)
    assert expected_seconds(cell_states(sweep.cells, runs)) == [0, 5, 10, 10]


def test_shards_are_disjoint_and_together_all(study):
    cells = load_sweep(study(seeds="0-6")).cells
    parts = [shard_of(cells, f"{k}/3") for k in (1, 2, 3)]

    assert [[cell.config.seed for cell in part] for part in parts] == [[0, 3, 6], [1, 4], [2, 5]]
    assert shard_of(cells, None) == list(cells)
    assert shard_of(cells, "9/9") == []
    for wrong in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3"):
        with pytest.raises(UserError, match=rf"--shard: expected one of several like 3/16, got '{wrong}'"):
            shard_of(cells, wrong)
