"""An experiment's table in each format: the same numbers, published values beside ours and apart, signs with a legend."""

import csv
import io
import re

import pytest
from rich.console import Console

from semantic.report.experiments.exporting import (
    TABLE_COLUMNS,
    TEST_COLUMNS,
    readme_table,
    to_csv,
    to_markdown,
    to_tests_csv,
)
from semantic.report.experiments.latex import to_latex
from semantic.report.experiments.layout import difference_text, number_text, p_text, table_rows
from semantic.report.experiments.printing import print_results
from semantic.report.experiments.record import read_results
from tests.experiment_files import study
from tests.report_files import METRICS


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs")).results


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_published_rows_stand_beneath_their_counterpart_and_the_others_at_the_end(results):
    (part,) = results.parts
    kinds = [(row.kind, row.heading) for row in table_rows(results, part, "released")]
    assert kinds == [
        ("variant", "share=0.1 (2 seeds)"),
        ("variant", "share=0.5 (2 seeds)"),
        ("published", "published: The paper"),
        ("variant", "share=1 (2 seeds)"),
        ("floor", "random"),
        ("floor", "tfidf context"),
        ("alone", "published: A & rival_100%"),
    ]
    assert {row.kind for row in table_rows(results, part, "standard")} == {"variant", "floor"}


def test_what_is_published_for_a_row_without_results_is_not_lost(tmp_path):
    results = study(tmp_path, shares=(0.1, 1.0)).results
    alone = [row.heading for row in table_rows(results, results.parts[0], "released") if row.kind == "alone"]
    assert alone == ["published: The paper", "published: A & rival_100%"]


def test_the_markdown_has_both_protocols_tests_and_notes(results):
    text = to_markdown(results)
    assert text.startswith("# Share & states_\n\n6 of 6 runs finished.\n")
    for protocol in ("standard", "released"):
        assert f"**shop, test split, 33 queries, {protocol} protocol:" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in table} == {len(METRICS) + 2, 8}
    assert "| *published: The paper* |  |  | *63.9 ± 0.4* |  | *70.2* |" in text
    best, like = (next(v.text() for v in marked(results, sign)) for sign in ("best", "like"))
    assert f"| **{best}** |" in text
    assert f"| {like} ≈ |" in text
    test = results.parts[0].tests[4]
    assert (test.row, test.metric, test.p) == ("share=0.1", "ndcg@5", 2 / 2**11)  # every dialogue differs one way
    shown = f"{100 * test.difference:+.1f}"
    assert rf"| share=0.1 | share=1 (best) | NDCG@5 | standard | {shown} | \< 0.001 | 0.002 |" in text
    assert "A note." in text
    assert "none: left out" in text
    assert "Published values (a paper): other data than ours, released protocol." in text


def marked(results, mark):
    return [
        line.values["standard"][metric]
        for line in results.parts[0].variants
        for metric in METRICS
        if line.values["standard"][metric].mark == mark
    ]


def test_the_readme_table_is_of_the_json_alone(results, tmp_path):
    (tmp_path / "results.json").write_text(results.to_json())
    table = readme_table(read_results(tmp_path / "results.json"), ["ndcg@5"]).splitlines()
    ours = {line.name: line for line in results.parts[0].lines}
    assert table[:2] == ["|  | NDCG@5, released | NDCG@5, standard |", "| --- | ---: | ---: |"]
    assert [line.split(" | ")[0] for line in table[2:]] == [
        *("| share=0.1 (2 seeds)", "| share=0.5 (2 seeds)", "| *published: The paper*", "| share=1 (2 seeds)"),
        *("| *random*", "| *tfidf context*", "| *published: A & rival_100%*"),
    ]
    cells = [ours["share=1"].values[p]["ndcg@5"].text() for p in ("released", "standard")]
    assert table[5] == f"| share=1 (2 seeds) | **{cells[0]}** | **{cells[1]}** |"
    assert table[4] == "| *published: The paper* | *63.9 ± 0.4* |  |"
    assert (
        readme_table(results, protocols=["standard"]).splitlines()[0] == "|  | NDCG@5, standard | Recall@10, standard |"
    )


