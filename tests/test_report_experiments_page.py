"""The page and the folder of an experiment's report: what a reader must find, and what stays as it was."""

import json

import pytest

from semantic.report.experiments.page import changes, experiment_page
from semantic.report.experiments.results import experiment_result
from semantic.report.experiments.writing import write_experiment_report
from semantic.report.writing import MARK
from semantic.runtime.errors import DataError
from tests.experiment_files import make_plan, study, write_planned
from tests.report_files import Page


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs"))


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_page_has_table_figure_tests_changes_curves_and_cost(result, tmp_path):
    page = Page(write_experiment_report(result, None, tmp_path / "out")[5])

    for words in (
        "Share & states_",
        "6 of 6 runs finished",
        "released protocol",
        "standard protocol",
        "published: The paper",
        "published: A & rival_100%",
        "63.9 ± 0.4",
        "not significantly worse",
        "Published values (a paper): other data than ours",
        "What each row changes",
        "data.share",
        "Losses and diagnostics, share=0.1",
        "2 min 0 s",
        "6 min 0 s in all on a cpu, 2 cores.",
        "A note.",
        "none: left out",
    ):
        assert words in page.text, words
    labels = [
        attributes["aria-label"] for tag, attributes in page.tags if tag == "svg" and attributes.get("aria-label")
    ]
    assert any("published, The paper 63.9 ± 0.4" in label for label in labels)
    assert not [source for source in ("http:", "https:", "<link", "<script") if source in page.source]
    assert len(page.with_id(r"figure-0-series_0")) >= 1
    assert len(page.with_class("published")) == 1
    assert len(page.with_class("alone")) == 1
    assert len(page.with_id(r"figure-1-series_0")) >= 1


def test_what_each_row_changes_is_against_the_baseline(result):
    reference, found = changes(result.groups, "share=0.5")
    assert reference == "share=0.5"
    assert found == {"share=0.1": [("data.share", "0.5", "0.1")], "share=1": [("data.share", "0.5", "1.0")]}
    assert changes(result.groups, None)[0] == "share=0.1"


def test_an_unfinished_experiment_says_on_its_page_what_is_missing(tmp_path):
    plan = make_plan()
    write_planned(tmp_path, plan.runs[0], 0.5)
    result = experiment_result(plan, tmp_path / "study")
    (tmp_path / "page.html").write_text(experiment_page(result, None))
    page = Page(tmp_path / "page.html")
    assert "1 of 6 runs finished; 5 missing" in page.text
    assert "share=1, seed 1 (not begun)" in page.text


def test_names_are_text_on_the_page(tmp_path):
    result = study(
        tmp_path, title="<b>bold</b>", source="<script>", published=[{"name": "<i>x</i>", "values": {"ndcg@5": 1}}]
    )
    (tmp_path / "page.html").write_text(experiment_page(result, None))
    page = Page(tmp_path / "page.html")
    assert "<b>bold</b>" in page.text
    assert "published: <i>x</i>" in page.text
    assert "(<script>)" in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_all_files_are_written_and_the_same_the_second_time(result, tmp_path):
    out = tmp_path / "out"
    files = write_experiment_report(result, None, out)
    first = content(out)
    names = ["table.md", "table.tex", "table.csv", "tests.csv", "results.json", "report.html", "study.svg", "study.png"]
    assert [file.name for file in files] == names
    assert set(first) >= {MARK, *names[:6], "figures/study.svg", "figures/study.png", "figures/validation_ndcg@5.svg"}
    assert json.loads((out / "results.json").read_text())["experiment"] == "study"
    (out / "notes.txt").write_text("my own")
    write_experiment_report(result, None, out)
    assert content(out) == first | {"notes.txt": b"my own"}


def test_a_folder_of_other_files_is_left_as_it_is(result, tmp_path):
    (tmp_path / "results.json").write_text("my own")
    with pytest.raises(
        DataError, match="expected a new or empty folder, or one with a report in it, found one that holds results"
    ):
        write_experiment_report(result, None, tmp_path)
    assert content(tmp_path) == {"results.json": b"my own"}
