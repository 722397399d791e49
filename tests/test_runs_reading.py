"""Runs read from the folders they left: which count, what they hold, and what is said of those that do not."""

import errno
import json
import math
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semantic.report.tables import table
from semantic.runs.reading import load_runs, unfinished_runs
from semantic.runs.summary import ADDED
from semantic.runtime.errors import DataError, UserError
from tests.report_files import change_summary, summary_of, write_result, write_run


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
    assert f"{folder}: not finished, left out." in result.warnings


def test_other_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a run's folder .* found no folder"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"or a parent of such folders, found no run"):
        load_runs([tmp_path])


def test_links_to_runs_are_followed_and_a_link_back_ends(tmp_path):
    folder = write_result(tmp_path / "runs", "best", 0, 0.4)
    gathered = tmp_path / "gathered"
    gathered.mkdir()
    (gathered / "one").symlink_to(folder)
    (gathered / "again").symlink_to(folder)
    (gathered / "back").symlink_to(gathered)
    assert [run.path.resolve() for run in load_runs([gathered])] == [folder]


def test_an_evaluation_counts_where_it_is_named_and_an_experiment_may_have_its_name(tmp_path):
    folder = write_result(tmp_path, "best", 0, 0.4)
    inside = write_result(folder / "evaluations", "best", 0, 0.3, split="valid")
    killed = folder / "evaluations" / "shop-train"
    killed.mkdir()
    (killed / "config.yaml").write_text("experiment: demo\n")
    other = write_result(tmp_path, "best", 0, 0.4, experiment="evaluations")

    assert [run.path for run in load_runs([tmp_path])] == [folder, other]
    assert [run.path for run in load_runs([inside])] == [inside]
    assert unfinished_runs([tmp_path]) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocols", [1], r"protocols: expected an object, found \[1\]"),
        ("protocols", {"standard": {}}, r"protocols.standard: expected metrics with ndcg@5, found {}"),
        ("seed", "0", r"seed: expected a valid integer, found '0'"),
        ("seed", True, r"seed: expected a valid integer, found True"),
        ("tie_rate", math.nan, r"tie_rate: expected a finite number, found nan"),
        ("seconds", math.inf, r"seconds: expected a finite number, found inf"),
        ("fold", {"index": 3, "count": 3, "seed": 0, "pooled": []}, r"fold: expected a fold below 3, found {"),
        ("fold", 2, r"fold: expected an object, found 2"),
        ("variant", "a\x1b[2J", r"variant: expected a string to match pattern .*, found 'a\\x1b\[2J'"),
        ("counts", {"parameters": -1}, r"counts.parameters: expected greater than or equal to 0, found -1"),
        (
            "explanations",
            [{"title": "a", "labels": ["x"], "products": []}],
            r"a value of explanations.0.query, found none",
        ),
        (
            "explanations",
            [{"title": "a", "labels": [], "query": [], "products": []}],
            r"expected a tuple to have at least 1",
        ),
        ("identity", "shop", r"identity: expected a string to match pattern"),
    ],
)
def test_a_summary_with_a_wrong_value_is_named_with_it(tmp_path, key, value, message):
    change_summary(write_result(tmp_path, "best", 0, 0.4), **{key: value})
    with pytest.raises(DataError, match=rf"^[^\n]*summary.json: [^\n]*{message}[^\n]*$"):
        load_runs([tmp_path])


@pytest.mark.parametrize("key", sorted(summary_of()))
def test_a_summary_without_a_key_names_it(tmp_path, key):
    file = write_result(tmp_path, "best", 0, 0.4) / "summary.json"
    file.write_text(json.dumps({name: value for name, value in summary_of().items() if name != key}))
    with pytest.raises(DataError, match=rf"summary.json: expected a value of {key}, found none$"):
        load_runs([tmp_path])


