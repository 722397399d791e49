"""Rows of the fault table: prepare over odd dialogues."""

import os

from tests.fault_rows.of_data import DIALOGUE, TRAIN_FOLDER, annotated, counted, first_user, odd, shown
from tests.faults import (
    PREPARED,
    UNFINISHED,
    change,
    copy,
    cut,
    link,
    make,
    mode,
    ordinary_user,
    pipe,
    remove,
    row,
    write,
)

ROWS = (
    *odd(
        "a dialogue cut off",
        cut(DIALOGUE),
        "data/MMD2withDST/train/5.json: expected valid JSON, found at line 1 column 2650: Expecting ',' delimiter",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is empty",
        write(DIALOGUE, ""),
        "data/MMD2withDST/train/5.json: expected valid JSON, found at line 1 column 1: Expecting value",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is binary",
        write(DIALOGUE, bytes(range(256))),
        "data/MMD2withDST/train/5.json: expected UTF-8 text, found at byte 128: invalid start byte",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is null",
        write(DIALOGUE, "null"),
        "data/MMD2withDST/train/5.json: expected a list of turns, found null",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is an object",
        write(DIALOGUE, "{}"),
        "data/MMD2withDST/train/5.json: expected a list of turns, found an object",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    counted(
        "a dialogue of numbers",
        write(DIALOGUE, "[1, 2, 3]"),
        "...rejected: 1 x dialogue without turns (first: train dialogue '5')...",
    ),
    *odd(
        "a dialogue too deep",
        write(DIALOGUE, "[" * 100_000),
        "data/MMD2withDST/train/5.json: expected a list of turns, found JSON nested too deeply to read",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue in UTF-16",
        write(DIALOGUE, "[]".encode("utf-16")),
        "data/MMD2withDST/train/5.json: expected UTF-8 text, found at byte 0: invalid start byte",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is a folder",
        lambda f: (remove(DIALOGUE)(f), make(DIALOGUE)(f)),
        "data/MMD2withDST/train/5.json: expected a file, found a folder",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is a pipe",
        pipe(DIALOGUE),
        "data/MMD2withDST/train/5.json: expected a file, found a pipe, a socket or a device",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is a broken link",
        link(DIALOGUE, "nowhere"),
        "data/MMD2withDST/train/5.json: expected a file or folder that can be read, found: No such file or directory",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue that is a device",
        link(DIALOGUE, "/dev/zero"),
        "data/MMD2withDST/train/5.json: expected a file, found a pipe, a socket or a device",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "a dialogue without permission",
        mode(DIALOGUE, 0),
        "data/MMD2withDST/train/5.json: expected a file or folder that can be read, found: Permission denied",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
        inside=ordinary_user,
    ),
    *odd(
        "a lone surrogate",
        change(DIALOGUE, lambda t: first_user(t, nlg="a\ud800b")),
        "data/MMD2withDST/train/5.json: turn 0: expected text that UTF-8 can hold, found a lone surrogate: 'a\\ud800b'",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    counted(
        "an image called id foo",
        change(DIALOGUE, lambda t: shown(t, images=["id foo"])),
        "...rejected: 1 x URL without file (first: train dialogue '5' merged turn 1)...",
    ),
    counted(
        "an image that is unknown",
        change(DIALOGUE, lambda t: shown(t, images=[99999])),
        "...rejected: 1 x image id without URL (first: train dialogue '5' merged turn 1)...",
    ),
    counted(
        "an image of a negative number",
        change(DIALOGUE, lambda t: shown(t, images=[-1])),
        "...rejected: 1 x image id without URL (first: train dialogue '5' merged turn 1)...",
    ),
    counted(
        "images that are a number",
        change(DIALOGUE, lambda t: shown(t, images=7)),
        "...rejected: 1 x negative that is also a positive (first: train dialogue '5' merged turn 1)...",
    ),
    *odd(
        "a number of 5,000 digits",
        lambda f: write(DIALOGUE, (f / DIALOGUE).read_text().replace('"turn_id": 0', '"turn_id": ' + "9" * 5000))(f),
        "data/MMD2withDST/train/5.json: expected numbers of a usual length, found one of thousands of digits",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    counted(
        "a text that is a number",
        change(DIALOGUE, lambda t: first_user(t, nlg=3)),
        "...rejected: 1 x turn with a text that is no text (first: train dialogue '5' turn 0)...",
    ),
    counted(
        "a text that is a list",
        change(DIALOGUE, lambda t: first_user(t, nlg=["a"])),
        "...rejected: 1 x turn with a text that is no text (first: train dialogue '5' turn 0)...",
    ),
    counted(
        "an unknown speaker",
        change(DIALOGUE, lambda t: t[0].update(speaker="bot")),
        "...rejected: 1 x recommendation without context (first: train dialogue '5' merged turn 0)...",
    ),
    *odd(
        "a turn without an utterance",
        change(DIALOGUE, lambda t: t[0].pop("utterance")),
        "data/MMD2withDST/train/5.json: expected a list of turns, found an object",
        "...rejected: 1 x malformed dialogue file (first: data/MMD2withDST/train/5.json)...",
    ),
    *odd(
        "an unknown slot",
        change(DIALOGUE, lambda t: annotated(t, slot=["hue"])),
        "train dialogue '5' turn 0: expected a slot of age, product_category, brand, sizes, length, colors, f...",
        "...rejected: 1 x unknown slot (first: train dialogue '5' turn 0)...",
    ),
    counted(
        "a slot that is null",
        change(DIALOGUE, lambda t: annotated(t, slot=None)),
        "...rejected: 1 x state entry without a slot or a value (first: train dialogue '5' turn 0)...",
    ),
    *odd(
        "a slot of an escape sequence",
        change(DIALOGUE, lambda t: annotated(t, slot=["\x1b[31mhue"])),
        "train dialogue '5' turn 0: expected a slot of age, product_category, brand, sizes, length, colors, f...",
        "...rejected: 1 x unknown slot (first: train dialogue '5' turn 0)...",
    ),
    *odd(
        "slot values that are an object",
        change(DIALOGUE, lambda t: annotated(t, values={"a": 1})),
        "train dialogue '5' turn 0: ds: expected a text, a number or a list of these, found an object",
        "...rejected: 1 x malformed state (first: train dialogue '5' turn 0)...",
    ),
    *odd(
        "a state that is a list",
        change(DIALOGUE, lambda t: t[0].update(ds=[1])),
        "train dialogue '5' turn 0: ds: expected an object, found a list",
        "...rejected: 1 x malformed state (first: train dialogue '5' turn 0)...",
    ),
    row(
        "a dialogue's name with an escape sequence",
        "PREPARE",
        "data/MMD2withDST/train/\\x1b[31mred.json: expected valid JSON, found at line 1 column 2: Expecting value",
        write(TRAIN_FOLDER + "/\x1b[31mred.json", "["),
        new=UNFINISHED,
    ),
    row(
        "a dialogue's name that is no UTF-8",
        "PREPARE",
        "data/MMD2withDST/train/\\udcff\\udcfe.json: expected valid JSON, found at line 1 column 2: Expecting value",
        lambda f: (f / TRAIN_FOLDER / os.fsdecode(b"\xff\xfe.json")).write_text("["),
        new=UNFINISHED,
    ),
    row(
        "a dialogue twice in its split", "PREPARE", "", copy(DIALOGUE, TRAIN_FOLDER + "/99.json"), code=0, new=PREPARED
    ),
    row(
        "a dialogue in train and test",
        "PREPARE",
        "",
        copy(DIALOGUE, "data/MMD2withDST/test/99.json"),
        code=0,
        new=PREPARED,
    ),
    row("no dialogues in train", "PREPARE", "", remove(TRAIN_FOLDER), make(TRAIN_FOLDER), code=0, new=PREPARED),
    row(
        "no dialogues at all",
        "PREPARE",
        "data: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2woDST ...",
        remove("data/MMD2withDST"),
        remove("data/MMD2woDST"),
        new=UNFINISHED,
    ),
)
