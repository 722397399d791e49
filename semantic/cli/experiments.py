"""Commands on experiments and their runs: train, evaluate, config, import-released."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from semantic.cli.arguments import Experiment, Overrides
from semantic.cli.console import err, out, print_line, print_runs, progress, steps
from semantic.runtime.errors import UserError


class Seen(str, Enum):
    """What becomes of dialogues that a run has seen."""

    refuse = "refuse"
    drop = "drop"
    keep = "keep"


def train(
    experiment: Experiment,
    overrides: Overrides = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-validate over this many folds by dialogue, each a run.", show_default="none", min=3),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="A run each for these seeds, like 0-4 or 0,3,7.", show_default="the experiment's own"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    keep_state: Annotated[
        bool, typer.Option("--keep-state", help="Keep what only resuming needs when the run is finished.")
    ] = False,
) -> None:
    """Train, keep the best weights by validation, evaluate them on the test split, print the table."""
    from semantic.config.loading import load_config
    from semantic.training.loop import train as train_run

    given = list(overrides or ())
    replicates = [[f"seed={seed}"] for seed in _seeds(seeds)] if seeds is not None else [[]]
    if folds is not None:
        given.append(f"data.fold.count={folds}")
        load_config(experiment, given)  # a number of folds beyond bounds is told before they are counted out
        replicates = [[*one, f"data.fold.index={index}"] for one in replicates for index in range(folds)]
    configs = [load_config(experiment, [*given, *one]) for one in replicates]
    folders = []
    for config in configs:
        if len(configs) > 1:
            fold = config.data.fold
            print_line(f"seed {config.seed}" + (f", fold {fold.index + 1} of {fold.count}" if fold.count else ""))
        folders.append(train_run(config, runs=runs, resume=resume, keep_state=keep_state, progress=progress()))
    print_runs([folder.path for folder in folders])
    print_line(f"run: {folders[0].path if len(folders) == 1 else folders[0].path.parent}")


def _seeds(text: str) -> tuple[int, ...]:
    from semantic.config.sweep_schema import parse_seeds

    try:
        return parse_seeds(text)
    except ValueError as error:
        raise UserError(f"--seeds: expected {error}, got {text!r}") from None


def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(help="Folder of a run, the one that holds config.yaml.", show_default="with --scores none"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another prepared store.", show_default="the run's own")] = None,
    split: Annotated[str | None, typer.Option(help="Split to rank.", show_default="what the run was tested on")] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the result.", show_default="RUN/evaluations/STORE-ID-SPLIT")
    ] = None,
    seen: Annotated[
        Seen, typer.Option(help="Dialogues that the run trained on or that chose its weights: refuse, drop or keep.")
    ] = Seen.refuse,
    overwrite: Annotated[bool, typer.Option(help="Replace a result that is already there.")] = False,
    rankings: Annotated[
        Path | None, typer.Option(help="Also write the rankings: .trec (TREC run format) or .csv.", show_default="none")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Products of each ranking written.", show_default="all", min=1)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Scores of another program in place of a run, for --data: .trec or .csv.", show_default="none"
        ),
    ] = None,
) -> None:
    """Rank a split of a store with a run's best weights, or by a file of scores, under both protocols, with the floors beside."""
    if scores is not None:
        given = {"RUN": run, "--out": folder, "--rankings": rankings, "--depth": depth}
        beside = [name for name, value in given.items() if value is not None]
        if data is None or beside:
            found = f"{' and '.join(beside)} beside it" if beside else "no --data"
            raise UserError(f"--scores: expected a file with --data STORE and at most a --split, got {found}")
        _evaluate_scores(scores, data, split or "test")
        return
    if run is None:
        raise UserError("evaluate: expected the folder of a run, or --scores FILE with --data STORE, got neither")
    if depth is not None and rankings is None:
        raise UserError("--depth: expected --rankings FILE, which it is for, got none")
    from semantic.evaluation.run_evaluation import evaluate_run

    result = evaluate_run(
        run,
        data,
        split,
        folder,
        seen=seen.value,
        overwrite=overwrite,
        rankings=rankings,
        depth=depth,
        progress=progress(),
    )
    print_runs([result.path])
    print_line(f"result: {result.path}")


def _evaluate_scores(file: Path, data: Path, split: str) -> None:
    from semantic.datasets.store.store import open_store
    from semantic.evaluation.floors import floors
    from semantic.evaluation.outside import evaluate_scores, read_scores
    from semantic.report.printing import print_metrics

    store = open_store(data)
    with steps() as report:
        store.verify_once(report)
    scores = read_scores(file)
    queries, candidates = scores.missing(store, split)
    if queries or candidates:
        print_line(
            f"{file}: no scores for {queries:,} queries and {candidates:,} candidates of others; these are ranked last, tied",
            err,
        )
    found = evaluate_scores(store, split, scores, progress=progress())
    floor = floors(store, store.split(split).examples, store.split("train").examples, progress=progress())
    print_metrics(f"{data}, {split} split, {len(found.table):,} queries", {file.name: found.protocols, **floor}, out)
    print_line(f"Ties in {100 * found.tie_rate:.1f}% of the queries.")


def config(experiment: Experiment, overrides: Overrides = None) -> None:
    """Print an experiment's resolved configuration, every field with what it means; of several runs also what they differ in."""
    from semantic.config.describing import describe_config
    from semantic.config.loading import load_config
    from semantic.config.sweeps import describe_sweep, has_several_runs, load_sweep

    if has_several_runs(experiment, overrides or ()):
        print(describe_sweep(load_sweep(experiment, overrides or ())))
    else:
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
