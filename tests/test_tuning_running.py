"""Searches whose trials are functions in place of training: what is drawn, counted, pruned, tried again and written."""

import csv
import math
import sqlite3
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from semantic.config.loading import load_config
from semantic.runs.folder import RunError
from semantic.runs.reading import unfinished_runs
from semantic.runtime.errors import DataError
from semantic.sweeps.workers import CellFailure
from semantic.training.run import TrainingError
from semantic.tuning import running, trials
from semantic.tuning import tune as tuning
from semantic.tuning.tune import Tuned, tune
from tests.curves import BEST_RATE, EPOCHS, SPACE, Curve, Trained, planted
from tests.worlds import Listener, changed_copy, tiny_values, with_turn_texts


@pytest.fixture
def search(tmp_path, shop_path, monkeypatch):
    """search(trials, planted, search={...}): a search on functions, in a folder of the test's own."""
    monkeypatch.setattr(running, "CellProcess", Trained)
    monkeypatch.setattr(running, "wait", lambda _: None)
    monkeypatch.setattr(tuning, "write_trials", lambda *_: ())  # a second each; a test of its own draws it
    monkeypatch.setattr(Trained, "begun", [])

    def run(
        trials: int, curve: Curve = planted, section: dict[str, Any] | None = None, *more: str, **named: Any
    ) -> Tuned:
        monkeypatch.setattr(Trained, "curve", staticmethod(curve))
        values = tiny_values(shop_path)
        values["training"]["epochs"] = EPOCHS
        values["search"] = {"space": SPACE, **(section or {})}
        file = tmp_path / "lab.yaml"
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        return tune(
            str(file), ["experiment=lab", *more], trials=trials, runs=named.pop("runs", tmp_path / "runs"), **named
        )

    return run


def drawn(tuned: Tuned) -> list[dict[str, Any]]:
    return [dict(row.values) for row in tuned.rows]


def test_a_planted_optimum_is_found_and_written_as_an_experiment(search, tmp_path):
    found = search(30, planted, {"pruner": "none"})

    best = max(found.rows, key=lambda row: row.value)
    assert best.values["model.dim"] == 24
    assert abs(math.log10(best.values["training.learning_rate"] / BEST_RATE)) < 0.2
    assert best.value == pytest.approx(1 - abs(math.log10(best.values["training.learning_rate"] / BEST_RATE)) / 8)
    assert found.importances["training.learning_rate"] > 0.1
    assert sum(found.importances.values()) == pytest.approx(1)
    assert found.best == tmp_path / "runs" / "lab" / "best.yaml"
    config = load_config(str(found.best))
    assert (config.experiment, config.variant, config.training.epochs) == ("lab", "best", EPOCHS)
    assert config.training.learning_rate == best.values["training.learning_rate"]
    assert config.model.dim == 24
    text = found.best.read_text()
    assert f"# Trial {best.number}: NDCG@5 (standard) {100 * best.value:.2f} at epoch 5 of 5, seed 0, with" in text