def test_the_csv_has_every_value_to_the_last_bit_and_published_ones_apart(results):
    found = lines(to_csv(results))
    assert list(found[0]) == TABLE_COLUMNS
    by_place = {(one["kind"], one["row"], one["protocol"], one["metric"]): one for one in found}
    assert len(by_place) == len(found) == 5 * 2 * len(METRICS) + 3
    for line in results.parts[0].variants:
        for protocol, values in line.values.items():
            for metric, value in values.items():
                one = by_place["variant", line.name, protocol, metric]
                assert (float(one["mean"]), float(one["deviation"]), one["mark"]) == (
                    value.mean,
                    value.deviation,
                    value.mark,
                )
                assert (one["runs"], one["planned"]) == ("2", "2")
    published = by_place["published", "The paper", "released", "recall@10"]
    assert (published["beside"], published["mean"], published["deviation"]) == ("share=0.5", "0.7025", "")


def test_every_test_is_in_a_csv_of_its_own(results):
    found = lines(to_tests_csv(results))
    assert list(found[0]) == TEST_COLUMNS
    assert len(found) == 2 * 2 * len(METRICS)
    for one, test in zip(found, results.parts[0].tests, strict=True):
        assert (one["row"], one["against"], one["metric"]) == (test.row, test.against, test.metric)
        assert (float(one["p"]), float(one["corrected"])) == (test.p, test.corrected)


def test_the_latex_groups_metrics_by_k_and_marks_the_best(results):
    text = to_latex(results)
    for rule in ("toprule", "bottomrule"):
        assert text.count(f"\\{rule}") == 2
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 2
    assert r"\caption{Share \& states\_ (shop, test split, 33 queries; released protocol" in text
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:study-standard", "tab:study-released"]
    assert r" & \multicolumn{3}{c}{$k = 5$} & \multicolumn{3}{c}{$k = 10$} & \multicolumn{3}{c}{$k = 20$} \\" in text
    assert " & Precision & Recall & NDCG & Precision" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(METRICS)}
    assert (
        r"\quad\textsl{published: The paper} &  &  & \textsl{63.9}\,{\scriptsize$\pm$\,0.4} &  & \textsl{70.2} &"
        in text
    )
    assert r"\textsl{published: A \& rival\_100\%} &" in text
    best = marked(results, "best")[0]
    assert rf"\textbf{{{100 * best.mean:.1f}}}" in text
    assert rf"\underline{{{100 * marked(results, 'like')[0].mean:.1f}}}" in text
    assert not re.search(
        r"(?<!\\)[%_#]", "\n".join(line for line in text.splitlines() if line[0] != "%" and "label" not in line)
    )


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_shows_rows_signs_tests_and_notes(results, width):
    console = Console(width=width, record=True, file=io.StringIO())
    print_results(results, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for expected in (
        "Share & states_",
        "6 of 6 runs finished.",
        "63.9",
        "≈",
        "NDCG@5, standard protocol, against share=1 (the best)",
    ):
        assert expected in words
    shown = f"{100 * results.parts[0].tests[4].difference:+.1f}"
    assert f"share=0.1 {shown} < 0.001 0.002" in words


def test_a_terminal_without_our_signs_gets_others(results):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    print_results(results, Console(file=stream, width=100))
    stream.flush()
    text = stream.buffer.getvalue().decode("ascii")
    assert "+-" in text
    assert "~ not significantly worse" in text


def test_small_numbers_are_written_as_people_read_them():
    assert [p_text(p) for p in (0.04, 0.001, 0.0009, 1.0)] == ["0.040", "0.001", "< 0.001", "1.000"]
    assert [difference_text(d) for d in (0.0123, -0.0123, 0.0001, -0.0001)] == ["+1.2", "-1.2", "0.0", "0.0"]


def test_costs_stand_at_the_end_of_a_row_where_the_report_asks_for_them(results):
    line = results.parts[0].variants[0].model_copy(update={"parameters": 1_234_567, "seconds": 185.0})
    part = results.parts[0].model_copy(update={"lines": (line, *results.parts[0].lines[1:])})
    asked = results.model_copy(update={"parts": (part,), "costs": True})

    for text in (to_markdown(asked), readme_table(asked)):
        assert "| parameters | a run |" in text
        assert "| 1.2 M | 3 min 5 s |" in text
        assert re.search(r"\*random\*.*\|  \|  \|\n", text)
    assert "parameters" not in to_markdown(results) + readme_table(results)
    console = Console(record=True, width=200)
    print_results(asked, console)
    assert "1.2 M" in console.export_text()


def test_numbers_are_short():
    assert [number_text(count) for count in (0, 999, 1000, 45_678, 999_960, 12_345_678, 3_000_000_000)] == [
        "0", "999", "1.0 k", "45.7 k", "1.0 M", "12.3 M", "3.0 G",
    ]  # fmt: skip
