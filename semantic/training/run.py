"""A training run between its epochs: weights, optimiser, schedule, history, and what an epoch does and leaves on disk.

Whatever a step draws is a function of (seed, epoch, labelled or not, step), so a run that was killed and resumed ends with
the same bits as one that was not. Several processes share each batch: losses and gradients are the whole batch's, and all
hold the same weights. The main process writes the run's files.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.tensorboard import SummaryWriter

from semantic.batching.examples import Examples
from semantic.batching.loader import TrainingData, TrainingLoader
from semantic.batching.shards import Shard
from semantic.batching.steps import TrainingSteps
from semantic.config.schema import Config
from semantic.datasets.batches.builder import BatchBuilder
from semantic.encoders.image import Backbone
from semantic.evaluation.ranking import Evaluation, ScoreError, evaluate_examples
from semantic.evaluation.state_tracking import Tracking, track_states
from semantic.models.interface import Model
from semantic.runs.folder import RunError, RunFolder, lasting
from semantic.runtime.digests import value_digest
from semantic.runtime.distributed import Processes
from semantic.runtime.errors import FailedError
from semantic.runtime.progress import Advance, Progress
from semantic.training.compilation import compile_modules
from semantic.training.ema import MovingAverage
from semantic.training.gradients import GradientNorms
from semantic.training.log import epoch_line, to_tensorboard
from semantic.training.optimiser import linear_decay, make_optimizer
from semantic.training.step import LossModule, PendingTerms, split_diagnostics


class TrainingError(FailedError):
    """Training cannot go on. The message says where and what was found; what was written stays."""


OnEpoch = Callable[[dict[str, Any]], bool]
"""Takes the line of metrics.jsonl of a finished epoch; says whether training goes on, on every process alike."""


def normalised_by_batch(model: Model) -> list[Backbone]:
    """The backbones whose BatchNorm takes the statistics of each batch."""
    return [module for module in model.modules() if isinstance(module, Backbone) and module.batch_norm == "train"]


@dataclass
class TrainingRun:
    """The state of a training run between epochs."""

    config: Config
    folder: RunFolder
    examples: Examples
    model: Model
    builder: BatchBuilder
    processes: Processes
    progress: Progress
    on_epoch: OnEpoch | None
    started: float

    def __post_init__(self) -> None:
        training, seed = self.config.training, self.config.seed
        self.labelled = TrainingSteps(
            self.builder,
            self.examples.labelled,
            training,
            seed,
            all_labelled=not len(self.examples.unlabelled),
            whole_states=self.model.inputs.states == "whole batch",
        )
        self.unlabelled = TrainingSteps(self.builder, self.examples.unlabelled, training, seed, labelled=False)
        self.steps_an_epoch = len(self.labelled) + len(self.unlabelled)
        if self.processes.world_size > 1:
            for backbone in normalised_by_batch(self.model):
                from timm.layers import convert_sync_batchnorm  # seconds to import, and one process alone needs none

                convert_sync_batchnorm(backbone)
        self.optimizer = make_optimizer(self.model, training)
        self.scheduler = LambdaLR(self.optimizer, linear_decay(training, self.steps_an_epoch * training.epochs))
        self.average: MovingAverage | None = None
        self.writer: SummaryWriter | None = None  # the main process's
        self.epoch = self.step = self.best_epoch = 0
        self.best: dict[str, float] = {}
        self.history: list[dict[str, Any]] = []  # the lines of metrics.jsonl
        self.seconds = 0.0  # of finished epochs, over all sessions
        self.session = 0.0  # of epochs finished in this session
        self.gradients = GradientNorms(self.model, self.steps_an_epoch)

    @property
    def kept(self) -> Model:
        """The model that is validated and saved: the average of the weights where one is kept."""
        return self.model if self.average is None else self.average.model

    def describe(self) -> None:
        counts = self.examples.counts(self.builder.store)
        self.progress.note(
            f"D_F: {counts['labelled_examples']} examples of {counts['labelled_dialogues']} dialogues with states; "
            f"D_P: {counts['unlabelled_examples']} examples of {counts['unlabelled_dialogues']} dialogues without; "
            f"validation {counts['valid_queries']}, test {counts['test_queries']} queries."
        )
        if self.config.data.dialogue_states == "appended":
            self.progress.say(
                "data.dialogue_states appended: the gold state stands at the end of every last turn, in training, validation and test; "
                "what is measured is an upper bound."
            )

    def fit(self) -> None:
        """All epochs that are still to do."""
        training, processes = self.config.training, self.processes
        state = processes.on_main(self.folder.load_state)
        if state is None:
            processes.on_main(self._fit_catalogue)
        loss = LossModule(self.model, autocast=training.precision == "bf16")
        self.network = processes.synchronise(loss)  # all start from the main process's weights
        self.average = MovingAverage(self.model, training.ema_decay) if training.ema_decay else None
        if state is not None:
            self._restore(state)
            self.progress.note(f"resuming after epoch {self.epoch} of {training.epochs}")
        goes_on = all(self._tell(line) for line in self.history)
        if training.compile:
            compile_modules(self.model)
        processes.on_main(self._prepare_records)
        data = TrainingData((self.labelled, self.unlabelled), processes)
        loader = TrainingLoader(data, training.workers, pin=processes.device.type == "cuda")
        try:
            while goes_on and self.epoch < training.epochs and not self._is_stopped():
                goes_on = self._tell(self._run_epoch(loader))
        finally:
            if self.writer is not None:
                self.writer.close()

    def _tell(self, line: dict[str, Any]) -> bool:
        """Tell who waits for it of an epoch; whether training goes on."""
        return self.on_epoch is None or self.on_epoch(line)

    def _is_stopped(self) -> bool:
        """Whether the last `training.patience` validations brought nothing better: on every process, and when resumed, alike."""
        patience, every = self.config.training.patience, self.config.training.validate_every
        if patience is None or self.epoch // every - self.best_epoch // every < patience:
            return False
        self.progress.note(
            f"stopped after epoch {self.epoch}: no better validation since epoch {self.best_epoch} (training.patience {patience})"
        )
        return True

    def _fit_catalogue(self) -> None:
        with self.progress.bar("catalogue", 1) as advance:
            self.model.fit_catalogue(self.builder, self.config.seed, advance)

    def _prepare_records(self) -> None:
        if not self.config.training.epochs:
            self.kept.eval().remember(self.builder, self.examples.training)
            self.kept.save_pretrained(self.folder.staged_model(0))
        self.folder.publish_model(self.best_epoch)
        self.folder.write_metrics(self.history)
        self.writer = SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=self.epoch + 1)

    def _run_epoch(self, loader: TrainingLoader) -> dict[str, Any]:
        """One epoch; its line of metrics.jsonl."""
        started = time.monotonic()
        training, number = self.config.training, self.epoch + 1
        line: dict[str, Any] = {
            "epoch": number,
            "step": 0,
            "seconds": 0.0,
            "learning_rate": self.scheduler.get_last_lr()[0],
        }
        diagnostics: dict[str, dict[str, float]] = {}
        bar = self.progress.bar(f"epoch {number}/{training.epochs}", self.steps_an_epoch)
        with closing(loader.epoch(self.epoch)) as shards, bar as advance:
            done = 0
            for part, passed in (("train", self.labelled), ("train_unlabelled", self.unlabelled)):
                if len(passed):
                    means = self._run_pass(passed, shards, advance, done)
                    line[part], diagnostics[part] = split_diagnostics(means)
                    done += len(passed)
        line |= {"step": self.step, "diagnostics": diagnostics, "gradients": self.gradients.means()}
        line["collapse"] = [
            f"{part.replace('_', ' ')}: {sign}"
            for part, found in diagnostics.items()
            for sign in self.model.signs_of_collapse(line[part] | found)
        ]
        if number % training.validate_every == 0 or number == training.epochs:
            valid = self._validate(number)
            line["valid"] = {**valid.protocols, "tie_rate": valid.tie_rate, "loss": valid.loss}
            if tracking := self.track_states(self.kept, self.examples.valid):
                line["valid"]["states"] = tracking.record()
            line["best"] = self._improves(valid)
            if line["best"]:
                self.best_epoch = number
        self.epoch = number
        elapsed = time.monotonic() - started
        self.seconds += elapsed
        self.session += elapsed
        line["seconds"] = round(elapsed, 3)
        self.processes.on_main(lambda: self._record(line))
        self.progress.note(epoch_line(line, training.epochs))
        if line["collapse"]:
            self.progress.note(f"epoch {number}: collapsed, for {'; '.join(line['collapse'])}")
        return line

    def _record(self, line: dict[str, Any]) -> None:
        """What an epoch leaves on disk: it is finished once the state, from which a run goes on, is."""
        if line.get("best"):
            self.kept.save_pretrained(self.folder.staged_model(self.epoch))
        self.history.append(line)
        self.folder.append_metrics(line)
        assert self.writer is not None
        to_tensorboard(self.writer, line)
        self.folder.save_state(self._state())
        self.folder.publish_model(self.best_epoch)

    def _validate(self, number: int) -> Evaluation:
        rows, config = self.examples.valid, self.config.evaluation
        self.kept.eval()
        self.kept.remember(self.builder, self.examples.training)
        try:
            return evaluate_examples(self.kept, self.builder, rows, config, processes=self.processes)
        except ScoreError as error:
            raise TrainingError(
                f"{self.folder.path}: epoch {number}, validation, {error}; the epochs before are saved, lower "
                "training.learning_rate or set training.max_grad_norm"
            ) from None

    def track_states(self, model: Model, rows: np.ndarray) -> Tracking | None:
        """How well a model tracks the gold states of examples, by the values that D_F holds."""
        labelled, config = self.examples.labelled, self.config.evaluation
        return track_states(model, self.builder, labelled, rows, config, processes=self.processes)

    def _run_pass(
        self, steps: TrainingSteps, shards: Iterator[Shard], advance: Advance, offset: int
    ) -> dict[str, float]:
        """One pass over D_F or D_P, after `offset` steps of the epoch; the mean of each term of the loss and diagnostic.

        The terms of a step are read once the next has been started, so that the device never waits for the host.
        """
        sums: dict[str, float] = {}
        before: PendingTerms | None = None
        self.model.train()
        for index in range(len(steps)):
            shard = next(shards).to(self.processes.device)  # before the seed: to start workers draws a number
            torch.manual_seed(_step_seed(self.config.seed, self.epoch, steps.stream, index, self.processes.rank))
            now = self._step(shard)
            if before is not None:
                self._add(before, sums)
            before = now
            advance(offset + index + 1, self.steps_an_epoch)
        assert before is not None
        self._add(before, sums)
        return {name: value / len(steps) for name, value in sums.items()}

    def _step(self, shard: Shard) -> PendingTerms:
        training = self.config.training
        loss, terms = self.network(shard)
        self.optimizer.zero_grad()
        (loss * self.processes.world_size).backward()  # gradients are averaged, and this is a share of a sum
        self.gradients.take(self.step)
        if training.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), training.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        if self.average is not None:
            self.average.update(self.model, self.step)
        self.step += 1
        values = self.processes.reduce_sum(torch.stack([loss.detach(), *terms.values()]))
        return PendingTerms(self.step, ("loss", *terms), values)

    def _add(self, pending: PendingTerms, sums: dict[str, float]) -> None:
        """Add a step's terms up; a loss that is no number ends the run, on every process alike."""
        terms = pending.terms()
        if not math.isfinite(terms["loss"]):
            found = ", ".join(
                f"{name} {value:g}" for name, value in split_diagnostics(terms)[0].items() if name != "loss"
            )
            raise TrainingError(
                f"{self.folder.path}: epoch {self.epoch + 1}, step {pending.step}: expected a finite loss, got {found}; "
                "the epochs before are saved, lower training.learning_rate or set training.max_grad_norm"
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

    def _digest(self) -> str:
        """By which a state is known as this run's."""
        return value_digest([lasting(self.config), self.builder.store.identity])

    def _state(self) -> dict[str, Any]:
        return {
            "run": self._digest(),
            "epoch": self.epoch,
            "step": self.step,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "history": self.history,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": None if self.average is None else self.average.model.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        if state.get("run") != self._digest():
            raise RunError(f"{self.folder.state}: expected the state of this run, found another one's")
        self.epoch, self.step, self.best_epoch = state["epoch"], state["step"], state["best_epoch"]
        self.best, self.history, self.seconds = state["best"], state["history"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])


def _step_seed(seed: int, epoch: int, stream: int, step: int, rank: int) -> int:
    """The seed of what a process draws on its device in a step, dropout above all."""
    entropy = [seed, epoch, stream, step, *([rank] if rank else [])]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
