"""Simulated data: a drawn catalogue with photos, and dialogues by an agenda-based user simulator, in MMD's layout.

The shopper has a hidden goal. It names criteria a few at a time, answers questions, likes and dislikes attributes of
photos ("the colour of the 2nd image"), asks for "one like this but in red", corrects errors, changes criteria, goes on
to another garment, buys, and says goodbye. The agent shows products that satisfy the current criteria; the negatives
do not. Each user turn carries the belief state: the current criteria, also those read off a photo, and the products it
refers to. Files are MMD's (v3, and v2 for dialogues without states), so MMD's reader reads them.

Read `catalogue/` first: `slots`, `words` and `garments` (the tables), `catalogue`, then `drawing` and `photos` (a drawn
catalogue) or `folder` (the user's own). Then `dialogue/`: `search`, `phrases`, `agenda` (the shopper), `agent`,
`conversation`. `writer` writes the files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from semantic.datasets.simulator.catalogue.drawing import draw_catalogue
from semantic.datasets.simulator.catalogue.folder import read_catalogue
from semantic.datasets.simulator.dialogue.conversation import converse
from semantic.datasets.simulator.writer import MmdWriter
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError
from semantic.runtime.files import building
from semantic.runtime.progress import Report, no_report

__all__ = ["simulate"]

SPLITS = ("train", "valid", "test")
HELD_OUT = 0.14  # of the dialogues, in valid and in test alike; MMD v3 has 72, 14 and 14%
DRAWN = 2000  # products of a drawn catalogue
MOST = 10_000_000  # of anything; more is a slip, and would end as a full disk
LARGEST_SEED = 2**32 - 1
REPORT_EVERY = 20  # dialogues between two reports of progress


def simulate(
    out: Path | str,
    *,
    dialogues: int,
    products: int | None = None,
    seed: int = 0,
    catalogue: Path | str | None = None,
    negatives: int = 100,
    evaluation_negatives: int = 500,
    unlabelled: int = 0,
    progress: Report = no_report,
) -> dict[str, int]:
    """Write a dataset in the layout of MMD v3 to the new folder `out` and return its counts.

    It has `dialogues` dialogues with states, 72, 14 and 14% of them in train, valid and test, and `unlabelled` without
    states, in MMD v2's `MMD2woDST/train`. Both share a catalogue of `products` products: drawn (2,000 by default), or
    taken from the folder `catalogue` (all by default; see `folder.read_catalogue`). A recommendation has 3 to 5
    positives where that many products satisfy the criteria, and up to `negatives` negatives in train and
    `evaluation_negatives` in valid and test. The same arguments give the same bytes.

    Files are written to a folder beside, which is renamed at the end: `out` is either complete or absent.

    Raises:
        DataError: an `out` that is not empty, a bad number or a bad catalogue.
        BusyError: another process writes to `out`.
    """
    out = Path(out)
    products = DRAWN if products is None and catalogue is None else products
    numbers = {
        "dialogues": (dialogues, 3),
        "seed": (seed, 0),
        "unlabelled": (unlabelled, 0),
        "negatives": (negatives, 1),
    }
    numbers |= {"evaluation_negatives": (evaluation_negatives, 1)} | (
        {} if products is None else {"products": (products, 2)}
    )
    for name, (number, least) in numbers.items():
        most = LARGEST_SEED if name == "seed" else MOST
        if not least <= number <= most:
            bound = f"at least {least}" if number < least else f"at most {most}"
            raise DataError(f"{name}: expected {bound}, found {number}")
    goods = (
        draw_catalogue(products or DRAWN, seed)
        if catalogue is None
        else read_catalogue(Path(catalogue), products, seed)
    )
    if len(goods) < 2:
        raise DataError(f"{catalogue}: expected a catalogue of at least 2 products, found {len(goods)}")
    with _whole_folder(out) as partial:
        writer = MmdWriter(partial, goods, seed)
        writer.write_catalogue(progress)
        done = 0
        sizes = split_sizes(dialogues)
        for stream, (split, size) in enumerate(sizes.items()):
            folder = partial / "MMD2withDST" / split
            folder.mkdir(parents=True)
            most = negatives if split == "train" else evaluation_negatives
            for number in range(size):
                rng = np.random.default_rng([seed, 5 + stream, number])
                writer.write_dialogue(folder, done, converse(goods, rng, most), states=True)
                done += 1
                if done % REPORT_EVERY == 0 or done == dialogues:
                    progress("dialogues", done, dialogues)
        folder = partial / "MMD2woDST" / "train"
        if unlabelled:
            folder.mkdir(parents=True)
        for number in range(unlabelled):
            rng = np.random.default_rng([seed, 5 + len(SPLITS), number])
            writer.write_dialogue(folder, done + number, converse(goods, rng, negatives), states=False)
            if (number + 1) % REPORT_EVERY == 0 or number + 1 == unlabelled:
                progress("dialogues without states", number + 1, unlabelled)
    return {"products": len(goods), **sizes, "unlabelled": unlabelled, **asdict(writer.counts)}


def split_sizes(dialogues: int) -> dict[str, int]:
    """The number of dialogues of each split: 14% each in valid and test, at least one, and the rest in train."""
    held_out = max(1, round(HELD_OUT * dialogues))
    return {"train": dialogues - 2 * held_out, "valid": held_out, "test": held_out}


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of `out` at the end, or is deleted after an exception."""
    try:
        with claim(out):
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise DataError(
                    f"{out}: expected a new or an empty folder, found {'files in it' if out.is_dir() else 'a file'}"
                )
            with building(out) as new:
                yield new
    except OSError as error:
        raise DataError(f"{out}: expected to write the dataset, found {error.strerror or error}") from error
