"""The command line. Every fault of the user's ends in one line on standard error and exit code 2; others in 1."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from rich.console import Console

if TYPE_CHECKING:
    from semantic.runtime.progress import Progress

app = typer.Typer(
    name="semantic",
    help="SeMANTIC: train and evaluate sample-efficient multimodal conversational recommendation.\n\n"
    "The usual order: simulate (or bring MMD or SIMMC data), prepare, inspect, train, report, recommend.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Store = Annotated[Path, typer.Argument(help="Folder of a prepared store.", show_default=False)]
RunArgument = Annotated[
    Path, typer.Argument(help="Folder of a run, the one that holds config.yaml.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Override a field of the experiment; may be repeated."),
]
ExperimentArgument = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped experiment.", show_default=False)
]


@app.command()
def simulate(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder, written in the MMD-v3 layout.", show_default=False)
    ],
    dialogues: Annotated[int, typer.Option(help="Dialogues with states, over train, valid and test.")] = 400,
    products: Annotated[int | None, typer.Option(help="Products of the drawn catalogue.", show_default="2000")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    negatives: Annotated[int, typer.Option(help="Negatives of a recommendation in train, at most.")] = 100,
    evaluation_negatives: Annotated[int, typer.Option(help="The same in valid and test.")] = 500,
    unlabelled: Annotated[int, typer.Option(help="More dialogues without states, in the MMD-v2 layout.")] = 0,
    catalogue: Annotated[
        Path | None, typer.Option(help="Folder with catalogue.csv and photos, in place of a drawn catalogue.")
    ] = None,
) -> None:
    """Draw a catalogue with photos and simulate shopping dialogues over it."""
    from semantic.datasets.simulator import simulate as run

    with _steps() as step:
        counts = run(
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
    out.print(
        f"{folder}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command()
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
        Path | None, typer.Option(help="YAML file {slot: key words} in place of the layout's own slots.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another store that is there.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that read files; 0: all in this one.", show_default="one a core"),
    ] = None,
) -> None:
    """Read a dataset once into a memory-mapped store. Safe to interrupt: the same command goes on."""
    from semantic.config.loading import read_slots
    from semantic.datasets.preparing.prepare import prepare as run
    from semantic.datasets.preparing.workers import cores
    from semantic.datasets.reading.corpus import open_corpus
    from semantic.dst.schema import SCHEMAS
    from semantic.runtime.errors import DataError

    if layout not in SCHEMAS:
        raise DataError(f"layout: expected {' or '.join(SCHEMAS)}, got {layout!r}")
    schema = SCHEMAS[layout].slots if slots is None else tuple(read_slots(slots))
    with _steps() as step:
        corpus = open_corpus(root, schema, layout, step)
        manifest = run(
            corpus,
            store,
            missing_photo=missing_photo,
            on_error=on_error,
            overwrite=overwrite,
            workers=cores() if workers is None else workers,
            progress=step,
        )
    _print_store(store, manifest)


@app.command()
def inspect(
    store: Store,
    dialogue: Annotated[
        int | None, typer.Option(help="Row of the dialogue to show.", show_default="drawn by --seed")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the dialogue.")] = 0,
    page: Annotated[Path | None, typer.Option("--out", help="HTML page.", show_default="STORE/inspect.html")] = None,
) -> None:
    """Counts of a store, what was rejected and why, and one dialogue with its photos as an HTML page."""
    import numpy as np

    from semantic.datasets.store.store import open_store
    from semantic.report.pages import inspect_page

    opened = open_store(store)
    _print_store(store, opened.manifest)
    if dialogue is None:
        with_examples = np.unique(opened.example_turns[:, 0])
        dialogue = int(np.random.default_rng(seed).choice(with_examples))
    out.print(
        f"page: {inspect_page(opened, dialogue, page or store / 'inspect.html')}", highlight=False, soft_wrap=True
    )


@app.command()
def train(
    experiment: ExperimentArgument,
    overrides: Overrides = None,
    folds: Annotated[
        int, typer.Option(help="Cross-validate over this many folds by dialogue.", show_default="none", min=0)
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    runs: Annotated[Path, typer.Option(help="Folder runs are kept in.")] = Path("runs"),
) -> None:
    """Train, keep the best weights by validation, evaluate them on the test split, print the table."""
    from semantic.config.loading import load_config

    config = load_config(experiment, overrides or ())
    from semantic.training.loop import train as run

    numbers = list(range(folds)) if folds else [None]
    folders = []
    for fold in numbers:
        if fold is not None:
            out.print(f"fold {fold + 1} of {folds}", highlight=False)
        folders.append(run(config, runs=runs, folds=folds, fold=fold, resume=resume, progress=_progress()))
    _print_table([folder.path for folder in folders])
    out.print(f"run: {folders[0].path if not folds else folders[0].path.parent}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    run: RunArgument,
    data: Annotated[Path | None, typer.Option(help="Another prepared store.", show_default="the run's own")] = None,
    split: Annotated[str, typer.Option(help="Split to rank.")] = "test",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the result.", show_default="RUN/evaluations/STORE-SPLIT")
    ] = None,
) -> None:
    """Rank a split of a store with a run's best weights, under both protocols, with the floors beside."""
    from semantic.evaluation.run_evaluation import evaluate_run

    _print_table([evaluate_run(run, data, split, folder, progress=_progress()).path])


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders that hold runs.", show_default=False)],
    folder: Annotated[Path, typer.Option("--out", help="Folder for report.html, table.md and table.csv.")] = Path(
        "report"
    ),
    turns: Annotated[int, typer.Option(help="Test turns in the gallery.")] = 12,
    seed: Annotated[int, typer.Option(help="Draws the random turns of the gallery.")] = 0,
) -> None:
    """The table of runs in the terminal, as Markdown, CSV, and an HTML page with curves and a gallery."""
    from semantic.datasets.store.store import open_store
    from semantic.report.pages import report_page
    from semantic.report.printing import load_runs, print_table, table, unfinished_runs, write

    loaded = load_runs(runs)
    result = table(loaded, unfinished_runs(runs))
    print_table(result, out)
    files = write(result, folder)
    path = Path(loaded[0].summary["store"])
    store = open_store(path) if path.is_dir() else None
    if store is None:
        err.print(f"{path}: the runs' store is not there, so the page has no gallery", highlight=False, soft_wrap=True)
    page = report_page(loaded, store, folder / "report.html", turns=turns, seed=seed)
    out.print("written: " + ", ".join(str(f) for f in (*files, page)), highlight=False, soft_wrap=True)


