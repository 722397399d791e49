"""Tests of an experiment's rows: on what both have, by dialogue, corrected by column; and the marks that follow."""

import pytest

from semantic.metrics.significance import holm, paired_test
from semantic.report.experiments.results import experiment_result
from semantic.runs.reading import read_run
from semantic.runtime.errors import DataError
from tests.experiment_files import VALUES, make_plan, study, write_planned, write_study
from tests.report_files import change_summary

COLUMN = ("standard", "ndcg@5")


def marks(result, protocol="standard", metric="ndcg@5"):
    return {line.name: line.values[protocol][metric].mark for line in result.results.parts[0].variants}


def found_tests(result, **wanted):
    tests = result.results.parts[0].tests
    return [test for test in tests if all(getattr(test, key) == value for key, value in wanted.items())]


def test_each_row_is_tested_against_the_best_of_its_column(tmp_path):
    result = study(tmp_path)
    found = found_tests(result, protocol="standard", metric="ndcg@5")

    by_row = {}
    for name in VALUES:
        runs = [read_run(tmp_path / "study" / name / f"seed_{seed}").query_values(*COLUMN) for seed in (0, 1)]
        by_row[name] = sum(runs) / 2
    dialogues = [dialogue for dialogue, _ in by_row["share=1"].index]
    best = max(by_row, key=lambda name: by_row[name].mean())
    others = [name for name in VALUES if name != best]
    p = {name: paired_test(by_row[name], by_row[best], dialogues) for name in others}
    corrected = holm(p)
    assert {test.row: (test.against, test.is_best, test.p, test.corrected) for test in found} == {
        name: (best, True, p[name], corrected[name]) for name in others
    }
    for test in found:
        assert test.difference == pytest.approx((by_row[test.row] - by_row[best]).mean())
        assert (test.runs, test.dialogues, test.queries) == (2, 11, 33)


def test_the_best_is_marked_and_what_is_not_significantly_worse(tmp_path):
    result = study(tmp_path)
    assert sorted(marks(result).values()) == ["", "best", "like"]
    assert marks(result)["share=0.1"] == ""


def test_a_baseline_is_tested_too_where_it_is_not_the_best(tmp_path):
    result = study(tmp_path, baseline="share=0.1")
    found = found_tests(result, protocol="standard", metric="ndcg@5", is_best=False)
    assert [(test.row, test.against) for test in found] == [("share=0.5", "share=0.1"), ("share=1", "share=0.1")]
    assert all(test.difference > 0.2 and test.corrected == 2 * test.p == 2 * 2 / 2**11 for test in found)
    best = found_tests(result, protocol="standard", metric="ndcg@5", is_best=True)
    assert {test.against for test in best} != {"share=0.1"}


def test_a_baseline_that_is_the_best_is_tested_against_once(tmp_path):
    result = study(tmp_path, shares=(0.1, 0.5), baseline="share=0.5")
    assert {test.is_best for test in result.results.parts[0].tests} == {True}
    assert len(result.results.parts[0].tests) == 18


def test_rows_that_have_seen_what_they_rank_are_neither_tested_nor_marked(tmp_path):
    plan = make_plan()
    folder = write_study(tmp_path, plan)
    for seed in (0, 1):
        change_summary(folder / "share=1" / f"seed_{seed}", seen={"train": 3, "valid": 0})
    result = experiment_result(plan, folder)
    assert {(test.row, test.against) for test in result.results.parts[0].tests} == {("share=0.1", "share=0.5")}
    assert marks(result) == {"share=0.1": "", "share=0.5": "best", "share=1": ""}
    assert any("it is not compared" in warning for warning in result.results.warnings)


def test_rows_without_a_seed_in_common_are_not_compared(tmp_path):
    plan = make_plan(shares=(0.5, 1.0))
    for run in (plan.runs[0], plan.runs[3]):
        write_planned(tmp_path, run, VALUES[run.variant])
    result = experiment_result(plan, tmp_path / "study")
    assert result.results.parts[0].tests == ()


def test_runs_without_queries_are_named(tmp_path):
    plan = make_plan()
    folder = write_study(tmp_path, plan)
    for seed in (0, 1):
        (folder / "share=0.1" / f"seed_{seed}" / "queries.parquet").unlink()
    result = experiment_result(plan, folder)
    assert "share=0.1" not in {test.row for test in result.results.parts[0].tests}
    expected = "Not compared, for no queries were kept: share=0.1 (seed 0); share=0.1 (seed 1)."
    assert expected in result.results.notes


def test_queries_that_a_summary_belies_are_a_fault(tmp_path):
    plan = make_plan()
    folder = write_study(tmp_path, plan)
    one, other = (folder / name / "seed_0" for name in ("share=0.1", "share=1"))
    (one / "queries.parquet").write_bytes((other / "queries.parquet").read_bytes())
    with pytest.raises(
        DataError, match=r"share=0.1/seed_0/queries.parquet: expected the queries of summary.json beside it"
    ):
        experiment_result(plan, folder)


def test_a_row_alone_is_not_tested(tmp_path):
    result = study(tmp_path, shares=(0.5,))
    assert result.results.parts[0].tests == ()
    assert marks(result) == {"share=0.5": ""}
