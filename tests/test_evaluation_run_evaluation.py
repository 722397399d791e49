"""A finished run evaluated again, on its own test split and on others."""

import json

import pyarrow.parquet as pq
import pytest

from semantic.evaluation.run_evaluation import evaluate_run
from semantic.runs.folder import RunError
from semantic.runtime.errors import DataError
from tests.worlds import STATELESS, changed_copy


def test_evaluate_run_repeats_the_runs_own_test_and_ranks_other_splits(run, shop, tmp_path):
    again = evaluate_run(run.path, out=tmp_path / "again")
    first, second = (json.loads(folder.summary.read_text()) for folder in (run, again))
    assert first["protocols"] == second["protocols"]
    assert pq.read_table(run.queries).equals(pq.read_table(again.queries))

    valid = evaluate_run(run.path, split="valid", out=tmp_path / "valid")
    summary = json.loads(valid.summary.read_text())
    assert summary["split"] == "valid"
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
    own = evaluate_run(run.path, split=STATELESS, out=tmp_path / "own")
    other = evaluate_run(
        run.path, data=changed_copy(shop.path, tmp_path / "other"), split=STATELESS, out=tmp_path / "result"
    )
    floors = {"random", "tfidf last utterance", "tfidf context"}
    found = [json.loads(folder.summary.read_text()) for folder in (own, other)]
    assert [set(summary["floors"]) for summary in found] == [floors | {"popularity"}, floors]
    assert found[0]["counts"]["labelled_examples"] == json.loads(run.summary.read_text())["counts"]["labelled_examples"]
    assert found[1]["counts"]["labelled_examples"] == 0


def test_an_evaluation_without_a_place_of_its_own_lies_within_the_run(run, monkeypatch):
    monkeypatch.setattr("semantic.evaluation.run_evaluation.write_summary", lambda *_, **__: None)
    started = []
    monkeypatch.setattr("semantic.evaluation.run_evaluation.RunFolder.start", lambda self, *_: started.append(self))
    monkeypatch.setattr("semantic.evaluation.ranking.Evaluation.write_queries", lambda *_: None)

    folder = evaluate_run(run.path, split="valid")

    assert started == [folder]
    assert folder.path == run.path / "evaluations" / "store-valid"


def test_a_split_that_is_not_there_leaves_no_folder(run, tmp_path):
    with pytest.raises(DataError, match="found 'dev'"):
        evaluate_run(run.path, split="dev", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