@app.command()
def recommend(
    run: RunArgument,
    dialogue: Annotated[Path, typer.Option(help='JSON: a list of {"speaker", "text", "images"}.', show_default=False)],
    top: Annotated[int, typer.Option(help="Products to recommend.", min=1)] = 10,
    data: Annotated[
        Path | None, typer.Option(help="Store whose catalogue is ranked.", show_default="the run's own")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Also write a page with photos.", show_default="none")
    ] = None,
) -> None:
    """Rank the whole catalogue for a dialogue; JSON on standard output."""
    from dataclasses import asdict

    from semantic.datasets.store.store import open_store
    from semantic.models.interface import Model
    from semantic.report.pages import recommend_page
    from semantic.runs.folder import RunFolder
    from semantic.serving.recommend import dialogue_for_page, read_dialogue
    from semantic.serving.recommend import recommend as rank

    folder = RunFolder(run)
    turns = read_dialogue(dialogue)
    store = open_store(data or Path(folder.read_config().data.store))
    model = Model.from_pretrained(folder.model)
    found = rank(model, store, turns, top, progress=_progress(err))
    products = [asdict(one) for one in found.products]
    print(json.dumps({"store": str(store.path), "recommendations": products}, indent=1))
    if page is not None:
        err.print(
            f"page: {recommend_page(store, dialogue_for_page(turns, store), products, page)}",
            highlight=False,
            soft_wrap=True,
        )


