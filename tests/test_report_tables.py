"""The table from fabricated run folders: means, deviations, marks, warnings, and what a person reads."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from semantic.report.exporting import to_markdown
from semantic.report.frame import COLUMNS
from semantic.report.printing import print_table
from semantic.report.tables import table
from semantic.runs.reading import load_runs
from tests.report_files import METRICS, write_result


def test_rows_average_seeds_and_folds_and_floors_stand_beneath(tmp_path):
    for seed, value in enumerate((0.40, 0.42, 0.50)):
        write_result(tmp_path, "best", seed, value)
    write_result(tmp_path, "paper", 0, 0.07, fold=0)
    write_result(tmp_path, "paper", 0, 0.09, fold=1)

    [section] = table(load_runs([tmp_path])).sections

    assert [(row.name, row.kind, row.runs) for row in section.rows] == [
        ("demo/best", "variant", 3),
        ("demo/paper", "variant", 2),
        ("random", "floor", 5),
        ("tfidf context", "floor", 5),
    ]
    best = section.rows[0].cells["standard", "ndcg@5"]
    assert best.mean == pytest.approx((0.40 + 0.42 + 0.50) / 3)
    assert best.deviation == pytest.approx(math.sqrt((0.04**2 + 0.02**2 + 0.06**2) / 2))
    assert section.rows[1].cells["released", "recall@20"].mean == pytest.approx(0.08 + 0.125)
    assert section.rows[2].cells["standard", "ndcg@5"].text() == "0.3"


def test_splits_are_sections_of_their_own(tmp_path):
    write_result(tmp_path / "a", "best", 0, 0.4)
    write_result(tmp_path / "b", "best", 0, 0.2, split="valid")
    sections = table(load_runs([tmp_path / "a", tmp_path / "b"])).sections
    assert [(s.split, s.rows[0].runs) for s in sections] == [("test", 1), ("valid", 1)]


def test_ties_are_warned_of(tmp_path):
    write_result(tmp_path, "best", 0, 0.4, tie_rate=0.25)
    write_result(tmp_path, "fine", 0, 0.4)
    warnings = table(load_runs([tmp_path])).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("demo/best: in 25.0% of queries")


def test_marks_name_the_rows_a_variant_beats(tmp_path):
    noise = np.random.default_rng(0).uniform(0, 0.3, 60)
    write_result(tmp_path, "good", 0, 0.6, queries=list(noise + 0.5))
    write_result(tmp_path, "poor", 0, 0.2, queries=list(noise))
    write_result(tmp_path, "same", 0, 0.2, queries=list(noise[::-1]))
    write_result(tmp_path, "short", 0, 0.2, queries=list(noise[:50]))  # other queries: cannot be compared

    result = table(load_runs([tmp_path]))
    rows = {row.letter: row for row in result.sections[0].variants}

    assert [rows[letter].beats for letter in "abcd"] == [("b", "c"), (), (), ()]
    assert set(result.sections[0].p_values) == {("a", "b"), ("a", "c"), ("b", "c")}
    markdown = to_markdown(result)
    assert markdown.count("60.0 <sup>b c</sup>") == 1  # on NDCG@5 of the standard protocol only
    assert "p < 0.05" in markdown


def test_seeds_of_a_variant_are_averaged_before_they_are_compared(tmp_path):
    write_result(tmp_path, "one", 0, 0.5, queries=[1.0, 0.0] * 20)
    write_result(tmp_path, "one", 1, 0.5, queries=[0.0, 1.0] * 20)
    write_result(tmp_path, "two", 0, 0.5, queries=[0.5, 0.5] * 20)
    assert table(load_runs([tmp_path])).sections[0].p_values == {("a", "b"): 1.0}


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_every_number_at_any_width(tmp_path, width):
    write_result(tmp_path, "best", 0, 0.4)
    write_result(tmp_path, "best", 1, 0.5)
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)

    print_table(table(load_runs([tmp_path])), console)

    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "standard protocol" in text
    assert "released protocol" in text
    assert text.count("45.0") == len(METRICS)
    assert text.count("± 7.1") == 2 * len(METRICS)
    assert text.count("tfidf context") == 2


def test_the_frame_has_a_line_a_row_protocol_and_metric_of_every_section(tmp_path):
    write_result(tmp_path / "a", "best", 0, 0.4)
    write_result(tmp_path / "a", "best", 1, 0.5)
    write_result(tmp_path / "b", "best", 0, 0.2, split="valid")

    frame = table(load_runs([tmp_path / "a", tmp_path / "b"])).frame

    assert list(frame.columns) == COLUMNS
    keys = ["split", "name", "protocol", "metric"]
    assert len(frame) == len(frame[keys].drop_duplicates()) == 2 * 3 * 2 * len(METRICS)
    best = frame.set_index(keys).loc[("test", "demo/best", "standard", "recall@10")]
    assert (best["runs"], best["kind"], best["store"], best["beats"]) == (2, "variant", "stores/shop", "")
    assert best["mean"] == pytest.approx((0.4 + 0.5) / 2)
    assert best["deviation"] == pytest.approx(math.sqrt(2 * 0.05**2))
    assert list(frame["name"].unique()) == ["demo/best", "random", "tfidf context"]


def test_a_metric_that_a_run_lacks_is_left_out(tmp_path):
    write_result(tmp_path, "best", 0, 0.4)
    file = write_result(tmp_path, "best", 1, 0.5) / "summary.json"
    summary = json.loads(file.read_text())
    for values in summary["protocols"].values():
        del values["recall@20"]
    file.write_text(json.dumps(summary))

    [section] = table(load_runs([tmp_path])).sections

    assert set(METRICS) - set(section.metrics) == {"recall@20"}
    assert section.rows[0].runs == 2


def test_no_runs_are_an_empty_table():
    result = table([])
    assert (list(result.frame.columns), result.sections) == (COLUMNS, ())
