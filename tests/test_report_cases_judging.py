"""Answers of judges: read, counted by hand, and everything that is wrong with a file of them."""

import io
import json
import math

import pandas as pd
import pytest
from rich.console import Console

from semantic.report.cases.answers import is_judge_folder, read_judgements
from semantic.report.cases.form import make_form, write_form
from semantic.report.cases.judging import judge_runs
from semantic.report.cases.printing import print_verdict
from semantic.report.cases.verdicts import to_csv, to_latex, to_markdown, write_verdict
from semantic.runtime.errors import DataError
from tests.case_files import pair_of, write_answers
from tests.report_files import digest, write_store

ANN = {"1": "A", "2": "A", "3": "tie", "4": "B", "5": "A"}
BO = {"1": "A", "2": "tie", "3": "tie", "4": "B"}
CY = {"1": "A", "2": "B", "3": "tie", "4": "A"}


@pytest.fixture
def folder(tmp_path):
    store = write_store(tmp_path / "shop")
    page, key = make_form(pair_of(tmp_path / "runs"), store, 5)
    write_form(page, key, tmp_path / "form")
    return tmp_path / "form"


@pytest.fixture
def verdict(folder):
    for judge, favoured in (("Ann", ANN), ("Bo", BO), ("Cy", CY)):
        write_answers(folder, judge, favoured)
    return judge_runs(read_judgements(folder))


def test_votes_are_counted_for_run_a_whatever_its_side(verdict):
    votes = {name: share.count for name, share in verdict.votes.items()}
    assert votes == {"win": 6, "tie": 4, "lose": 3}
    assert verdict.votes["win"].mean == 6 / 13
    # Of turns: 1 is won by all, 2 has one vote each, 3 is a tie, 4 is lost by two of three, 5 is won by the one.
    majority = {name: share.count for name, share in verdict.majority.items()}
    assert majority == {"win": 2, "tie": 1, "lose": 1, "no majority": 1}
    assert verdict.majority["no majority"].mean == 1 / 5


def test_the_sign_test_is_of_turns(verdict):
    assert verdict.ahead == (2, 1)  # 1 and 5; 4. Turns 2 and 3 favour none.
    assert verdict.p == 1.0


def test_intervals_hold_the_shares(verdict):
    for share in (*verdict.votes.values(), *verdict.majority.values()):
        assert 0 <= share.low <= share.mean <= share.high <= 1
    assert verdict.votes["win"].low < verdict.votes["win"].high


def test_agreement_by_hand(verdict):
    # Equal pairs: 3 of 3 on turn 1, 0 of 3 on turn 2, 3 of 3 on turn 3, 1 of 3 on turn 4; turn 5 has none.
    assert verdict.agreement == 7 / 12
    # Unequal ordered pairs over m - 1: 6 / 2 on turn 2 and 4 / 2 on turn 4. Of 12 votes 5 win, 4 tie, 3 lose.
    assert verdict.alpha == pytest.approx(1 - 11 * 5 / (144 - 25 - 16 - 9))
    pairs = {(one.judge, one.other): (one.turns, one.agreement) for one in verdict.pairs.itertuples()}
    assert pairs == {("Ann", "Bo"): (4, 3 / 4), ("Ann", "Cy"): (4, 2 / 4), ("Bo", "Cy"): (4, 2 / 4)}


def test_judges_are_counted_one_by_one(verdict):
    table = verdict.judges.set_index("judge")
    assert table[["answers", "win", "tie", "lose"]].to_numpy().tolist() == [[5, 3, 1, 1], [4, 1, 2, 1], [4, 2, 1, 1]]
    left = sum(verdict.key.turns[turn].left == run for turn, run in ANN.items())
    assert table.loc["Ann", ["left", "right"]].tolist() == [left, 4 - left]


def test_half_of_the_votes_is_no_majority(folder):
    write_answers(folder, "Ann", {"2": "tie", "3": "A"})
    write_answers(folder, "Bo", {"2": "A", "3": "A"})
    verdict = judge_runs(read_judgements(folder))
    assert {name: share.count for name, share in verdict.majority.items()} == {
        "win": 1, "tie": 0, "lose": 0, "no majority": 1
    }  # fmt: skip
    assert (verdict.ahead, verdict.p) == ((2, 0), 2 * (1 / 2) ** 2)


def test_one_judge_agrees_with_nobody(folder):
    write_answers(folder, "Ann", {"2": "tie"})
    verdict = judge_runs(read_judgements(folder))
    assert math.isnan(verdict.alpha)
    assert math.isnan(verdict.agreement)
    assert verdict.p == 1.0
    assert math.isnan(verdict.votes["tie"].low)
    assert "alpha (nominal) not known, equal pairs of votes not known" in to_markdown(verdict)