def test_the_history_has_a_line_a_trial(search):
    found = search(4)
    with (found.folder / "trials.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["number"] for line in lines] == ["0", "1", "2", "3"]
    for line, row in zip(lines, found.rows, strict=True):
        assert line["state"] == row.state == "finished"
        assert float(line["ndcg@5"]) == pytest.approx(row.value, abs=1e-6)
        assert float(line["training.learning_rate"]) == row.values["training.learning_rate"]
        assert (line["epochs"], line["best_epoch"], float(line["seconds"])) == ("5", "5", 2.5)


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_the_same_seed_draws_the_same_trials_whatever_stops_the_search(search, tmp_path, sampler):
    section = {"sampler": sampler, "startup_trials": 3}
    whole = search(9, planted, section)
    for total in (2, 5, 9):
        parts = search(total, planted, section, runs=tmp_path / "parts")
    assert drawn(parts) == drawn(whole)
    assert len({str(values) for values in drawn(whole)}) == 9
    other = search(9, planted, {**section, "seed": 1}, runs=tmp_path / "other")
    assert drawn(other) != drawn(whole)


def test_trials_count_in_total(search):
    search(3)
    assert Trained.begun == ["trial-0", "trial-1", "trial-2"]
    assert len(search(3).rows) == 3
    assert len(search(2).rows) == 3
    search(4)
    assert Trained.begun == ["trial-0", "trial-1", "trial-2", "trial-3"]


def test_a_grid_tries_every_point_once_and_then_ends(search):
    space = {"training.max_grad_norm": [None, 1.0, 3.0], "training.positives": {"low": 1, "high": 2}}

    def equal(_: Any) -> list[Any]:
        return [0.5]

    found = search(50, equal, {"sampler": "grid", "space": space})
    assert sorted(map(str, drawn(found))) == sorted(
        str({"training.max_grad_norm": norm, "training.positives": count})
        for norm in (None, 1.0, 3.0)
        for count in (1, 2)
    )
    assert found.importances == {}  # all values are the same


def test_values_that_were_tried_are_not_trained_again(search):
    found = search(12, lambda config: [config.training.positives / 10], {"space": {"training.positives": [1, 2]}})
    assert len(Trained.begun) == 2
    assert [row.value for row in found.rows] == [row.values["training.positives"] / 10 for row in found.rows]
    first = {row.values["training.positives"]: row.number for row in reversed(found.rows)}
    assert all(row.note in ("", f"as trial {first[row.values['training.positives']]}") for row in found.rows)


def test_sections_and_lists_are_choices_too(search):
    choices = [[], ["v2_train"]]
    found = search(
        2, lambda config: [len(config.data.unlabelled) / 3], {"space": {"data.unlabelled": choices}, "sampler": "grid"}
    )
    assert {row.value for row in found.rows} == {0, 1 / 3}
    assert load_config(str(found.best)).data.unlabelled == ("v2_train",)


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband", "none"])
def test_pruners_end_trials_that_are_worse(search, pruner):
    found = search(14, planted, {"pruner": pruner, "startup_trials": 3, "warmup_epochs": 1, "sampler": "random"})
    pruned = [row for row in found.rows if row.state == "pruned"]
    assert bool(pruned) == (pruner != "none")
    assert all(1 < row.epochs < EPOCHS for row in pruned)
    assert all(row.epochs == EPOCHS for row in found.rows if row.is_finished)
    for row in pruned:
        (mark,) = found.folder.glob(f"trial-{row.number}/seed_0/trial.json")
        assert '"state": "pruned"' in mark.read_text()


def test_the_value_is_that_of_the_kept_weights(search):
    found = search(1, lambda _: [0.1, None, 0.4, None, 0.2])
    assert [(row.value, row.best_epoch, row.epochs) for row in found.rows] == [(0.4, 3, 5)]


def test_a_trial_whose_training_fails_ends_alone(search):
    def diverging(config: Any) -> list[Any]:
        return [0.1, TrainingError("the loss")] if config.model.dim == 16 else planted(config)

    listener = Listener()
    found = search(8, diverging, {"sampler": "random"}, progress=listener)
    failed = [row for row in found.rows if row.state == "failed"]
    assert {row.values["model.dim"] for row in failed} == {16}
    assert {(row.note, row.value, row.epochs) for row in failed} == {("the loss", None, 1)}
    assert len(found.rows) == 8
    assert any(line.startswith(f"trial {failed[0].number}: failed: the loss") for line in listener.said)


def test_a_trial_without_room_in_memory_ends_alone(search):
    def large(config: Any) -> list[Any]:
        lacking = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [lacking] if config.model.dim == 32 else planted(config)

    space = {"model.dim": [8, 32]}
    states = {row.values["model.dim"]: row.state for row in search(2, large, {"space": space, "sampler": "grid"}).rows}
    assert states == {8: "finished", 32: "failed"}


def test_values_that_are_no_configuration_together_fail_alone(search):
    space = {"model.dim": [16, 20], "model.heads": [2, 8]}  # 20 is no multiple of 8
    found = search(4, planted, {"space": space, "sampler": "grid"})
    (failed,) = [row for row in found.rows if row.state == "failed"]
    assert failed.values == {"model.dim": 20, "model.heads": 8}
    assert "heads" in failed.note
    assert len(Trained.begun) == 3


def test_a_process_that_ends_without_a_word_is_tried_again_three_times(search):
    def killed(config: Any) -> list[Any]:
        return [CellFailure("signal 9")] if config.variant == "trial-1" else planted(config)

    listener = Listener()
    found = search(3, killed, progress=listener)
    assert Trained.begun == ["trial-0", "trial-1", "trial-1", "trial-1", "trial-2"]
    assert [row.state for row in found.rows] == ["finished", "failed", "finished"]
    assert found.rows[1].note == "its process ended 3 times before it had another validation"
    assert "trial 1: signal 9; it is tried again" in listener.said


def test_attempts_that_get_on_are_not_counted(search):
    lengths = iter([1, 2, 3, 4, 5])

    def slow(config: Any) -> list[Any]:
        length = next(lengths)
        return [*planted(config)[:length], *([CellFailure("signal 9")] if length < EPOCHS else [])]

    assert [row.state for row in search(1, slow).rows] == ["finished"]


def test_another_error_ends_the_search_and_gives_the_trial_back(search):
    with pytest.raises(DataError, match=r"no room"):
        search(2, lambda _: [DataError("no room")])
    found = search(2)
    assert Trained.begun == ["trial-0", "trial-0", "trial-1"]
    assert [row.state for row in found.rows] == ["finished", "finished"]


def test_an_interrupt_gives_the_trial_back_with_its_values(search):
    values = []

    def interrupted(config: Any) -> list[Any]:
        values.append(config.training.learning_rate)
        return [0.1, KeyboardInterrupt()]

    with pytest.raises(KeyboardInterrupt):
        search(1, interrupted)
    found = search(1)
    assert [row.values["training.learning_rate"] for row in found.rows] == values
    assert [row.number for row in found.rows] == [0]


def test_a_trial_of_a_process_that_was_killed_is_begun_again(search, monkeypatch):
    """Nothing is told to the study, as after SIGKILL: the lock on the trial's folder has fallen."""
    with monkeypatch.context() as patch:
        patch.setattr(trials.Trials, "put_back", lambda _, begun, **__: begun.held.close())
        with pytest.raises(DataError):
            search(1, lambda config: [*planted(config)[:2], DataError("killed")])
    found = search(2)
    assert Trained.begun == ["trial-0", "trial-0", "trial-1"]
    assert [row.number for row in found.rows] == [0, 1]


def test_a_trial_at_work_elsewhere_is_left_alone(search):
    """A second search begins while a trial of the first is at work."""
    inner: list[Tuned] = []

    def nested(config: Any) -> list[Any]:
        if not inner:
            inner.append(search(2))
        return planted(config)

    found = search(2, nested)
    assert Trained.begun == ["trial-1", "trial-0"]
    assert [row.state for row in inner[0].rows] == ["at work", "finished"]
    assert [row.state for row in found.rows] == ["finished", "finished"]


def test_a_trial_without_signs_of_life_on_another_machine_is_copied_and_goes_on_in_its_folder(
    search, tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with monkeypatch.context() as patch:
        patch.setattr(trials.platform, "node", lambda: "another")
        patch.setattr(trials.Trials, "put_back", lambda _, begun, **__: begun.held.close())
        with pytest.raises(DataError):
            search(1, lambda _: [0.1, DataError("killed")], storage=url)
    assert [row.state for row in search(1, storage=url).rows] == ["at work"]  # it may live

    with sqlite3.connect(tmp_path / "shared.db") as database:
        database.execute("update trial_heartbeats set heartbeat = datetime('now', '-6 minutes')")
    database.close()
    found = search(1, storage=url)
    assert [(row.number, row.state) for row in found.rows] == [(0, "finished")]
    assert Trained.begun == ["trial-0", "trial-0"]


@pytest.mark.parametrize("kind", ["sqlite:///{}/elsewhere.db", "{}/journal.log"])
def test_a_study_may_lie_elsewhere(search, tmp_path, kind):
    storage = kind.format(tmp_path)
    search(2, storage=storage)
    found = search(3, storage=storage, runs=tmp_path / "runs")
    assert [row.number for row in found.rows] == [0, 1, 2]
    assert not (found.folder / "tune.db").exists()
    assert drawn(found) == drawn(search(3, runs=tmp_path / "other"))


@pytest.mark.parametrize(
    ("section", "more", "named"),
    [
        ({}, ["training.batch_size=7"], r"training.batch_size: expected 16, got 7"),
        ({"seed": 3}, [], r"search.seed: expected 0, got 3"),
        ({"space": {"model.dim": [8, 16]}}, [], r"search.space.training.learning_rate: expected \{.*\}, got None"),
        ({}, ["data.valid=v2_train"], r"data.valid: expected 'valid', got 'v2_train'"),
    ],
)
def test_a_study_of_another_search_is_refused_by_what_differs(search, section, more, named):
    search(1)
    with pytest.raises(RunError, match=rf"tune.db: expected what the study was begun with to go on with it; .*{named}"):
        search(2, planted, section, *more)
    assert len(search(2).rows) == 2


def test_a_study_on_another_store_is_refused(search, shop_path, tmp_path):
    search(1)
    texts = pq.read_table(shop_path / "turns.parquet")["text"].to_pylist()
    other = with_turn_texts(changed_copy(shop_path, tmp_path / "other"), [*texts[:-1], "goodbye"])
    with pytest.raises(RunError, match=r"content of data.store: expected '[0-9a-f]{12}', got '[0-9a-f]{12}'"):
        search(1, planted, {}, f"data.store={other}")
    same = changed_copy(shop_path, tmp_path / "same")
    assert len(search(1, planted, {}, f"data.store={same}").rows) == 1


def test_a_new_study_does_not_begin_in_the_folders_of_another(search, tmp_path):
    search(1)
    with pytest.raises(
        RunError, match=r"trial-0: expected no trial there yet, for the study has none, found one of another"
    ):
        search(1, storage=str(tmp_path / "journal.log"))


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("nosuch://user:secret@host/name", r"nosuch://user:\*\*\*@host/name: expected a storage that can be used"),
        ("postgresql://", "postgresql:.*: expected a storage that can be used"),
        ("{}/folder", "folder: expected a study's journal, found no file"),
        ("{}/text", "text: expected a study's journal, found another file"),
        ("sqlite:///{}/text", "text: expected a storage that can be used, got .*not a database"),
        ("sqlite:///{}/nowhere/x.db", "x.db: expected a storage that can be used, got unable to open"),
    ],
)
def test_storages_that_cannot_be_used_are_named_without_passwords(search, tmp_path, storage, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("mine, and no database at all\n" * 50)
    with pytest.raises(RunError, match=said) as caught:
        search(1, storage=storage.format(tmp_path))
    assert "secret" not in str(caught.value)
    assert (tmp_path / "text").read_text() == "mine, and no database at all\n" * 50


def test_files_of_others_are_not_replaced(search, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("training: {epochs: 1}\n")
    with pytest.raises(
        DataError, match=r"mine.yaml: expected a new file, or one that semantic tune wrote, found another"
    ):
        search(1, out=mine)
    with pytest.raises(DataError, match=r"best.txt: expected a file that ends in .yaml or .yml"):
        search(1, out=tmp_path / "best.txt")
    assert Trained.begun == []
    assert mine.read_text() == "training: {epochs: 1}\n"
    search(1, out=tmp_path / "new.yaml")
    search(2, out=tmp_path / "new.yaml")


def test_a_foreign_database_in_the_studys_place_is_left_alone(search, tmp_path):
    file = tmp_path / "runs" / "lab" / "tune.db"
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(RunError, match=r"tune.db: expected a study's database, found another file"):
        search(1)
    assert file.read_text() == "mine"


def test_trials_are_no_unfinished_runs(search):
    found = search(2)
    for row in found.rows:
        (found.folder / f"trial-{row.number}" / "seed_0" / "config.yaml").write_text("experiment: lab\n")
    assert unfinished_runs([found.folder]) == []


def test_lines_say_values_and_the_best_so_far(search):
    listener = Listener()
    found = search(3, planted, {"sampler": "random"}, progress=listener)
    best = found.rows[0]
    for row in found.rows:
        best = max(best, row, key=lambda one: one.value)
        (line,) = [line for line in listener.said if line.startswith(f"trial {row.number}: ")]
        assert line == (
            f"trial {row.number}: NDCG@5 {100 * row.value:.1f} (best {100 * best.value:.1f}, trial {best.number}); "
            f"training.learning_rate {row.values['training.learning_rate']:.4g}, model.dim {row.values['model.dim']}"
        )


def test_a_search_starts_its_own_processes(search, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        ValueError, match=r"expected one process for a search, which starts its own; found WORLD_SIZE above 1"
    ):
        search(1)
