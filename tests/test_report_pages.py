"""Pages made of a fabricated store and run: what a reader must find is there, and each page stands alone."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic.datasets.store.store import FILES, open_store
from semantic.report.curves import Series, chart, ticks
from semantic.report.gallery import Attention, choose
from semantic.report.pages import duration, inspect_page, recommend_page, report_page
from semantic.report.printing import load_runs
from semantic.runtime.errors import DataError

SLOTS = ["color", "type", "price"]
NAMES = ["red dress", "blue dress", "<script>alert(1)</script>", "green boot", "photoless hat"]
DIALOGUES = 5  # each: shopper, agent (shows products 0 and 4), shopper with a state, agent who recommends
PHOTO = "data:image/jpeg;base64,"
METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "shop"
    folder.mkdir()
    photos = np.zeros((5, 64, 64, 3), np.uint8)
    photos[0] = (200, 10, 10)
    photos[1] = (10, 10, 200)
    arrays = {
        "photos": photos,
        "has_photo": np.array([True, True, True, True, False]),
        "turn_images": np.array([0, 4, 1] * DIALOGUES, np.int32),
        "turn_images_offsets": np.array([0, *(3 * d + n for d in range(DIALOGUES) for n in (0, 2, 2, 3))]),
        "turn_states": np.array([[-1] * 3, [-1] * 3, [1, 2, 0], [-1] * 3] * DIALOGUES, np.int32),
        "example_turns": np.array([[d, 4 * d + 3] for d in range(DIALOGUES)]),
        "positives": np.array([1] * DIALOGUES, np.int32),
        "positives_offsets": np.arange(DIALOGUES + 1),
        "negatives": np.array([0, 2, 3] * DIALOGUES, np.int32),
        "negatives_offsets": np.arange(0, 3 * DIALOGUES + 1, 3),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    tables = {
        "products": {"name": [f"p{i}" for i in range(5)], "text": NAMES},
        "dialogues": {
            "name": [f"d{d}" for d in range(DIALOGUES)],
            "split": ["test"] * DIALOGUES,
            "first_turn": [4 * d for d in range(DIALOGUES)],
            "turns": [4] * DIALOGUES,
        },
        "turns": {
            "speaker": ["user", "system"] * (2 * DIALOGUES),
            "act": ["ask", "show", "ask", "show"] * DIALOGUES,
            "text": ["a dress & <b>boots</b>", "like these", "in blue, please", "the secret reply"] * DIALOGUES,
            "merged": [1] * (4 * DIALOGUES),
        },
        "state_values": {"value": ["none", "like blue", "dress"]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    counts = {"dialogues": DIALOGUES, "turns": 4 * DIALOGUES, "examples": DIALOGUES, "negatives": 3_000}
    manifest = {
        "format": "semantic-store",
        "version": 1,
        "source": {"layout": "mmd-v3", "root": "somewhere"},
        "slots": SLOTS,
        "missing_photo": "mask",
        "splits": {"test": counts},
        "products": {"total": 5, "with_photo": 4},
        "rejected": {"photo does not decode": 1234},
        "rejected_examples": [{"where": "product 'x'", "reason": "photo does not decode"}],
        "sizes": {name: (folder / name).stat().st_size for name in FILES},
        "checksums": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_store(folder)


def query(dialogue, ndcg):
    row = {
        "dialogue": f"d{dialogue}",
        "dialogue_row": dialogue,
        "turn": 4 * dialogue + 3,
        "candidates": 1004,
        "positives": [1],
        "positive_scores": [0.25],
        "above": [0 if ndcg else 3],
        "tied": [1 if ndcg else 2],
        "negatives_above": [0 if ndcg else 3],
        "top_products": [1, 0, 2] if ndcg else [0, 2, 3],
        "top_scores": [0.25, 0.125, -0.5],
        "top_hit": [bool(ndcg), False, False],
        "attention_context_text": [0.5, 0.375, 0.125],
        "attention_context_image": [1 / 3] * 3,
        "attention_top_text": [[0.75, 0.25, 0.0]] * 3,
        "attention_top_image": [[0.0, 0.0, 1.0]] * 3,
    }
    return row | {f"{protocol}/{metric}": float(ndcg) for protocol in ("standard", "released") for metric in METRICS}


def write_run(root, variant="best", seed=0, *, tie_rate=0.0, dialogues=DIALOGUES):
    folder = root / "demo" / variant / f"seed_{seed}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([query(d, d % 2) for d in range(dialogues)]), folder / "queries.parquet")
    values = {protocol: dict.fromkeys(METRICS, 0.4125) for protocol in ("standard", "released")}
    epochs = [
        {"epoch": e, "train": {"loss": 2 / e, "state_mse": 0.1 / e}, "valid": {"standard": {"ndcg@5": v}}}
        for e, v in ((1, 0.1), (2, 0.5), (3, 0.3))
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (folder / "config.yaml").write_text(f"experiment: demo\nvariant: {variant}\nmodel:\n  dim: 768\n")
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {"torch": "2.9"}}))
    summary = {
        "experiment": "demo",
        "variant": variant,
        "seed": seed,
        "fold": None,
        "split": "test",
        "store": "shop",
        "slots": SLOTS,
        "protocols": values,
        "tie_rate": tie_rate,
        "floors": {"tfidf context": {p: dict.fromkeys(METRICS, 0.125) for p in ("standard", "released")}},
        "counts": {"labelled_dialogues": 900, "parameters": 12345678},
        "rejected": {"dead link": 2090},
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 93.4,
        "peak_memory_mb": 1500.0,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


VOID = {"meta", "img", "br", "hr", "link", "input"}
DRAWN = {"path", "line", "polyline", "circle"}  # SVG's shapes may close themselves


class Page(HTMLParser):
    """Reads a page; checks that every element closes in its order, keeps the words and the attributes."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.words, self.values = [], [], [], []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.values += [value for _, value in attributes if value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in DRAWN | VOID
        self.tags.append((tag, dict(attributes)))
        self.values += [value for _, value in attributes if value]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def with_class(self, name):
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]

    def images(self):
        return [attributes["src"] for tag, attributes in self.tags if tag == "img"]


