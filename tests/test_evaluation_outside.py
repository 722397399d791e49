"""Scores from outside: as a function or a file, measured as a model's; and rankings as other tools read them."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest

from semantic.datasets.store.store import open_store
from semantic.evaluation.exporting import trec_name, write_qrels, writing_rankings
from semantic.evaluation.outside import Query, evaluate_scores, read_scores
from semantic.evaluation.ranking import ScoreError, evaluate
from semantic.evaluation.run_evaluation import evaluate_run
from semantic.models.interface import Model
from semantic.runtime.errors import DataError, UserError
from tests.commands import RUN, semantic


@pytest.fixture(scope="module")
def store(way):
    return open_store(way.folder / "store")


def test_a_models_own_scores_measure_as_the_model(way, store, tmp_path, monkeypatch):
    monkeypatch.chdir(way.folder)  # where the run's features are
    model = Model.from_pretrained(way.folder / RUN)
    path = tmp_path / "all.trec"
    evaluate_run(Path(RUN), out=tmp_path / "out", rankings=path)

    found = evaluate_scores(store, "test", read_scores(path))

    assert len(path.with_suffix(".qrels").read_text().splitlines()) == sum(map(len, found.queries["positives"]))
    whole = evaluate(model, store, detail=True)
    assert found.protocols == whole.protocols
    assert found.tie_rate == whole.tie_rate
    assert math.isnan(found.loss)
    for column in ("dialogue", "turn", "positives", "above", "top_products"):
        assert found.queries[column] == whole.queries[column]


def test_a_scorer_sees_the_dialogue_and_candidates_in_the_catalogues_order(store):
    seen: list[Query] = []

    def scorer(query):
        seen.append(query)
        return query.rows

    found = evaluate_scores(store, "test", scorer)

    split = store.split("test")
    assert len(seen) == len(split)
    for row, query in zip(split.examples, seen, strict=True):
        ids = sorted([*store.positives(row).tolist(), *store.negatives(row).tolist()])
        assert query.rows.tolist() == ids
        assert list(query.candidates) == [store.product_names[i] for i in ids]
        dialogue, target = store.example_turns[row]
        assert query.dialogue == store.dialogue_names[dialogue]
        assert [turn.text for turn in query.turns] == store.turn_texts[target - query.turn : target]
        assert [turn.images for turn in query.turns] == [
            tuple(store.product_names[i] for i in store.turn_images(t)) for t in range(target - query.turn, target)
        ]
    best = [max(query.rows) for query in seen]
    assert [top[0] for top in found.queries["top_products"]] == best


def test_one_score_for_all_is_a_tie_and_counted_as_one(store):
    found = evaluate_scores(store, "test", lambda query: [0.5] * len(query.candidates))

    assert found.tie_rate == 1.0
    assert repr(found).startswith(f"Evaluation({len(store.split('test'))} queries, NDCG@5 standard ")
    assert found.protocols["released"]["ndcg@5"] == 1.0  # which counts ties as won


@pytest.mark.parametrize(
    ("scorer", "fault", "message"),
    [
        (lambda _: [1.0], DataError, r"expected \d+ scores, one for each candidate, got \[1\]"),
        (lambda query: ["a"] * len(query.candidates), DataError, "expected a score for each candidate, got could not"),
        (lambda query: [math.nan] * len(query.candidates), ScoreError, "expected a number as every candidate's score"),
    ],
)
def test_scores_that_are_none_are_told(store, scorer, fault, message):
    with pytest.raises(fault, match=message):
        evaluate_scores(store, "test", scorer)
    with pytest.raises(DataError, match="split"):
        evaluate_scores(store, "nowhere", lambda query: query.rows)


def test_candidates_without_a_score_are_ranked_last(store, tmp_path):
    (row, *_) = store.split("test").examples
    positive = store.product_names[int(store.positives(row)[0])]
    query = query_named(store, row)
    file = tmp_path / "one.run"
    file.write_text(f"{query} Q0 {trec_name(positive)} 1 -3.5 mine\n")

    scores = read_scores(file)
    found = evaluate_scores(store, "test", scores)

    candidates = len(store.positives(row)) + len(store.negatives(row))
    assert scores.missing(store, "test") == (len(store.split("test")) - 1, candidates - 1)
    assert found.queries["top_products"][0][0] == store.positives(row)[0]
    assert found.queries["above"][0][0] == 0


def query_named(store, row):
    dialogue, turn = store.example_turns[row]
    return f"{store.dialogue_names[dialogue]}:{turn - store.dialogue_first_turn[dialogue]}"


def test_csv_has_names_and_is_read_again(way, store, tmp_path, monkeypatch):
    monkeypatch.chdir(way.folder)
    path, best = tmp_path / "all.csv", tmp_path / "best.csv"
    evaluate_run(Path(RUN), out=tmp_path / "a", rankings=path)
    evaluate_run(Path(RUN), out=tmp_path / "b", rankings=best, depth=3)

    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    with best.open(newline="") as file:
        assert list(csv.DictReader(file)) == [line for line in lines if int(line["rank"]) <= 3]
    first = [line for line in lines if (line["dialogue"], line["turn"]) == (lines[0]["dialogue"], lines[0]["turn"])]
    scores = [float(line["score"]) for line in first]
    assert scores == sorted(scores, reverse=True)
    row = store.split("test").examples[0]
    assert {line["product"] for line in first if line["positive"] == "1"} == {
        store.product_names[i] for i in store.positives(row)
    }
    assert read_scores(path).missing(store, "test") == (0, 0)


def test_qrels_are_the_positives(store, tmp_path):
    rows = np.array(store.split("test").examples)

    write_qrels(tmp_path / "test.qrels", store, rows)

    lines = (tmp_path / "test.qrels").read_text().splitlines()
    assert len(lines) == sum(len(store.positives(row)) for row in rows)
    name = store.product_names[int(store.positives(rows[0])[0])]
    assert lines[0] == f"{query_named(store, rows[0])} 0 {trec_name(name)} 1"


def test_white_space_in_names_does_not_part_columns():
    assert trec_name("a b\tc%") == "a%20b%09c%25"
    assert trec_name("é\u2003x") == "é%E2%80%83x"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.trec", None, "expected a file of scores, found none there"),
        ("short.trec", "1:2 Q0 p 1 0.5\n", "line 1: expected QUERY Q0 PRODUCT RANK SCORE TAG"),
        ("word.run", "1:2 Q0 p 1 high me\n", "line 1: expected a number as the score, got 'high'"),
        ("nan.run", "1:2 Q0 p 1 nan me\n", "line 1: expected a number as the score, got 'nan'"),
        (
            "twice.run",
            "1:2 Q0 p 1 3 me\n1:2 Q0 p 2 2 me\n",
            "line 2: expected each product once in a query, got 'p' again in '1:2'",
        ),
        (
            "columns.csv",
            "dialogue,product,score\n",
            "line 1: expected the columns dialogue, turn, product, score, found no turn",
        ),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(DataError, match=re.escape(message)):
        read_scores(tmp_path / name)


def test_another_ending_is_told_before_anything_is_ranked(tmp_path):
    with (
        pytest.raises(UserError, match=r"expected a file .csv, .trec or .run for rankings, got .txt"),
        writing_rankings(tmp_path / "a.txt"),
    ):
        pass


def test_the_command_measures_a_file_of_scores(way, tmp_path):
    path = tmp_path / "some.trec"
    semantic("evaluate", RUN, "--out", tmp_path / "out", "--rankings", path, "--depth", 5, cwd=way.folder)

    done = semantic("evaluate", "--scores", path, "--data", "store", cwd=way.folder)

    assert "test split" in done.stdout
    assert "standard protocol, per cent" in done.stdout
    assert re.search(r"some.trec +[\d.]+ ", done.stdout)
    assert re.search(r"tfidf context +[\d.]+ ", done.stdout)
    assert re.search(r"no scores for 0 queries and \d+ candidates of others; these are ranked last, tied", done.stderr)
