"""Commands that make, check and show data: simulate, prepare, verify, inspect."""

from pathlib import Path
from typing import Annotated, Any

import typer

from semantic.cli.arguments import Store
from semantic.cli.console import print_line, steps
from semantic.runtime.errors import DataError


def simulate(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder, written in the MMD-v3 layout.", show_default=False)
    ],
    dialogues: Annotated[int, typer.Option(help="Dialogues with states, over train, valid and test.")] = 400,
    products: Annotated[int | None, typer.Option(help="Products of the drawn catalogue.", show_default="2000")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn; the same seed gives the same bytes.")] = 0,
    negatives: Annotated[int, typer.Option(help="At most this many negatives of a recommendation in train.")] = 100,
    evaluation_negatives: Annotated[int, typer.Option(help="The same in valid and test.")] = 500,
    unlabelled: Annotated[int, typer.Option(help="Additional dialogues without states, in the MMD-v2 layout.")] = 0,
    catalogue: Annotated[
        Path | None, typer.Option(help="Folder with catalogue.csv and photos, instead of a drawn catalogue.")
    ] = None,
) -> None:
    """Draw a catalogue with photos and simulate shopping dialogues over it."""
    from semantic.datasets.simulator import simulate as simulate_dialogues

    with steps() as step:
        counts = simulate_dialogues(
            folder,
            dialogues=dialogues,
            products=products,
            seed=seed,
            negatives=negatives,
            evaluation_negatives=evaluation_negatives,
            unlabelled=unlabelled,
            catalogue=catalogue,
            progress=step,
        )
    print_line(f"{folder}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))


def prepare(
    layout: Annotated[str, typer.Argument(help="mmd (v1, v2 and v3 are told apart) or simmc.", show_default=False)],
    root: Annotated[Path, typer.Argument(help="Folder of the dataset.", show_default=False)],
    store: Annotated[Path, typer.Option("--out", help="Folder of the store.", show_default=False)],
    missing_photo: Annotated[
        str, typer.Option(help="A product without a readable photo: drop it, or mask its image.")
    ] = "drop",
    on_error: Annotated[
        str, typer.Option(help="A malformed file or an unknown slot: stop, or skip and count it.")
    ] = "stop",
    slots: Annotated[
        Path | None, typer.Option(help="YAML file {slot: key words}, instead of the layout's own slots.")
    ] = None,
    photo_size: Annotated[int, typer.Option(help="Pixels of a photo's side, as models see it.", min=8, max=1024)] = 64,
    max_positives: Annotated[int, typer.Option(help="Positives that an example keeps at most, the first.", min=1)] = 5,
    max_negatives: Annotated[
        int, typer.Option(help="Negatives that an example keeps at most, the first.", min=1)
    ] = 1000,
    overwrite: Annotated[bool, typer.Option(help="Replace a store that is already there.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that read files; 0: all in this one.", show_default="one per core"),
    ] = None,
) -> None:
    """Read a dataset once into a memory-mapped store. Safe to interrupt: the same command resumes."""
    from semantic.config.loading import read_slots
    from semantic.datasets.preparing.dialogues import Limits
    from semantic.datasets.preparing.prepare import prepare as prepare_store
    from semantic.datasets.preparing.workers import cores
    from semantic.datasets.reading.corpus import open_corpus
    from semantic.dst.schema import SCHEMAS

    if layout not in SCHEMAS:
        raise DataError(f"layout: expected {' or '.join(SCHEMAS)}, got {layout!r}")
    own = None if slots is None else read_slots(slots)
    schema = SCHEMAS[layout].slots if own is None else tuple(own)
    with steps() as step:
        corpus = open_corpus(root, schema, layout, step)
        manifest = prepare_store(
            corpus,
            store,
            missing_photo=missing_photo,
            on_error=on_error,
            photo_size=photo_size,
            slot_words=own,
            limits=Limits(max_positives, max_negatives),
            overwrite=overwrite,
            workers=cores() if workers is None else workers,
            progress=step,
        )
    print_store(store, manifest)


def verify(store: Store) -> None:
    """Compare every file of a store with the checksum of when it was prepared."""
    from semantic.datasets.store.store import open_store

    opened = open_store(store)
    with steps() as step:
        opened.verify(step)
    print_line(f"{store}: every file is as it was prepared; identity {opened.identity}")


def inspect(
    store: Store,
    dialogue: Annotated[
        int | None, typer.Option(help="Row of the dialogue to show.", show_default="drawn by --seed")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed that draws the dialogue.", min=0)] = 0,
    page: Annotated[Path | None, typer.Option("--out", help="HTML page.", show_default="STORE/inspect.html")] = None,
) -> None:
    """Counts of a store, what was rejected and why, and one dialogue with its photos as an HTML page."""
    import numpy as np

    from semantic.datasets.store.store import open_store
    from semantic.report.pages import inspect_page

    opened = open_store(store)
    print_store(store, opened.manifest)
    if dialogue is None:
        with_examples = np.unique(opened.example_turns[:, 0])
        dialogue = int(np.random.default_rng(seed).choice(with_examples))
    print_line(f"page: {inspect_page(opened, dialogue, page or store / 'inspect.html')}")


def print_store(path: Path, manifest: dict[str, Any]) -> None:
    """Print the counts of a store by split, and what was rejected, each reason with the first case."""
    products = manifest["products"]
    print_line(f"{path}: {products['total']} products, {products['with_photo']} with a photo")
    for name, counts in manifest["splits"].items():
        shown = ("dialogues", "turns", "states", "recommendation_turns", "examples", "positives", "negatives")
        print_line(f"  {name}: " + ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in shown))
    where: dict[str, list[str]] = {}
    for example in manifest["rejected_examples"]:
        where.setdefault(example["reason"].split(": ")[0], []).append(example["where"])
    for reason, count in manifest["rejected"].items():
        first = f" (first: {where[reason][0]})" if reason in where else ""
        print_line(f"  rejected: {count} x {reason}{first}")
