"""Commands on experiments and their runs: train, evaluate, config, import-released."""

from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Experiment, Overrides, Run
from semantic.cli.console import err, print_line, print_runs, progress


def train(
    experiment: Experiment,
    overrides: Overrides = None,
    folds: Annotated[
        int, typer.Option(help="Cross-validate over this many folds by dialogue.", show_default="none", min=0)
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Train, keep the best weights by validation, evaluate them on the test split, print the table."""
    from semantic.config.loading import load_config
    from semantic.training.loop import train as train_run

    config = load_config(experiment, overrides or ())
    numbers = list(range(folds)) if folds else [None]
    folders = []
    for fold in numbers:
        if fold is not None:
            print_line(f"fold {fold + 1} of {folds}")
        folders.append(train_run(config, runs=runs, folds=folds, fold=fold, resume=resume, progress=progress()))
    print_runs([folder.path for folder in folders])
    print_line(f"run: {folders[0].path if not folds else folders[0].path.parent}")


def evaluate(
    run: Run,
    data: Annotated[Path | None, typer.Option(help="Another prepared store.", show_default="the run's own")] = None,
    split: Annotated[str, typer.Option(help="Split to rank.")] = "test",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the result.", show_default="RUN/evaluations/STORE-SPLIT")
    ] = None,
) -> None:
    """Rank a split of a store with a run's best weights, under both protocols, with the floors beside."""
    from semantic.evaluation.run_evaluation import evaluate_run

    print_runs([evaluate_run(run, data, split, folder, progress=progress()).path])


def config(experiment: Experiment, overrides: Overrides = None) -> None:
    """Print an experiment's resolved configuration, every field with what it means."""
    from semantic.config.describing import describe_config
    from semantic.config.loading import load_config

    print(describe_config(load_config(experiment, overrides or ())))


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
    from semantic.models.semantic.released import import_released as import_checkpoint

    count = import_checkpoint(file, run, slots=slots, tokenizer=tokenizer)
    print_line(f"{run}: {count:,} parameters in the released preset")
    if tokenizer is None:
        print_line("no --tokenizer given: the model scores tensors, but reads no text until one is", err)
