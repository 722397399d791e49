"""The form in a real browser: answers are given, kept over a reload, saved and counted; and the page of a comparison filters."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from semantic.report.cases.comparing import compare, write_comparison
from semantic.report.cases.filtering import Filters
from semantic.report.cases.form import make_form, write_form
from tests.case_files import browser, pair_of, read_key
from tests.commands import COMMAND, environment
from tests.report_files import write_store

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser() is None, reason="no Chromium is installed here"),
]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (1200, 400)
PATIENCE = 180_000  # milliseconds, on a machine that is busy


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser(), args=FLAGS, timeout=PATIENCE)
        yield opened
        opened.close()


@pytest.fixture(params=WIDTHS)
def tab(request, chromium) -> Iterator:
    """A page that fails the test at the first error of a script, or where it asks for anything but its own file."""
    context = chromium.new_context(viewport={"width": request.param, "height": 800}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:", "blob:")) else None,
    )
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def form(tmp_path):
    store = write_store(tmp_path / "shop")
    page, key = make_form(pair_of(tmp_path / "runs"), store, 5)
    write_form(page, key, tmp_path / "form")
    return tmp_path / "form"


def shown(tab):
    """The number of the turn that is shown; empty where none is."""
    return tab.evaluate(
        "[...document.querySelectorAll('.question')].filter((one) => !one.hidden).map((one) => one.dataset.turn).join()"
    )


def pressed(tab):
    return tab.evaluate(
        "[...document.querySelectorAll('.choice')].filter((one) => one.ariaPressed === 'true').map((one) => one.dataset.choice).join()"
    )


def fits(tab):
    return tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def begin(tab, form, name="  Ann   B. "):
    tab.goto((form / "form.html").as_uri())
    assert tab.is_visible("#judge")
    assert not tab.is_visible("#choices")
    tab.fill("#judge", name)
    tab.keyboard.press("Enter")


def saved(tab, button="#save"):
    with tab.expect_download() as waited:
        tab.click(button)
    return waited.value


def test_answers_are_given_kept_saved_and_counted(tab, form, tmp_path):
    begin(tab, form)
    assert shown(tab) == "1"
    assert fits(tab)
    assert tab.is_visible(".question:not([hidden]) .side.left .product")
    tab.click("[data-choice=left]")
    assert shown(tab) == "2"
    tab.keyboard.press("2")
    tab.keyboard.press("3")
    assert shown(tab) == "4"

    tab.reload()
    assert shown(tab) == "4"
    assert tab.inner_text("#progress") == "Ann B.: 3 of 5 answered"
    tab.keyboard.press("ArrowLeft")
    assert (shown(tab), pressed(tab)) == ("3", "right")
    tab.click("#back")
    assert pressed(tab) == "tie"
    tab.keyboard.press("1")  # changed from tie
    tab.keyboard.press("ArrowRight")
    download = saved(tab)
    assert download.suggested_filename == "answers-Ann_B_.json"
    assert "Saved 3 of 5 answers" in tab.inner_text("#message")

    tab.click("[data-choice=tie]")
    tab.click("#forward")
    assert shown(tab) == ""
    assert "Not answered yet: turn 5" in tab.inner_text("#end")
    assert fits(tab)
    tab.keyboard.press("1")  # there is nothing to choose
    (form / "answers").mkdir()
    file = form / "answers" / "ann.json"
    saved(tab, "#save-end").save_as(file)
    assert json.loads(file.read_text()) == {
        "format": "semantic-judge-answers",
        "form": read_key(form).form,
        "judge": "Ann B.",
        "answers": {"1": "left", "2": "left", "3": "right", "4": "tie"},
    }

    done = subprocess.run(
        [COMMAND, "report", "form"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    key = read_key(form)
    favoured = [
        key.turns[turn].left if side == "left" else "AB".replace(key.turns[turn].left, "")
        for turn, side in (("1", "left"), ("2", "left"), ("3", "right"))
    ]
    assert f"Ann B.: 4 answers, A wins {favoured.count('A')}, ties 1, A loses {favoured.count('B')}" in " ".join(
        done.stdout.split()
    )
    assert (tmp_path / "report" / "judgements.csv").is_file()


def test_another_judge_begins_anew(tab, form):
    begin(tab, form)
    for _ in range(5):
        tab.keyboard.press("2")
    assert "All 5 turns are answered" in tab.inner_text("#end")
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.click("#again")
    assert tab.is_visible("#judge")
    tab.reload()
    assert tab.is_visible("#judge")
    tab.fill("#judge", " ")
    tab.click("#begin button")
    assert not tab.is_visible("#choices")  # no name, no turns
    tab.fill("#judge", "12")  # digits are of the name, not choices
    tab.keyboard.press("Enter")
    assert tab.inner_text("#progress") == "12: 0 of 5 answered"


def test_what_another_page_kept_does_no_harm(tab, form):
    tab.goto((form / "form.html").as_uri())
    place = f"semantic-judge-{read_key(form).form}"
    for kept in (
        '{"judge": "Ann", "answers": {"1": "both", "9": "left", "2": "tie"}, "at": 99}',
        "null",
        "[",
        '{"judge": 7}',
    ):
        tab.evaluate("([place, kept]) => localStorage.setItem(place, kept)", [place, kept])
        tab.reload()
        if "Ann" in kept:
            assert tab.inner_text("#progress") == "Ann: 1 of 5 answered"
            assert shown(tab) == ""
        else:
            assert tab.is_visible("#judge")


def test_a_comparison_filters_the_cases_it_shows(tab, tmp_path):
    store = write_store(tmp_path / "shop")
    comparison = compare(pair_of(tmp_path / "runs"), store, Filters())
    tab.goto(write_comparison(comparison, store, tmp_path / "out")[0].as_uri())
    assert fits(tab)

    def cases():
        return tab.evaluate(
            "[...document.querySelectorAll('.case')].filter((one) => !one.hidden).map((one) => one.dataset.outcome)"
        )

    assert cases() == ["win", "win", "tie", "tie", "loss"]
    tab.select_option("[name=outcome]", "win")
    assert cases() == ["win", "win"]
    assert tab.inner_text("output") == "2 of 5 shown"
    tab.select_option("[name=slots]", "color")
    tab.select_option("[name=turn]", "4")
    tab.select_option("[name=positives]", "1")
    assert cases() == ["win", "win"]
    tab.select_option("[name=outcome]", "")
    assert len(cases()) == 5


def test_without_scripts_a_comparison_shows_everything(chromium, tmp_path):
    store = write_store(tmp_path / "shop")
    comparison = compare(pair_of(tmp_path / "runs"), store, Filters())
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write_comparison(comparison, store, tmp_path / "out")[0].as_uri())
    assert page.locator(".case:visible").count() == 5
    assert not page.locator("#filters").is_visible()
    context.close()
