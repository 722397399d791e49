"""How a model is trained. Read `train` from top to bottom: claim the folder, fit, test, summarise; an epoch is in `run`."""

import time
from contextlib import ExitStack
from pathlib import Path

import torch

from semantic.batching.examples import Examples, dialogue_digests, held_out_dialogues, select_examples
from semantic.config.errors import ConfigError
from semantic.config.schema import Config
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.ranking import evaluate_examples
from semantic.evaluation.summary import write_summary
from semantic.models.building import build_model
from semantic.models.interface import Model
from semantic.runs.folder import RunData, RunError, RunFolder, features_digest
from semantic.runtime.distributed import Processes, join_processes
from semantic.runtime.progress import Progress, shown, steps
from semantic.training.run import OnEpoch, TrainingRun, normalised_by_batch


def train(
    config: Config,
    *,
    runs: Path = Path("runs"),
    resume: bool = False,
    progress: Progress | bool | None = None,
    test: bool = True,
    keep_state: bool = False,
    on_epoch: OnEpoch | None = None,
) -> RunFolder:
    """Train one run, keep the weights of the best validation, evaluate them on the test split, and leave a summary.

    `resume` goes on from the last finished epoch; without it an existing run is an error, so nothing is overwritten.
    Without `test` the run ends with its last epoch: no test query is ranked, and there is no summary until the run is resumed
    with `test`. What only resuming needs, the optimiser's moments above all, is dropped once the run is finished, but with
    `keep_state`. `progress=True` shows it on standard error. `on_epoch` is told of each epoch once it is saved, after a resume of
    those before first, and may end training.

    Under torchrun or accelerate launch every process calls this, and all return when the run is finished.

    Raises:
        DataError, CheckpointError, BackboneError, RunError: faults of the user's data, files or folders.
        BusyError: another process trains this run.
        ConfigError: a configuration that several processes cannot run.
        TrainingError: the loss is not finite.
    """
    processes = join_processes()
    progress = shown(progress if processes.is_main else None)
    folder = RunFolder.of(config, runs)
    with ExitStack() as held:
        processes.on_main(lambda: held.enter_context(folder.claimed()))
        store = open_store(config.data.store)
        if not processes.on_main(lambda: _is_finished(folder, config, store, resume) and test):
            run = _fit(config, folder, store, processes, progress, on_epoch)
            if test:
                _test(run)
        else:
            progress.note(f"{folder.path} is finished; nothing to do.")
        if test and not keep_state:
            processes.on_main(folder.drop_state)
    return folder


def _fit(
    config: Config,
    folder: RunFolder,
    store: Store,
    processes: Processes,
    progress: Progress,
    on_epoch: OnEpoch | None,
) -> TrainingRun:
    """The run in `folder`, which this process has claimed, from where it stands to its last epoch."""
    with steps(progress) as report:
        processes.on_main(lambda: store.verify_once(report))
    examples = select_examples(store, config.data, config.seed)
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    started = time.monotonic()
    held_out = held_out_dialogues(store, examples)
    model = processes.on_main(lambda: build_model(config, store, progress.say, held_out))
    _check_batch_norm(model, processes)
    model.to(processes.device)
    with processes.local_main_first():
        builder = model.open_batches(store, progress)
    run = TrainingRun(config, folder, examples, model, builder, processes, progress, on_epoch, started)
    processes.on_main(lambda: _start(folder, config, store, examples, processes.world_size))
    run.describe()
    run.fit()
    return run


def _test(run: TrainingRun) -> None:
    """Rank the test split with the best weights of a run that was fitted, and write its summary."""
    config, folder, examples, processes = run.config, run.folder, run.examples, run.processes
    best = processes.on_main(lambda: Model.from_pretrained(folder.model)).to(processes.device)
    with run.progress.bar("test", len(examples.test)) as advance:
        test = evaluate_examples(
            best, run.builder, examples.test, config.evaluation, detail=True, progress=advance, processes=processes
        )
    tracking = run.track_states(best, examples.test)

    def finish() -> None:
        test.write_queries(folder.queries)
        seconds = run.seconds + time.monotonic() - run.started - run.session
        store, progress = run.builder.store, run.progress
        write_summary(
            folder,
            config,
            store,
            examples,
            best,
            test,
            tracking,
            seconds=seconds,
            epochs=run.history,
            progress=progress,
        )

    processes.on_main(finish)


def _is_finished(folder: RunFolder, config: Config, store: Store, resume: bool) -> bool:
    """Whether there is nothing left to do; RunError where there is a run that this one must not touch."""
    if not folder.config.is_file():
        if folder.state.is_file():
            raise RunError(f"{folder.path}: expected the run's config.yaml beside its state, found none; put it back")
        return False
    if not resume:
        raise RunError(
            f"{folder.path}: expected no run there yet, found one; go on with --resume, or give another experiment, variant or seed"
        )
    folder.check_same(config, store.identity)
    if folder.summary.is_file():
        return True
    if folder.model.is_dir() and not folder.state.is_file():  # weights come after the state
        raise RunError(
            f"{folder.path}: expected the summary of a finished run, or the state to go on from, found neither beside its weights; "
            "semantic evaluate measures these"
        )
    return False


def _start(folder: RunFolder, config: Config, store: Store, examples: Examples, processes: int) -> None:
    if not folder.config.is_file():
        train, valid = (
            [f"{digest:016x}" for digest in dialogue_digests(store, rows).tolist()]
            for rows in (examples.training, examples.valid)
        )
        folder.start(config, RunData(str(store.path), store.identity, train, valid, features_digest(config)), processes)


def _check_batch_norm(model: Model, processes: Processes) -> None:
    if normalised_by_batch(model) and processes.world_size > 1 and processes.device.type != "cuda":
        raise ConfigError(
            "model.image.batch_norm=train: expected one process, or a GPU each (elsewhere no batch statistics are taken over "
            f"processes), got {processes.world_size} processes on {processes.device.type}; set model.image.batch_norm=eval"
        )
