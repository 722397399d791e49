"""An experiment's results: rows in the order of the plan, what is missing, what does not belong, and what stands beside."""

import json
import math
from statistics import fmean, stdev

import pytest
import yaml

from semantic.config.loading import load_config
from semantic.report.experiments.record import read_results
from semantic.report.experiments.results import experiment_result, progress_line
from semantic.runs.reading import read_run
from semantic.runtime.errors import DataError
from tests.experiment_files import VALUES, make_plan, study, write_planned, write_study
from tests.report_files import METRICS, change_summary


def values(result, protocol="standard", metric="ndcg@5"):
    return {line.name: line.values[protocol][metric] for part in result.results.parts for line in part.variants}


def test_rows_stand_in_the_order_of_the_plan_with_mean_and_deviation_over_their_runs(tmp_path):
    result = study(tmp_path, shares=(1.0, 0.1, 0.5))

    (part,) = result.results.parts
    assert [line.name for line in part.variants] == ["share=1", "share=0.1", "share=0.5"]
    assert part.variants[0].heading == "share=1 (2 seeds)"
    assert [line.name for line in part.floors] == ["random", "tfidf context"]
    assert part.metrics == tuple(METRICS)
    for protocol in ("standard", "released"):
        for name, value in values(result, protocol).items():
            own = [
                read_run(tmp_path / "study" / name / f"seed_{seed}").summary.protocols[protocol]["ndcg@5"]
                for seed in (0, 1)
            ]
            assert (value.mean, value.deviation) == pytest.approx((fmean(own), stdev(own)))
    assert (result.results.finished, result.results.planned, result.results.missing) == (6, 6, ())
    assert progress_line(result.results) == "6 of 6 runs finished."


def test_what_is_missing_is_said_and_rows_are_of_the_runs_they_have(tmp_path):
    plan = make_plan(shares=(0.1, 0.5, 1.0, 2.0), seeds=(0, 1, 2))
    folder = tmp_path / "study"
    kept = [
        run
        for run in plan.runs
        if (run.variant, run.seed) not in {("share=0.5", 1), ("share=1", 2)} and run.variant != "share=2"
    ]
    for number, run in enumerate(kept):
        write_planned(tmp_path, run, VALUES[run.variant], noise=number)
    begun = folder / "share=0.5" / "seed_1"
    begun.mkdir()
    (begun / "config.yaml").write_text("training: {epochs: 15}")
    (begun / "metrics.jsonl").write_text("{}\n{}\n")
    trained = folder / "share=1" / "seed_2"
    trained.mkdir()
    (trained / "config.yaml").write_text("training: {epochs: 1}")
    (trained / "metrics.jsonl").write_text("{}\n")

    results = experiment_result(plan, folder).results

    assert progress_line(results) == (
        "7 of 12 runs finished; missing: share=0.5, seed 1 (epoch 2 of 15); share=1, seed 2 (epoch 1 of 1, not evaluated); "
        "share=2, seed 0 (not begun); share=2, seed 1 (not begun); share=2, seed 2 (not begun)."
    )
    headings = [line.heading for line in results.parts[0].variants]
    assert headings == ["share=0.1 (3 seeds)", "share=0.5 (2 of 3 runs)", "share=1 (2 of 3 runs)"]
    assert any(note.startswith("Rows have different numbers of runs") for note in results.notes)
    shared = {(test.row, test.against): (test.runs, test.queries) for test in results.parts[0].tests}
    assert shared["share=0.5", "share=0.1"] == (2, 33)
    assert {test.against for test in results.parts[0].tests} == {"share=0.1"}  # the only row with every run


def test_a_long_list_of_missing_runs_is_cut_where_it_is_read_and_whole_in_the_file(tmp_path):
    plan = make_plan(seeds=range(5))
    write_planned(tmp_path, plan.runs[0], 0.5)
    results = experiment_result(plan, tmp_path / "study").results
    assert progress_line(results).endswith("share=0.5, seed 1 (not begun); and 8 more.")
    assert len(results.missing) == 14


def test_without_a_finished_run_there_is_one_message(tmp_path):
    with pytest.raises(
        DataError, match=r"study: expected a finished run of the experiment or more, found none of 6: share=0.1, s"
    ):
        experiment_result(make_plan(), tmp_path / "study")


def test_a_run_of_another_configuration_is_said_and_left_out(tmp_path):
    plan = make_plan(seeds=(0, 1, 2))
    folder = write_study(tmp_path, plan)
    file = folder / "share=0.5" / "seed_1" / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"training": {"epochs": 7}}))

    results = experiment_result(plan, folder).results

    (warning,) = results.warnings
    assert warning == (
        f"{file.parent}: expected what the other runs of share=0.5 have, found another configuration [training.epochs=7]; "
        "left out."
    )
    assert [line.heading for line in results.parts[0].variants][1] == "share=0.5 (2 of 3 runs)"


