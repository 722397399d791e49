"""The table from fabricated run folders: means, deviations, marks, warnings, and what a person reads."""

import csv
import io
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from semantic.metrics.significance import FLIPS, holm, paired_test
from semantic.report.printing import load_runs, print_table, table, to_csv, to_markdown, unfinished_runs, write
from semantic.runtime.errors import DataError

METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]


def metrics(value):
    return {"standard": dict.fromkeys(METRICS, value), "released": dict.fromkeys(METRICS, min(1.0, value + 0.125))}


def write_run(root, variant, seed, value, *, fold=None, tie_rate=0.0, queries=None, experiment="demo", split="test"):
    """A run's folder whose every standard metric is `value`."""
    folder = root / experiment / variant / f"seed_{seed}" / ("" if fold is None else f"fold_{fold}")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"experiment: {experiment}\nvariant: {variant}\n")
    summary = {
        "experiment": experiment,
        "variant": variant,
        "seed": seed,
        "fold": fold,
        "split": split,
        "store": "stores/shop",
        "slots": ["color", "type"],
        "protocols": metrics(value),
        "tie_rate": tie_rate,
        "floors": {"random": metrics(0.003), "tfidf context": metrics(0.134)},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    if queries is not None:
        rows = len(queries)
        columns = {"dialogue_row": list(range(rows)), "turn": [7 * i for i in range(rows)], "standard/ndcg@5": queries}
        pq.write_table(pa.table(columns), folder / "queries.parquet")
    return folder


def test_rows_average_seeds_and_folds_and_floors_stand_beneath(tmp_path):
    for seed, value in enumerate((0.40, 0.42, 0.50)):
        write_run(tmp_path, "best", seed, value)
    write_run(tmp_path, "paper", 0, 0.07, fold=0)
    write_run(tmp_path, "paper", 0, 0.09, fold=1)

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
    write_run(tmp_path / "a", "best", 0, 0.4)
    write_run(tmp_path / "b", "best", 0, 0.2, split="valid")
    sections = table(load_runs([tmp_path / "a", tmp_path / "b"])).sections
    assert [(s.split, s.rows[0].runs) for s in sections] == [("test", 1), ("valid", 1)]


def test_a_run_is_found_once_through_any_of_its_paths(tmp_path):
    folder = write_run(tmp_path, "best", 0, 0.4)
    assert [run.path for run in load_runs([folder, tmp_path, folder.parent])] == [folder]


def test_an_unfinished_run_says_how_to_resume(tmp_path):
    folder = write_run(tmp_path, "best", 0, 0.4)
    (folder / "summary.json").unlink()
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    message = (
        r"seed_0: expected a run's folder with its summary.json, .* found that it has not finished "
        r"\(2 epochs so far\); resume with: semantic train demo --resume"
    )
    with pytest.raises(DataError, match=message):
        load_runs([folder])
    with pytest.raises(DataError, match=r"found that .*seed_0 has not finished"):
        load_runs([tmp_path])

    write_run(tmp_path, "best", 1, 0.4)
    result = table(load_runs([tmp_path]), unfinished_runs([tmp_path]))
    assert result.warnings == (f"{folder}: not finished, left out.",)


def test_other_folders_and_broken_summaries_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a run's folder .* found no folder"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"or a parent of such folders, found no run"):
        load_runs([tmp_path])
    file = tmp_path / "summary.json"
    file.write_text('{"experiment": "demo"')
    with pytest.raises(DataError, match=r"summary.json: expected JSON, found .*column"):
        load_runs([tmp_path])
    file.write_text('{"experiment": "demo", "variant": "x"}')
    with pytest.raises(DataError, match=r"summary.json: expected the summary of a run, found no seed, fold, split"):
        load_runs([tmp_path])


def test_ties_are_warned_of(tmp_path):
    write_run(tmp_path, "best", 0, 0.4, tie_rate=0.25)
    write_run(tmp_path, "fine", 0, 0.4)
    warnings = table(load_runs([tmp_path])).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("demo/best: in 25.0% of queries")


def test_marks_name_the_rows_a_variant_beats(tmp_path):
    noise = np.random.default_rng(0).uniform(0, 0.3, 60)
    write_run(tmp_path, "good", 0, 0.6, queries=list(noise + 0.5))
    write_run(tmp_path, "poor", 0, 0.2, queries=list(noise))
    write_run(tmp_path, "same", 0, 0.2, queries=list(noise[::-1]))
    write_run(tmp_path, "short", 0, 0.2, queries=list(noise[:50]))  # other queries: cannot be compared

    result = table(load_runs([tmp_path]))
    rows = {row.letter: row for row in result.sections[0].variants}

    assert [rows[letter].beats for letter in "abcd"] == [("b", "c"), (), (), ()]
    assert set(result.sections[0].p_values) == {("a", "b"), ("a", "c"), ("b", "c")}
    markdown = to_markdown(result)
    assert markdown.count("60.0 <sup>b c</sup>") == 1  # on NDCG@5 of the standard protocol only
    assert "p < 0.05" in markdown


def test_seeds_of_a_variant_are_averaged_before_they_are_compared(tmp_path):
    write_run(tmp_path, "one", 0, 0.5, queries=[1.0, 0.0] * 20)
    write_run(tmp_path, "one", 1, 0.5, queries=[0.0, 1.0] * 20)
    write_run(tmp_path, "two", 0, 0.5, queries=[0.5, 0.5] * 20)
    assert table(load_runs([tmp_path])).sections[0].p_values == {("a", "b"): 1.0}


def test_the_csv_reads_back_exactly(tmp_path):
    write_run(tmp_path, "best", 0, 1 / 3)
    write_run(tmp_path, "best", 1, 2 / 7)
    result = table(load_runs([tmp_path]))

    lines = list(csv.DictReader(io.StringIO(to_csv(result))))

    back = {(line["name"], line["protocol"], line["metric"]): line for line in lines}
    assert len(lines) == 3 * 2 * len(METRICS)
    for row in result.sections[0].rows:
        for (protocol, metric), cell in row.cells.items():
            line = back[row.name, protocol, metric]
            assert (float(line["mean"]), float(line["deviation"])) == (cell.mean, cell.deviation)
            assert (line["kind"], int(line["runs"])) == (row.kind, row.runs)


def test_the_markdown_has_a_table_a_protocol_with_equal_rows(tmp_path):
    write_run(tmp_path, "best", 0, 0.4)
    write_run(tmp_path, "best", 1, 0.5)

    markdown, sheet = write(table(load_runs([tmp_path / "demo"])), tmp_path / "out")

    text = markdown.read_text()
    assert "**shop, test split, standard protocol:" in text
    assert "**shop, test split, released protocol:" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + 3)
    assert {line.count("|") for line in lines} == {len(METRICS) + 2}
    assert "| best (n=2) | 45.0 ± 7.1 |" in text
    assert "| *random* | 0.3 |" in text
    assert sheet.read_text() == to_csv(table(load_runs([tmp_path])))


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_every_number_at_any_width(tmp_path, width):
    write_run(tmp_path, "best", 0, 0.4)
    write_run(tmp_path, "best", 1, 0.5)
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)

    print_table(table(load_runs([tmp_path])), console)

    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "standard protocol" in text
    assert "released protocol" in text
    assert text.count("45.0") == len(METRICS)
    assert text.count("± 7.1") == 2 * len(METRICS)
    assert text.count("tfidf context") == 2


