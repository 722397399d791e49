"""Dialogues that are in no store: read from files as people write them, and what their images are."""

import json
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from semantic.datasets.preparing.photos import decode_photo
from semantic.datasets.reading.corpus import open_corpus
from semantic.datasets.reading.records import Turn
from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError
from semantic.runtime.reading import ReadingError, parse_json, read_text

PLAIN = ("speaker", "text", "images")
"""Keys of a turn as people write it."""

LAYOUTS = ("speaker", "utterance", "type", "question-type", "question-subtype", "turn_id", "dst", "ds")
"""Keys of a turn in the MMD and SIMMC layouts, told by its `utterance`."""

UTTERANCE = ("nlg", "images", "false nlg", "false images", "image_desps", "spans")

MOST_BYTES = 1 << 22
"""Of a dialogue's file."""

MOST_DIGITS = 12
"""Of a row in a catalogue."""


def read_dialogue(file: Path, store: Store | None = None) -> tuple[Turn, ...]:
    """Turns of a JSON file: a list of {"speaker", "text", "images"}, or of turns as in the MMD and SIMMC layouts.

    In MMD's files images are numbers of its tables, which are read in the folder that `store` was made of.

    Raises:
        DataError: no such file, no JSON, no turn, a turn without a speaker, an unknown key, or a value of another kind; the
            message says which. MMD's numbers, where its tables are gone.
    """
    try:
        content = parse_json(read_text(file, MOST_BYTES))
    except ReadingError as error:
        raise DataError(f"{file}: expected a JSON file with the turns of a dialogue, got {error}") from None
    if not isinstance(content, list) or not content:
        raise DataError(
            f"{file}: expected a list of turns, got {type(content).__name__ if content else 'an empty list'}"
        )
    turns = tuple(_turn(f"{file}, turn {number}", item) for number, item in enumerate(content))
    by_number = [bool(turn.images) and "utterance" in item for turn, item in zip(turns, content, strict=True)]
    if store is None or not any(by_number) or not str(store.manifest["source"]["layout"]).startswith("mmd"):
        return turns
    root = Path(store.manifest["source"]["root"])
    if not root.is_dir():
        raise DataError(
            f"{file}: expected MMD's tables of images in {root}, which {store.path} was made of, found nothing there; "
            'in turns of {"speaker", "text", "images"} images are names of products'
        )
    corpus = open_corpus(root, store.slots, "mmd")
    return tuple(
        replace(turn, images=tuple(map(corpus.image_name, turn.images))) if numbered else turn
        for turn, numbered in zip(turns, by_number, strict=True)
    )


def _turn(where: str, item: Any) -> Turn:
    if not isinstance(item, dict) or item.get("speaker") not in ("user", "system"):
        raise DataError(f'{where}: expected an object with "speaker" "user" or "system", got {json.dumps(item)[:80]}')
    if "utterance" in item:
        _check_keys(where, item, LAYOUTS)
        body, text_key = item["utterance"], "nlg"
        if not isinstance(body, dict):
            raise DataError(f'{where}: expected "utterance" to be an object, got {json.dumps(body)[:80]}')
        _check_keys(f"{where}, utterance", body, UTTERANCE)
    else:
        _check_keys(where, item, PLAIN)
        body, text_key = item, "text"
    text, images = body.get(text_key), body.get("images")
    if not isinstance(text, (str, type(None))):
        raise DataError(f'{where}: expected "{text_key}" to be a string, got {json.dumps(text)[:80]}')
    names = [] if images is None else images
    if not isinstance(names, list) or not all(
        isinstance(one, str | int) and not isinstance(one, bool) for one in names
    ):
        raise DataError(f'{where}: expected "images" to be a list of product names, got {json.dumps(images)[:80]}')
    return Turn(item["speaker"], "", text or "", tuple(map(str, names)))


def _check_keys(where: str, found: dict[str, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"the keys here are {', '.join(known)}"
            raise DataError(f"{where}: no such key {json.dumps(key)[:80]}; {hint}")


def shown_images(turns: tuple[Turn, ...], store: Store) -> dict[str, int | Path]:
    """What each image of the turns is: a product by its name, else by its row in the catalogue, else a photo's file.

    Raises:
        DataError: one that is none of these.
    """
    wanted = {name: None for turn in turns for name in turn.images}
    known = store.product_rows(wanted) if wanted else {}
    found: dict[str, int | Path] = {}
    for name in wanted:
        if name in known:
            found[name] = known[name]
        elif name.isdecimal() and len(name) < MOST_DIGITS and int(name) < store.num_products:
            found[name] = int(name)
        elif Path(name).is_file():
            found[name] = Path(name)
    absent = [name for name in wanted if name not in found]
    if absent:
        raise DataError(
            f"dialogue: expected images to be products of {store.path}, or files of photos, got {', '.join(sorted(absent)[:5])}"
        )
    return found


def own_photo(file: Path, store: Store) -> np.ndarray:
    """The pixels of a photo of no product, as large as the store's; DataError where it is none."""
    return decode_photo(file, store.manifest["photo_resize"], store.manifest["photo_size"])


def dialogue_for_page(turns: tuple[Turn, ...], store: Store) -> list[dict[str, Any]]:
    """The turns with their photos as the page shows them: product ids, or pixels of photos that are no product's."""
    shown = {
        name: one if isinstance(one, int) else own_photo(one, store) for name, one in shown_images(turns, store).items()
    }
    return [{"speaker": t.speaker, "text": t.text, "images": [shown[name] for name in t.images]} for t in turns]
