"""A search on this machine: trials side by side, each a run in a process of its own; this process asks and tells Optuna."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.config.schema import Config
from semantic.config.search_space import Space, drawn_fields
from semantic.config.sweeps import Sweep
from semantic.runs.folder import RunFolder
from semantic.runs.reading import TRIAL
from semantic.runtime.files import write_text
from semantic.runtime.progress import Advance, Progress
from semantic.sweeps.running import machine_shares
from semantic.sweeps.workers import CellFailure, CellProcess, Line, Said
from semantic.training.run import TrainingError
from semantic.tuning.history import Row, best_first, rows, short
from semantic.tuning.trials import Begun, Trials

MOST_ATTEMPTS = 3
"""How often a trial is begun whose process ends each time before it has another validation."""


def train_trial(config: Config, runs: Path, line: Line) -> None:
    """A run from where it stands to its last epoch, or to the one after which it is pruned. No test query is ranked."""
    from semantic.training.loop import train

    def on_epoch(epoch: dict[str, Any]) -> bool:
        value = epoch["valid"]["standard"]["ndcg@5"] if "valid" in epoch else None
        return bool(line.ask("epoch", epoch["epoch"], epoch["seconds"], value, epoch.get("best", False)))

    train(config, runs=runs, resume=True, progress=Said(line.line), test=False, on_epoch=on_epoch)


@dataclass
class AtWork:
    """A trial and its process; what its epochs told, those of earlier attempts first."""

    begun: Begun
    config: Config
    process: CellProcess
    values: dict[int, float] = field(default_factory=dict)  # by epoch
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    is_pruned: bool = False

    @property
    def facts(self) -> dict[str, float | int]:
        """What is kept of a trial that ended."""
        return {"epochs": self.epochs, "best_epoch": self.best_epoch, "seconds": round(self.seconds, 3)}


class Search:
    """The trials at work here, one a slot, until the study has as many as are wanted.

    `ended` is called after each that ended, to write what is known.
    """

    def __init__(
        self,
        sweep: Sweep,
        space: Space,
        trials: Trials,
        *,
        runs: Path,
        most: int,
        jobs: int,
        seed: int,
        progress: Progress,
        ended: Callable[[], object],
    ) -> None:
        self.sweep, self.space, self.trials, self.runs, self.seed = sweep, space, trials, runs, seed
        self.most, self.jobs, self.progress, self.ended = most, jobs, progress, ended
        self.epochs = sweep.base.training.epochs
        self.num_ended = 0  # trials, those of other processes included
        self.at_work: dict[int, AtWork] = {}
        self.threads, self.devices = machine_shares(jobs)
        self.said: set[str] = set()
        self.advance: Advance = lambda *_: None

    def run(self) -> None:
        """Work until there is nothing more to begin, and all that was begun has ended. An interrupt gives trials back."""
        try:
            with self.progress.bar(f"{self.most} trials, epochs", self.most * self.epochs) as self.advance:
                self._count()
                while self._fill() or self.at_work:
                    wait([one.process.line for one in self.at_work.values()])
                    for slot, one in list(self.at_work.items()):
                        self._hear(slot, one)
        finally:
            for one in self.at_work.values():
                one.process.stop()
                self.trials.put_back(one.begun, counted=False)
            self.at_work.clear()

    def _fill(self) -> bool:
        """Begin a trial in every free slot; whether one was begun."""
        begun = False
        for slot in range(self.jobs):
            while slot not in self.at_work:
                trial = self.trials.next(self.most)
                if trial is None:
                    return begun
                self._begin(slot, trial)
                begun = True
        return begun

    def _begin(self, slot: int, begun: Begun) -> None:
        if begun.twin is not None:
            self._end_as(begun, *rows([begun.twin], self.space))
            return
        values = {"variant": f"trial-{begun.number}", "experiment": self.sweep.name, "seed": self.seed}
        try:
            config = make_config({**drawn_fields(self.sweep, begun.values), **values})
        except ConfigError as error:
            self._fail(begun, " ".join(str(error).split("\n")[1:]).strip())
            return
        if begun.attempts > MOST_ATTEMPTS:
            self._mark(config, begun, "failed")
            self._fail(begun, f"its process ended {MOST_ATTEMPTS} times before it had another validation")
            return
        try:
            self._mark(config, begun, "begun")
            device = self.devices[slot % len(self.devices)] if self.devices else None
            process = CellProcess(config, self.runs, threads=self.threads, device=device, work=train_trial)
        except BaseException:
            self.trials.put_back(begun, counted=False)
            raise
        self.at_work[slot] = AtWork(begun, config, process)

    def _hear(self, slot: int, one: AtWork) -> None:
        for kind, *said in one.process.events():
            if kind == "say" and said[0] not in self.said:
                self.said.add(said[0])
                self.progress.say(f"trial {one.begun.number}: {said[0]}")
            elif kind == "epoch":
                one.process.line.send(self._goes_on(one, *said))
            elif kind == "ended":
                del self.at_work[slot]
                one.process.stop()
                self._end(one, *said)

    def _goes_on(self, one: AtWork, epoch: int, seconds: float, value: float | None, is_best: bool) -> bool:
        """Report a validation; whether the trial is to go on after it."""
        one.epochs, one.seconds = epoch, one.seconds + seconds
        self._show()
        if value is None:
            return True
        one.values[epoch] = value
        one.best_epoch = epoch if is_best else one.best_epoch
        is_last = epoch == one.config.training.epochs
        one.is_pruned = self.trials.report(one.begun, value, epoch, is_last=is_last)
        return not one.is_pruned

    def _end(self, one: AtWork, error: BaseException | None, trace: str) -> None:
        begun = one.begun
        if isinstance(error, CellFailure):
            more = "; it is tried again" if begun.attempts < MOST_ATTEMPTS else ""
            self.progress.say(f"trial {begun.number}: {error}{more}")
            self.trials.put_back(begun, counted=True)
        elif error is not None and _is_own(error):
            self._mark(one.config, begun, "failed")
            self._fail(begun, str(error) or type(error).__name__, **one.facts)
        elif error is not None:
            self.trials.put_back(begun, counted=False)
            if hasattr(error, "add_note"):  # since Python 3.11
                error.add_note(trace)
            raise error
        elif one.is_pruned:
            self._mark(one.config, begun, "pruned")
            self.trials.end(begun, None, **one.facts)
            self._tell(begun, f"pruned after epoch {one.epochs} at NDCG@5 {100 * one.values[one.epochs]:.1f}")
        else:
            value = one.values[one.best_epoch]
            self._mark(one.config, begun, "finished")
            self.trials.end(begun, value, **one.facts)
            self._tell(begun, f"NDCG@5 {100 * value:.1f}")

    def _fail(self, begun: Begun, why: str, **facts: Any) -> None:
        self.trials.end(begun, None, failed=why, **facts)
        self._tell(begun, f"failed: {why}")

    def _end_as(self, begun: Begun, twin: Row) -> None:
        """End a trial of values that were tried, as that trial ended."""
        facts: dict[str, Any] = {
            "note": f"as trial {twin.number}",
            "epochs": twin.epochs,
            "best_epoch": twin.best_epoch,
        }
        facts |= {"failed": twin.note} if twin.state == "failed" else {}
        self.trials.end(begun, twin.value if twin.is_finished else None, **facts)
        value = "" if twin.value is None else f", NDCG@5 {100 * twin.value:.1f}"
        self._tell(begun, f"the values of trial {twin.number}, {twin.state}{value}")

    def _tell(self, begun: Begun, how: str) -> None:
        """A line of a trial that ended, and what is written of it."""
        self.ended()
        found = rows(self.trials.all(), self.space)
        best = best_first(found)
        values = ", ".join(f"{key} {short(value)}" for key, value in begun.values.items())
        so_far = (
            f" (best {100 * best[0].value:.1f}, trial {best[0].number})" if best and best[0].value is not None else ""
        )
        self.progress.say(f"trial {begun.number}: {how}{so_far}; {values}")
        self._count()

    def _count(self) -> None:
        self.num_ended = self.trials.num_ended()
        self._show()

    def _show(self) -> None:
        """Move the bar: an ended trial counts with all its epochs, however many it had."""
        done = self.num_ended * self.epochs + sum(min(one.epochs, self.epochs) for one in self.at_work.values())
        self.advance(min(done, self.most * self.epochs), self.most * self.epochs)

    def _mark(self, config: Config, begun: Begun, state: str) -> None:
        """Say in the run's folder that it is a trial, and how it stands."""
        said = {"study": self.sweep.name, "trial": begun.number, "state": state, "values": dict(begun.values)}
        write_text(RunFolder.of(config, self.runs).path / TRIAL, json.dumps(said, indent=1))


def _is_own(error: BaseException) -> bool:
    """Whether a trial's values can have brought the error about: it has failed, and the search goes on."""
    if isinstance(error, RuntimeError) and "memory" in str(error):  # "CUDA out of memory", "can't allocate memory"
        return True
    return isinstance(error, TrainingError | ConfigError | MemoryError)
