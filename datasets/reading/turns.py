"""Dialogue files, in the JSON list of turns that all layouts share. Common defects of real files are tolerated."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from semantic.datasets.reading.faults import Faults, kind, shown
from semantic.datasets.reading.files import read_json, readable
from semantic.datasets.reading.records import BeliefState, Dialogue, Turn
from semantic.datasets.reading.text import TextError, checked, encodable, utterance_text
from semantic.runtime.errors import DataError

SPEAKERS = ("user", "system")


class ReadState(Protocol):
    """A layout's reader of states: a function, or a `partial` of one, so that it can be sent to worker processes."""

    def __call__(self, turn: dict[str, Any], *, where: str, faults: Faults) -> BeliefState | None:
        """The state of a user turn, None where the file has none."""


def file_names(folder: Path) -> list[str]:
    """The names of a folder's JSON files, sorted, without hidden files (copies that some systems leave).

    Whatever is called so is among them; what is no file is found when it is read. DataError where the folder cannot be.
    """
    with readable(folder), os.scandir(folder) as entries:
        return sorted(name for entry in entries if (name := entry.name).endswith(".json") and not name.startswith("."))


def read_dialogue(path: Path, faults: Faults, read_state: ReadState) -> Dialogue | None:
    """The dialogue in a file, or None where the file is malformed or holds no turn.

    A malformed file is a fault: one that cannot be read, is no list, or has a text that UTF-8 cannot hold. Notes are
    null turns, turns that are lists (these are flattened), turns without a speaker or an utterance, null images, and
    texts, types and images of another kind than expected. Messages count the turns of the file from 0. Images are as in
    the file, numbers or strings; `read_split` names them.
    """
    where = f"{path.parent.name} dialogue {path.stem!r}"
    try:
        content = read_json(path)
        if not isinstance(content, list):
            raise DataError(f"{path}: expected a list of turns, found {kind(content)}")
        if not encodable(path.stem):
            raise DataError(f"{path}: expected a file name in UTF-8, found {shown(path.name)}")
    except DataError as error:
        faults.fault("malformed dialogue file", str(path), str(error).removeprefix(f"{path}: "))
        return None
    turns = []
    for index, place, turn in _flat(content, where, faults):
        try:
            read = _read_turn(turn, place, faults, read_state)
        except TextError as error:
            faults.fault("malformed dialogue file", str(path), f"turn {index}: {error}")
            return None
        if read is not None:
            turns.append(read)
    if not turns:
        faults.note("dialogue without turns", where)
        return None
    return Dialogue(path.stem, tuple(turns))


def read_split(
    folder: Path, faults: Faults, read_state: ReadState, image_name: Callable[[Any], str]
) -> Iterator[Dialogue]:
    """The dialogues in a folder in the order of their file names, each image replaced by `image_name` of it."""
    for name in file_names(folder):
        dialogue = read_dialogue(folder / name, faults, read_state)
        if dialogue is not None:
            yield _named(dialogue, image_name)


def _named(dialogue: Dialogue, image_name: Callable[[Any], str]) -> Dialogue:
    turns = (
        replace(turn, images=tuple(map(image_name, turn.images)), negatives=tuple(map(image_name, turn.negatives)))
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=tuple(turns))


def _flat(content: list[Any], where: str, faults: Faults) -> Iterator[tuple[int, str, Any]]:
    for index, turn in enumerate(content):
        place = f"{where} turn {index}"
        if isinstance(turn, list):
            faults.note("turn that is itself a list", place)
            for inner in turn:
                yield index, place, inner
        else:
            yield index, place, turn


def _read_turn(turn: Any, place: str, faults: Faults, read_state: ReadState) -> Turn | None:
    if not isinstance(turn, dict):
        faults.note("null turn" if turn is None else "turn that is no object", place)
        return None
    speaker = turn.get("speaker")
    speaker = speaker.strip().lower() if isinstance(speaker, str) else None
    if speaker not in SPEAKERS:
        detail = f"expected user or system, found {shown(turn.get('speaker'))}"
        faults.note("turn without a speaker", place, detail)
        return None
    utterance = turn.get("utterance")
    if not isinstance(utterance, dict):
        faults.note("turn without an utterance", place)
        utterance = {}
    return Turn(
        speaker=speaker,
        act=checked(_text(turn.get("type"), "type", place, faults)),
        text=utterance_text(_text(utterance.get("nlg"), "text", place, faults)),
        images=_images(utterance.get("images"), place, faults),
        negatives=_images(utterance.get("false images"), place, faults),
        state=read_state(turn, where=place, faults=faults) if speaker == "user" else None,
    )


def _text(value: Any, what: str, place: str, faults: Faults) -> str:
    if value is not None and not isinstance(value, str):
        faults.note(f"turn with a {what} that is no text", place, kind(value))
    return value if isinstance(value, str) else ""


def _images(images: Any, place: str, faults: Faults) -> tuple[Any, ...]:
    if images is None:
        return ()
    if not isinstance(images, list):
        images = [images]
    kinds = set(map(type, images))  # the usual cases are tested at once: a list may have a thousand
    if kinds == {int} or (kinds == {str} and "" not in images and encodable("".join(images))):
        return tuple(images)
    present = [image for image in images if _is_image(image)]
    if len(present) < len(images):
        detail = f"{len(images) - len(present)} of {len(images)}"
        faults.note("turn with images that are neither names nor ids", place, detail)
    return tuple(present)


def _is_image(image: Any) -> bool:
    if isinstance(image, str):
        return image != "" and encodable(image)
    return type(image) is int  # a truth value is an int, too
