"""The form for judges: blind, the same each time, and its key kept apart."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from semantic.report.cases.form import make_form, write_form
from semantic.runtime.digests import is_broken
from semantic.runtime.errors import DataError
from tests.case_files import BEST, OTHER, pair_of, read_key, write_answers
from tests.report_files import PHOTO, Page, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "shop")


@pytest.fixture
def pair(tmp_path):
    return pair_of(tmp_path / "runs")


def form(pair, store, folder, **more):
    page, key = make_form(pair, store, **{"turns": 5} | more)
    return Page(write_form(page, key, folder)[0]), key


def test_the_page_shows_both_lists_and_nothing_that_tells_them_apart(pair, store, tmp_path):
    page, key = form(pair, store, tmp_path / "form")
    assert len(page.with_class("question")) == 5
    assert page.text.count("a dress & <b>boots</b>") == 5
    assert not page.with_class("hit")
    assert "✓" not in page.source
    asked = page.source.partition("</style>")[2]
    for word in ("demo", "seed", "runs/", "0.25", "0.125", "secret reply", "like blue", "· ask", "· show", "d0", "d4"):
        assert word not in re.sub(r'data:image[^"]*|data-form="\w+"', "", asked), word
    assert not re.search(r"\b(best|other)\b", asked.replace("best first", "").partition("<script>\n")[0])
    assert all(digest not in page.source for digest in (key.identity, key.queries))
    assert not re.search(r"https?:|url\(|@import|<link|src=\"(?!data:)", page.source)
    assert all(source.startswith(PHOTO) for source in page.images())


def lists(page):
    """The products of both sides of each question, in order."""
    found = []
    for part in page.source.split('class="question"')[1:]:
        left, right = part.partition("<h3>Right</h3>")[::2]
        found.append(
            tuple(re.findall(r'<p title="([^"]*)"', side) for side in (left.partition("<h3>Left</h3>")[2], right))
        )
    return found


def test_the_key_says_which_side_is_which(pair, store, tmp_path):
    page, key = form(pair, store, tmp_path / "form")
    hit, miss = ["blue dress", "red dress"], ["red dress", "&lt;script&gt;alert(1)&lt;/script&gt;"]
    shown = lists(page)
    assert [turn.dialogue for turn in key.turns.values()] != [f"d{d}" for d in range(5)]
    for turn, (left, right) in zip(key.turns.values(), shown, strict=True):
        dialogue = int(turn.dialogue[1:])
        expected = {"A": hit if BEST[dialogue] else miss, "B": hit if OTHER[dialogue] else miss}
        assert left[:2] == expected[turn.left]
        assert right[:2] == expected["B" if turn.left == "A" else "A"]
        assert turn.same == (bool(BEST[dialogue]) == bool(OTHER[dialogue]))
        assert turn.turn == 4
    assert key.runs["A"].name == "demo/best, seed 0"
    written = json.loads((tmp_path / "form" / "key.json").read_text())
    assert not is_broken(written)
    assert is_broken(written | {"seed": 7})


def test_each_run_is_on_the_left_of_half(pair, store):
    for seed in range(7):
        _, key = make_form(pair, store, turns=4, seed=seed)
        assert Counter(turn.left for turn in key.turns.values()) == {"A": 2, "B": 2}
    orders = {tuple(turn.left for turn in make_form(pair, store, 5, seed)[1].turns.values()) for seed in range(11)}
    assert len(orders) > 3


def test_the_same_inputs_give_the_same_form_and_other_rankings_other_sides(store, tmp_path):
    pair = pair_of(tmp_path / "one")
    assert make_form(pair, store, 5) == make_form(pair, store, 5)
    assert make_form(pair, store, 5)[1].form != make_form(pair, store, 5, seed=1)[1].form
    # With the seed alone nobody can draw the sides again: they depend on what a judge does not have.
    sides = set()
    for number in range(7):
        values = np.linspace(0.1, 0.9, 5) + number / 100
        _, key = make_form(pair_of(tmp_path / f"more{number}", values, OTHER), store, 5)
        sides.add(tuple((turn.dialogue, turn.left) for turn in key.turns.values()))
    assert len(sides) > 3


def test_the_digest_is_of_what_is_asked(pair, store):
    _, key = make_form(pair, store, 5)
    assert key.form != make_form(pair, store, 5, top=2)[1].form
    assert key.form != make_form(pair, store, 4)[1].form


def test_only_so_many_products_are_shown(pair, store, tmp_path):
    page, key = form(pair, store, tmp_path / "form", top=2)
    assert all(len(left) == len(right) == 2 for left, right in lists(page))
    assert key.top == 2


def test_more_turns_than_queries_are_refused(pair, store):
    with pytest.raises(DataError, match=r"^--turns: expected at most 5, as many as both runs ranked, found 60$"):
        make_form(pair, store)


def test_a_form_is_replaced_until_it_is_answered(pair, store, tmp_path):
    folder = tmp_path / "form"
    form(pair, store, folder)
    _, key = form(pair, store, folder, seed=1)
    assert read_key(folder) == key
    write_answers(folder, "Ann", {"1": "A"})
    form(pair, store, folder, seed=1)  # the same form again
    with pytest.raises(
        DataError, match=r"form: expected no answers to another form, found answers-Ann.json; give another"
    ):
        form(pair, store, folder, seed=2)
    assert read_key(folder) == key
    with pytest.raises(DataError, match=r"or one with a form in it, found one that holds demo; give another --out$"):
        form(pair, store, tmp_path / "runs")


def test_a_key_with_other_sides_is_another_form_even_where_the_page_is_the_same(store, tmp_path):
    pair = pair_of(tmp_path / "runs", BEST, BEST)  # both sides show the same
    _, key = form(pair, store, tmp_path / "form", turns=1)
    write_answers(tmp_path / "form", "Ann", {"1": "A"})
    drawn = [make_form(pair, store, 1, seed) for seed in range(1, 40)]
    page, other = next(
        one for one in drawn if one[1].form == key.form and one[1].turns["1"].left != key.turns["1"].left
    )
    with pytest.raises(DataError, match="expected no answers to another form"):
        write_form(page, other, tmp_path / "form")