def assert_stands_alone(page):
    assert not re.search(r"https?:|url\(|@import|<link|<script", page.source)
    assert all(source.startswith(PHOTO) for source in page.images())
    assert page.source.startswith("<!DOCTYPE html>")


def colour_of(source):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix(PHOTO))))).mean(axis=(0, 1))


def test_the_report_shows_table_curves_facts_and_gallery(store, tmp_path):
    write_run(tmp_path, "best", 0)
    write_run(tmp_path, "paper", 0, tie_rate=0.25)

    page = Page(report_page(load_runs([tmp_path]), store, tmp_path / "out" / "report.html", turns=3))

    assert_stands_alone(page)
    for words in (
        "test split, standard protocol",
        "test split, released protocol",
        "41.2",  # 0.4125, rounded half to even
        "tfidf context",
        "demo/paper: in 25.0% of queries",
        "Terms of the loss, demo/best",
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
        "an even share is 33.3",
    ):
        assert words in page.text, words
    assert len(page.with_class("exhibit")) == 3
    assert len(page.with_class("best")) == 2  # a kept epoch a run
    assert 1 <= len(page.with_class("hit")) <= 2


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_the_gallery_shows_the_context_the_model_read(store, tmp_path, turns):
    folder = write_run(tmp_path)
    (folder / "config.yaml").write_text(f"experiment: demo\ndata:\n  context_turns: {turns}\n")
    page = Page(report_page(load_runs([tmp_path]), store, tmp_path / "report.html", turns=1))
    spoken = [words in page.text for words in ("a dress & <b>boots</b>", "like these", "in blue, please")]
    assert spoken == [turns >= 3, turns >= 2, True]


def test_user_text_is_escaped_and_missing_photos_are_drawn(store, tmp_path):
    write_run(tmp_path)
    page = Page(report_page(load_runs([tmp_path]), store, tmp_path / "report.html"))
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
    write_run(tmp_path)
    page = Page(report_page(load_runs([tmp_path]), None, tmp_path / "report.html"))
    assert "standard protocol" in page.text
    assert page.with_class("exhibit") == []


