"""Dialogue files as a store needs them: merged, light, and picklable."""

import json
import os
import pickle
import re
from array import array
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from semantic.datasets.preparing.parsing import ReadTurn, read_files
from semantic.datasets.reading.faults import Faults, one_line
from semantic.datasets.reading.mmd_states import mmd_state
from semantic.datasets.reading.turns import file_names
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_whatever_is_called_a_dialogue_is_skipped_by_name_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to(folder / "nothing")
    (folder / "loop.json").symlink_to(folder / "loop.json")
    (folder / "surrogate.json").write_text('[{"speaker": "user", "utterance": {"nlg": "\\ud800"}}]')
    (folder / "digits.json").write_text('[{"speaker": "user", "utterance": {"images": [%s]}}]' % ("9" * 5000))
    latin = os.fsdecode(b"caf\xe9.json")
    (folder / latin).write_text((folder / "a.json").read_text())
    names = file_names(folder)
    assert len(names) == 9
    faults = Faults("skip")
    kept = [file for file in read_files((folder, names), STATES, "skip") if file.dialogue is not None]
    assert [file.dialogue.name for file in kept if file.dialogue] == ["a"]
    for file in read_files((folder, names), STATES, "skip"):
        faults.merge(file.counts, file.examples)
    assert faults.counts == {"null turn": 1, "dialogue without turns": 1, "malformed dialogue file": 7}
    reasons = {Path(example["where"]).name: example["reason"] for example in faults.examples}
    assert {name: reason.rsplit("found", 1)[1] for name, reason in reasons.items() if "malformed" in reason} == {
        r"caf\udce9.json": r" 'caf\udce9.json'",
        "digits.json": " one of thousands of digits",
        "folder.json": " a folder",
        "link.json": ": No such file or directory",
        "loop.json": ": Too many levels of symbolic links",
        "pipe.json": " a pipe, a socket or a device",
        "surrogate.json": r" a lone surrogate: '\ud800'",
    }
    for name in set(names) - {"a.json", "b.json"}:
        with pytest.raises(DataError, match=re.escape(one_line(str(folder / name)))):
            read_files((folder, [name]), STATES, "stop")
