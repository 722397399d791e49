"""Rows of the fault table: simulate, prepare, verify and inspect; datasets, photos, stores."""

import os
import struct
import zlib

from tests.faults import (
    COMPARED,
    PREPARED,
    UNFINISHED,
    append,
    ascii_output,
    change,
    copy,
    cut,
    file_limit,
    flip,
    full_disk,
    link,
    make,
    mode,
    no_reader,
    ordinary_user,
    pipe,
    remove,
    replace,
    row,
    write,
)  # fmt: skip

TRAIN_FOLDER = "data/MMD2withDST/train"
DIALOGUE = f"{TRAIN_FOLDER}/5.json"
PHOTO = "data/images/images/item-000003.jpg"
PRODUCT = "data/knowledge/products_format/item-000003.json"
SKIP = "PREPARE --on-error skip"


def first_user(turns, **values):
    turns[0]["utterance"].update(values)


def annotated(turns, **values):
    turns[0]["ds"]["informable"][0].update(values)


def shown(turns, **values):
    next(turn for turn in turns if turn["utterance"].get("images"))["utterance"].update(values)


def odd(name, damage, says, prints, **more):
    """A dialogue that stops a preparation by its name, and is skipped and counted where skipping is asked for."""
    return (
        row(f"{name}, stop", "PREPARE", says, damage, new=UNFINISHED, **more),
        row(f"{name}, skip", SKIP, "", damage, code=0, new=PREPARED, prints=prints, **more),
    )


def counted(name, damage, prints, **more):
    """A fault of which the genuine data have many, so that nothing stops at it."""
    return row(f"{name}, counted", "PREPARE", "", damage, code=0, new=PREPARED, prints=prints, **more)


