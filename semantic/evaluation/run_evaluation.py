"""A finished run evaluated on any split of any store."""

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from semantic.batching.examples import Examples, in_dialogues, select_examples
from semantic.config.schema import Config
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.exporting import TREC, write_qrels, writing_rankings
from semantic.evaluation.ranking import evaluate_examples
from semantic.evaluation.state_tracking import track_states
from semantic.evaluation.summary import write_summary
from semantic.models.interface import Model
from semantic.runs.folder import RunData, RunError, RunFolder
from semantic.runtime.claims import claim
from semantic.runtime.distributed import join_processes
from semantic.runtime.errors import DataError
from semantic.runtime.files import building, write_text
from semantic.runtime.progress import Progress, steps

Seen = Literal["refuse", "drop", "keep"]
MARK = "evaluation.json"
"""The file by which a folder is known as the result of an evaluation."""

RESULT = {MARK, "config.yaml", "environment.json", "queries.parquet", "summary.json"}


def evaluate_run(
    run: Path,
    data: Path | None = None,
    split: str | None = None,
    out: Path | None = None,
    *,
    seen: Seen = "refuse",
    overwrite: bool = False,
    rankings: Path | None = None,
    depth: int | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Evaluate a run's best weights on a split of a store; returns the folder of the result.

    The store is the run's own by default, the split the examples that the run was tested on: of a fold, the fold's; of
    another store, the split of that name. Dialogues that the run was trained on, or that chose its weights, are found by
    their content, in whatever store: under `seen="refuse"` they are an error, under "drop" they are left out, under "keep"
    they are ranked, and the summary says so. `rankings` is a file for the `depth` best of each query, or all (`exporting`);
    beside one of TREC's the positives are written too. The result is written beside and takes its place when it is whole.

    Raises:
        RunError: no such run; or `out` holds a result, without `overwrite`, or anything else.
        ModelError, DataError: no such weights, store or split; dialogues that the run has seen.
        BusyError: another process writes to `out`.
    """
    processes = join_processes()
    progress = (progress if processes.is_main else None) or Progress()
    source = RunFolder(run)
    config, known = source.read_config(), source.read_data()
    store = source.open_store() if data is None else open_store(data)
    own = known is not None and known.identity == store.identity
    with steps(progress) as report:  # before anything of it is read
        processes.on_main(lambda: store.verify_once(report))
    examples = _examples(store, config, split, own)
    split = config.data.test if split is None else split
    rows, counts = _unseen(store, known, examples.test, split, seen)
    folder = out or run / "evaluations" / f"{store.path.resolve().name}-{store.identity[:8]}-{split}"
    with ExitStack() as held:
        processes.on_main(lambda: held.enter_context(claim(folder)))
        processes.on_main(lambda: _check_place(folder, overwrite))
        model = Model.from_pretrained(source.model).to(processes.device)
        builder, started = model.open_batches(store, progress), time.monotonic()
        if rankings is not None and processes.world_size > 1:
            raise RunError(f"{rankings}: expected one process to write rankings, got {processes.world_size}")
        with progress.bar(split, len(rows)) as advance, ExitStack() as opened:
            file = None
            if rankings is not None:
                file = opened.enter_context(writing_rankings(rankings, depth=depth, tag=config.experiment))
            evaluation = evaluate_examples(
                model,
                builder,
                rows,
                config.evaluation,
                detail=True,
                progress=advance,
                processes=processes,
                rankings=file,
            )
        if rankings is not None and rankings.suffix in TREC:
            write_qrels(rankings.with_suffix(".qrels"), store, rows)
        tracking = track_states(model, builder, examples.labelled, rows, config.evaluation, processes=processes)
        evaluated = config.model_copy(
            update={"data": config.data.model_copy(update={"store": str(store.path), "test": split})}
        )

        def write() -> None:
            with building(folder) as new:
                result = RunFolder(new)
                mark = {
                    "run": str(run),
                    "store": str(store.path),
                    "identity": store.identity,
                    "trained_on": None if known is None else known.identity,
                    "split": split,
                    "seen": seen,
                }
                write_text(new / MARK, json.dumps(mark, indent=1))
                result.start(evaluated, processes=processes.world_size)
                evaluation.write_queries(result.queries)
                write_summary(
                    result,
                    evaluated,
                    store,
                    replace(examples, test=rows),
                    model,
                    evaluation,
                    tracking,
                    seconds=time.monotonic() - started,
                    split=split,
                    seen=counts,
                    progress=progress,
                )

        processes.on_main(write)
    return RunFolder(folder)


def _examples(store: Store, config: Config, split: str | None, own: bool) -> Examples:
    """What is ranked, and, on the run's own store, what the run was trained on: popularity is counted over that."""
    nothing = np.zeros(0, dtype=np.int64)
    trained = Examples(nothing, nothing, nothing, nothing, {"train": 0, "valid": 0})
    if own:
        trained = replace(select_examples(store, config.data, config.seed), valid=nothing)
        if split is None:
            return trained
    split = config.data.test if split is None else split
    rows = np.array(store.split(split).examples, dtype=np.int64)
    if not len(rows):
        raise DataError(f"{store.path}: expected examples in split {split!r}, found none")
    return replace(trained, test=rows)


def _unseen(
    store: Store, known: RunData | None, rows: np.ndarray, split: str, seen: Seen
) -> tuple[np.ndarray, dict[str, int]]:
    """The rows to rank, and how many of their dialogues the run was trained on, or its weights were chosen by."""
    sides = {"train": known.train, "valid": known.valid} if known else {"train": [], "valid": []}
    among = {
        side: in_dialogues(store, rows, np.array([int(one, 16) for one in digests], dtype=np.uint64))
        for side, digests in sides.items()
    }
    counts = {side: len(np.unique(store.example_turns[rows[mask], 0])) for side, mask in among.items()}
    if seen == "keep" or not any(counts.values()):
        return rows, counts
    if seen == "refuse":
        raise DataError(
            f"{store.path}: expected dialogues in split {split!r} that the run has not seen, found {counts['train']} that it "
            f"was trained on and {counts['valid']} that chose its weights; --seen drop leaves them out, --seen keep ranks "
            "them and marks the result"
        )
    kept = rows[~(among["train"] | among["valid"])]
    if not len(kept):
        raise DataError(f"{store.path}: expected a dialogue in split {split!r} that the run has not seen, found none")
    return kept, {"train": 0, "valid": 0}


def _check_place(folder: Path, overwrite: bool) -> None:
    """RunError where a result must not be written."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MARK).is_file():
        raise RunError(f"{folder}: expected a new or an empty folder, found one that is no result of evaluate")
    others = sorted({path.name for path in folder.iterdir()} - RESULT)
    if others:
        raise RunError(f"{folder}: expected nothing beside a result of evaluate, found {', '.join(others[:5])}")
    if not overwrite:
        raise RunError(f"{folder}: expected no result there yet, found one; --overwrite replaces it")
