"""The training loop. Read `train` from top to bottom: prepare, epochs, best weights, tables.

Whatever a step draws is a function of (seed, epoch, part, step), so a run that was killed and resumed ends with the same
bits as one that was not. Several processes cut each batch among them: losses and gradients are the whole batch's, and all
hold the same weights. The first of them writes the run's files.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.tensorboard import SummaryWriter

from semantic.batching.steps import Examples, TrainingData, TrainingLoader, TrainingSteps, select_examples
from semantic.config.loading import ConfigError
from semantic.config.schema import Config
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.store import open_store
from semantic.evaluation.ranking import Evaluation, ScoreError, evaluate, evaluate_examples
from semantic.evaluation.summary import write_summary
from semantic.models.building import batch_builder, build_model
from semantic.models.semantic.catalogue import learn_catalogue
from semantic.models.semantic.objective import Objective, Part
from semantic.models.semantic.paper import Semantic
from semantic.runs.folder import RunError, RunFolder
from semantic.runtime.distributed import Processes, open_processes
from semantic.runtime.errors import FailedError
from semantic.runtime.progress import Progress
from semantic.training.compilation import compile_parts
from semantic.training.log import epoch_line, to_tensorboard
from semantic.training.optimiser import MovingAverage, linear_decay, make_optimizer, moving_average

LABELLED, UNLABELLED = 0, 1


class TrainingError(FailedError):
    """Training cannot go on. The message says where and what was found; what was written stays."""


def train(
    config: Config,
    *,
    runs: Path = Path("runs"),
    folds: int = 0,
    fold: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> RunFolder:
    """Train one run, keep the weights of the best validation, evaluate them on the test split, and leave a summary.

    `resume` goes on from the last finished epoch; without it an existing run is an error, so nothing is overwritten.

    Under torchrun or accelerate launch every process calls this, and all return when the run is finished.

    Raises:
        DataError, CheckpointError, BackboneError, RunError: faults of the user's data, files or folders.
        ConfigError: a configuration that several processes cannot run.
        TrainingError: the loss is not finite.
    """
    processes = open_processes()
    progress = (progress if processes.is_first else None) or Progress()
    folder = RunFolder.of(config, runs, fold)
    store = open_store(config.data.store)
    examples = select_examples(store, config.data, folds_of=folds, fold=fold, seed=config.data.subset_seed)
    _check_batch_norm(config, processes)
    if processes.first(lambda: _is_finished(folder, config, resume)):
        progress.say(f"{folder.path} is finished; nothing to do.")
        return folder
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    started = time.monotonic()
    held_out = np.unique(store.example_turns[np.concatenate([examples.valid, examples.test]), 0])
    model = processes.first(lambda: build_model(config, store, progress.say, held_out))
    with processes.one_a_machine_first():
        builder = batch_builder(model, store, processes.device, progress)
    processes.first(lambda: folder.start(config, processes.size) if not folder.config.is_file() else None)
    run = _Run(config, folder, examples, model, builder, processes, progress)
    run.describe()
    run.fit()
    best = processes.first(lambda: Semantic.from_pretrained(folder.model)).to(processes.device)
    with progress.bar("test", len(examples.test)) as advance:
        test = evaluate_examples(
            best, builder, examples.test, config.evaluation, detail=True, progress=advance, processes=processes
        )

    def finish() -> None:
        test.write_queries(folder.queries)
        seconds = run.seconds + time.monotonic() - started - run.session
        write_summary(folder, config, store, examples, best, test, fold=fold, seconds=seconds)

    processes.first(finish)
    return folder


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
    processes = open_processes()
    progress = (progress if processes.is_first else None) or Progress()
    source = RunFolder(run)
    config = source.read_config()
    store = open_store(data or config.data.store)
    model = Semantic.from_pretrained(source.model).to(processes.device)
    started = time.monotonic()
    evaluation = evaluate(model, store, split, config.evaluation, detail=True, progress=progress, processes=processes)
    folder = RunFolder(out or run / "evaluations" / f"{store.path.name}-{split}")
    rows = np.arange(store.split(split).start, store.split(split).stop)
    nothing = np.zeros(0, dtype=np.int64)
    examples = Examples(nothing, nothing, nothing, rows)
    if store.path.resolve() == Path(config.data.store).resolve():  # popularity is counted over what the run trained on
        examples = replace(select_examples(store, config.data), valid=nothing, test=rows)

    def finish() -> None:
        folder.start(config, processes.size)
        evaluation.write_queries(folder.queries)
        seconds = time.monotonic() - started
        write_summary(folder, config, store, examples, model, evaluation, fold=None, seconds=seconds, split=split)

    processes.first(finish)
    return folder


def _is_finished(folder: RunFolder, config: Config, resume: bool) -> bool:
    """Whether there is nothing left to do; RunError where there is a run that this one must not touch."""
    if not folder.config.is_file():
        return False
    if not resume:
        raise RunError(
            f"{folder.path}: expected no run there yet, found one; go on with --resume, or give another experiment, variant or seed"
        )
    folder.check_same(config)
    return folder.summary.is_file()


def _check_batch_norm(config: Config, processes: Processes) -> None:
    image = config.model.image
    by_batch = image.features is None and image.batch_norm == "train"
    if by_batch and processes.size > 1 and processes.device.type != "cuda":
        raise ConfigError(
            "model.image.batch_norm=train: expected one process, or a GPU each (elsewhere no batch statistics are taken over "
            f"processes), got {processes.size} processes on {processes.device.type}; set model.image.batch_norm=eval"
        )


@dataclass
class _Run:
    """The state of a training run between epochs."""

    config: Config
    folder: RunFolder
    examples: Examples
    model: Semantic
    builder: BatchBuilder
    processes: Processes
    progress: Progress

    def __post_init__(self) -> None:
        training, seed = self.config.training, self.config.seed
        gold = self.config.loss.state == "values"
        self.labelled = TrainingSteps(
            self.builder, self.examples.labelled, training, seed, part=LABELLED, share_gold=gold
        )
        self.unlabelled = TrainingSteps(self.builder, self.examples.unlabelled, training, seed, part=UNLABELLED)
        self.steps_an_epoch = len(self.labelled) + len(self.unlabelled)
        backbone = self.model.backbone
        if self.processes.size > 1 and backbone is not None and backbone.batch_norm == "train":
            from timm.layers import convert_sync_batchnorm  # seconds to import, and one process alone needs none

            convert_sync_batchnorm(backbone)
        self.model.to(self.processes.device)
        self.optimizer = make_optimizer(self.model, training)
        self.scheduler = LambdaLR(self.optimizer, linear_decay(training, self.steps_an_epoch * training.epochs))
        self.average: MovingAverage | None = None
        self.writer: SummaryWriter | None = None  # the first process's
        self.epoch = self.step = self.best_epoch = 0
        self.best: dict[str, float] = {}
        self.seconds = 0.0  # of finished epochs, over all sessions
        self.session = 0.0  # of epochs finished in this session

    @property
    def kept(self) -> Semantic:
        """The model that is validated and saved: the average of the weights where one is kept."""
        return self.model if self.average is None else self.average.model

    def describe(self) -> None:
        counts = self.examples.counts(self.builder.store)
        self.progress.say(
            f"D_F: {counts['labelled_examples']} examples of {counts['labelled_dialogues']} dialogues with states; "
            f"D_P: {counts['unlabelled_examples']} examples of {counts['unlabelled_dialogues']} dialogues without; "
            f"validation {counts['valid_queries']}, test {counts['test_queries']} queries."
        )

    def fit(self) -> None:
        """All epochs that are still to do."""
        training, processes = self.config.training, self.processes
        state = processes.first(self.folder.load_state)
        if state is None:
            processes.first(self._learn_catalogue)
        objective = Objective(self.model, self.config.loss, autocast=training.precision == "bf16")
        self.network = processes.synchronise(objective)  # all start from the first's weights
        self.average = MovingAverage(self.model, moving_average(training.average)) if training.average else None
        if state is not None:
            self._restore(state)
            self.progress.say(f"resuming after epoch {self.epoch} of {training.epochs}")
        if training.compile:
            compile_parts(self.model)
        processes.first(self._prepare_records)
        data = TrainingData((self.labelled, self.unlabelled), processes)
        loader = TrainingLoader(data, training.workers, pin=processes.device.type == "cuda")
        try:
            while self.epoch < training.epochs:
                self._run_epoch(loader)
        finally:
            if self.writer is not None:
                self.writer.close()

    def _learn_catalogue(self) -> None:
        epochs = self.config.training.completion_epochs
        with self.progress.bar("catalogue", epochs) as advance:
            learn_catalogue(self.model, self.builder, epochs, self.config.seed, advance)

    def _prepare_records(self) -> None:
        self.folder.keep_metrics(self.epoch)
        self.writer = SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=self.epoch + 1)
        if not self.config.training.epochs:
            self.model.save_pretrained(self.folder.model)

    def _run_epoch(self, loader: TrainingLoader) -> None:
        started = time.monotonic()
        training, number = self.config.training, self.epoch + 1
        line: dict[str, Any] = {
            "epoch": number,
            "step": 0,
            "seconds": 0.0,
            "learning_rate": self.scheduler.get_last_lr()[0],
        }
        bar = self.progress.bar(f"epoch {number}/{training.epochs}", self.steps_an_epoch)
        with closing(loader.epoch(self.epoch)) as steps, bar as advance:
            if len(self.labelled):
                line["train"] = self._run_part(self.labelled, steps, lambda done: advance(done, self.steps_an_epoch))
            if len(self.unlabelled):
                offset = len(self.labelled)
                line["train_unlabelled"] = self._run_part(
                    self.unlabelled, steps, lambda done: advance(offset + done, self.steps_an_epoch)
                )
        line["step"] = self.step
        if number % training.validate_every == 0 or number == training.epochs:
            valid = self._validate(number)
            line["valid"] = {**valid.protocols, "tie_rate": valid.tie_rate, "loss": valid.loss}
            line["best"] = self._improves(valid)
            if line["best"]:
                self.best_epoch = number
        self.epoch = number
        elapsed = time.monotonic() - started
        self.seconds += elapsed
        self.session += elapsed
        line["seconds"] = round(elapsed, 3)
        self.processes.first(lambda: self._record(line))
        self.progress.say(epoch_line(line, training.epochs))

    def _record(self, line: dict[str, Any]) -> None:
        """What an epoch leaves on disk; the state, from which a run goes on, last."""
        if line.get("best"):
            self.kept.save_pretrained(self.folder.model)
        self.folder.append_metrics(line)
        assert self.writer is not None
        to_tensorboard(self.writer, line)
        self.folder.save_state(self._state())

    def _validate(self, number: int) -> Evaluation:
        rows, config = self.examples.valid, self.config.evaluation
        try:
            return evaluate_examples(self.kept, self.builder, rows, config, processes=self.processes)
        except ScoreError as error:
            raise TrainingError(
                f"{self.folder.path}: epoch {number}, validation, {error}; the epochs before are saved, lower "
                "training.learning_rate or set training.clip"
            ) from None

    def _run_part(self, part: TrainingSteps, steps: Iterator[Part], advance: Callable[[int], None]) -> dict[str, float]:
        """One pass over D_F (teacher and student) or D_P (student alone); returns the mean of each term.

        The terms of a step are read once the next is under way: the device is never left waiting for a question.
        """
        sums: dict[str, float] = {}
        before: _Reading | None = None
        self.model.train()
        for index in range(len(part)):
            step = next(steps).to(self.processes.device)  # before the seed: to start workers draws a number
            torch.manual_seed(_step_seed(self.config.seed, self.epoch, part.part, index, self.processes.rank))
            now = self._step(step, labelled=part.part == LABELLED)
            if before is not None:
                self._take(before, sums)
            before = now
            advance(index + 1)
        assert before is not None
        self._take(before, sums)
        return {name: value / len(part) for name, value in sums.items()}

    def _step(self, part: Part, *, labelled: bool) -> "_Reading":
        training = self.config.training
        teacher_only = training.teacher_first and self.epoch == 0 and not len(self.unlabelled)
        loss, terms = self.network(part, labelled=labelled, teacher_only=teacher_only)
        self.optimizer.zero_grad()
        (loss * self.processes.size).backward()  # gradients are averaged, and this is a share of a sum
        if training.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), training.clip)
        self.optimizer.step()
        self.scheduler.step()
        if self.average is not None:
            self.average.update(self.model, self.step)
        self.step += 1
        values = self.processes.sum(torch.stack([loss.detach(), *terms.values()]))
        return _Reading(self.step, ("loss", *terms), values)

    def _take(self, reading: "_Reading", sums: dict[str, float]) -> None:
        """Add a step's terms up; a loss that is no number ends the run, on every process alike."""
        terms = reading.terms()
        if not math.isfinite(terms["loss"]):
            found = ", ".join(f"{name} {value:g}" for name, value in terms.items() if name != "loss")
            raise TrainingError(
                f"{self.folder.path}: epoch {self.epoch + 1}, step {reading.step}: expected a finite loss, got {found}; "
                "the epochs before are saved, lower training.learning_rate or set training.clip"
            )
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value

    def _improves(self, valid: Evaluation) -> bool:
        """Whether these weights are the best so far, and if so remember by what."""
        now = {"ndcg@5": valid.protocols["standard"]["ndcg@5"], "loss": -valid.loss}
        criteria = ["ndcg@5"] if self.config.training.selection == "ndcg@5" else ["ndcg@5", "loss"]
        better = not self.best or any(now[name] > self.best[name] for name in criteria)
        self.best = {name: max(value, self.best.get(name, value)) for name, value in now.items()}
        return better

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": None if self.average is None else self.average.model.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.step, self.best_epoch = state["epoch"], state["step"], state["best_epoch"]
        self.best, self.seconds = state["best"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])


class _Reading:
    """The terms of a step on their way from the device; `terms` waits for them, and not for what was asked of it since."""

    def __init__(self, step: int, names: tuple[str, ...], values: Tensor) -> None:
        self.step, self.names = step, names
        self.values = values.to("cpu", non_blocking=values.is_cuda)
        self.copied = torch.cuda.Event() if values.is_cuda else None
        if self.copied is not None:
            self.copied.record()

    def terms(self) -> dict[str, float]:
        if self.copied is not None:
            self.copied.synchronize()
        return dict(zip(self.names, self.values.tolist(), strict=True))


def _step_seed(seed: int, epoch: int, part: int, step: int, rank: int) -> int:
    """Of what a process draws on its device in a step, dropout above all."""
    entropy = [seed, epoch, part, step, *([rank] if rank else [])]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
