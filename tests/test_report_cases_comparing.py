"""Two runs side by side: which cases are shown, and what page and files say of them."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.metrics.significance import paired_test
from semantic.report.cases.comparing import choose_cases, compare, write_comparison
from semantic.report.cases.filtering import Filters
from semantic.report.cases.pairing import load_pair, outcomes
from semantic.runtime.errors import DataError
from tests.case_files import BEST, OTHER, pair_of, write_pair, write_queries
from tests.report_files import PHOTO, Page, write_store

EXPLAINED = [{"title": "parts", "labels": ["hem", "fit"], "query": ["words"], "products": []}]


class Pair:
    """What `choose_cases` reads of a pair."""

    def __init__(self, queries, differences):
        self.queries, self.differences = queries, np.array(differences)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "shop")


def test_a_third_each_and_the_largest_differences():
    differences = [0.5, 0.9, 0.1, 0.0, 0.0, 0.0, -0.2, -0.8, -0.3]
    chosen = choose_cases(Pair([(d, d) for d in range(9)], differences), np.ones(9, bool), 6)
    assert [differences[place] for place in chosen] == [0.9, 0.5, 0.0, 0.0, -0.8, -0.3]


def test_the_largest_differences_fill_the_places_of_an_outcome_that_is_short():
    differences = [0.5, 0.9, 0.1, 0.7, 0.0, -0.2]
    chosen = choose_cases(Pair([(d, d) for d in range(6)], differences), np.ones(6, bool), 5)
    assert [differences[place] for place in chosen] == [0.9, 0.7, 0.5, 0.0, -0.2]


def test_a_dialogue_comes_twice_only_where_there_are_too_few():
    pair = Pair([(0, 1), (0, 3), (1, 5)], [0.9, 0.8, 0.1])
    assert choose_cases(pair, np.ones(3, bool), 2) == [0, 2]
    assert choose_cases(pair, np.array([True, True, False]), 2) == [0, 1]


def test_ties_are_drawn_by_the_seed():
    pair = Pair([(d, d) for d in range(23)], [0.0] * 23)
    draws = [choose_cases(pair, np.ones(23, bool), 3, seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-2, 2), st.booleans()), max_size=13), st.integers(0, 9))
def test_the_choice_is_of_distinct_kept_queries_and_as_many_as_there_are(rows, turns):
    pair = Pair([(dialogue, turn) for turn, (dialogue, _, _) in enumerate(rows)], [d / 2 for _, d, _ in rows])
    kept = np.array([keep for _, _, keep in rows], dtype=bool)
    chosen = choose_cases(pair, kept, turns)
    assert len(set(chosen)) == len(chosen) == min(turns, kept.sum())
    assert kept[chosen].all()
    names = outcomes(pair.differences)[chosen].tolist()
    assert names == sorted(names, key=("win", "tie", "loss").index)


def test_all_and_the_filtered_are_scored_and_every_query_is_in_the_table(store, tmp_path):
    pair = pair_of(tmp_path)
    found = compare(pair, store, Filters.parse(["color"], "4", None))
    assert list(found.scores) == ["all queries", "slot color, turn 4"]
    assert found.scores["all queries"].p == paired_test(BEST, OTHER, range(5))
    assert found.table["dialogue"].tolist() == [f"d{d}" for d in range(5)]
    assert found.table["turn"].tolist() == [4] * 5
    assert found.table["ndcg@5 A"].tolist() == list(BEST)
    assert found.table["ndcg@5 B"].tolist() == list(OTHER)
    assert found.table["difference"].tolist() == [1, 0.5, 0, 0, -1]
    assert found.table["outcome of A"].tolist() == ["win", "win", "tie", "tie", "loss"]
    assert set(found.table["slots"]) == {"color; type"}
    assert set(found.table["in filters"]) == {"yes"}
    assert list(compare(pair, store, Filters()).scores) == ["all queries"]
    with pytest.raises(DataError, match="expected a query with turn 5-, found none among 5"):
        compare(pair, store, Filters.parse([], "5-", None))


def written(tmp_path, store, turns=24, filters=Filters(), **more):  # noqa: B008
    pair = pair_of(tmp_path / "runs", **more)
    return write_comparison(compare(pair, store, filters), store, tmp_path / "out", turns=turns)


def test_the_page_shows_every_case_with_both_galleries(store, tmp_path):
    page = Page(written(tmp_path, store)[0])
    cases = page.with_class("case")
    assert [case["data-outcome"] for case in cases] == ["win", "win", "tie", "tie", "loss"]
    assert all(case["data-turn"] == "4" and case["data-positives"] == "1" for case in cases)
    assert all(case["data-slots"] == '["color", "type"]' for case in cases)
    assert not any("hidden" in case for case in cases)  # a browser without scripts shows all
    assert page.with_id("filters")[0].keys() >= {"hidden"}
    for words in (
        "demo/best, seed 0",
        "demo/other, seed 0",
        "A 1 · B 4 to 5",  # the places of the positive
        "the secret reply",
        "like blue",
        "A wins",
        "A loses",
        "1,004 candidates",
        "+10.0",
        "Garment asked for",
    ):
        assert words in page.text, words
    assert page.text.count("A top 3") == page.text.count("B top 3") == 5
    hits = len(page.with_class("hit"))
    assert hits == sum(value > 0 for value in BEST + OTHER)
    assert not re.search(r"https?:|url\(|@import|<link|src=\"(?!data:)", page.source)
    assert all(source.startswith(PHOTO) for source in page.images())


def test_text_of_the_data_cannot_leave_its_place(store, tmp_path):
    page = Page(written(tmp_path, store)[0])
    assert "a dress & <b>boots</b>" in page.text
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    assert "alert(1)" not in page.source.partition("<script>\n")[2]


def test_the_files_are_the_same_each_time_and_replace_only_a_comparison(store, tmp_path):
    pair = pair_of(tmp_path / "runs")
    comparison = compare(pair, store, Filters())
    contents = [[file.read_bytes() for file in write_comparison(comparison, store, tmp_path / "out")] for _ in range(2)]
    assert contents[0] == contents[1]
    table = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert table["difference"].tolist() == [1, 0.5, 0, 0, -1]
    assert set(pd.read_csv(tmp_path / "out" / "analysis.csv")["run"]) == {
        "A: demo/best, seed 0",
        "B: demo/other, seed 0",
    }
    with pytest.raises(
        DataError, match="or one with a comparison in it, found one that holds demo; give another --out"
    ):
        write_comparison(comparison, store, tmp_path / "runs")


def test_explanations_of_both_and_seen_dialogues_are_shown(store, tmp_path):
    folders = write_pair(tmp_path / "runs", explained=EXPLAINED, seen={"train": 2, "valid": 1})
    for folder, values in zip(folders, (BEST, OTHER), strict=True):
        write_queries(folder, values, **{"explain/parts/query/words": [0.75, 0.25]})
    comparison = compare(load_pair(*folders), store, Filters())
    page = Page(write_comparison(comparison, store, tmp_path / "out", turns=1)[0])
    assert "What A explains" in page.text
    assert page.text.count("hem 75.0") == 2
    assert len(page.with_class("warning")) == 2


def test_without_turns_there_is_no_case(store, tmp_path):
    page = Page(written(tmp_path, store, turns=0)[0])
    assert page.with_class("case") == page.with_id("filters") == []
    assert "By facet" in page.text
