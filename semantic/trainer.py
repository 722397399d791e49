"""The training loop. Read `train` from top to bottom: prepare, epochs, best weights, tables.

Whatever a step draws is a function of (seed, epoch, part, step), so a run that was killed and resumed ends with the same
bits as one that was not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from semantic.building import batch_builder, build_model
from semantic.catalogue import learn_catalogue
from semantic.data import Examples, TrainingSteps, select_examples
from semantic.datasets.batches import BatchBuilder
from semantic.datasets.store import open_store
from semantic.evaluation import Evaluation, ScoreError, evaluate, evaluate_examples
from semantic.model import Semantic
from semantic.objective import joint_loss, student_loss
from semantic.progress import Progress
from semantic.runs import RunError, RunFolder
from semantic.settings import Config, TrainingConfig
from semantic.summary import write_summary

LABELLED, UNLABELLED = 0, 1


class TrainingError(RuntimeError):
    """Training cannot go on. The message says where and what was found; what was written stays."""

    exit_code = 1  # of the command line


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

    Raises:
        DataError, CheckpointError, BackboneError, RunError: faults of the user's data, files or folders.
        TrainingError: the loss is not finite.
    """
    progress = progress or Progress()
    folder = RunFolder.of(config, runs, fold)
    store = open_store(config.data.store)
    examples = select_examples(store, config.data, folds_of=folds, fold=fold, seed=config.data.subset_seed)
    _check_open(folder, config, resume)
    if folder.summary.is_file():
        progress.say(f"{folder.path} is finished; nothing to do.")
        return folder
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    started = time.monotonic()
    accelerator = Accelerator(mixed_precision=config.training.precision)
    held_out = store.example_turns[np.concatenate([examples.valid, examples.test]), 0]
    model = build_model(config, store, progress.say, np.unique(held_out))
    builder = batch_builder(model, store, accelerator.device, progress)
    if not folder.config.is_file():
        folder.start(config)
    run = _Run(config, folder, examples, model, builder, accelerator, progress)
    run.describe()
    run.fit()
    best = Semantic.from_pretrained(folder.model).to(accelerator.device)
    with progress.bar("test", len(examples.test)) as advance:
        test = evaluate_examples(best, builder, examples.test, config.evaluation, detail=True, progress=advance)
    test.write_queries(folder.queries)
    write_summary(
        folder,
        config,
        store,
        examples,
        best,
        test,
        fold=fold,
        seconds=run.seconds + time.monotonic() - started - run.session,
    )
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
    progress = progress or Progress()
    source = RunFolder(run)
    config = source.read_config()
    store = open_store(data or config.data.store)
    model = Semantic.from_pretrained(source.model)
    started = time.monotonic()
    evaluation = evaluate(model, store, split, config.evaluation, detail=True, progress=progress)
    folder = RunFolder(out or run / "evaluations" / f"{store.path.name}-{split}")
    folder.start(config)
    evaluation.write_queries(folder.queries)
    rows = np.arange(store.split(split).start, store.split(split).stop)
    nothing = np.zeros(0, dtype=np.int64)
    examples = Examples(nothing, nothing, nothing, rows)
    if store.path.resolve() == Path(config.data.store).resolve():  # popularity is counted over what the run trained on
        examples = replace(select_examples(store, config.data), valid=nothing, test=rows)
    write_summary(
        folder, config, store, examples, model, evaluation, fold=None, seconds=time.monotonic() - started, split=split
    )
    return folder


def _check_open(folder: RunFolder, config: Config, resume: bool) -> None:
    if not folder.config.is_file():
        return
    if not resume:
        raise RunError(
            f"{folder.path}: expected no run there yet, found one; go on with --resume, or give another experiment, variant or seed"
        )
    folder.check_same(config)