def test_a_summary_of_an_earlier_version_says_to_evaluate_again(tmp_path):
    file = write_result(tmp_path, "best", 0, 0.4) / "summary.json"
    old = {key: value for key, value in summary_of(fold=1).items() if key not in ADDED}
    file.write_text(json.dumps(old))
    message = r"summary.json: expected a summary with .*, found one of an earlier version; evaluate the run again with `semantic"
    with pytest.raises(DataError, match=message):
        load_runs([tmp_path])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"experiment": "demo"', "expected JSON, found EOF while parsing an object at line 1 column 21"),
        (b"", "expected JSON, found EOF"),
        (b"\xff\xfe\x00", "expected JSON, found "),
        (b"[1, 2]", "expected an object, found "),
        (b"[" * 10_000, "expected JSON, found recursion limit exceeded"),
    ],
)
def test_a_summary_that_is_something_else_is_named(tmp_path, content, message):
    (write_result(tmp_path, "best", 0, 0.4) / "summary.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"summary.json: {message}"):
        load_runs([tmp_path])


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    folder = write_run(tmp_path)
    [run] = load_runs([tmp_path])
    for name, read in (
        ("queries.parquet", lambda: run.queries(["turn"])),
        ("metrics.jsonl", lambda: run.epochs),
        ("environment.json", lambda: run.environment),
        ("config.yaml", lambda: run.config),
        ("summary.json", lambda: load_runs([tmp_path])),
    ):
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(DataError, match=rf"{name}: expected .*, found a folder$"):
            read()


def test_a_file_or_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = write_run(tmp_path)

    def refused(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        with pytest.raises(
            DataError, match=r"summary.json: expected a file that can be read, found: Permission denied"
        ):
            load_runs([tmp_path])
    whole = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: refused(path) if str(path) == str(folder) else whole(path))
    with pytest.raises(DataError, match=r"seed_0: expected a folder that can be read, found: Permission denied"):
        load_runs([tmp_path])


def test_half_a_last_line_of_metrics_is_left_out_and_warned_of(tmp_path):
    folder = write_run(tmp_path)
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 4, "tra')
    runs = load_runs([tmp_path])
    assert [epoch.epoch for epoch in runs[0].epochs] == [1, 2, 3]
    assert table(runs).warnings == (f"{folder}/metrics.jsonl: half a last line, left out.",)


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    file = write_run(tmp_path) / "metrics.jsonl"
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    [run] = load_runs([tmp_path])
    assert (len(run.epochs), run.is_torn) == (3, False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"epoch": 1, "tra\n', "line 2: expected JSON, found "),
        (b"\x00\xff\n", "line 2: expected JSON, found "),
        (b"\n", "line 2: expected JSON, found "),
        (b'{"epoch": "1"}\n', "line 2: epoch: expected a valid integer, found '1'"),
        (b'{"epoch": 1, "train": [2]}\n', r"line 2: train: expected an object, found \[2\]"),
        (
            b'{"epoch": 1, "valid": {"standard": {"ndcg@5": NaN}}}\n',
            r"line 2: valid.standard.ndcg@5: expected a finite",
        ),
    ],
)
def test_a_damaged_line_of_metrics_is_named(tmp_path, line, message):
    file = write_run(tmp_path) / "metrics.jsonl"
    first, *rest = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([first, line, *rest]))
    [run] = load_runs([tmp_path])
    with pytest.raises(DataError, match=rf"metrics.jsonl {message}"):
        run.epochs  # noqa: B018


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a run's configuration, found no keys"),
        (b"\x00", "expected YAML, got: unacceptable character"),
        (b"caf\xe9: 1", "expected text in UTF-8, found"),
        (b"a: [1", "expected YAML, got: while parsing a flow sequence"),
        (b"a: !!timestamp x", "expected "),
        (b"- 1", "expected "),
        (b"data: {context_turns: many}", "data.context_turns: expected a number of turns, found 'many'"),
        (b"data: 7", "data.context_turns: expected a number of turns, found '7'"),
    ],
)
def test_a_damaged_configuration_is_named(tmp_path, content, message):
    (write_run(tmp_path) / "config.yaml").write_bytes(content)
    [run] = load_runs([tmp_path])
    with pytest.raises(UserError, match=rf"^[^\n]*config.yaml: {message}[^\n]*$"):
        run.context_turns  # noqa: B018


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_damaged_environment_is_named(tmp_path, content):
    (write_run(tmp_path) / "environment.json").write_bytes(content)
    [run] = load_runs([tmp_path])
    with pytest.raises(DataError, match=r"environment.json: expected (JSON|a JSON object), found"):
        run.environment  # noqa: B018


