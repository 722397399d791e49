"""A report's folder: what may be replaced, what must stay, and which store a gallery is of."""

import json
import sys
from pathlib import Path

import pytest

from semantic.cli import app as cli
from semantic.datasets.store.store import open_store, sealed
from semantic.report.exporting import to_csv, to_latex, to_markdown
from semantic.report.tables import table
from semantic.report.writing import MARK, check_folder, gallery_store, write_report
from semantic.runs.reading import load_runs
from semantic.runtime.claims import BusyError, claim
from semantic.runtime.errors import DataError
from tests.report_files import IDENTITY, Page, write_run, write_store


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder)
    return table(load_runs([folder]))


def store_of(result):
    """The store for the gallery of a table's first section."""
    return gallery_store(Path(result.sections[0].store), result.sections[0].identity)


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_all_files_are_written_and_named_and_the_same_the_second_time(result, tmp_path):
    files = write_report(result, None, tmp_path / "out")
    first = content(tmp_path / "out")

    assert [file.name for file in files] == ["table.md", "table.tex", "table.csv", "report.html"]
    assert [file.read_text() for file in files[:3]] == [to_markdown(result), to_latex(result), to_csv(result)]
    figures = [f"figures/{name}" for name in ("loss_terms@demo@best", "validation_ndcg@5")]
    kinds = [f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    assert sorted(first) == sorted([MARK, *kinds, *(file.name for file in files)])

    (tmp_path / "out" / "notes.txt").write_text("my own")
    write_report(result, None, tmp_path / "out")
    assert content(tmp_path / "out") == first | {"notes.txt": b"my own"}


def test_an_empty_folder_is_taken(result, tmp_path):
    (tmp_path / "out").mkdir()
    assert write_report(result, None, tmp_path / "out")


def test_a_folder_of_other_files_is_left_as_it_is(result, tmp_path):
    (tmp_path / "report.html").write_text("my own")
    (tmp_path / "table.csv").write_text("1,2")
    message = r"expected a new or empty folder, or one with a report in it, found one that holds report.html and 1 more; give "
    with pytest.raises(DataError, match=message):
        write_report(result, None, tmp_path)
    assert content(tmp_path) == {"report.html": b"my own", "table.csv": b"1,2"}
    with pytest.raises(
        DataError, match=r"table.csv: expected a new or empty folder, .* found a file; give another --out$"
    ):
        check_folder(tmp_path / "table.csv", overwrite=True)

    write_report(result, None, tmp_path, overwrite=True)
    assert "demo" in Page(tmp_path / "report.html").text
    check_folder(tmp_path)  # the mark is there now


def test_a_page_of_the_users_own_in_a_reports_folder_stays(result, tmp_path):
    write_report(result, None, tmp_path)
    (tmp_path / "report.html").write_text("my own")
    before = content(tmp_path)
    with pytest.raises(DataError, match=r"report.html: expected no file there or a page that semantic wrote, found"):
        write_report(result, None, tmp_path)
    assert content(tmp_path) == before


def test_a_report_into_a_run_is_refused_before_anything_is_read(tmp_path, monkeypatch, capsys):
    folder = write_run(tmp_path)
    before = content(tmp_path)
    monkeypatch.setattr(sys, "argv", ["semantic", "report", str(tmp_path / "nowhere"), "--out", str(folder)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert said.startswith(f"semantic: {folder}: expected a new or empty folder, or one with a report in it, found one")
    assert said.count("\n") == 1
    assert content(tmp_path) == before


def test_the_gallery_is_of_the_store_the_runs_were_evaluated_on(tmp_path, monkeypatch, capsys):
    write_store(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs")
    assert store_of(table(load_runs(["runs"])))[0].path.name == "shop"

    manifest = json.loads((tmp_path / "shop" / "manifest.json").read_text())
    (tmp_path / "shop" / "manifest.json").write_text(json.dumps(sealed(manifest | {"slots": [*"abc"]})))
    monkeypatch.setattr(sys, "argv", ["semantic", "report", "runs"])
    cli.main()
    assert capsys.readouterr().err == (
        f"shop: expected the store the runs were evaluated on ({IDENTITY[:8]}), found another one "
        f"({open_store('shop').identity[:8]}), so the page has no gallery\n"
    )
    assert Page(tmp_path / "report" / "report.html").with_class("exhibit") == []


def test_a_store_that_is_not_there_or_damaged_is_no_gallery_and_said(tmp_path, monkeypatch):
    write_store(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs")
    result = table(load_runs(["runs"]))
    (tmp_path / "shop" / "manifest.json").write_text("{")
    store, said = store_of(result)
    assert (store, said.endswith("so the page has no gallery")) == (None, True)
    assert said.startswith("shop/manifest.json: expected")
    (tmp_path / "shop").rename(tmp_path / "moved")
    assert store_of(result) == (None, "shop: the runs' store is not there, so the page has no gallery")


def test_two_reports_do_not_write_into_one_folder_at_once(result, tmp_path):
    with (
        claim(tmp_path / "out"),
        pytest.raises(BusyError, match=r"out: expected no other process at work there, found"),
    ):
        write_report(result, None, tmp_path / "out")
    assert content(tmp_path) == {}


def test_what_a_killed_report_left_is_removed(result, tmp_path):
    (tmp_path / "out").mkdir()
    left = tmp_path / "out" / f".{MARK}.0123456789ab.partial"
    left.write_text("")
    write_report(result, None, tmp_path / "out")
    assert not left.exists()
