"""What rows of the fault table about data share: places in the shop, and rows and damages of a kind."""

import os
import struct
import zlib

from tests.faults import (
    PREPARED,
    UNFINISHED,
    copy,
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
