"""What is compared: seeds that both have, folds as one test, the same queries alone."""

import pytest

from semantic.report.comparison import compare
from semantic.runs.grouping import group_runs
from semantic.runs.reading import load_runs
from semantic.runtime.errors import DataError
from tests.report_files import digest, write_result


def compared(folder):
    return compare(group_runs(load_runs([folder]))[0])


def test_pairs_are_compared_on_the_seeds_that_both_have(tmp_path):
    # Seed 0 of both is equal everywhere; seed 1, which only one has, would make it better in every dialogue.
    for variant in ("one", "two"):
        write_result(tmp_path, variant, 0, 0.5, queries=[0.25, 0.5] * 10)
    write_result(tmp_path, "one", 1, 0.5, queries=[1.0] * 20)

    found = compared(tmp_path)

    assert (found.p_values, found.better) == ({(0, 1): 1.0}, {})
    assert found.note == (
        "Compared over 20 dialogues, 20 queries, each the mean of 1 seed (those that both rows have)."
    )


def test_seeds_are_averaged_before_they_are_compared(tmp_path):
    write_result(tmp_path, "one", 0, 0.5, queries=[1.0, 0.0] * 20)
    write_result(tmp_path, "one", 1, 0.5, queries=[0.0, 1.0] * 20)
    for seed in (0, 1):
        write_result(tmp_path, "two", seed, 0.5, queries=[0.5, 0.5] * 20)
    found = compared(tmp_path)
    assert found.p_values == {(0, 1): 1.0}
    assert "each the mean of 2 seeds (those that both rows have)" in found.note


def test_rows_without_a_seed_in_common_are_compared_over_all_and_say_so(tmp_path):
    for seed in (0, 1, 2):
        write_result(tmp_path, "one", seed, 0.5, queries=[0.75] * 20)
    write_result(tmp_path, "two", 7, 0.5, queries=[0.25] * 20)
    found = compared(tmp_path)
    assert found.better == {0: (1,)}
    assert "each the mean of 1 to 3 seeds (each row's own, where two share none)." in found.note


def test_folds_are_one_test_over_all_their_dialogues(tmp_path):
    for variant, value in (("one", 0.75), ("two", 0.25)):
        for fold in (0, 1, 2):
            write_result(tmp_path, variant, 0, 0.5, fold=fold, folds=3, queries=[value] * 2, first=2 * fold)
    found = compared(tmp_path)
    # Six dialogues that all differ one way: ++++++ and ------ of the patterns of signs reach their sum.
    assert found.p_values == {(0, 1): 2 / 2**6}
    assert found.better == {0: (1,)}
    assert found.note.startswith("Compared over 6 dialogues, 6 queries, each the mean of 1 seed")


def test_runs_without_queries_are_named_and_left_out(tmp_path):
    write_result(tmp_path, "one", 0, 0.5, queries=[1.0] * 20)
    write_result(tmp_path, "two", 0, 0.5, queries=[0.5] * 20)
    (write_result(tmp_path, "two", 1, 0.5, queries=[0.5] * 20) / "queries.parquet").unlink()
    found = compared(tmp_path)
    assert (found.p_values, found.note) == ({}, "Not compared, for no queries were kept: two (seed 1).")


@pytest.mark.parametrize(("queries", "first"), [([0.5] * 19, 0), ([0.5] * 20, 1)])
def test_runs_that_name_one_set_of_queries_must_have_the_same(tmp_path, queries, first):
    write_result(tmp_path, "one", 0, 0.5, queries=[1.0] * 20)
    write_result(tmp_path, "two", 0, 0.5, queries=queries, first=first)
    for run in load_runs([tmp_path]):
        text = (run.path / "summary.json").read_text().replace(run.summary.queries, digest("same"))
        (run.path / "summary.json").write_text(text)
    with pytest.raises(DataError, match=r"two/seed_0/queries.parquet: expected the 20 queries of .*one/seed_0/queries"):
        compared(tmp_path)
