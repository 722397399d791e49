"""Dialogue files as a store needs them: merged, light, and picklable."""

import json
import pickle
from array import array
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from semantic.datasets.preparing.parsing import ReadTurn, read_files
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.mmd_states import mmd_state
from semantic.runtime.errors import DataError

STATES = partial(mmd_state, slots=("fit",))


def turn(speaker: str, text: str, images: Any = None, negatives: Any = None) -> dict[str, Any]:
    return {
        "speaker": speaker, "type": "act", "utterance": {"nlg": text, "images": images, "false images": negatives}
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    wide = {"informable": [{"slot": ["fit"], "values": ["wide"], "sentiment": ["Like"]}]}
    turns = [
        turn("user", "Hi", None, [4]) | {"ds": wide},
        None,
        turn("system", "See", [5, 7], [11]),
        turn("system", "these", None, ["13", 17]),
        turn("user", "No", [5]),
        turn("system", "Oh", None, [19, 23]),
    ]
    (tmp_path / "a.json").write_text(json.dumps(turns))
    (tmp_path / "b.json").write_text("[]")
    return tmp_path


def test_turns_are_merged_and_only_recommendations_keep_their_negatives(folder: Path) -> None:
    first, second = pickle.loads(pickle.dumps(read_files((folder, ["a.json", "b.json"]), STATES, "stop")))
    assert first.dialogue.name == "a"
    assert (first.dialogue.turns, first.dialogue.states) == (5, 1)
    none = array("i")
    assert first.dialogue.merged == [
        ReadTurn("user", "act", "hi", 1, {"fit": "like wide"}, none, none),
        ReadTurn("system", "act", "see these", 2, None, array("i", [5, 7]), (11, "13", 17)),
        ReadTurn("user", "act", "no", 1, None, array("i", [5]), none),
        ReadTurn("system", "act", "oh", 1, None, none, none),
    ]
    assert [each.recommends for each in first.dialogue.merged] == [False, True, False, False]
    assert first.counts == {"null turn": 1}
    assert second.dialogue is None
    assert second.counts == {"dialogue without turns": 1}


def test_a_fault_stops_or_is_counted_with_its_file(folder: Path) -> None:
    (folder / "b.json").write_text("{}")
    with pytest.raises(DataError, match=r"b\.json: expected a list of turns, found an object"):
        read_files((folder, ["a.json", "b.json"]), STATES, "stop")
    _, second = read_files((folder, ["a.json", "b.json"]), STATES, "skip")
    faults = Faults("skip")
    faults.merge(second.counts, second.examples)
    assert faults.counts == {"malformed dialogue file": 1}
    assert faults.examples[0]["where"] == str(folder / "b.json")