def test_query_values_are_by_dialogue_and_turn(tmp_path):
    write_result(tmp_path, "best", 0, 0.4, queries=[0.25, 1.0])
    write_result(tmp_path, "none", 0, 0.4)
    best, none = load_runs([tmp_path])

    assert best.query_values("standard", "ndcg@5").to_dict() == {(0, 0): 0.25, (1, 7): 1.0}
    assert none.query_values("standard", "ndcg@5").empty
    assert isinstance(none.query_values("standard", "ndcg@5"), pd.Series)
    assert none.queries(["turn"]) == []
    with pytest.raises(
        DataError, match=r"queries.parquet: expected a column released/ndcg@5, found dialogue_row, turn"
    ):
        best.query_values("released", "ndcg@5")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"dialogue_row": [0, 0], "turn": [3, 3]},
            r"expected each query once, found that of dialogue row 0, turn 3 twice",
        ),
        (
            {"standard/ndcg@5": [0.5, 0.5]},
            r"expected the queries of summary.json beside it, .* 0.625000, found a mean of 0.5",
        ),
        ({"standard/ndcg@5": [0.5, math.nan]}, r"column standard/ndcg@5: row 1: expected a finite number, found nan"),
        ({"standard/ndcg@5": [0.5, None]}, r"column standard/ndcg@5: row 1: expected a valid number, found None"),
        ({"dialogue_row": ["0", "1"]}, r"column dialogue_row: row 0: expected a valid integer, found '0'"),
        ({"turn": [-1, 3]}, r"column turn: row 0: expected greater than or equal to 0, found -1"),
        ({"turn": None}, r"expected a column turn, found dialogue_row, standard/ndcg@5"),
        (dict.fromkeys(("dialogue_row", "turn", "standard/ndcg@5"), ()), r"expected at least one query, found none"),
    ],
)
def test_queries_that_cannot_be_the_runs_are_named(tmp_path, columns, message):
    file = write_result(tmp_path, "best", 0, 0.4, queries=[0.25, 1.0]) / "queries.parquet"
    held = pq.read_table(file).to_pydict() | columns
    pq.write_table(pa.table({name: list(values) for name, values in held.items() if values is not None}), file)
    [run] = load_runs([tmp_path])
    with pytest.raises(DataError, match=rf"queries.parquet: {message}"):
        run.query_values("standard", "ndcg@5")


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + bytes(40) + b"PAR1"])
def test_queries_of_another_kind_are_named(tmp_path, content):
    file = write_result(tmp_path, "best", 0, 0.4, queries=[0.25, 1.0]) / "queries.parquet"
    file.write_bytes(content)
    [run] = load_runs([tmp_path])
    with pytest.raises(
        DataError, match=r"^[^\n]*expected the run's queries in Parquet, found a file that does not load"
    ):
        run.query_values("standard", "ndcg@5")


def test_lists_of_a_query_are_of_one_length(tmp_path):
    write_run(tmp_path, "positives", columns={"tied": [1, 1]})
    write_run(tmp_path, "top", columns={"top_scores": [0.5]})
    positives, top = load_runs([tmp_path])
    with pytest.raises(DataError, match=r"expected lists of one length in a query, found positives 1, .* tied 2"):
        positives.whole_queries([0])
    with pytest.raises(DataError, match=r"found top_products 3, top_scores 1, top_hit 3"):
        top.whole_queries([0])


def test_a_summary_names_the_explanations_and_their_columns(tmp_path):
    named = [{"title": "a/top/b", "labels": ["x"], "query": ["words", "photo"], "products": ["text"]}]
    columns = {
        "explain/a/top/b/query/words": [1.0],
        "explain/a/top/b/query/photo": [0.5],
        "explain/a/top/b/top/text": [[1.0]] * 3,
    }
    write_run(tmp_path, explained=named, columns=columns)
    [run] = load_runs([tmp_path])
    assert [one.model_dump(mode="json") for one in run.explanations] == named
    [query] = run.whole_queries([1])
    assert {name: query[name] for name in columns} == columns
