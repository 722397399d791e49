"""The answers that judges saved, read and checked against the key of their form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, ValidationError

from semantic.report.cases.folders import FORM
from semantic.report.cases.form import ANSWERS, KEY, Key
from semantic.runs.summary import Digest, Record, fault
from semantic.runtime.digests import is_broken
from semantic.runtime.errors import DataError
from semantic.runtime.reading import ReadingError, parse_json, read_text
from semantic.runtime.terminal import visible

MOST_BYTES = 10_000_000
OUTCOMES = {"A": "win", "tie": "tie", "B": "lose"}
"""What it is to run A that a judge favours a run, or neither."""


class Answers(Record):
    """What the form saves: one judge's choices by turn. Turns that were not answered are absent."""

    format: Literal["semantic-judge-answers"]
    form: Digest
    judge: Annotated[str, Field(min_length=1, max_length=200)]
    answers: dict[str, Literal["left", "tie", "right"]]


@dataclass(frozen=True)
class Judgements:
    """The key of a form, and a line a vote: `judge`, `turn`, `choice` (left, tie, right) and `outcome` of run A (win, tie,
    lose), in order of judges and turns.
    """

    key: Key
    votes: pd.DataFrame

    @property
    def judges(self) -> list[str]:
        return list(dict.fromkeys(self.votes["judge"]))


def is_judge_folder(path: Path) -> bool:
    """Whether a folder holds a form for judges."""
    return (path / FORM.mark).is_file() or (path / KEY).is_file()


def read_judgements(folder: Path | str) -> Judgements:
    """The votes in the files answers/*.json of a form's folder.

    Raises:
        DataError: there are none; a file is damaged, holds no answer, is of another form, names a turn that the form has
            not, or another choice than left, tie and right; a judge is there twice.
    """
    folder = Path(folder)
    key = _read_key(folder / KEY)
    place = folder / ANSWERS
    files = sorted(place.glob("*.json"))
    if not files:
        raise DataError(f"{place}: expected the files that judges saved from {FORM.page}, found none yet")
    found: dict[str, Path] = {}
    lines = []
    for file in files:
        own = _read_answers(file, key)
        judge = visible(" ".join(own.judge.split()))
        first = found.setdefault(judge.casefold(), file)
        if first is not file:
            raise DataError(
                f"{file}: expected answers of another judge than {first.name}, found {judge!r} again; keep one"
            )
        lines += [(judge, turn, own.answers[turn]) for turn in key.turns if turn in own.answers]
    votes = pd.DataFrame(lines, columns=["judge", "turn", "choice"])
    favoured = [_favoured(key, turn, choice) for _, turn, choice in lines]
    return Judgements(key, votes.assign(outcome=[OUTCOMES[one] for one in favoured]))


def _favoured(key: Key, turn: str, choice: str) -> str:
    left = key.turns[turn].left
    return {"left": left, "right": "B" if left == "A" else "A", "tie": "tie"}[choice]


def _read_key(file: Path) -> Key:
    text = _read(file, "the key of a form")
    try:
        key = Key.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{file}: {fault(error)}") from None
    if is_broken(parse_json(text)):
        raise DataError(f"{file}: expected the key that was written with the form, found it changed since")
    return key


def _read_answers(file: Path, key: Key) -> Answers:
    text = _read(file, "the answers that a form saved")
    try:
        own = Answers.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{file}: {fault(error)}") from None
    if own.form != key.form:
        raise DataError(
            f"{file}: expected answers to this form ({key.form[:12]}), found those to another ({own.form[:12]})"
        )
    unknown = [turn for turn in own.answers if turn not in key.turns]
    if unknown:
        raise DataError(f"{file}: expected turns 1 to {len(key.turns)} of the form, found {visible(unknown[0])!r}")
    if not own.answers or not own.judge.strip():
        raise DataError(
            f"{file}: expected a judge and an answer at least, found {'none' if own.judge.strip() else 'no name'}"
        )
    return own


def _read(file: Path, what: str) -> str:
    """The text of a file of JSON. DataError where it cannot be read or is none."""
    try:
        text = read_text(file, MOST_BYTES)
        parse_json(text)
    except ReadingError as error:
        raise DataError(f"{file}: expected {what}, found {error}") from None
    return text
