"""Two runs on the same queries: who wins which, and every way in which they are not a pair."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from semantic.metrics.significance import paired_test
from semantic.report.cases.pairing import load_pair, load_run, outcomes, score, store_of
from semantic.runtime.errors import DataError
from tests.case_files import BEST, OTHER, pair_of, write_pair
from tests.report_files import change_summary, digest, write_run, write_store


def test_wins_ties_losses_and_the_difference(tmp_path):
    pair = pair_of(tmp_path)
    found = score(pair)
    assert (found.queries, found.dialogues) == (5, 5)
    assert (found.wins, found.ties, found.losses) == (2, 2, 1)
    assert found.means == (pytest.approx(2.5 / 5), pytest.approx(2 / 5))
    assert found.difference == pytest.approx(0.5 / 5)
    assert found.p == paired_test(BEST, OTHER, range(5))
    assert outcomes(pair.differences).tolist() == ["win", "win", "tie", "tie", "loss"]


def test_a_difference_of_the_last_bits_is_a_tie(tmp_path):
    pair = pair_of(tmp_path, (0.1 + 0.2, 0.5, 0, 0, 0), (0.3, 0.5 + 1e-6, 0, 0, 0))
    assert pair.differences.tolist() == [0, pytest.approx(-1e-6), 0, 0, 0]
    assert (score(pair).wins, score(pair).losses) == (0, 1)


def test_a_score_of_chosen_queries_is_of_them_alone(tmp_path):
    found = score(pair_of(tmp_path), np.array([True, False, False, True, False]))
    assert (found.queries, found.wins, found.ties, found.losses, found.difference) == (2, 1, 1, 0, 0.5)


def test_queries_in_another_order_are_the_same_queries(tmp_path):
    first, second = write_pair(tmp_path)
    table = pq.read_table(second / "queries.parquet")
    pq.write_table(table.take([3, 0, 4, 1, 2]), second / "queries.parquet")
    pair = load_pair(first, second)
    assert outcomes(pair.differences).tolist() == ["win", "win", "tie", "tie", "loss"]
    assert pair.values[1]["row"].tolist() == [1, 3, 4, 0, 2]


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    first, _ = write_pair(tmp_path / "runs")
    copy = shutil.copytree(first, tmp_path / "copy")
    names = load_pair(first, copy).names
    assert names == (f"demo/best, seed 0 ({first})", f"demo/best, seed 0 ({copy})")
    assert pair_of(tmp_path / "more").names == ("demo/best, seed 0", "demo/other, seed 0")


def test_a_parent_of_runs_is_told_to_name_one(tmp_path):
    for seed in (0, 1, 2, 3):
        write_run(tmp_path, seed=seed)
    with pytest.raises(
        DataError, match=r"found a parent of 4 runs; name one of them: .*seed_0, .*seed_1, .*seed_2, \.\.\.$"
    ):
        load_run(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"found no run"):
        load_run(tmp_path / "empty")
    shutil.rmtree(tmp_path / "demo" / "best" / "seed_0")
    shutil.move(tmp_path / "demo" / "best" / "seed_1", tmp_path / "alone" / "seed_1")
    with pytest.raises(DataError, match=r"alone: .* found a parent of 1 run; name it: .*seed_1$"):
        load_run(tmp_path / "alone")


def test_what_is_no_pair_is_one_message(tmp_path):
    first, second = write_pair(tmp_path)
    with pytest.raises(DataError, match="expected another run than the first, found the same"):
        load_pair(first, first / ".." / "seed_0")
    change_summary(second, queries=digest("others"), split="valid", counts={"test_queries": 1234})
    with pytest.raises(
        DataError, match=r"ranked the same queries, found the queries of test in shop .* and 1,234 queries of valid"
    ):
        load_pair(first, second)


def test_a_run_without_its_queries_or_with_others_is_named(tmp_path):
    first, second = write_pair(tmp_path)
    table = pq.read_table(second / "queries.parquet")
    turns = table.column("turn").to_pylist()
    changed = table.set_column(table.column_names.index("turn"), "turn", [[*turns[:-1], 99]])
    pq.write_table(changed, second / "queries.parquet")
    with pytest.raises(DataError, match=r"other/seed_0/queries.parquet: expected the 5 queries of .*best/seed_0"):
        load_pair(first, second)
    (second / "queries.parquet").unlink()
    with pytest.raises(DataError, match=r"other/seed_0: expected a run with its queries.parquet, found none"):
        load_pair(first, second)


def test_the_store_is_the_one_that_was_evaluated(tmp_path):
    store = write_store(tmp_path / "shop")
    first, _ = write_pair(tmp_path / "runs")
    run = load_run(first)
    assert store_of(run, store.path).identity == store.identity
    with pytest.raises(
        DataError, match=r"^shop: expected the store that .* was evaluated on, found no folder; --data names"
    ):
        store_of(run)
    change_summary(first, identity=digest("another"), store=str(store.path))
    with pytest.raises(
        DataError, match=r"shop: expected the store that .* was evaluated on \(\w{8}\), found another one"
    ):
        store_of(load_run(first))


def test_the_larger_context_is_that_of_both(tmp_path):
    first, second = write_pair(tmp_path)
    for folder, turns in ((first, 2), (second, 3)):
        (folder / "config.yaml").write_text(f"experiment: demo\ndata:\n  context_turns: {turns}\n")
    assert load_pair(first, second).context_turns == 3