@dataclass
class _Run:
    """The state of a training run between epochs."""

    config: Config
    folder: RunFolder
    examples: Examples
    model: Semantic
    builder: BatchBuilder
    accelerator: Accelerator
    progress: Progress

    def __post_init__(self) -> None:
        training = self.config.training
        seed = self.config.seed
        self.labelled = TrainingSteps(self.builder, self.examples.labelled, training, seed, part=LABELLED)
        self.unlabelled = TrainingSteps(self.builder, self.examples.unlabelled, training, seed, part=UNLABELLED)
        self.steps_an_epoch = len(self.labelled) + len(self.unlabelled)
        optimizer = make_optimizer(self.model, training)
        self.network, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.scheduler = LambdaLR(self.optimizer, linear_decay(training, self.steps_an_epoch * training.epochs))
        self.average = AveragedModel(self.model, avg_fn=moving_average(training.average)) if training.average else None
        self.epoch = self.step = self.best_epoch = 0
        self.best: dict[str, float] = {}
        self.seconds = 0.0  # of finished epochs, over all sessions
        self.session = 0.0  # of epochs finished in this session

    @property
    def kept(self) -> Semantic:
        """The model that is validated and saved: the average of the weights where one is kept."""
        if self.average is None:
            return self.model
        assert isinstance(self.average.module, Semantic)
        return self.average.module

    def describe(self) -> None:
        counts = self.examples.counts(self.builder.store)
        self.progress.say(
            f"D_F: {counts['labelled_examples']} examples of {counts['labelled_dialogues']} dialogues with states; "
            f"D_P: {counts['unlabelled_examples']} examples of {counts['unlabelled_dialogues']} dialogues without; "
            f"validation {counts['valid_queries']}, test {counts['test_queries']} queries."
        )

    def fit(self) -> None:
        """All epochs that are still to do."""
        state = self.folder.load_state()
        if state is not None:
            self._restore(state)
            self.progress.say(f"resuming after epoch {self.epoch} of {self.config.training.epochs}")
        else:
            epochs = self.config.training.completion_epochs
            with self.progress.bar("catalogue", epochs) as advance:
                learn_catalogue(self.model, self.builder, epochs, self.config.seed, advance)
        self.folder.keep_metrics(self.epoch)
        writer = SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=self.epoch + 1)
        try:
            if not self.config.training.epochs:
                self.model.save_pretrained(self.folder.model)
            while self.epoch < self.config.training.epochs:
                self._run_epoch(writer)
        finally:
            writer.close()

    def _run_epoch(self, writer: SummaryWriter) -> None:
        started = time.monotonic()
        training, number = self.config.training, self.epoch + 1
        line: dict[str, Any] = {
            "epoch": number,
            "step": 0,
            "seconds": 0.0,
            "learning_rate": self.scheduler.get_last_lr()[0],
        }
        with self.progress.bar(f"epoch {number}/{training.epochs}", self.steps_an_epoch) as advance:
            if len(self.labelled):
                line["train"] = self._run_part(self.labelled, lambda done: advance(done, self.steps_an_epoch))
            if len(self.unlabelled):
                offset = len(self.labelled)
                line["train_unlabelled"] = self._run_part(
                    self.unlabelled, lambda done: advance(offset + done, self.steps_an_epoch)
                )
        line["step"] = self.step
        if number % training.validate_every == 0 or number == training.epochs:
            valid = self._validate(number)
            line["valid"] = {**valid.protocols, "tie_rate": valid.tie_rate, "loss": valid.loss}
            line["best"] = self._improves(valid)
            if line["best"]:
                self.best_epoch = number
                self.kept.save_pretrained(self.folder.model)
        self.epoch = number
        elapsed = time.monotonic() - started
        self.seconds += elapsed
        self.session += elapsed
        line["seconds"] = round(elapsed, 3)
        self.folder.append_metrics(line)
        _to_tensorboard(writer, line)
        self.folder.save_state(self._state())
        self.progress.say(_epoch_line(line, training.epochs))

    def _validate(self, number: int) -> Evaluation:
        try:
            return evaluate_examples(self.kept, self.builder, self.examples.valid, self.config.evaluation)
        except ScoreError as error:
            raise TrainingError(
                f"{self.folder.path}: epoch {number}, validation, {error}; the epochs before are saved, lower "
                "training.learning_rate or set training.clip"
            ) from None

    def _run_part(self, steps: TrainingSteps, advance: Callable[[int], None]) -> dict[str, float]:
        """One pass over D_F (teacher and student) or D_P (student alone); returns the mean of each term."""
        sums: dict[str, torch.Tensor] = {}
        loader = DataLoader(steps.at(self.epoch), batch_size=None, num_workers=self.config.training.workers)
        self.model.train()
        for index, batch in enumerate(loader):
            torch.manual_seed(_step_seed(self.config.seed, self.epoch, steps.part, index))
            terms = self._step(batch.to(self.accelerator.device), teacher=steps.part == LABELLED)
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach()
            advance(index + 1)
        return {name: float(value) / len(steps) for name, value in sums.items()}

    def _step(self, batch: Any, *, teacher: bool) -> dict[str, torch.Tensor]:
        config = self.config.loss
        with self.accelerator.autocast():
            output = self.network(batch, teacher=teacher, text_image=config.correlation_weight > 0)
        if teacher:
            first = self.config.training.teacher_first and self.epoch == 0 and not len(self.unlabelled)
            loss, terms = joint_loss(output, batch, config, teacher_only=first)
        else:
            loss, terms = student_loss(output, batch, config)
        if not torch.isfinite(loss):
            found = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
            raise TrainingError(
                f"{self.folder.path}: epoch {self.epoch + 1}, step {self.step + 1}: expected a finite loss, got {found}; "
                "the epochs before are saved, lower training.learning_rate or set training.clip"
            )
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if self.config.training.clip is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.config.training.clip)
        self.optimizer.step()
        self.scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        return {"loss": loss} | terms

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
            "average": None if self.average is None else self.average.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.step, self.best_epoch = state["epoch"], state["step"], state["best_epoch"]
        self.best, self.seconds = state["best"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def make_optimizer(model: Semantic, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over what dialogues train; with no weight decay that is Adam, the paper's. Gates may have a rate of their own."""
    gates = [getattr(module, name) for module in model.modules() for name in getattr(module, "gates", ())]
    gates = [gate for gate in gates if gate is not None]
    fixed = [*gates, *(model.completion.parameters() if model.completion is not None else ())]
    others = [p for p in model.parameters() if p.requires_grad and not any(p is other for other in fixed)]
    rate = config.gate_learning_rate or config.learning_rate
    groups: list[dict[str, Any]] = [{"params": others}, *([{"params": gates, "lr": rate}] if gates else [])]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """average <- average + (1 - d) (weights - average), d = min(decay, (1 + n) / (10 + n)) at step n."""

    def average(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        d = min(decay, (1 + int(steps)) / (10 + int(steps)))
        return torch.lerp(mean, now, 1 - d)

    return average


def linear_decay(config: TrainingConfig, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate: up to 1 over the warm-up, then linearly down to 0 at the last step."""
    warmup = max(1, round(config.warmup * steps)) if config.warmup else 0

    def factor(step: int) -> float:
        return (step + 1) / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))

    return factor


def _step_seed(seed: int, epoch: int, part: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, part, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _to_tensorboard(writer: SummaryWriter, line: dict[str, Any]) -> None:
    for part in ("train", "train_unlabelled"):
        for name, value in line.get(part, {}).items():
            writer.add_scalar(f"{part}/{name}", value, line["epoch"])
    for protocol in ("standard", "released"):
        for name, value in line.get("valid", {}).get(protocol, {}).items():
            writer.add_scalar(f"valid {protocol}/{name}", value, line["epoch"])
    writer.add_scalar("learning_rate", line["learning_rate"], line["epoch"])
    writer.flush()


def _epoch_line(line: dict[str, Any], epochs: int) -> str:
    losses = " ".join(
        f"{part.replace('_', ' ')} loss {line[part]['loss']:.4f}"
        for part in ("train", "train_unlabelled")
        if part in line
    )
    if "valid" not in line:
        return f"epoch {line['epoch']}/{epochs}  {losses}  {line['seconds']:.1f} s"
    ndcg = 100 * line["valid"]["standard"]["ndcg@5"]
    return f"epoch {line['epoch']}/{epochs}  {losses}  valid NDCG@5 {ndcg:.1f}{' (best)' if line['best'] else ''}  {line['seconds']:.1f} s"