def test_a_run_on_other_queries_than_its_row_is_said_and_left_out(tmp_path):
    plan = make_plan(seeds=(0, 1, 2))
    folder = write_study(tmp_path, plan)
    change_summary(folder / "share=0.5" / "seed_1", queries="0123456789abcdef")
    results = experiment_result(plan, folder).results
    assert [w.partition("found ")[2] for w in results.warnings] == ["another store, split or set of queries; left out."]


def test_another_run_in_a_folder_of_the_plan_does_not_count(tmp_path):
    plan = make_plan()
    folder = write_study(tmp_path, plan)
    change_summary(folder / "share=1" / "seed_1", seed=5)
    results = experiment_result(plan, folder).results
    assert results.missing == ("share=1, seed 1 (another run in its folder)",)
    assert results.warnings == (
        f"{folder / 'share=1' / 'seed_1'}: expected share=1, seed 1, found share=1, seed 5; left out.",
    )


def test_rows_on_other_queries_stand_apart_and_are_not_compared(tmp_path):
    plan = make_plan()
    for number, run in enumerate(plan.runs):
        set_name = "other" if run.variant == "share=1" else None
        write_planned(tmp_path, run, VALUES[run.variant], noise=number, set_name=set_name)

    results = experiment_result(plan, tmp_path / "study").results

    assert [[line.name for line in part.variants] for part in results.parts] == [
        ["share=0.1", "share=0.5"],
        ["share=1"],
    ]
    assert {(test.row, test.against) for part in results.parts for test in part.tests} == {("share=0.1", "share=0.5")}
    assert any(note.startswith("Rows on other queries stand in a table of their own") for note in results.notes)


def test_folds_that_are_missing_leave_a_row_in_its_table(tmp_path):
    plan = make_plan(seeds=(0,), folds=3)
    for number, run in enumerate(plan.runs):
        if (run.variant, run.fold) != ("share=0.5", 2):
            write_planned(tmp_path, run, VALUES[run.variant], folds=3, noise=number)
    (part,) = experiment_result(plan, tmp_path / "study").results.parts
    assert [line.heading for line in part.variants] == [
        "share=0.1 (3 folds)",
        "share=0.5 (2 of 3 runs)",
        "share=1 (3 folds)",
    ]
    assert part.place == "shop, 3 folds of test, 99 queries"
    spans = {(t.row, t.dialogues, t.queries) for t in part.tests if t.against == "share=1"}
    assert spans == {("share=0.1", 33, 99), ("share=0.5", 22, 66)}


def test_runs_made_before_the_experiment_was_edited_are_said(tmp_path):
    plan = make_plan(shares=(0.5,))
    folder = write_study(tmp_path, plan)
    config = load_config("quickstart", ["training.epochs=4", "variant=share=0.5"])
    warnings = experiment_result(plan, folder, {"share=0.5": config}).results.warnings
    assert warnings == (
        "all rows: the runs were made with other values than the experiment has now: training.epochs 3, now 4.",
    )


def test_a_metric_that_the_runs_have_not_is_a_fault_of_the_report(tmp_path):
    plan = make_plan(metrics=["ndcg@7"])
    with pytest.raises(DataError, match=r"^study: report.metrics: expected one of precision@5, .*, found ndcg@7$"):
        experiment_result(plan, write_study(tmp_path, plan))
    plan = make_plan(experiment="other", published=[{"name": "P", "values": {"recall@3": 1}}])
    with pytest.raises(
        DataError, match=r"^other: report.published \(P\): expected one of precision@5, .*, found recall@3$"
    ):
        experiment_result(plan, write_study(tmp_path, plan))


def test_results_are_the_same_when_they_are_read_back(tmp_path):
    result = study(tmp_path)
    file = tmp_path / "results.json"
    file.write_text(result.results.to_json())

    back = read_results(file)

    assert back.to_json() == result.results.to_json()
    assert back.published[0].values == {"ndcg@5": (0.639, 0.004), "recall@10": (0.7025, None)}
    assert back.packages == {"python": ("3.11",), "torch": ("2.0", "2.1")}
    assert (back.machines[0].cpu, back.revisions, back.seconds) == ("a cpu", ("c0ffee with changes",), 360.0)
    assert {test.metric for test in back.parts[0].tests} == {"ndcg@5", "recall@10"}
    assert max(map(len, file.read_text().splitlines())) <= 200
    means = [value.mean for value in values(result).values()]
    assert all(math.isclose(value["mean"], mean, abs_tol=1e-6) for value, mean in zip(_means(file), means, strict=True))


def _means(file):
    lines = json.loads(file.read_text())["parts"][0]["lines"]
    return [line["values"]["standard"]["ndcg@5"] for line in lines if line["kind"] == "variant"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON, found"),
        ("[]", "expected an object, found"),
        ("{}", "expected a value of experiment, found none"),
    ],
)
def test_another_file_is_no_result(tmp_path, text, message):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=f"results.json: {message}"):
        read_results(tmp_path / "results.json")
