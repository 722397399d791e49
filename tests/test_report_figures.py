"""What the figures of runs show: a line a run, the kept epoch, every term of the loss, names as they are."""

import json
import math
from xml.etree import ElementTree

import pytest

from semantic.report.figures import loss_terms, validation_curves, write_figures
from semantic.runs.grouping import group_runs
from semantic.runs.reading import load_runs
from tests.report_files import write_run


def by_variant(folder):
    return {group.name: group for group in group_runs(load_runs([folder]))[0]}


def words(file):
    return [text.text for text in ElementTree.parse(file).getroot().iter("{http://www.w3.org/2000/svg}text")]


def test_validation_is_a_curve_a_run_in_its_variants_colour(tmp_path):
    for variant, seed in (("best", 0), ("best", 1), ("paper", 0)):
        write_run(tmp_path, variant, seed)

    curves = validation_curves(by_variant(tmp_path))

    assert [curve.colour for curve in curves] == [0, 0, 1]
    for curve in curves:
        assert curve.points == [(1, 100 * 0.1), (2, 100 * 0.5), (3, 100 * 0.3)]
        assert curve.marked == 2


def test_a_run_without_epochs_has_no_curves(tmp_path):
    (write_run(tmp_path) / "metrics.jsonl").unlink()
    variants = by_variant(tmp_path)
    assert validation_curves(variants) == []
    assert loss_terms(variants["demo/best"].runs, 0) == []
    assert write_figures(variants, tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()


def test_terms_are_of_both_parts_of_an_epoch_and_of_all_runs(tmp_path):
    write_run(tmp_path, seed=0)
    folder = write_run(tmp_path, seed=1)
    epochs = [{"epoch": e, "train": {"loss": 4 / e}, "train_unlabelled": {"loss": 1 / e}} for e in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))

    terms = loss_terms(by_variant(tmp_path)["demo/best"].runs, 5)

    assert [(term.name, len(term.curves)) for term in terms] == [
        ("loss", 2),
        ("state mse", 1),
        ("loss, unlabelled", 1),
    ]
    assert terms[0].first == pytest.approx((2 / 1 + 4 / 1) / 2)
    assert terms[0].last == pytest.approx((2 / 3 + 4 / 2) / 2)
    assert {curve.colour for term in terms for curve in term.curves} == {5}


def test_the_files_carry_titles_and_a_legend(tmp_path):
    write_run(tmp_path / "runs", "best")
    write_run(tmp_path / "runs", "paper")

    files = write_figures(by_variant(tmp_path / "runs"), tmp_path / "figures")

    assert [file.name for file in files[::2]] == [
        "validation_ndcg@5.svg",
        "loss_terms@demo@best.svg",
        "loss_terms@demo@paper.svg",
    ]
    assert {"epoch", "validation NDCG@5, per cent", "demo/best", "demo/paper"} <= set(words(files[0]))
    assert {"Losses and diagnostics by epoch, demo/best", "loss", "state mse"} <= set(words(files[2]))


def test_names_with_signs_of_matplotlib_and_svg_stand_as_they_are(tmp_path):
    write_run(tmp_path / "runs")
    name = "_$x$<b>/../../& [a=\u5341]"
    files = write_figures({name: by_variant(tmp_path / "runs")["demo/best"]}, tmp_path / "figures")
    assert all(file.parent == tmp_path / "figures" for file in files)
    assert name in words(files[0])
    assert f"Losses and diagnostics by epoch, {name}" in words(files[2])


def test_names_that_make_one_file_name_make_two_files(tmp_path):
    write_run(tmp_path / "runs")
    group = by_variant(tmp_path / "runs")["demo/best"]
    groups = dict.fromkeys(("demo/best", "demo:best", "x" * 300, "x" * 301), group)
    files = write_figures(groups, tmp_path / "figures")
    assert len({file.name for file in files}) == 2 * (1 + len(groups))
    assert all(len(file.name) < 255 for file in files)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 1e31])
def test_terms_that_are_no_numbers_are_shown_without_a_curve(tmp_path, value):
    folder = write_run(tmp_path / "runs")
    lines = [{"epoch": e, "train": {"loss": value, "sta\x1bte": 1.0}} for e in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    groups = by_variant(tmp_path / "runs")
    terms = loss_terms(groups["demo/best"].runs, 0)
    assert [term.name for term in terms] == ["loss", "sta\\x1bte"]
    files = write_figures(groups, tmp_path / "figures")
    assert "sta\\x1bte" in words(files[0])  # as XML: a control character would break the file