def test_a_run_of_another_store_is_refused(store, tmp_path):
    folder = write_run(tmp_path)
    rows = [query(d, 1) | {"dialogue": "other"} for d in range(2)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "queries.parquet")
    with pytest.raises(
        DataError, match=r"expected dialogue 'other' .* in row \d, found another; the run was evaluated"
    ):
        report_page(load_runs([tmp_path]), store, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"report.html: expected at least one run to report, found none"):
        report_page([], None, tmp_path / "report.html")


def test_the_page_is_the_same_each_time(store, tmp_path):
    write_run(tmp_path)
    pages = [report_page(load_runs([tmp_path / "demo"]), store, tmp_path / name, turns=4) for name in ("a", "b")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


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
    found = [
        {
            "product": product,
            "name": store.product_names[product],
            "text": store.product_texts[product],
            "score": score,
            "attention_text": [0.5, 0.25, 0.25],
            "attention_image": [0.0, 0.0, 1.0],
        }
        for product, score in ((3, 0.75), (1, 0.5), (4, -0.25))
    ]
    page = Page(recommend_page(store, turns, found, tmp_path / "recommend.html"))
    assert_stands_alone(page)
    assert "hello <i>" in page.text
    assert "The 3 best of 5 products" in page.text
    places = [page.text.index(words) for words in ("0.750", "0.500", "-0.250")]
    assert places == sorted(places)
    assert "100.0" in page.text


def test_recommend_shows_nothing_found(store, tmp_path):
    page = Page(recommend_page(store, [{"speaker": "user", "text": "hm"}], [], tmp_path / "recommend.html"))
    assert "The 0 best" in page.text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)), unique_by=lambda t: t[:2]))
def test_the_choice_is_of_distinct_queries_and_as_many_as_there_are(rows):
    queries = [
        {"dialogue_row": dialogue, "turn": turn, "standard/ndcg@5": value / 4, "above": [4 - value]}
        for dialogue, turn, value in rows
    ]
    chosen = choose(queries, 6, seed=1)
    keys = [(query["dialogue_row"], query["turn"]) for query, _ in chosen]
    assert len(set(keys)) == len(keys) == min(6, len(queries))
    assert chosen == choose(queries, 6, seed=1)


def test_the_choice_takes_best_and_worst_and_different_dialogues():
    queries = [
        {"dialogue_row": i // 2, "turn": i, "standard/ndcg@5": value, "above": [0]}
        for i, value in enumerate((1.0, 0.9, 0.8, 0.5, 0.2, 0.1, 0.05, 0.0))
    ]
    chosen = [(query["turn"], why) for query, why in choose(queries, 6)]
    # Dialogues are (0, 1), (2, 3), (4, 5), (6, 7): the second best shares one with the best.
    assert chosen[:2] == [(0, "among the best"), (2, "among the best")]
    assert chosen[2:4] == [(7, "among the worst"), (5, "among the worst")]
    assert {why for _, why in chosen[4:]} == {"drawn at random"}


def test_even_attention_looks_even():
    assert Attention.of(SLOTS, {"text": [1 / 3] * 3}).full == pytest.approx(2 / 3)
    assert Attention.of(SLOTS, {"text": [0.0, 0.1, 0.9]}).full == 0.9


def test_a_chart_puts_points_where_they_belong():
    drawn = chart([Series([(1, 0.0), (2, float("nan")), (3, 10.0)], marked=3)], width=100, height=60, left=20)
    [line] = drawn.lines
    assert line.points == "20.0,38.0 90.0,8.0"  # left to width - 10, and height - 22 up to 8
    assert line.mark == line.end == (90.0, 8.0)
    assert [label for _, label in drawn.x_ticks] == ["1", "2", "3"]
    assert chart([Series([(1, 5.0)])]).lines[0].points  # one epoch is a chart too
    assert chart([]).lines == ()


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 7))
def test_ticks_are_few_rising_and_inside(low, length, most):
    found = ticks(low, low + length, most)
    assert len(found) <= most
    assert all(low - 1e-6 * length - 1e-9 <= tick <= low + length + 1e-6 * length + 1e-9 for tick in found)
    assert found == sorted(set(found))


def test_durations_read_like_speech():
    assert [duration(s) for s in (0.4, 59.6, 93.4, 3600, 5430)] == [
        "0 s",
        "1 min 0 s",
        "1 min 33 s",
        "1 h",
        "1 h 30 min",
    ]
