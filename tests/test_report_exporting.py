"""The table as files: every format says the same numbers, and names are written so that each format reads them."""

import csv
import io
import re

import numpy as np

from semantic.report.exporting import to_csv, to_latex, to_markdown
from semantic.report.tables import COLUMNS, table
from semantic.runs.reading import load_runs
from tests.report_files import METRICS, write_result


def test_the_csv_is_the_frame_to_the_last_bit(tmp_path):
    write_result(tmp_path, "best", 0, 1 / 3)
    write_result(tmp_path, "best", 1, 2 / 7)
    result = table(load_runs([tmp_path]))

    lines = list(csv.DictReader(io.StringIO(to_csv(result))))

    assert list(lines[0]) == COLUMNS
    assert len(lines) == len(result.frame) == 3 * 2 * len(METRICS)
    back = {(line["name"], line["protocol"], line["metric"]): line for line in lines}
    for row in result.sections[0].rows:
        for (protocol, metric), cell in row.cells.items():
            line = back[row.name, protocol, metric]
            assert (float(line["mean"]), float(line["deviation"])) == (cell.mean, cell.deviation)
            assert (line["store"], line["split"]) == ("stores/shop", "test")
            assert (line["kind"], int(line["runs"])) == (row.kind, row.runs)


def test_the_csv_names_those_that_are_beaten_where_they_were_compared(tmp_path):
    noise = np.random.default_rng(0).uniform(0, 0.3, 61)
    write_result(tmp_path, "good", 0, 0.6, queries=list(noise + 0.5))
    write_result(tmp_path, "poor", 0, 0.2, queries=list(noise))
    write_result(tmp_path, "same", 0, 0.2, queries=list(noise[::-1]))

    lines = csv.DictReader(io.StringIO(to_csv(table(load_runs([tmp_path])))))

    beats = {(line["name"], line["protocol"], line["metric"]): line["beats"] for line in lines if line["beats"]}
    assert beats == {("demo/good", "standard", "ndcg@5"): "demo/poor; demo/same"}


def test_the_markdown_has_a_table_a_protocol_with_equal_rows(tmp_path):
    write_result(tmp_path, "best", 0, 0.4)
    write_result(tmp_path, "best", 1, 0.5)

    text = to_markdown(table(load_runs([tmp_path])))

    assert "**shop, test split, standard protocol:" in text
    assert "**shop, test split, released protocol:" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + 3)
    assert {line.count("|") for line in lines} == {len(METRICS) + 2}
    assert "| best (2 seeds) | 45.0 ± 7.1 |" in text
    assert "| *random* | 0.3 |" in text


def test_the_latex_has_a_booktabs_table_a_protocol(tmp_path):
    write_result(tmp_path, "best", 0, 0.4)
    write_result(tmp_path, "best", 1, 0.5)

    text = to_latex(table(load_runs([tmp_path])))

    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 2
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:shop-test-split-standard", "tab:shop-test-split-released"]
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 2
    assert " & P@5 & R@5 & N@5 & P@10" in text
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {line.count("&") for line in rows} == {len(METRICS)}
    assert r"best (2 seeds) & 45.0 $\pm$ 7.1 &" in text
    assert r"\emph{random} & 0.3 &" in text
    assert text.splitlines()[-1].startswith("% Floors learn nothing.")


def test_names_are_escaped_where_a_format_has_signs_of_its_own(tmp_path):
    write_result(tmp_path, "a_b", 0, 0.4, queries=[1.0] * 11, config="c: '|50%'")
    write_result(tmp_path / "other", "a_b", 0, 0.2, queries=[0.0] * 11, config="c: '&'")
    result = table(load_runs([tmp_path]))

    assert r"| a  a_b [c=\|50%] (1 seed) |" in to_markdown(result)
    latex = to_latex(result)
    assert r"a  a\_b [c=|50\%] (1 seed) & 40.0 & 40.0 & 100.0$^{b}$ & 40.0" in latex
    assert not re.search(r"(?<!\\)%", "\n".join(line for line in latex.splitlines() if not line.startswith("%")))