def test_holm_on_a_worked_case():
    assert holm({"x": 0.01, "y": 0.04, "z": 0.03}) == pytest.approx({"x": 3 * 0.01, "z": 2 * 0.03, "y": 2 * 0.03})
    assert holm({"x": 0.9, "y": 0.8}) == {"x": 1.0, "y": 1.0}


def test_paired_test_on_few_groups_counts_sign_patterns():
    # Two dialogues, differences 1 and 1: only ++ and -- of four patterns reach |2|, so p tends to 1/2.
    p = paired_test(np.array([1.0, 1.0]), np.zeros(2), ["x", "y"])
    assert p == pytest.approx(1 / 2, abs=4 * math.sqrt(0.25 / FLIPS))
    # The same queries in one dialogue flip together: every pattern reaches it.
    assert paired_test(np.array([1.0, 1.0]), np.zeros(2), ["x", "x"]) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=11))
def test_paired_test_is_symmetric_and_a_probability(rows):
    first, second, groups = (list(column) for column in zip(*rows, strict=True))
    p = paired_test(np.array(first), np.array(second), groups, flips=101)
    assert p == paired_test(np.array(second), np.array(first), groups, flips=101)
    assert 1 / 102 <= p <= 1


def test_paired_test_refuses_values_that_are_not_paired():
    with pytest.raises(ValueError, match="one value of each method and one group a query, got 3, 2 and 3"):
        paired_test(np.zeros(3), np.zeros(2), [0, 1, 2])
