"""The table from fabricated run folders: means, deviations, marks, warnings, and what a person reads."""

import io
import json
import math
import re

import numpy as np
import pytest
from rich.console import Console

from semantic.report.exporting import to_csv, to_latex, to_markdown
from semantic.report.printing import print_table
from semantic.report.tables import COLUMNS, table
from semantic.runs.reading import load_runs
from tests.report_files import IDENTITY, METRICS, change_summary, digest, metrics, write_result


def printed(result, width=200, encoding="utf-8"):
    """What a terminal of this width and encoding is sent."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_table(result, Console(width=width, file=stream, color_system=None))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_rows_average_seeds_and_floors_stand_beneath(tmp_path):
    for seed, value in enumerate((0.40, 0.42, 0.50)):
        write_result(tmp_path, "best", seed, value)
    write_result(tmp_path, "paper", 0, 0.07)

    [section] = table(load_runs([tmp_path])).sections

    assert [(row.name, row.kind, row.runs, row.size) for row in section.rows] == [
        ("demo/best", "variant", 3, "3 seeds"),
        ("demo/paper", "variant", 1, "1 seed"),
        ("random", "floor", 1, ""),
        ("tfidf context", "floor", 1, ""),
    ]
    best = section.rows[0].cells["standard", "ndcg@5"]
    assert best.mean == pytest.approx((0.40 + 0.42 + 0.50) / 3)
    assert best.deviation == pytest.approx(math.sqrt((0.04**2 + 0.02**2 + 0.06**2) / 2))
    assert section.rows[1].cells["released", "recall@20"].mean == pytest.approx(0.07 + 0.125)
    assert section.rows[2].cells["standard", "ndcg@5"].text() == "0.3"


def test_folds_stand_apart_from_runs_on_other_queries_and_each_has_its_own_floors(tmp_path):
    write_result(tmp_path, "best", 0, 0.4)
    for fold, (value, floor) in enumerate(((0.07, 0.01), (0.09, 0.03))):
        for seed in (0, 1, 2) if fold == 0 else (0,):
            floors = {"random": metrics(floor)}
            write_result(tmp_path, "folds", seed, value + 0.06 * seed, fold=fold, queries=[0.5], floors=floors)

    result = table(load_runs([tmp_path]))
    single, folds = result.sections

    assert single.heading("standard").startswith("shop, test split, standard protocol:")
    assert folds.heading("standard").startswith("shop, 2 folds of train + test, 2 queries, standard protocol:")
    assert [row.size for row in folds.variants] == ["4 runs of 3 seeds x 2 folds"]
    # A fold weighs the same however many seeds it has: 0.13 is the mean of 0.07, 0.13 and 0.19.
    assert folds.rows[0].cells["standard", "recall@5"].mean == pytest.approx((0.13 + 0.09) / 2)
    random = folds.rows[1].cells["standard", "ndcg@5"]
    assert random.mean == pytest.approx((0.01 + 0.03) / 2)  # not over-counted by seeds
    assert random.deviation == pytest.approx(math.sqrt(2 * 0.01**2))
    assert single.rows[1].cells["standard", "ndcg@5"].mean == 0.003
    assert [w for w in result.warnings if "lacks" in w] == [
        "demo/folds: seed 1 lacks fold 1 of 2.",
        "demo/folds: seed 2 lacks fold 1 of 2.",
    ]


def test_some_of_the_folds_are_a_section_that_says_so(tmp_path):
    for fold in (0, 1, 2):
        write_result(tmp_path, "whole", 0, 0.4, fold=fold, folds=3)
    for fold in (0, 2):
        write_result(tmp_path, "part", 0, 0.4, fold=fold, folds=3)
    result = table(load_runs([tmp_path]))
    assert [section.place for section in result.sections] == [
        "shop, 2 of 3 folds of train + test",
        "shop, 3 folds of train + test",
    ]
    assert "demo/part: seed 0 lacks fold 1 of 3." in result.warnings


def test_folds_of_the_splits_of_the_configuration_name_none(tmp_path):
    for index in (0, 1):
        fold = {"index": index, "count": 2, "seed": 0, "pooled": []}
        change_summary(write_result(tmp_path, "base", 0, 0.4, fold=index), fold=fold)
    assert table(load_runs([tmp_path])).sections[0].place == "shop, 2 folds"


def test_stores_of_one_name_are_told_apart_by_their_content(tmp_path):
    write_result(tmp_path / "a", "best", 0, 0.4, identity="a" * 64)
    write_result(tmp_path / "b", "best", 0, 0.2, identity="b" * 64)
    result = table(load_runs([tmp_path]))
    assert [section.place for section in result.sections] == [
        "shop (aaaaaaaa), test split",
        "shop (bbbbbbbb), test split",
    ]
    assert list(result.groups) == ["demo/best (shop (aaaaaaaa), test split)", "demo/best (shop (bbbbbbbb), test split)"]


def test_other_candidates_of_one_split_are_a_section_of_their_own(tmp_path):
    write_result(tmp_path / "a", "best", 0, 0.4, queries=[0.5], counts={})
    change_summary(write_result(tmp_path / "b", "best", 0, 0.2), queries=digest("other"))
    first, second = (section.place for section in table(load_runs([tmp_path])).sections)
    assert first != second
    assert re.fullmatch(r"shop, test split, set [0-9a-f]{8}", first)


def test_runs_that_saw_what_they_rank_are_marked_and_never_lead_or_compared(tmp_path):
    values = list(np.random.default_rng(0).uniform(0, 0.3, 60))
    for seed in (0, 1):
        seen = {"train": 12 * seed, "valid": 3}
        write_result(tmp_path, "cheat", seed, 0.9, queries=[v + 0.5 for v in values], seen=seen)
    write_result(tmp_path, "fair", 0, 0.2, queries=values)
    write_result(tmp_path, "other", 0, 0.2, queries=[v + 0.4 for v in values])

    result = table(load_runs([tmp_path]))
    [section] = result.sections

    assert section.best("variant").name == "demo/other"
    assert set(section.p_values) == {("b", "c")}
    assert [row.beats for row in section.variants] == [(), (), ("b",)]
    warning = "of the dialogues it ranks it trained on 0 to 12 and chose its weights by 3; it is not compared."
    assert f"† demo/cheat: {warning}" in result.warnings
    assert "| a  cheat† (2 seeds) |" in to_markdown(result)
    assert r"a  cheat$^{\dagger}$ (2 seeds) &" in to_latex(result)
    assert set(result.frame.groupby("name")["seen"].max().items()) >= {("demo/cheat", 15), ("demo/fair", 0)}
    assert "a  cheat† (2 seeds)" in printed(result)
    plain = printed(result, encoding="ascii")
    assert "a  cheat+ (2 seeds)" in plain
    assert "Warning: + demo/cheat: of the dialogues" in plain


def test_dialogues_left_out_are_noted(tmp_path):
    write_result(tmp_path, "best", 0, 0.4, dropped={"train": 5, "valid": 0})
    write_result(tmp_path, "best", 1, 0.4, dropped={"train": 7, "valid": 0})
    assert (
        table(load_runs([tmp_path])).notes[-1].startswith("demo/best: 5 to 7 training and 0 validation dialogues were")
    )


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

    assert [rows[letter].beats for letter in "abc"] == [("b", "c"), (), ()]
    assert set(result.sections[0].p_values) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert [row.name for row in result.sections[1].variants] == ["demo/short"]
    assert result.sections[1].p_values == {}
    markdown = to_markdown(result)
    assert markdown.count(f"{100 * (noise + 0.5).mean():.1f} <sup>b c</sup>") == 1  # only on NDCG@5, standard protocol
    assert "p \\< 0.05" in markdown  # < would open a tag


def test_names_of_files_cannot_steer_the_terminal(tmp_path):
    write_result(
        tmp_path, "best", 0, 0.4, store="sho\x1b[2Jp", split="te\nst\u202e", floors={"ran\x1bdom": metrics(0.1)}
    )
    folder = tmp_path / "un\x1bfini\udcffshed"
    result = table(load_runs([tmp_path]), [folder])
    for text in (printed(result), to_markdown(result), to_latex(result), to_csv(result)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")
    assert "sho\\x1b[2Jp, te\\nst\\u202e split" in printed(result)
    assert any(warning.endswith("un\\x1bfini\\udcffshed: not finished, left out.") for warning in result.warnings)


def test_a_terminal_of_ascii_gets_every_number(tmp_path):
    write_result(tmp_path, "bést", 0, 0.4)
    write_result(tmp_path, "bést", 1, 0.5)
    text = printed(table(load_runs([tmp_path])), encoding="ascii")
    assert text.isascii()
    assert "45.0 +- 7.1" in text
    assert "b\\xe9st (2 seeds)" in text


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_every_number_at_any_width(tmp_path, width):
    write_result(tmp_path, "best", 0, 0.4)
    write_result(tmp_path, "best", 1, 0.5)
    text = printed(table(load_runs([tmp_path])), width)

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
    assert list(frame["section"].unique()) == [1, 2]
    keys = ["split", "name", "protocol", "metric"]
    assert len(frame) == len(frame[keys].drop_duplicates()) == 2 * 3 * 2 * len(METRICS)
    best = frame.set_index(keys).loc[("test", "demo/best", "standard", "recall@10")]
    assert (best["runs"], best["kind"], best["store"], best["beats"]) == (2, "variant", "stores/shop", "")
    assert (best["seeds"], best["folds"], best["seen"], best["identity"]) == (2, 0, 0, IDENTITY)
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
