"""Pages made of a fabricated store and run: what a reader must find is there, and each page stands alone."""

import base64
import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from semantic.report.pages import duration, inspect_page, recommend_page
from semantic.report.tables import table
from semantic.report.writing import write_report
from semantic.runs.reading import load_runs
from semantic.runtime.errors import DataError
from tests.report_files import DIALOGUES, PHOTO, Page, change_summary, digest, metrics, query, write_run, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "shop")


def report(runs, store, folder, **more):
    """The page of the runs under `runs`, written into `folder`."""
    return Page(write_report(table(load_runs([runs])), store, folder, **more)[-1])


def set_compared(folder, value):
    """Let the summary have the NDCG@5 that its queries have."""
    protocols = json.loads((folder / "summary.json").read_text())["protocols"]
    protocols["standard"]["ndcg@5"] = value
    change_summary(folder, protocols=protocols)


def assert_stands_alone(page):
    assert not re.search(r"https?:|url\(|@import|<link|<script", page.source)
    assert all(source.startswith(PHOTO) for source in page.images())
    assert page.source.startswith("<!DOCTYPE html>")


def colour_of(source):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix(PHOTO))))).mean(axis=(0, 1))


def test_the_report_shows_table_curves_facts_and_gallery(store, tmp_path):
    write_run(tmp_path / "runs", "best", 0)
    write_run(tmp_path / "runs", "paper", 0, tie_rate=0.25)

    page = report(tmp_path / "runs", store, tmp_path / "out", turns=3)

    assert_stands_alone(page)
    for words in (
        "test split, standard protocol",
        "test split, released protocol",
        "41.2",  # 0.4125, rounded half to even
        "tfidf context",
        "demo/paper: in 25.0% of queries",
        "Losses and diagnostics, demo/best",
        "2 of 3",
        "1 min 33 s",
        "12,345,678",
        "dead link",
        "2,090",
        "torch 2.9",
        "dim: 768",
        "the secret reply",
        "like blue",
        "1,004 candidates",
        "4 to 5",  # rank of the tied positive
        "among the best",
        "among the worst",
        "drawn at random",
    ):
        assert words in page.text, words
    assert len(page.with_class("exhibit")) == 3
    assert len(page.with_id(r"validation-mark_\d")) == 2  # a kept epoch a run
    assert 1 <= len(page.with_class("hit")) <= 2


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_the_gallery_shows_the_context_the_model_read(store, tmp_path, turns):
    folder = write_run(tmp_path / "runs")
    (folder / "config.yaml").write_text(f"experiment: demo\ndata:\n  context_turns: {turns}\n")
    page = report(tmp_path / "runs", store, tmp_path / "out", turns=1)
    spoken = [words in page.text for words in ("a dress & <b>boots</b>", "like these", "in blue, please")]
    assert spoken == [turns >= 3, turns >= 2, True]


def test_user_text_is_escaped_and_missing_photos_are_drawn(store, tmp_path):
    write_run(tmp_path / "runs")
    page = report(tmp_path / "runs", store, tmp_path / "out")
    assert "a dress & <b>boots</b>" in page.text  # as text, not as markup
    assert "<script>alert(1)</script>" in page.text
    assert not any(tag in ("script", "b") and "alert" in str(attributes) for tag, attributes in page.tags)
    drawn = [a for a in page.with_class("none") if a.get("aria-label") == "no photo of photoless hat"]
    assert len(drawn) == DIALOGUES


def test_photos_are_the_products_own(store, tmp_path):
    page = Page(inspect_page(store, 1, tmp_path / "inspect.html"))
    by_text = {a["alt"]: a["src"] for tag, a in page.tags if tag == "img"}
    assert colour_of(by_text["red dress"]) == pytest.approx((200, 10, 10), abs=4)
    assert colour_of(by_text["blue dress"]) == pytest.approx((10, 10, 200), abs=4)


def test_a_report_without_store_has_the_table_and_no_gallery(tmp_path):
    write_run(tmp_path / "runs")
    page = report(tmp_path / "runs", None, tmp_path / "out")
    assert "standard protocol" in page.text
    assert page.with_class("exhibit") == []


def test_a_run_of_another_store_is_refused(store, tmp_path):
    folder = write_run(tmp_path / "runs")
    rows = [query(d, 1) | {"dialogue": "other"} for d in range(2)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "queries.parquet")
    set_compared(folder, 1.0)
    with pytest.raises(
        DataError, match=r"expected dialogue 'other' .* in row \d, found another; the run was evaluated"
    ):
        report(tmp_path / "runs", store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"report: expected at least one run, found none"):
        write_report(table([]), None, tmp_path / "out")


