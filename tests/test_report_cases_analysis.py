"""Results by facet: means and counts by hand, and what pages and files show of them."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from semantic.report.cases.analysis import (
    METRIC_COLUMNS,
    SHOWN,
    analyse,
    facet_tables,
    full_bar,
    to_csv,
    write_analysis,
)
from semantic.report.cases.facets import KEYS
from semantic.runtime.errors import DataError
from tests.case_files import pair_of
from tests.report_files import Page

QUERIES = 5


def facets_of(**columns):
    values = {
        "slots": [("color",), ("color", "type"), ("type",), (), None],
        "turn": [2, 2, 4, 2, 4],
        "recommendation": [1, 1, 2, 1, 2],
        "garment": ["dress", "dress", "boot", "dress", "dress"],
        "photos": [0, 1, 2, 3, 4],
        "positives": [1, 1, 1, 2, 7],
        "shown_before": [True, False, False, False, False],
    } | columns
    index = pd.MultiIndex.from_tuples([(3, 1), (5, 9), (5, 11), (7, 2), (7, 4)], names=KEYS)
    return pd.DataFrame(values, index)


def values_of(ndcg, **columns):
    values = {column: [0.125] * QUERIES for column in METRIC_COLUMNS} | {"standard/ndcg@5": ndcg} | columns
    return pd.DataFrame(values, facets_of().index)


def line(frame, facet, value, protocol="standard", metric="ndcg@5"):
    keys = {"facet": facet, "value": value, "protocol": protocol, "metric": metric}
    found = frame[np.logical_and.reduce([frame[key] == wanted for key, wanted in keys.items()])]
    assert len(found) == 1
    return found.iloc[0]


def test_means_and_counts_are_those_of_the_queries_with_a_value():
    frame = analyse(values_of([1.0, 0.5, 0.25, 0.0, 0.0]), facets_of(), ["color", "type", "price"])
    everything = line(frame, "all", "")
    assert (everything.queries, everything.dialogues, everything["mean"]) == (5, 3, 1.75 / 5)
    assert line(frame, "slot", "color")["mean"] == (1 + 0.5) / 2
    assert line(frame, "slot", "type")["mean"] == (0.5 + 0.25) / 2
    assert line(frame, "turn", "3-4").queries == 2
    assert line(frame, "garment", "dress")["mean"] == 1.5 / 4
    assert line(frame, "positives", "5+")["mean"] == 0
    assert line(frame, "garment", "dress", "released", "recall@5")["mean"] == 0.125
    assert "price" not in set(frame["value"])
    assert set(frame["metric"]) == {"ndcg@5", "precision@5", "recall@5"}


def test_intervals_hold_the_mean_and_are_of_dialogues():
    frame = analyse(values_of([1.0, 0.5, 0.25, 0.0, 0.0]), facets_of(), ["color"])
    one = line(frame, "all", "")
    assert one.low <= one["mean"] <= one.high
    assert one.low < one.high
    alone = line(frame, "shown_before", "yes")
    assert (alone.queries, alone.dialogues) == (1, 1)
    assert math.isnan(alone.low)
    assert math.isnan(line(frame, "slot", "(no state)").high)
    # Two queries of one dialogue: no interval, whatever their number.
    assert math.isnan(line(analyse(values_of([0, 1, 1, 0, 0]), facets_of(turn=[9, 1, 1, 9, 9]), []), "turn", "1-2").low)


def test_the_same_seed_gives_the_same_frame():
    values = values_of([1.0, 0.5, 0.3, 0.2, 0.0])
    frames = [analyse(values, facets_of(), ["color"], resamples=3, seed=seed) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert not frames[0].equals(frames[2])


def test_a_page_shows_the_commonest_values_and_counts_the_others():
    many = [f"garment {n}" for n in range(SHOWN + 3)]
    index = pd.MultiIndex.from_tuples([(n, n) for n in range(SHOWN + 4)], names=KEYS)
    facets = pd.DataFrame(
        {
            "slots": [()] * len(index),
            "garment": [many[-1], *many],
            "shown_before": False,
            "turn": 2,
            "recommendation": 1,
            "photos": 0,
            "positives": 1,
        },
        index,
    )
    frame = analyse(pd.DataFrame(0.5, index, METRIC_COLUMNS), facets, [])
    garment = next(one for one in facet_tables([frame]) if one.title.startswith("Garment"))
    assert len(garment.rows) == SHOWN
    assert garment.left_out == 3
    assert garment.rows[0]["value"] == many[-1]  # which has two queries


def test_two_runs_stand_side_by_side():
    first, second = (analyse(values_of([v] * QUERIES), facets_of(), ["color"]) for v in (0.75, 0.25))
    table = facet_tables([first, second])[0]
    assert [cells["standard/ndcg@5"].mean for cells in table.rows[0]["cells"]] == [0.75, 0.25]
    assert full_bar([first, second]) == 0.75
    assert full_bar([analyse(values_of([0.0] * QUERIES), facets_of(), [])]) == 1


def test_the_csv_is_the_frame():
    frame = analyse(values_of([1.0, 0.5, 0.25, 0.0, 1 / 3]), facets_of(), ["color"])
    read = pd.read_csv(io.StringIO(to_csv({"one": frame})), keep_default_na=False, na_values={"low": "", "high": ""})
    assert set(read.pop("run")) == {"one"}
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_the_page_of_a_run_stands_alone_and_is_replaced_but_nothing_else(tmp_path):
    pair = pair_of(tmp_path / "runs", seen={"train": 3, "valid": 0})
    frame = analyse(values_of([1.0, 0.5, 0.25, 0.0, 0.0]), facets_of(), ["color"])
    for _ in range(2):
        files = write_analysis(pair.runs[0], frame, tmp_path / "out")
    page = Page(files[0])
    assert "35.0" in page.text  # 1.75 / 5
    assert "it trained on 3" in page.text
    assert not any(tag == "script" for tag, _ in page.tags)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "analysis.csv").write_text("mine")
    with pytest.raises(DataError, match=r"or one with an analysis in it, found one that holds analysis\.csv"):
        write_analysis(pair.runs[0], frame, tmp_path / "mine")
