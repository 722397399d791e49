"""analyse, compare and judge through the installed command, and report of a form's answers."""

import shutil

import pandas as pd
import pytest

from semantic.datasets.store.store import open_store
from semantic.runs.reading import load_runs
from tests.case_files import read_key, write_answers
from tests.commands import RUN, semantic
from tests.report_files import Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(way, tmp_path_factory):
    """The folder of the commands with a second run on the same queries: the first one's weights, evaluated again."""
    folder = shutil.copytree(way.folder, tmp_path_factory.mktemp("cases") / "place")
    semantic("evaluate", RUN, "--out", "again", cwd=folder)
    return folder


def test_analyse_prints_and_writes_every_facet(place):
    said = semantic("analyse", RUN, cwd=place).stdout
    frame = pd.read_csv(place / "analysis" / "analysis.csv", keep_default_na=False)
    queries = len(load_runs([place / RUN])[0].query_values("standard", "ndcg@5"))
    assert set(frame.loc[frame["facet"] == "all", "queries"]) == {queries}
    assert set(frame["facet"]) == {
        "all",
        "slot",
        "turn",
        "recommendation",
        "garment",
        "photos",
        "positives",
        "shown_before",
    }
    assert "Slot set in the gold state" in said
    assert "written: analysis/analysis.html, analysis/analysis.csv" in said
    assert "Garment asked for" in Page(place / "analysis" / "analysis.html").text


def test_compare_of_the_same_weights_is_all_ties(place):
    said = semantic("compare", RUN, "again", "--turns", 5, "--slot", "product_category", cwd=place).stdout
    table = pd.read_csv(place / "comparison" / "cases.csv")
    assert set(table["outcome of A"]) == {"tie"}
    assert set(table["difference"]) == {0.0}
    assert "1.0000" in said
    assert "Filtered: slot product_category" in said
    queries = load_runs([place / RUN])[0].queries(["dialogue", "dialogue_row", "turn"])
    first = open_store(place / "store").dialogue_first_turn
    expected = {(one["dialogue"], one["turn"] - int(first[one["dialogue_row"]]) + 1) for one in queries}
    assert set(zip(table["dialogue"].astype(str), table["turn"].tolist(), strict=True)) == expected
    page = Page(place / "comparison" / "compare.html")
    assert 0 < len(page.with_class("case")) <= 5


def test_judge_and_report_go_the_whole_way(place):
    said = semantic("judge", RUN, "again", "--out", "form", "--turns", 3, "--top", 4, cwd=place).stdout
    assert said.splitlines() == [
        "form, for the judges: form/form.html",
        "key, which judges must not see: form/key.json",
        "put the files that they save into form/answers, then: semantic report form",
    ]
    first = (place / "form" / "form.html").read_bytes()
    semantic("judge", RUN, "again", "--out", "form", "--turns", 3, "--top", 4, cwd=place)
    assert (place / "form" / "form.html").read_bytes() == first
    assert read_key(place / "form").runs["B"].path == "again"
    write_answers(place / "form", "Ann", {"1": "A", "2": "A", "3": "tie"})
    write_answers(place / "form", "Bo", {"1": "A", "2": "B"})
    said = " ".join(semantic("report", "form", "--out", "judged", cwd=place).stdout.split())
    assert "Sign test over turns: A has more votes on 1, B on 0; two-sided p = 1.0000." in said
    assert "equal pairs of votes 50.0%" in said
    assert "102.02" in said
    frame = pd.read_csv(place / "judged" / "judgements.csv").set_index(["row", "measure"])
    assert frame.loc[("votes", "win"), "value"] == 3 / 5
    assert (place / "judged" / "judgements.tex").is_file()


def test_a_store_that_moved_is_named_by_an_option(place, tmp_path):
    folder = shutil.copytree(place, tmp_path / "place")
    (folder / "store").rename(folder / "moved")
    said = semantic("compare", RUN, "again", cwd=folder, code=2).stderr
    assert said.startswith(
        "semantic: store: expected the store that runs/tiny/base/seed_0 was evaluated on, found no folder"
    )
    semantic("compare", RUN, "again", "--data", "moved", cwd=folder)
