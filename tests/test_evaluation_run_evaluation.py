"""A finished run evaluated again, on its own test split and on others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from semantic.evaluation.run_evaluation import evaluate_run
from semantic.runs.folder import RunError, RunFolder
from semantic.runs.queries import read_columns
from semantic.runtime.digests import with_seal
from semantic.runtime.errors import DataError
from semantic.training.loop import train
from tests.worlds import STATELESS, changed_copy


def test_evaluate_run_repeats_the_runs_own_test_and_ranks_other_splits(run, shop, tmp_path):
    again = evaluate_run(run.path, out=tmp_path / "again")
    first, second = (json.loads(folder.summary.read_text()) for folder in (run, again))
    assert first["protocols"] == second["protocols"]
    assert pq.read_table(run.queries).equals(pq.read_table(again.queries))

    valid = evaluate_run(run.path, split="valid", out=tmp_path / "valid", seen="keep")
    summary = json.loads(valid.summary.read_text())
    assert summary["split"] == "valid"
    assert summary["seen"] == {"train": 0, "valid": shop.manifest["splits"]["valid"]["dialogues"]}
    assert summary["counts"]["test_queries"] == len(shop.split("valid"))
    best = json.loads(run.metrics.read_text().splitlines()[first["best_epoch"] - 1])
    assert summary["protocols"]["standard"] == best["valid"]["standard"]


def test_evaluate_run_on_another_store(run, shop, tmp_path):
    other = changed_copy(shop.path, tmp_path / "other")
    folder = evaluate_run(run.path, data=other, out=tmp_path / "result")
    summary = json.loads(folder.summary.read_text())
    assert summary["store"] == str(other)
    assert summary["protocols"] == json.loads(run.summary.read_text())["protocols"]


def test_evaluating_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"nothing: expected a run's folder with its config.yaml, found none"):
        evaluate_run(tmp_path / "nothing")


def test_without_the_runs_own_store_there_is_no_popularity(run, shop, tmp_path):
    """It is counted over what the run trained on, which another store need not hold."""
    photos = 255 - np.asarray(shop.photos)
    other = changed_copy(shop.path, tmp_path / "other", photos=photos)
    own = evaluate_run(run.path, split=STATELESS, out=tmp_path / "own", seen="keep")
    other = evaluate_run(run.path, data=other, split=STATELESS, out=tmp_path / "result", seen="keep")
    floors = {"random", "tfidf last utterance", "tfidf context"}
    found = [json.loads(folder.summary.read_text()) for folder in (own, other)]
    assert [set(summary["floors"]) for summary in found] == [floors | {"popularity"}, floors]
    assert found[0]["counts"]["labelled_examples"] == json.loads(run.summary.read_text())["counts"]["labelled_examples"]
    assert found[1]["counts"]["labelled_examples"] == 0


def test_an_evaluation_without_a_place_of_its_own_lies_within_the_run(run, shop, tmp_path):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    folder = evaluate_run(copy.path)
    assert folder.path == copy.path / "evaluations" / f"store-{shop.identity[:8]}-test"
    mark = json.loads((folder.path / "evaluation.json").read_text())
    assert mark["trained_on"] == run.read_data().identity
    assert mark["identity"] == json.loads(folder.summary.read_text())["identity"] == shop.identity
    assert folder.read_config().data.store == str(shop.path)


def test_dialogues_that_the_run_has_seen_are_refused_dropped_or_kept_and_counted(run, shop, tmp_path):
    """By their content: the store is another one, with its splits in other places."""
    half = json.loads(run.summary.read_text())["counts"]
    other = changed_copy(shop.path, tmp_path / "other", photos=255 - np.asarray(shop.photos))
    message = (
        rf"expected dialogues in split 'train' that the run has not seen, found {half['labelled_dialogues'] * 2} that it was "
        "trained on and 0 that chose its weights; --seen drop leaves them out"
    )
    with pytest.raises(DataError, match=message):
        evaluate_run(run.path, data=other, split="train", out=tmp_path / "out")
    with pytest.raises(DataError, match="expected a dialogue in split 'train' that the run has not seen, found none"):
        evaluate_run(run.path, data=other, split="train", out=tmp_path / "out", seen="drop")
    assert not (tmp_path / "out").exists()
    kept = evaluate_run(run.path, data=other, split="train", out=tmp_path / "out", seen="keep")
    assert json.loads(kept.summary.read_text())["seen"] == {"train": half["labelled_dialogues"] * 2, "valid": 0}


def test_a_flipped_bit_of_the_queries_is_refused_or_without_effect(run, tmp_path):
    columns, whole = (
        ["dialogue_row", "turn", "positive_scores", "top_scores", "standard/recall@5"],
        run.queries.read_bytes(),
    )
    expected, refused = read_columns(run.queries, columns), 0
    file = tmp_path / "queries.parquet"
    for place in range(4, len(whole) // 2, 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_columns(file, columns) == expected
        except DataError as error:
            assert str(error).startswith(f"{file}: ")  # noqa: PT017
            refused += 1
    assert refused > 5


def test_those_not_seen_are_ranked_under_drop(run, shop, tmp_path):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    data = json.loads((copy.path / "data.json").read_text())
    data["train"] = data["train"][:5]
    (copy.path / "data.json").write_text(json.dumps(with_seal(data)))
    folder = evaluate_run(copy.path, split="train", out=tmp_path / "out", seen="drop")
    seen = {int(one, 16) for one in data["train"]}
    ranked = pq.read_table(folder.queries, columns=["dialogue_row"]).column(0).to_pylist()
    rows = {int(row) for row in shop.example_turns[list(shop.split("train").examples), 0]}
    assert set(ranked) == {row for row in rows if int(shop.dialogue_digests[row]) not in seen}
    assert json.loads(folder.summary.read_text())["seen"] == {"train": 0, "valid": 0}


def test_a_fold_is_evaluated_on_its_own_test_by_default(tiny, tmp_path):
    fold = train(tiny("training.epochs=1", "data.fold.count=3", "data.fold.index=1"), runs=tmp_path)
    again = evaluate_run(fold.path)
    assert pq.read_table(fold.queries).equals(pq.read_table(again.queries))
    with pytest.raises(DataError, match=r"found \d+ that it was trained on and \d+ that chose its weights"):
        evaluate_run(fold.path, split="test")


def test_another_store_in_the_place_of_the_runs_own_is_noticed(run, shop, tmp_path):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    other = changed_copy(shop.path, tmp_path / "other", photos=255 - np.asarray(shop.photos))
    copy.config.write_text(copy.config.read_text().replace(str(shop.path), str(other)))
    with pytest.raises(DataError, match=r"expected the store the run was trained on .* found another in its place"):
        evaluate_run(copy.path)
    with pytest.raises(DataError, match="expected the store the run was trained on"):
        copy.open_store()  # what `recommend` ranks
    assert evaluate_run(copy.path, data=other).path.name.startswith("other-")
    shutil.copytree(copy.path, RunFolder.of(copy.read_config(), tmp_path / "runs").path)
    with pytest.raises(RunError, match=r"data\.store: expected the content it was started on"):
        train(copy.read_config(), runs=tmp_path / "runs", resume=True)


def test_a_result_is_replaced_only_by_name_and_nothing_else_ever(run, tmp_path):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    before = {path: path.read_bytes() for path in copy.path.rglob("*") if path.is_file()}
    for overwrite in (False, True):
        with pytest.raises(
            RunError, match="run: expected a new or an empty folder, found one that is no result of evaluate"
        ):
            evaluate_run(run.path, out=copy.path, overwrite=overwrite)
    assert {path: path.read_bytes() for path in copy.path.rglob("*") if path.is_file()} == before

    out = tmp_path / "out"
    evaluate_run(run.path, out=out)
    first = out.stat().st_ino
    with pytest.raises(RunError, match="out: expected no result there yet, found one; --overwrite replaces it"):
        evaluate_run(run.path, out=out)
    assert out.stat().st_ino == first
    evaluate_run(run.path, out=out, overwrite=True)
    assert out.stat().st_ino != first
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"out: expected nothing beside a result of evaluate, found notes\.txt"):
        evaluate_run(run.path, out=out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_a_split_that_is_not_there_leaves_no_folder(run, tmp_path):
    with pytest.raises(DataError, match="found 'dev'"):
        evaluate_run(run.path, split="dev", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