@app.command("import-released")
def import_released(
    file: Annotated[
        Path, typer.Argument(help="Torch file of the released code, e.g. dst_aware.pth.", show_default=False)
    ],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run to make.", show_default=False)],
    slots: Annotated[str, typer.Option(help="Slots the model was trained with: mmd or simmc.")] = "mmd",
    tokenizer: Annotated[
        str | None,
        typer.Option(help="bert-base-uncased as a folder or hub name, to read text with.", show_default="none"),
    ] = None,
) -> None:
    """Load a checkpoint of the code published with the paper into the `released` preset; reads tensors only."""
    from semantic.models.semantic.released import import_released as run_import

    count = run_import(file, run, slots=slots, tokenizer=tokenizer)
    out.print(f"{run}: {count:,} parameters in the released preset", highlight=False, soft_wrap=True)
    if tokenizer is None:
        err.print(
            "no --tokenizer given: the model scores tensors, but reads no text until one is",
            highlight=False,
            soft_wrap=True,
        )


@app.command()
def config(experiment: ExperimentArgument, overrides: Overrides = None) -> None:
    """Print an experiment's resolved configuration, every field with what it means."""
    from semantic.config.describing import describe_config
    from semantic.config.loading import load_config

    print(describe_config(load_config(experiment, overrides or ())))


@app.command()
def bench(
    experiment: Annotated[
        str | None,
        typer.Argument(help="A YAML file or a shipped experiment.", show_default="preset paper at the paper's sizes"),
    ] = None,
    overrides: Overrides = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for bench.json, bench.md and bench.html.")] = Path(
        "bench"
    ),
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared store to measure on.", show_default="the experiment's data.store, else simulated"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes of everything: does it run, not how fast.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is a GPU")] = None,
    seed: Annotated[int, typer.Option(help="Draws the simulated store, weights and samples.")] = 0,
) -> None:
    """Measure speed and memory on this machine, beside the direct form of the same function, and how they grow."""
    from semantic.bench.running import bench as run
    from semantic.bench.writing import check_folder, print_result, write

    check_folder(folder)
    result = run(experiment, overrides or (), store=data, quick=quick, device=device, seed=seed, progress=_progress())
    print_result(result, out)
    out.print("written: " + ", ".join(map(str, write(result, folder))), highlight=False, soft_wrap=True)


def _progress(console: Console = out) -> "Progress":
    from semantic.runtime.progress import TerminalProgress

    return TerminalProgress(console)


def _steps() -> AbstractContextManager[Callable[[str, int, int], None]]:
    from semantic.runtime.progress import steps

    return steps(_progress())


def _print_table(runs: list[Path]) -> None:
    """The table of runs, by the process that speaks; the others may not even have their folders."""
    if out.quiet:
        return
    from semantic.report.printing import load_runs, print_table, table

    print_table(table(load_runs(runs)), out)


def _print_store(path: Path, manifest: dict[str, Any]) -> None:
    products = manifest["products"]
    out.print(
        f"{path}: {products['total']} products, " + f"{products['with_photo']} with a photo",
        highlight=False,
        soft_wrap=True,
    )
    for name, counts in manifest["splits"].items():
        shown = ("dialogues", "turns", "states", "recommendation_turns", "examples", "positives", "negatives")
        out.print(
            f"  {name}: " + ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in shown),
            highlight=False,
            soft_wrap=True,
        )
    where: dict[str, list[str]] = {}
    for example in manifest["rejected_examples"]:
        where.setdefault(example["reason"].split(": ")[0], []).append(example["where"])
    for reason, count in manifest["rejected"].items():
        first = f" (first: {where[reason][0]})" if reason in where else ""
        out.print(f"  rejected: {count} x {reason}{first}", highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """The console script. Of the processes that torchrun or accelerate launch starts, the first speaks."""
    out.quiet = os.environ.get("RANK", "0") != "0"
    try:
        code = app(standalone_mode=False)
        if code == 130:  # newer releases of typer catch the interrupt and return its code
            raise KeyboardInterrupt
        if code:
            sys.exit(code)
    except typer.Abort:
        sys.exit(130)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        err.print(
            "interrupted; what was finished is saved, the same command (train: with --resume) goes on", soft_wrap=True
        )
        sys.exit(130)
    except Exception as error:
        sys.exit(_report(error))


def _report(error: Exception) -> int:
    """One line for a known fault, which carries its exit code; anything else is a bug and keeps its traceback."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    code = getattr(error, "exit_code", 1 if isinstance(error, OSError) else None)
    if code is None:
        raise error
    err.print(f"semantic: {error}", highlight=False, markup=False, soft_wrap=True)
    return code