def test_the_texts_have_both_rows_and_the_published_one(verdict, tmp_path):
    markdown = to_markdown(verdict)
    assert "| all votes (13) | 46.15 (" in markdown
    assert "| published, Table 4 | 32.20 | 63.84 | 5.98 |  |" in markdown
    assert "sums to 102.02 per cent" in markdown
    assert "A (demo/best, seed 0) against B (demo/other, seed 0)" in markdown
    latex = to_latex(verdict)
    assert r"\toprule" in latex
    assert "published, Table 4 & 32.20 & 63.84 & 5.98 &  \\\\" in latex
    assert "% Sign test over turns: A has more votes on 2, B on 1; two-sided p = 1.0000." in latex
    frame = pd.read_csv(io.StringIO(to_csv(verdict))).set_index(["row", "measure"])
    assert frame.loc[("votes", "win"), "value"] == 6 / 13
    assert frame.loc[("published", "tie"), "value"] == 0.6384
    assert frame.loc[("agreement", "krippendorff alpha"), "value"] == verdict.alpha
    assert frame.loc[("judge Bo", "tie"), "count"] == 2
    for _ in range(2):
        files = write_verdict(verdict, tmp_path / "out")
    assert [file.name for file in files] == ["judgements.md", "judgements.tex", "judgements.csv"]


@pytest.mark.parametrize(("width", "encoding"), [(60, "utf-8"), (160, "ascii")])
def test_it_is_printed_on_any_terminal(verdict, width, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_verdict(verdict, Console(file=stream, width=width))
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    for words in ("46.15", "32.20", "63.84", "5.98", "102.02", "Krippendorff"):
        assert words in text


def test_a_folder_of_a_form_is_known(folder, tmp_path):
    assert is_judge_folder(folder)
    assert not is_judge_folder(tmp_path / "runs")
    (folder / ".semantic-judge").unlink()
    assert is_judge_folder(folder)


def test_no_answers_yet(folder):
    with pytest.raises(
        DataError, match=r"answers: expected the files that judges saved from form.html, found none yet$"
    ):
        read_judgements(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": digest("another")}, r"expected answers to this form \(\w{12}\), found those to another \(\w{12}\)$"),
        ({"answers": {"6": "left"}}, r"expected turns 1 to 5 of the form, found '6'$"),
        ({"answers": {"1": "both"}}, r"answers.1: expected 'left', 'tie' or 'right', found 'both'$"),
        ({"answers": {}}, "expected a judge and an answer at least, found none$"),
        ({"judge": "  "}, "expected a judge and an answer at least, found no name$"),
        ({"judge": 7}, "judge: expected a valid string, found 7$"),
        ({"format": "something"}, "format: expected 'semantic-judge-answers', found 'something'$"),
        ({"answers": [1]}, r"answers: expected .*, found \[1\]$"),
    ],
)
def test_a_file_that_is_no_answers_to_this_form_is_one_message(folder, change, message):
    file = write_answers(folder, "Ann", ANN)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=r"answers-Ann.json: " + message):
        read_judgements(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the answers that a form saved, found no JSON at line 1 column 1"),
        ("[]", "expected an object, found"),
        ("\x00", "expected the answers that a form saved, found no JSON"),
        ('{"form": 1, "form": 2}', "found the key 'form' twice in one object"),
    ],
)
def test_a_damaged_file_is_one_message(folder, text, message):
    file = write_answers(folder, "Ann", ANN)
    file.write_text(text)
    with pytest.raises(DataError, match=r"answers-Ann.json: .*" + message):
        read_judgements(folder)


@pytest.mark.parametrize("again", ["Ann", " ann ", "ANN"])
def test_a_judge_twice_is_refused(folder, again):
    write_answers(folder, "Ann", ANN)
    write_answers(folder, again, BO, name="more.json")
    with pytest.raises(
        DataError, match=r"more.json: expected answers of another judge than answers-Ann.json, found '\w+' again"
    ):
        read_judgements(folder)


def test_a_key_that_is_gone_or_changed_is_refused(folder):
    write_answers(folder, "Ann", ANN)
    key = json.loads((folder / "key.json").read_text())
    key["turns"]["1"]["left"] = "B" if key["turns"]["1"]["left"] == "A" else "A"
    (folder / "key.json").write_text(json.dumps(key))
    with pytest.raises(
        DataError, match=r"key.json: expected the key that was written with the form, found it changed since"
    ):
        read_judgements(folder)
    (folder / "key.json").unlink()
    with pytest.raises(DataError, match=r"key.json: expected the key of a form, found none there"):
        read_judgements(folder)
