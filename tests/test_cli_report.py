"""`semantic report` of an experiment, as it is typed: by name, by file and by folder."""

import json

import pytest
import yaml

from semantic.config.sweeps import load_sweep
from semantic.runs.plan import Plan, write_plan
from tests.commands import semantic
from tests.experiment_files import write_planned
from tests.report_files import Page

pytestmark = pytest.mark.slow
STUDY = {
    "base": "quickstart",
    "seeds": [0, 1],
    "vary": {"data.share": [0.1, 1]},
    "report": {
        "title": "A study",
        "figure": "line",
        "published": [{"name": "Paper", "at": 1, "values": {"ndcg@5": 63.9}}],
    },
}


def write_runs(folder, plan):
    for number, planned in enumerate(plan.runs):
        point = {"data.share": planned.point["data.labelled_share"]}
        write_planned(
            folder,
            planned.model_copy(update={"point": point}),
            0.5,
            experiment=plan.experiment,
            noise=number,
            config={"data": {}},
        )


@pytest.fixture
def shop(tmp_path):
    """A study of four finished runs, in runs/study."""
    values = STUDY | {"vary": {"data.labelled_share": [0.1, 1]}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    plan = Plan.of(load_sweep(str(tmp_path / "study.yaml")))
    write_runs(tmp_path / "runs", plan)
    write_plan(plan, tmp_path / "runs")
    return tmp_path


def test_a_file_and_its_folder_of_runs_give_the_same_report(shop):
    said = semantic("report", "study.yaml", "--out", "one", cwd=shop)
    semantic("report", "runs/study", "--out", "two", cwd=shop)

    assert "4 of 4 runs finished." in said.stdout
    assert (
        "written: one/table.md, one/table.tex, one/table.csv, one/tests.csv, one/results.json, one/report.html"
        in said.stdout
    )
    assert said.stderr == "stores/shop: the runs' store is not there, so the page has no gallery\n"
    one, two = (json.loads((shop / name / "results.json").read_text()) for name in ("one", "two"))
    assert one.pop("warnings") != two.pop("warnings")  # only the file says what the runs would be made with now
    assert one == two
    assert "A study" in Page(shop / "one" / "report.html").text
    assert (shop / "one" / "figures" / "study.png").stat().st_size > 1000


def test_an_edited_report_section_counts_at_once(shop):
    (shop / "study.yaml").write_text((shop / "study.yaml").read_text().replace("A study", "Another title"))
    semantic("report", "study.yaml", "--set", "report.metrics=[recall@20]", cwd=shop)
    results = json.loads((shop / "report" / "results.json").read_text())
    assert (results["title"], results["metrics"]) == ("Another title", ["recall@20"])


def test_a_shipped_experiment_on_another_base_is_found_by_name(tmp_path):
    overrides = ["base=quickstart", "folds=0", "seeds=0-1"]
    write_runs(tmp_path / "elsewhere", Plan.of(load_sweep("label_ratio", overrides)))
    options = [word for override in overrides for word in ("--set", override)]
    said = semantic("report", "label_ratio", *options, "--runs", "elsewhere", cwd=tmp_path)
    assert "14 of 14 runs finished." in said.stdout
    assert json.loads((tmp_path / "report" / "results.json").read_text())["experiment"] == "label_ratio.quickstart"


def test_folders_of_an_experiments_runs_are_reported_as_any_runs_are(shop):
    said = semantic("report", "runs/study/labelled_share=1", cwd=shop)
    assert "4 runs" not in said.stdout
    assert (shop / "report" / "table.csv").read_text().count("study/labelled_share=1,variant,2,2") == 18
    assert not (shop / "report" / "results.json").exists()