def test_the_page_is_the_same_each_time(store, tmp_path):
    write_run(tmp_path / "runs")
    for name in ("a", "b"):
        report(tmp_path / "runs", store, tmp_path / name, turns=4)
    files = [sorted(file for file in (tmp_path / name).rglob("*") if file.is_file()) for name in ("a", "b")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_inspect_shows_counts_rejects_and_a_dialogue(store, tmp_path):
    page = Page(inspect_page(store, 1, tmp_path / "inspect.html"))
    assert_stands_alone(page)
    for words in ("Store shop", "3,000", "photo does not decode", "1,234", "product 'x'", "Dialogue d1 of test"):
        assert words in page.text, words
    for words in ("mmd-v3", "kept, the photo masked", "color, type, price", "like blue", "3 of 3 negatives"):
        assert words in page.text, words
    assert len(page.with_class("hit")) == 1


def test_inspect_refuses_a_dialogue_there_is_not(store, tmp_path):
    with pytest.raises(DataError, match=r"shop: expected a dialogue row below 5, found 5"):
        inspect_page(store, 5, tmp_path / "inspect.html")


def test_recommend_shows_the_dialogue_and_the_products_in_order(store, tmp_path):
    turns = [
        {"speaker": "user", "text": "hello <i>", "images": []},
        {"speaker": "system", "text": "these?", "images": [0]},
    ]
    found = [{"product": product, "score": score} for product, score in ((3, 0.75), (1, 0.5), (4, -0.25))]
    page = Page(recommend_page(store, turns, found, tmp_path / "recommend.html"))
    assert_stands_alone(page)
    assert "hello <i>" in page.text
    assert "The 3 best of 5 products" in page.text
    places = [page.text.index(words) for words in ("0.750", "0.500", "-0.250")]
    assert places == sorted(places)
    assert page.with_class("heat") == []


def test_recommend_shows_nothing_found(store, tmp_path):
    page = Page(recommend_page(store, [{"speaker": "user", "text": "hm"}], [], tmp_path / "recommend.html"))
    assert "The 0 best" in page.text


def test_durations_read_like_speech():
    assert [duration(s) for s in (0.4, 59.6, 93.4, 3600, 5430)] == [
        "0 s",
        "1 min 0 s",
        "1 min 33 s",
        "1 h",
        "1 h 30 min",
    ]


EXPLAINED = [
    {
        "title": "<i>parts</i> seen",
        "labels": ["color", "<b>hem</b>"],
        "query": ["words", "photo"],
        "products": ["text"],
    },
    {"title": "nearest words", "labels": ["a", "b", "c", "d", "e"], "query": ["words"], "products": []},
]
WEIGHTS = {
    "explain/<i>parts</i> seen/query/words": [0.75, 0.25],
    "explain/<i>parts</i> seen/query/photo": [0.5, 0.5],
    "explain/<i>parts</i> seen/top/text": [[0.9375, 0.0625], [0.0, 1.0], [0.5, 0.5]],
    "explain/nearest words/query/words": [0.2] * 5,
}


def test_the_gallery_shows_the_explanations_the_runs_files_name(store, tmp_path):
    write_run(tmp_path / "runs", explained=EXPLAINED, columns=WEIGHTS)

    page = report(tmp_path / "runs", store, tmp_path / "out", turns=1)

    assert_stands_alone(page)
    assert len(page.with_class("heat")) == len(EXPLAINED)
    for words in (
        "<i>parts</i> seen, per cent (an even share is 50.0)",
        "words photo #1 text color 75.0 50.0 93.8 <b>hem</b> 25.0 50.0 6.2",  # sources, then a row a label
        "nearest words, per cent (an even share is 20.0)",
        "words a 20.0 b 20.0 c 20.0 d 20.0 e 20.0",
    ):
        assert words in page.text, words


def test_a_run_that_explains_nothing_has_no_such_table(store, tmp_path):
    write_run(tmp_path / "runs")
    page = report(tmp_path / "runs", store, tmp_path / "out")
    assert page.with_class("exhibit")
    assert page.with_class("heat") == []
    assert "even share" not in page.text


def test_an_explanation_without_its_column_is_a_fault_of_the_run(store, tmp_path):
    columns = {name: value for name, value in WEIGHTS.items() if not name.endswith("photo")}
    write_run(tmp_path / "runs", explained=EXPLAINED, columns=columns)
    with pytest.raises(
        DataError, match=r"queries.parquet: expected a column explain/<i>parts</i> seen/query/photo, found "
    ):
        report(tmp_path / "runs", store, tmp_path / "out")


def test_recommend_shows_the_explanations_it_is_given(store, tmp_path):
    found = [{"product": product, "score": 0.5} for product in (3, 1, 4, 0)]
    given = [
        {
            "title": "parts & wholes",
            "labels": ["color", "hem"],
            "query": {"words": [0.75, 0.25]},
            "products": {"text": [[0.125, 0.875], [0.25, 0.75], [0.375, 0.625], [0.5, 0.5]]},
        }
    ]
    turns = [{"speaker": "user", "text": "hm"}]

    page = Page(recommend_page(store, turns, found, tmp_path / "recommend.html", given))

    assert_stands_alone(page)
    assert "parts & wholes, per cent (an even share is 50.0)" in page.text
    assert "words #1 text #2 text #3 text color 75.0 12.5 25.0 37.5 hem 25.0 87.5 75.0 62.5" in page.text


def test_the_report_writes_its_figures_beside_the_page(tmp_path):
    write_run(tmp_path / "runs", "best", 0)
    write_run(tmp_path / "runs", "paper", 0)
    report(tmp_path / "runs", None, tmp_path / "out")
    figures = ("loss_terms@demo@best", "loss_terms@demo@paper", "validation_ndcg@5")
    expected = [f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    assert sorted(file.name for file in (tmp_path / "out" / "figures").iterdir()) == expected


def test_no_two_elements_of_a_page_have_one_id(tmp_path):
    write_run(tmp_path / "runs", "best", 0)
    write_run(tmp_path / "runs", "paper", 0)
    page = report(tmp_path / "runs", None, tmp_path / "out")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = [attributes["href"] for tag, attributes in page.tags if tag == "use"]
    assert {link.removeprefix("#") for link in used} <= set(ids)


def test_the_page_marks_runs_that_saw_what_they_rank_and_counts_what_was_left_out(store, tmp_path):
    write_run(tmp_path / "runs", "cheat", seen={"train": 12, "valid": 0}, dropped={"train": 0, "valid": 34})
    write_run(tmp_path / "runs", "fair")
    page = report(tmp_path / "runs", store, tmp_path / "out")
    assert "† demo/cheat: of the dialogues it ranks it trained on 12" in page.text
    assert page.text.count("a cheat† (1 seed)") == 2  # a table a protocol
    assert "NDCG@5 of fair, 1 seed, shop, test split" in page.text
    assert "What demo/fair (seed 0) ranked first" in page.text
    assert "evaluated dialogues seen in training 12" in page.text
    assert "left out of validation 34" in page.text
    assert "seen in validation" not in page.text


def test_a_report_of_runs_that_all_saw_what_they_rank_has_no_leader(store, tmp_path):
    write_run(tmp_path / "runs", "cheat", seen={"train": 1, "valid": 0})
    page = report(tmp_path / "runs", store, tmp_path / "out")
    assert "NDCG@5 of cheat" not in page.text
    assert page.with_class("exhibit") == []


def test_every_section_stands_under_its_name_with_its_own_floors(tmp_path):
    write_run(tmp_path / "a", "best", floors={"one floor": metrics(0.1)})
    write_run(tmp_path / "b", "best", floors={"another floor": metrics(0.2)}, split="valid", queries=digest("valid"))
    page = Page(write_report(table(load_runs([tmp_path / "a", tmp_path / "b"])), None, tmp_path / "out")[-1])
    first, second = page.text.split("shop, valid split", 1)
    assert "one floor" in first.replace("another floor", "")
    assert "another floor" not in first
    assert "another floor" in second
    assert "Losses and diagnostics, demo/best (shop, test split)" in page.text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"turn": 77}, r"expected a turn of dialogue 'd0', rows 0 to 3, in the run's queries, found 77"),
        ({"positives": [5]}, r"expected products below 5 in the run's queries, found 5"),
        ({"top_products": [0, 1, 77]}, r"expected products below 5 in the run's queries, found 77"),
    ],
)
def test_rows_that_the_store_lacks_are_refused(store, tmp_path, columns, message):
    write_run(tmp_path / "runs", columns=columns, dialogues=1)
    with pytest.raises(DataError, match=message):
        report(tmp_path / "runs", store, tmp_path / "out")


def test_text_that_utf8_cannot_write_is_escaped(tmp_path):
    folder = write_run(tmp_path / "runs")
    (folder / "environment.json").write_text('{"command": "semantic \\ud800"}')
    assert "semantic \\ud800" in report(tmp_path / "runs", None, tmp_path / "out").text


def test_a_page_replaces_a_page_and_nothing_else(store, tmp_path):
    out = tmp_path / "inspect.html"
    inspect_page(store, 1, out)
    inspect_page(store, 2, out)
    assert "Dialogue d2" in Page(out).text
    out.write_text("<html>my own notes</html>")
    with pytest.raises(DataError, match=r"inspect.html: expected no file there or a page that semantic wrote, found"):
        inspect_page(store, 1, out)
    with pytest.raises(DataError, match=r"inspect.html: expected no file there"):
        recommend_page(store, [], [], out)
    assert out.read_text() == "<html>my own notes</html>"
    with pytest.raises(DataError, match=r"expected no file there"):
        inspect_page(store, 1, tmp_path)
