"""A blind form for human judges: drawn turns, the products of two runs on unnamed sides, and the key that names them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from semantic.datasets.store.store import Store
from semantic.report.cases.folders import FORM, write_files
from semantic.report.cases.pairing import RunPair
from semantic.report.gallery import Bubble, Card, Showcase
from semantic.report.pages import render
from semantic.runs.queries import TOP
from semantic.runs.reading import QUERIES
from semantic.runs.summary import Digest, Record
from semantic.runtime.digests import file_digest, value_digest, with_seal
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

KEY = "key.json"
"""The file that says which side is which run."""

ANSWERS = "answers"
"""Folder beside the key, for the files that judges save."""

CHOICES = ("left", "tie", "right")
Letter = Literal["A", "B"]
RUNS: tuple[Letter, ...] = ("A", "B")


class JudgedTurn(Record):
    """A turn of the form: its dialogue and number, the run on its left, and whether both sides show the same list."""

    dialogue: str
    turn: int
    left: Letter
    same: bool


class JudgedRun(Record):
    """One of the runs that a form compares."""

    name: str
    path: str


class Key(Record):
    """What a form does not say: its runs, and of each turn which side is which. `form` is the digest of what it asks."""

    format: Literal["semantic-judge-key"]
    form: Digest
    identity: Digest
    queries: Digest
    runs: dict[Letter, JudgedRun]
    seed: int
    top: Annotated[int, Field(gt=0)]
    turns: Annotated[dict[str, JudgedTurn], Field(min_length=1)]


@dataclass(frozen=True)
class Question:
    """A turn as the form shows it: the dialogue before it, and two lists of products, best first."""

    number: str
    bubbles: tuple[Bubble, ...]
    left: tuple[Card, ...]
    right: tuple[Card, ...]


def make_form(pair: RunPair, store: Store, turns: int = 60, seed: int = 0, top: int = 10) -> tuple[str, Key]:
    """A form of `turns` drawn queries as a page, and its key.

    Turns are drawn without replacement, and shown in an order that is drawn. Each run is on the left of half of them, drawn
    too: a judge who favours a side favours no run. What is drawn depends on the seed and on both runs' rankings, which a
    judge does not have: with the seed alone nobody can draw the sides again. The page has no names of runs, no scores, no
    hits, no gold state.

    Raises:
        DataError: there are fewer queries, or they are not the store's.
    """
    if turns > len(pair.queries):
        raise DataError(
            f"--turns: expected at most {len(pair.queries):,}, as many as both runs ranked, found {turns:,}"
        )
    contents = [file_digest(run.path / QUERIES) for run in pair.runs]
    draw = random.Random(f"{seed} {' '.join(contents)}")
    places = draw.sample(range(len(pair.queries)), turns)
    lefts = [*RUNS] * (turns // 2) + [draw.choice(RUNS)] * (turns % 2)
    draw.shuffle(lefts)
    lists = [_top(pair, side, places, top) for side in (0, 1)]
    showcase, questions, judged, asked = Showcase(store), [], {}, []
    for number, (place, left) in enumerate(zip(places, lefts, strict=True), start=1):
        first, second = (one[number - 1] for one in lists)
        shown = (first, second) if left == "A" else (second, first)
        questions.append(_question(showcase, pair, str(number), shown))
        start = int(store.dialogue_first_turn[first["dialogue_row"]])
        judged[str(number)] = JudgedTurn(
            dialogue=first["dialogue"],
            turn=pair.queries[place][1] - start + 1,
            left=left,
            same=first["top_products"] == second["top_products"],
        )
        asked.append([pair.queries[place], *(one["top_products"] for one in shown)])
    form = value_digest([store.identity, pair.context_turns, asked])
    key = Key(
        format="semantic-judge-key",
        form=form,
        identity=store.identity,
        queries=pair.runs[0].summary.queries,
        runs={
            "A": JudgedRun(name=pair.names[0], path=str(pair.runs[0].path)),
            "B": JudgedRun(name=pair.names[1], path=str(pair.runs[1].path)),
        },
        seed=seed,
        top=top,
        turns=judged,
    )
    return render(FORM.page, title="Which list suits the shopper better?", form=form, questions=questions), key


def write_form(page: str, key: Key, folder: Path | str) -> list[Path]:
    """Write form.html, which goes to the judges, and key.json, which does not, into a folder; the files' paths.

    A form that is there is replaced as long as nobody has answered it.

    Raises:
        DataError: the folder holds something else, or answers to another form.
        BusyError: another process writes into it.
    """
    folder = Path(folder)
    FORM.check(folder)
    values = with_seal(key.model_dump(mode="json"))
    answered = sorted((folder / ANSWERS).glob("*.json"))
    if answered and _kept_key(folder / KEY) != values:
        raise DataError(
            f"{folder}: expected no answers to another form, found {visible(answered[0].name)}; give another --out"
        )
    return write_files(folder, {FORM.page: page, KEY: json.dumps(values, indent=1)}, FORM)


def _kept_key(file: Path) -> Any:
    """The values of the key that is there; None where it cannot be read."""
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _top(pair: RunPair, side: int, places: Sequence[int], top: int) -> list[dict[str, Any]]:
    rows = pair.values[side]["row"].to_numpy()[list(places)].tolist()
    queries = pair.runs[side].whole_queries(rows)
    return [query | {column: query[column][:top] for column in TOP} for query in queries]


def _question(showcase: Showcase, pair: RunPair, number: str, shown: tuple[dict[str, Any], dict[str, Any]]) -> Question:
    exhibits = [showcase.exhibit(one, "", pair.context_turns) for one in shown]
    left, right = (tuple(replace(card, score=None, hit=False) for card in one.top) for one in exhibits)
    # What a shop's annotators wrote of a turn, its act and state, is not for the judge.
    bubbles = tuple(replace(bubble, act="", state=None) for bubble in exhibits[0].bubbles)
    return Question(number, bubbles, left, right)
