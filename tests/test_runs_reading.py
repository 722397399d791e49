"""Runs read from the folders they left: which count, what they hold, and what is said of those that do not."""

import pandas as pd
import pytest

from semantic.report.tables import table
from semantic.runs.reading import explanation_columns, load_runs, unfinished_runs
from semantic.runtime.errors import DataError
from tests.report_files import write_result, write_run


def test_a_run_is_found_once_through_any_of_its_paths(tmp_path):
    folder = write_result(tmp_path, "best", 0, 0.4)
    assert [run.path for run in load_runs([folder, tmp_path, folder.parent])] == [folder]


def test_an_unfinished_run_says_how_to_resume(tmp_path):
    folder = write_result(tmp_path, "best", 0, 0.4)
    (folder / "summary.json").unlink()
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    message = (
        r"seed_0: expected a run's folder with its summary.json, .* found that it has not finished "
        r"\(2 epochs so far\); resume with: semantic train demo --resume"
    )
    with pytest.raises(DataError, match=message):
        load_runs([folder])
    with pytest.raises(DataError, match=r"found that .*seed_0 has not finished"):
        load_runs([tmp_path])

    write_result(tmp_path, "best", 1, 0.4)
    result = table(load_runs([tmp_path]), unfinished_runs([tmp_path]))
    assert result.warnings == (f"{folder}: not finished, left out.",)


def test_other_folders_and_broken_summaries_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a run's folder .* found no folder"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"or a parent of such folders, found no run"):
        load_runs([tmp_path])
    file = tmp_path / "summary.json"
    file.write_text('{"experiment": "demo"')
    with pytest.raises(DataError, match=r"summary.json: expected JSON, found .*column"):
        load_runs([tmp_path])
    file.write_text('{"experiment": "demo", "variant": "x"}')
    with pytest.raises(DataError, match=r"summary.json: expected the summary of a run, found no seed, fold, split"):
        load_runs([tmp_path])


def test_query_values_are_by_dialogue_and_turn(tmp_path):
    write_result(tmp_path, "best", 0, 0.4, queries=[0.25, 1.0])
    write_result(tmp_path, "none", 0, 0.4)
    best, none = load_runs([tmp_path])

    assert best.query_values("standard/ndcg@5").to_dict() == {(0, 0): 0.25, (1, 7): 1.0}
    assert none.query_values("standard/ndcg@5").empty
    assert isinstance(none.query_values("standard/ndcg@5"), pd.Series)
    assert none.queries(["turn"]) == []
    with pytest.raises(DataError, match=r"queries.parquet: expected a column nothing, found dialogue_row, turn"):
        best.query_values("nothing")


def test_a_summary_names_the_explanations_and_their_columns(tmp_path):
    named = [{"title": "a", "labels": ["x"], "query": ["words", "photo"], "products": ["text"]}]
    write_run(tmp_path, "one", explained=named)
    write_run(tmp_path, "two")
    one, two = load_runs([tmp_path])

    assert one.explanations == named
    assert explanation_columns(named) == ["explain/a/query/words", "explain/a/query/photo", "explain/a/top/text"]
    assert two.explanations == []


def test_an_explanation_that_lacks_a_part_is_a_fault_of_its_summary(tmp_path):
    write_run(tmp_path, explained=[{"title": "a", "labels": ["x"]}])
    message = r"summary.json: explanations: expected title, labels, query, products, found no query, products$"
    with pytest.raises(DataError, match=message):
        load_runs([tmp_path])