def png(width, height):
    """A grey image of any size, small as a file."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    lines = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", lines)
        + chunk(b"IEND", b"")
    )


def stamp_kept(path, damage):
    """The damage, after which the file has the time of before."""

    def keep(folder):
        stat = os.stat(folder / path)
        damage(folder)
        os.utime(folder / path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return keep


CATALOGUE = "name,type,color\na,dress,red\nb,coat,blue\nc,dress,blue\nd,coat,red\n"


def catalogue(name, table, says, *damages, words="", **more):
    return row(
        f"a catalogue {name}",
        f"simulate new --dialogues 3 --catalogue own {words}",
        says,
        *([] if table is None else [write("own/catalogue.csv", table)]),
        *(copy(PHOTO, f"own/{one}.jpg") for one in ("abcd" if table is not None else "")),
        *damages,
        **more,
    )


STORE_FILES = (
    "dialogue_digests.npy", "dialogues.parquet", "example_turns.npy", "has_photo.npy", "negatives.npy", "negatives_offsets.npy",
    "photos.npy", "positives.npy", "positives_offsets.npy", "products.parquet", "state_values.parquet", "turn_images.npy",
    "turn_images_offsets.npy", "turn_states.npy", "turns.parquet",
)  # fmt: skip

CHANGED = "store: expected the content that was prepared, found {} changed; prepare the store again"

ROWS = (
    # simulate
    row(
        "simulate into own files",
        "simulate own --dialogues 3",
        "own: expected a new or an empty folder, found files in it",
        write("own/thesis.txt", "years"),
    ),
    row(
        "simulate into a dataset",
        "simulate data --dialogues 3",
        "data: expected a new or an empty folder, found files in it",
    ),
    row(
        "simulate into a file",
        "simulate tiny.yaml --dialogues 3",
        "tiny.yaml: expected a new or an empty folder, found a file",
    ),
    row(
        "simulate below a file",
        "simulate tiny.yaml/x --dialogues 3",
        "tiny.yaml/x: expected to write the dataset, found Not a directory",
    ),
    row(
        "simulate into this folder",
        "simulate . --dialogues 3",
        ".: expected a new or an empty folder, found files in it",
    ),
    row(
        "simulate beside a folder called X.partial",
        "simulate more --dialogues 3 --products 9",
        "",
        write("more.partial/mine", "x"),
        code=0,
        new=("more", "more/*"),
    ),
    row(
        "simulate beside a folder called .X.building",
        "simulate more --dialogues 3 --products 9",
        "",
        write(".more.building/mine", "x"),
        code=0,
        new=("more", "more/*"),
    ),
    row("simulate no dialogues", "simulate more --dialogues 0", "dialogues: expected at least 3, found 0"),
    row("simulate too few dialogues", "simulate more --dialogues 2", "dialogues: expected at least 3, found 2"),
    row("simulate a negative number", "simulate more --dialogues -5", "dialogues: expected at least 3, found -5"),
    row("simulate a word", "simulate more --dialogues many", "Invalid value for '--dialogues': ..."),
    row(
        "simulate more than can be meant",
        "simulate more --dialogues 99999999999",
        "dialogues: expected at most 10000000, found 99999999999",
    ),
    row(
        "simulate more products than can be meant",
        "simulate more --dialogues 3 --products 99999999999",
        "products: expected at most 10000000, found 99999999999",
    ),
    row(
        "simulate a number of 5,000 digits",
        "simulate more --dialogues " + "9" * 5000,
        "Invalid value for '--dialogues': ...",
    ),
    row("simulate one product", "simulate more --dialogues 3 --products 1", "products: expected at least 2, found 1"),
    row("simulate a negative seed", "simulate more --dialogues 3 --seed -1", "seed: expected at least 0, found -1"),
    row(
        "simulate a seed that is too large",
        "simulate more --dialogues 3 --products 9 --seed 99999999999999999999999",
        "seed: expected at most 4294967295, found 99999999999999999999999",
    ),
    row(
        "simulate without negatives",
        "simulate more --dialogues 3 --negatives 0",
        "negatives: expected at least 1, found 0",
    ),
    row(
        "simulate without evaluation negatives",
        "simulate more --dialogues 3 --evaluation-negatives 0",
        "evaluation_negatives: expected at least 1, found 0",
    ),
    row(
        "simulate negative unlabelled",
        "simulate more --dialogues 3 --unlabelled -1",
        "unlabelled: expected at least 0, found -1",
    ),
    row(
        "simulate into a name that is too long",
        "simulate " + "x" * 300 + " --dialogues 3 --products 9",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...",
    ),
    row(
        "simulate into an empty name",
        "simulate '' --dialogues 3 --products 9",
        ".: expected a new or an empty folder, found files in it",
    ),
    row(
        "simulate into a folder without permission",
        "simulate closed/x --dialogues 3 --products 9",
        "closed/x: expected to write the dataset, found Permission denied",
        make("closed"),
        mode("closed", 0o500),
        inside=ordinary_user,
    ),
    row(
        "simulate through a broken link",
        "simulate gone --dialogues 3 --products 9",
        "gone: expected to write the dataset, found Not a directory",
        link("gone", "nowhere/at/all"),
    ),
    row(
        "simulate on a full disk",
        "simulate more --dialogues 3 --products 9",
        "more: expected to write the dataset, found No space left on device",
        inside=full_disk(5),
    ),
    row(
        "simulate on a full disk, first file",
        "simulate more --dialogues 3 --products 9",
        "more: expected to write the dataset, found No space left on device",
        inside=full_disk(1),
    ),
    row(
        "simulate under a limit on files",
        "simulate more --dialogues 3 --products 9",
        "more: expected to write the dataset, found File too large",
        inside=file_limit(900),
    ),
    row(
        "simulate, closed pipe",
        "simulate more --dialogues 3 --products 9",
        "",
        code=141,
        inside=no_reader,
        new=("more", "more/*"),
    ),
    catalogue("that is not there", None, "own: expected a catalogue with a file catalogue.csv, found none"),
    catalogue("without a table", None, "own: expected a catalogue with a file catalogue.csv, found none", make("own")),
    catalogue(
        "that is empty", "", "own/catalogue.csv: expected a header and at least one product, found an empty file"
    ),
    catalogue(
        "with a header alone",
        "name,type\n",
        "own/catalogue.csv: expected a header and at least one product, found no product",
    ),
    catalogue(
        "without a type",
        "name,color\na,red\n",
        "own/catalogue.csv: expected the column type and one of name and file, found name, colour",
    ),
    catalogue("that is binary", bytes(range(256)), "own/catalogue.csv: expected a CSV file in UTF-8, found ..."),
    catalogue(
        "in Latin-1",
        "name,type\na,caf\u00e9\n".encode("latin-1"),
        "own/catalogue.csv: expected a CSV file in UTF-8, found ...",
    ),
    catalogue(
        "with a quote that is open",
        'name,type\n"a,dress\n',
        "own/catalogue.csv: expected a CSV file in UTF-8, found ...",
    ),
    catalogue("with a missing cell", "name,type\na\n", "own/catalogue.csv line 2: expected 2 cells, found 1"),
    catalogue(
        "with a column twice",
        "name,type,type\na,dress,coat\n",
        "own/catalogue.csv: expected each column once, found type twice",
    ),
    catalogue(
        "with a product twice",
        CATALOGUE + "a,dress,red\n",
        "own/catalogue.csv line 6: expected a photo of its own, found 'a' of line 2 again",
    ),
    catalogue(
        "with a missing photo",
        CATALOGUE + "e,dress,red\n",
        "own/catalogue.csv line 6: expected a photo 'e' ending in .jpg, .jpeg, .png in own, found no such file",
    ),
    catalogue(
        "with a photo outside",
        "file,type\n../data/images/images/item-000003.jpg,dress\n",
        "own/catalogue.csv line 2: expected a photo within own, found '../data/images/images/item-000003.jpg'",
    ),
    catalogue(
        "with a photo of an absolute path",
        "file,type\n/etc/passwd,dress\n",
        "own/catalogue.csv line 2: expected a photo within own, found '/etc/passwd'",
    ),
    catalogue("with a photo that is no photo", CATALOGUE, "", write("own/a.jpg", "x"), code=0, new=PREPARED),
    catalogue(
        "with types that are unknown",
        "name,type\na,unk\nb,\n",
        "own/catalogue.csv: expected a type for at least one product, found none",
    ),
    catalogue("of one product", "name,type\na,dress\n", "own: expected a catalogue of at least 2 products, found 1"),
    catalogue("with null bytes", "name,type\na,dr\0ess\nb,coat\n", "", code=0, new=PREPARED),
    catalogue(
        "with a cell of a megabyte",
        "name,type\na," + "x" * 1_000_000 + "\nb,coat\n",
        "own/catalogue.csv: expected a CSV file in UTF-8, found ...",
    ),
    catalogue(
        "with escape sequences in a name",
        "name,type\n\x1b[31mred,dress\nb,coat\n",
        "own/catalogue.csv line 2: expected a photo '\\x1b[31mred' ending in .jpg, .jpeg, .png in own, found no such file",
    ),
    catalogue("of fewer products than are asked for", CATALOGUE, "", words="--products 99", code=0, new=PREPARED),
    catalogue(
        "whose table is a pipe",
        CATALOGUE,
        "own: expected a catalogue with a file catalogue.csv, found none",
        pipe("own/catalogue.csv"),
    ),
    catalogue(
        "whose table is a folder",
        None,
        "own: expected a catalogue with a file catalogue.csv, found none",
        make("own/catalogue.csv"),
    ),
    # prepare: words
    row(
        "prepare nothing",
        "prepare mmd nowhere --out new",
        "nowhere: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2woD...",
    ),
    row(
        "prepare a file",
        "prepare mmd tiny.yaml --out new",
        "tiny.yaml: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2w...",
    ),
    row(
        "prepare an empty folder",
        "prepare mmd empty --out new",
        "empty: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2woDST...",
        make("empty"),
    ),
    row(
        "prepare a store",
        "prepare mmd store --out new",
        "store: expected a dataset, found none; looked for img_attrs (SIMMC), MMD2withDST (MMD v3), MMD2woDST...",
    ),
    row(
        "prepare as another layout", "prepare simmc data --out new", "data: expected the simmc layout, found mmd-v3+v2"
    ),
    row("prepare an unknown layout", "prepare mmdd data --out new", "layout: expected mmd or simmc, got 'mmdd'"),
    row(
        "prepare into the dataset",
        "prepare mmd data --out data",
        "data: expected an empty folder or a store, found MMD2withDST, MMD2woDST, cleaned_image_id.json, imag...",
    ),
    row(
        "prepare into the dataset by force",
        "prepare mmd data --out data --overwrite",
        "data: expected an empty folder or a store, found MMD2withDST, MMD2woDST, cleaned_image_id.json, imag...",
    ),
    row(
        "prepare into a folder of own files",
        "prepare mmd data --out own",
        "own: expected an empty folder or a store, found thesis.txt; choose another folder",
        write("own/thesis.txt", "years"),
    ),
    row(
        "prepare into a folder of own files by force",
        "prepare mmd data --out own --overwrite",
        "own: expected an empty folder or a store, found thesis.txt; choose another folder",
        write("own/thesis.txt", "years"),
    ),
    row(
        "prepare over a run by force",
        "prepare mmd data --out RUN --overwrite",
        "runs/tiny/base/seed_0: expected an empty folder or a store, found config.yaml, data.json, environmen...",
    ),
    row(
        "prepare over all runs by force",
        "prepare mmd data --out runs --overwrite",
        "runs: expected an empty folder or a store, found tiny; choose another folder",
    ),
    row("prepare into a file", "prepare mmd data --out tiny.yaml", "tiny.yaml: expected a folder, found a file"),
    row(
        "prepare into a file by force",
        "prepare mmd data --out tiny.yaml --overwrite",
        "tiny.yaml: expected a folder, found a file",
    ),
    row(
        "prepare below a file",
        "prepare mmd data --out tiny.yaml/store",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "prepare into this folder",
        "prepare mmd data --out .",
        ".: expected an empty folder or a store, found data, dialogue.json, evaluated, features.npy, ...; ch...",
    ),
    row(
        "prepare into this folder by force",
        "prepare mmd data --out . --overwrite",
        ".: expected an empty folder or a store, found data, dialogue.json, evaluated, features.npy, ...; ch...",
    ),
    row(
        "prepare with other settings over a store",
        "prepare mmd data --out store --missing-photo mask",
        "store: expected no store or one of the same source and settings, found one that differs in missing_p...",
    ),
    row(
        "prepare with own files in partial",
        "PREPARE",
        "new/partial: expected an empty folder or a store, found mine.txt; choose another folder",
        write("new/partial/mine.txt", "x"),
        new=UNFINISHED,
    ),
    row(
        "prepare without a word for missing photos",
        "PREPARE --missing-photo ignore",
        "missing_photo: expected drop or mask, found 'ignore'",
    ),
    row(
        "prepare without a word for errors",
        "PREPARE --on-error ignore",
        "on_error: expected one of stop, skip, found 'ignore'",
    ),
    row(
        "prepare with negative workers",
        "prepare mmd data --out new --workers -1",
        "workers: expected 0 or more, found -1",
    ),
    row(
        "prepare with a million workers",
        "prepare mmd data --out new --workers 1000000",
        "workers: expected at most 1000, found 1000000",
    ),
    row(
        "prepare with slots from nowhere",
        "PREPARE --slots nowhere.yaml",
        "slots nowhere.yaml: expected a YAML file, got none there",
    ),
    row(
        "prepare with slots that are a list",
        "PREPARE --slots slots.yaml",
        "slots slots.yaml: expected a mapping of slots to words, got ['a', 'b']",
        write("slots.yaml", "[a, b]"),
    ),
    row(
        "prepare with slots that are empty",
        "PREPARE --slots slots.yaml",
        "slots slots.yaml: expected a mapping of slots to words, got None",
        write("slots.yaml", ""),
    ),
    row(
        "prepare with a slot twice",
        "PREPARE --slots slots.yaml",
        "slots slots.yaml: expected YAML, got: the key 'color' twice, again in line 2",
        write("slots.yaml", "color: a\ncolor: b"),
    ),
    row(
        "prepare with slots that are numbers",
        "PREPARE --slots slots.yaml",
        "slots slots.yaml: expected a mapping of slots to words, got {'1': 2}",
        write("slots.yaml", "1: 2"),
    ),
    row(
        "prepare with binary slots",
        "PREPARE --slots slots.yaml",
        "slots slots.yaml: expected a YAML file, got byte 0x80 at 128, which is no UTF-8",
        write("slots.yaml", bytes(range(256))),
    ),
    row(
        "prepare with slots of another schema",
        "PREPARE --slots slots.yaml",
        "train dialogue '0' turn 2: expected a slot of hue, found 'product_category'",
        write("slots.yaml", "hue: colour"),
        new=UNFINISHED,
    ),
    # prepare: places
    row(
        "prepare into a folder without permission",
        "prepare mmd data --out closed/new --workers 0",
        "...closed/.new.lock: expected to read or write it, found: Permission denied",
        make("closed"),
        mode("closed", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "prepare a dataset without permission",
        "PREPARE",
        "data/MMD2withDST/train: expected to read or write it, found: Permission denied",
        mode(TRAIN_FOLDER, 0),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "prepare on a full disk, first file",
        "PREPARE",
        "....new.lock: expected room to write, found the disk full",
        inside=full_disk(2),
        code=1,
    ),
    row(
        "prepare on a full disk, later file",
        "PREPARE",
        "new: expected room to write, found the disk full; what was written is kept: free some space and prepare again to go on",
        inside=full_disk(9),
        new=PREPARED,
    ),
    row(
        "prepare on a full quota",
        "PREPARE",
        "new: expected room to write, found the disk full; what was written is kept: free some space and prepare again to go on",
        inside=full_disk(6, 122),
        new=PREPARED,
    ),
    row(
        "prepare again on a full disk",
        "prepare mmd data --out store --missing-photo mask --overwrite --workers 0",
        "store: expected room to write, found the disk full; what was written is kept: free some space and pr...",
        inside=full_disk(6),
        new=("store/partial", "store/partial/*"),
    ),
    row(
        "prepare under a limit on files",
        "PREPARE",
        "disk: expected room to write, found the largest size that a file may have here (ulimit -f)",
        inside=file_limit(100_000),
        code=1,
        new=PREPARED,
    ),
    row("prepare, closed pipe", "PREPARE", "", inside=no_reader, code=141, new=PREPARED),
    row(
        "prepare, ASCII-only terminal",
        "PREPARE",
        "",
        change(PRODUCT, lambda p: p.update(name="caf\u00e9 \u2603")),
        inside=ascii_output,
        code=0,
        new=PREPARED,
    ),
    row(
        "prepare on a broken disk",
        "PREPARE",
        "new/partial/journal.jsonl: expected to read or write it, found: Input/output error",
        inside=full_disk(6, 5),
        code=1,
        new=PREPARED,
    ),
    row("prepare the same again", "prepare mmd data --out store --workers 0", "", code=0),
    # prepare: a dataset that changed
    row(
        "prepare after an edit of the same length",
        "prepare mmd data --out store --workers 0",
        "store: expected no store or one of the same source and settings, found one that differs in source; c...",
        replace(DIALOGUE, "trousers", "blousers"),
        new=COMPARED,
    ),
    row(
        "prepare after a touch",
        "prepare mmd data --out store --workers 0",
        "",
        lambda f: os.utime(f / DIALOGUE, (1, 1)),
        code=0,
        changed=("store/manifest.json",),
    ),
    row(
        "prepare after a photo's edit",
        "prepare mmd data --out store --workers 0",
        "store: expected no store or one of the same source and settings, found one that differs in source; c...",
        flip(PHOTO, 0.7),
        new=COMPARED,
    ),
    row(
        "prepare after a product's edit of the same length",
        "prepare mmd data --out store --workers 0",
        "store: expected no store or one of the same source and settings, found one that differs in source; c...",
        change(PRODUCT, lambda p: p.update(name=p["name"][::-1])),
        new=COMPARED,
    ),
    row(
        "prepare after a dialogue is gone",
        "prepare mmd data --out store --workers 0",
        "store: expected no store or one of the same source and settings, found one that differs in source; c...",
        remove(DIALOGUE),
        new=COMPARED,
    ),
    # prepare: odd dialogues
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
    # prepare: catalogue and photos
    row(
        "a product that is no JSON",
        "PREPARE",
        "product 'item-000003': data/knowledge/products_format/item-000003.json: expected valid JSON, found a...",
        write(PRODUCT, "{"),
        new=UNFINISHED,
    ),
    row(
        "a product that is a list",
        "PREPARE",
        "product 'item-000003': data/knowledge/products_format/item-000003.json: expected an object of texts, found a list",
        write(PRODUCT, "[]"),
        new=UNFINISHED,
    ),
    row(
        "a product that is a pipe",
        "PREPARE",
        "product 'item-000003': data/knowledge/products_format/item-000003.json: expected a file, found a pip...",
        pipe(PRODUCT),
        new=UNFINISHED,
    ),
    row(
        "no products",
        "PREPARE",
        "data: expected a recommendation with a positive and a negative, found no example in any split: train...",
        remove("data/knowledge"),
        make("data/knowledge/products_format"),
        new=UNFINISHED,
    ),
    row(
        "url2img.txt with a path outside",
        "PREPARE",
        "data/url2img.txt line 4: expected a photo file within images/images, found '../../tiny.yaml'",
        replace("data/url2img.txt", " item-000003.jpg", " ../../tiny.yaml"),
        new=UNFINISHED,
    ),
    row(
        "url2img.txt with an absolute path",
        "PREPARE",
        "data/url2img.txt line 4: expected a photo file within images/images, found '/etc/passwd'",
        replace("data/url2img.txt", " item-000003.jpg", " /etc/passwd"),
        new=UNFINISHED,
    ),
    row(
        "url2img.txt that is binary",
        "PREPARE",
        "data/url2img.txt line 3: expected a URL and a file name in UTF-8, found '\\x0e\\x0f\\x10\\x11\\x12\\x13\\x1...",
        write("data/url2img.txt", bytes(range(256))),
        new=UNFINISHED,
    ),
    row(
        "url2img.txt with half a line", "PREPARE", "", append("data/url2img.txt", "http://alone"), code=0, new=PREPARED
    ),
    row(
        "url2img.txt that is not there",
        "PREPARE",
        "data: expected cleaned_image_id.json or image_id.json, url2img.txt and knowledge/products_format bes...",
        remove("data/url2img.txt"),
        new=UNFINISHED,
    ),
    row(
        "url2img.txt that is a pipe",
        "PREPARE",
        "data/url2img.txt: expected a file, found a pipe, a socket or a device",
        pipe("data/url2img.txt"),
        new=UNFINISHED,
    ),
    row(
        "cleaned_image_id.json cut off",
        "PREPARE",
        "data/cleaned_image_id.json: expected valid JSON, found at line 1 column 597: Expecting property name...",
        cut("data/cleaned_image_id.json"),
        new=UNFINISHED,
    ),
    row(
        "cleaned_image_id.json that is a word",
        "PREPARE",
        "data/cleaned_image_id.json: expected a list whose first element maps URL to id, found a string",
        write("data/cleaned_image_id.json", '"x"'),
        new=UNFINISHED,
    ),
    row(
        "cleaned_image_id.json with words for numbers",
        "PREPARE",
        "data/cleaned_image_id.json: URL 'http://shop.invalid/photos/item-000003.jpg': expected a number, found 'two'",
        replace("data/cleaned_image_id.json", ": 2,", ': "two",'),
        new=UNFINISHED,
    ),
    row(
        "cleaned_image_id.json with a key twice",
        "PREPARE",
        "data/cleaned_image_id.json: URL 'http://shop.invalid/photos/item-000000.jpg': expected each URL once, found it twice",
        replace("data/cleaned_image_id.json", "[{", '[{"http://shop.invalid/photos/item-000000.jpg": 1, '),
        new=UNFINISHED,
    ),
    row(
        "a photo that is empty",
        "PREPARE",
        "",
        write(PHOTO, b""),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode...",
    ),
    row(
        "a photo that is text",
        "PREPARE",
        "",
        write(PHOTO, "no photo"),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode...",
    ),
    row(
        "a photo cut off",
        "PREPARE",
        "",
        cut(PHOTO),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "a photo that is a folder",
        "PREPARE",
        "",
        remove(PHOTO),
        make(PHOTO),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "a photo that is a pipe",
        "PREPARE",
        "",
        pipe(PHOTO),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "a photo that is a link outside",
        "PREPARE",
        "",
        link(PHOTO, "/etc/passwd"),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "a photo of 100 megapixels",
        "PREPARE",
        "",
        lambda f: write(PHOTO, png(10_000, 10_001))(f),
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "a photo without permission",
        "PREPARE",
        "",
        mode(PHOTO, 0),
        inside=ordinary_user,
        code=0,
        new=PREPARED,
        prints="...rejected: 1 x photo does not decode (first: product 'item-000003')...",
    ),
    row(
        "no photos",
        "PREPARE",
        "data: expected a recommendation with a positive and a negative, found no example in any split: train...",
        remove("data/images"),
        new=UNFINISHED,
    ),
    row("no photos, masked", "PREPARE --missing-photo mask", "", remove("data/images"), code=0, new=PREPARED),
    # verify and inspect
    row(
        "verify nothing",
        "verify nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "verify a file",
        "verify tiny.yaml",
        "tiny.yaml: expected a prepared store (a folder with manifest.json), found a file",
    ),
    row(
        "verify a dataset",
        "verify data",
        "data: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    row(
        "verify a run",
        "verify RUN",
        "runs/tiny/base/seed_0: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    *(
        row(f"verify {name}, a bit flipped", "verify store", CHANGED.format(name), flip(f"store/{name}"))
        for name in STORE_FILES
    ),
    *(
        row(
            f"verify {name}, a bit flipped at its old time",
            "verify store",
            CHANGED.format(name),
            stamp_kept(f"store/{name}", flip(f"store/{name}")),
        )
        for name in STORE_FILES[:3]
    ),
    *(
        row(f"inspect without {name}", "inspect store", f"store...{name}...", remove(f"store/{name}"))
        for name in STORE_FILES[:3]
    ),
    *(
        row(f"inspect {name} cut off", "inspect store", f"store...{name}...", cut(f"store/{name}"))
        for name in STORE_FILES[:3]
    ),
    row(
        "verify an array that is a pipe",
        "verify store",
        "store/photos.npy: expected 295040 bytes, found no such file; prepare the store again",
        pipe("store/photos.npy"),
    ),
    row(
        "verify an array that is a folder",
        "verify store",
        "store/photos.npy: expected 295040 bytes, found no such file; prepare the store again",
        remove("store/photos.npy"),
        make("store/photos.npy"),
    ),
    row(
        "verify an array that is another file",
        "verify store",
        "store/photos.npy: expected an array, found another kind of file; prepare the store again",
        write("store/photos.npy", "x" * 295_040),
    ),
    row(
        "verify an array without permission",
        "verify store",
        "store/photos.npy: expected to read or write it, found: Permission denied",
        mode("store/photos.npy", 0),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "verify a manifest cut off",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        cut("store/manifest.json"),
    ),
    row(
        "verify a manifest that is empty",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", ""),
    ),
    row(
        "verify a manifest that is a list",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        write("store/manifest.json", "[]"),
    ),
    row(
        "verify a manifest that is binary",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", bytes(range(256))),
    ),
    row(
        "verify a manifest too deep",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", "[" * 100_000),
    ),
    row(
        "verify a manifest that is a pipe",
        "verify store",
        "store: expected a prepared store (a folder with manifest.json), found a folder without one",
        pipe("store/manifest.json"),
    ),
    row(
        "verify a manifest of another format",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.update(format="x")),
    ),
    row(
        "verify a manifest of another version",
        "verify store",
        "store/manifest.json: expected store version 2, found 99; prepare it again",
        change("store/manifest.json", lambda m: m.update(version=99)),
    ),
    row(
        "verify a manifest with another count",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["splits"]["train"].update(examples=9)),
    ),
    row(
        "verify a manifest without checksums",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.pop("checksums")),
    ),
    row(
        "verify a manifest with checksums of words",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m.update(checksums="x")),
    ),
    row(
        "verify a manifest without splits",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.pop("splits")),
    ),
    row(
        "verify a manifest with another slot",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["slots"].append("hue")),
    ),
    row(
        "verify a manifest with a path outside",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["checksums"].update({"../tiny.yaml": "0"})),
    ),
    row("verify a store with an own file", "verify store", "", write("store/notes.txt", "x"), code=0),
    row("verify, closed pipe", "verify store", "", inside=no_reader, code=141),
    row("verify a store that may only be read", "verify store", "", mode("store", 0o500), inside=ordinary_user, code=0),
    row(
        "inspect nothing",
        "inspect nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "inspect a dialogue that is not there",
        "inspect store --dialogue 999",
        "store: expected a dialogue row below 11, found 999",
    ),
    row(
        "inspect a negative dialogue",
        "inspect store --dialogue -1",
        "store: expected a dialogue row below 11, found -1",
    ),
    row("inspect a dialogue without examples", "inspect store --dialogue 10", "", code=0, new=("store/inspect.html",)),
    row("inspect a dialogue by a word", "inspect store --dialogue first", "Invalid value for '--dialogue': ..."),
    row("inspect with a negative seed", "inspect store --seed -1", "Invalid value for '--seed': ..."),
    row(
        "inspect onto the configuration",
        "inspect store --out tiny.yaml",
        "tiny.yaml: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto the manifest",
        "inspect store --out store/manifest.json",
        "store/manifest.json: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto an array",
        "inspect store --out store/photos.npy",
        "store/photos.npy: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto an own page",
        "inspect store --out own.html",
        "own.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("own.html", "<html>mine</html>"),
    ),
    row(
        "inspect onto an own page of its default name",
        "inspect store",
        "store/inspect.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("store/inspect.html", "<html>mine</html>"),
    ),
    row(
        "inspect onto a folder",
        "inspect store --out data",
        "data: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect below a file",
        "inspect store --out tiny.yaml/page.html",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "inspect onto a link to an own file",
        "inspect store --out page.html",
        "page.html: expected no file there or a page that semantic wrote, found something else; give another name",
        link("page.html", "tiny.yaml"),
    ),
    row(
        "inspect a store that may only be read",
        "inspect store",
        "...store/.inspect.html.lock: expected to read or write it, found: Permission denied",
        mode("store", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "inspect on a full disk",
        "inspect store",
        "...store/.inspect.html.lock: expected room to write, found the disk full",
        inside=full_disk(1),
        code=1,
    ),
    row(
        "inspect onto a full device",
        "inspect store --out /dev/full",
        "/dev/full: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row("inspect, closed pipe", "inspect store", "", inside=no_reader, code=141),
    row("inspect, ASCII-only terminal", "inspect store", "", inside=ascii_output, code=0, new=("store/inspect.html",)),
    row(
        "inspect into an empty own file",
        "inspect store --out page.html",
        "page.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("page.html", ""),
    ),
)
