"""A finished run evaluated on any split of any store."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from semantic.batching.examples import Examples, select_examples
from semantic.datasets.store.store import open_store
from semantic.evaluation.ranking import evaluate
from semantic.evaluation.summary import write_summary
from semantic.models.interface import Model
from semantic.runs.folder import RunFolder
from semantic.runtime.distributed import join_processes
from semantic.runtime.progress import Progress


def evaluate_run(
    run: Path,
    data: Path | None = None,
    split: str = "test",
    out: Path | None = None,
    *,
    progress: Progress | None = None,
) -> RunFolder:
    """Evaluate a run's best weights on a split of a store (its own by default); returns the folder of the result.

    Raises:
        RunError, ModelError, DataError: no such run, weights, store or split.
    """
    processes = join_processes()
    progress = (progress if processes.is_main else None) or Progress()
    source = RunFolder(run)
    config = source.read_config()
    store = open_store(data or config.data.store)
    model = Model.from_pretrained(source.model).to(processes.device)
    started = time.monotonic()
    evaluation = evaluate(model, store, split, config.evaluation, detail=True, progress=progress, processes=processes)
    folder = RunFolder(out or run / "evaluations" / f"{store.path.name}-{split}")
    rows = np.arange(store.split(split).start, store.split(split).stop)
    nothing = np.zeros(0, dtype=np.int64)
    examples = Examples(nothing, nothing, nothing, rows)
    if store.path.resolve() == Path(config.data.store).resolve():  # popularity is counted over what the run trained on
        examples = replace(select_examples(store, config.data), valid=nothing, test=rows)

    def finish() -> None:
        folder.start(config, processes.world_size)
        evaluation.write_queries(folder.queries)
        seconds = time.monotonic() - started
        write_summary(folder, config, store, examples, model, evaluation, fold=None, seconds=seconds, split=split)

    processes.on_main(finish)
    return folder
