"""The trials of a study: which is next, who works on it, and how it ended."""

import platform
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from semantic.config.search_space import Space
from semantic.config.sweep_schema import SearchSection
from semantic.runtime.claims import BusyError, claim
from semantic.runtime.files import remove_leftovers
from semantic.tuning.sampling import distributions, grid_point, grid_size, make_pruner, make_sampler
from semantic.tuning.studies import HEARTBEAT

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
"""A trial whose training failed is told as pruned, with a note: so samplers learn to avoid its like."""

BEGUN, HOW = "begun", "ended"
"""Attributes of a trial: its folder's number, attempts and place; and what is known of it at its end."""


@dataclass(frozen=True)
class Begun:
    """A trial at work in this process, which holds its folder `trial-<number>`.

    `reported` are its validations of earlier attempts by epoch, `attempts` how often it was begun since the last of these,
    this time included; `twin` is an ended trial of the same values.
    """

    trial: optuna.Trial
    number: int
    values: Mapping[str, Any]
    reported: Mapping[int, float]
    attempts: int
    twin: FrozenTrial | None
    held: ExitStack = field(repr=False)


def number_of(trial: FrozenTrial) -> int:
    """The number in the name of a trial's folder: its own, or that of the first of which it is a copy."""
    return int(trial.user_attrs.get(BEGUN, {}).get("number", trial.number))


class Trials:
    """The trials of a study, from which processes of this and of other machines draw.

    A trial is at work while a process holds its folder. Where that process has ended, the trial goes back to the queue as
    soon as anybody on its machine asks for one: it keeps its number, its values and what it reported. Trials of other
    machines give signs of life where the storage is a database; of one without any, Optuna puts a copy into the queue,
    which goes on in the folder of the first.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        search: SearchSection,
        space: Space,
        folder: Path,
        *,
        epochs: int,
        is_local: bool,
    ) -> None:
        self.study, self.storage, self.search, self.space, self.folder = study, storage, search, space, folder
        self.is_local = is_local  # only processes that claim the study draw from it
        self.place = f"{platform.node()}:{folder.resolve()}"
        self.study.pruner = make_pruner(search, epochs)
        self.study_id = storage.get_study_id_from_name(study.study_name)
        self.pulse = _Pulse(storage) if isinstance(storage, RDBStorage) else None

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, *_: object) -> None:
        if self.pulse is not None:
            self.pulse.stop()

    def all(self) -> list[FrozenTrial]:
        """The trials by number, but those that a copy stands for."""
        found = self.study.get_trials(deepcopy=False)
        return sorted((one for one in found if one.state != TrialState.FAIL), key=number_of)

    def num_ended(self) -> int:
        """How many trials have ended, whoever worked on them."""
        return sum(one.state in ENDED for one in self.all())

    def next(self, most: int) -> Begun | None:
        """A trial to work on; None where `most` are at work or have ended, or no point of a grid is left."""
        with claim_study(self.folder):
            self._find_dead()
            trials = self.all()
            waiting = [one.number for one in trials if one.state == TrialState.WAITING]
            at_work = [one for one in trials if one.state == TrialState.RUNNING and BEGUN in one.user_attrs]
            if len(at_work) + sum(one.state in ENDED for one in trials) >= most:
                return None
            if not waiting and self.search.sampler == "grid":
                if len(trials) >= grid_size(self.space):
                    return None
                self.study.enqueue_trial(grid_point(self.space, self.search, len(trials)))
            return self._begin(waiting[0] if waiting else len(self.study.get_trials(deepcopy=False)))

    def _begin(self, number: int) -> Begun | None:
        self.study.sampler = make_sampler(self.search, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of signs of life without Study.optimize: they are ours
            trial = self.study.ask(distributions(self.space))
        frozen = next(one for one in self.study.get_trials(deepcopy=False) if one.number == trial.number)
        known, reported = number_of(frozen), frozen.intermediate_values
        held = ExitStack()
        try:
            held.enter_context(claim(self.folder / f"trial-{known}"))
            remove_leftovers(self.folder / f"trial-{known}")
        except BusyError:  # the first of which this is a copy lives after all
            self._put_back(trial.number)
            return None
        before = frozen.user_attrs.get(BEGUN, {"reported": 0, "attempts": 0})
        attempts = 1 if len(reported) > before["reported"] else before["attempts"] + 1
        said = {"number": known, "attempts": attempts, "reported": len(reported), "place": self.place}
        trial.set_user_attr(BEGUN, said)
        if self.pulse is not None:
            self.pulse.begin(self._id(trial.number))
        values = {one.field: one.value(trial.params[one.field]) for one in self.space}
        twin = next((one for one in self.all() if one.state in ENDED and one.params == trial.params), None)
        return Begun(trial, known, values, reported, attempts, twin, held)

    def report(self, begun: Begun, value: float, epoch: int, *, is_last: bool) -> bool:
        """Report a validation, once; whether the trial is to be pruned after it."""
        with _replaced():
            if epoch not in begun.reported:
                begun.trial.report(value, epoch)
            # One that was reported before and is not the latest was not pruned then.
            if not is_last and epoch >= max(begun.reported, default=0):
                return begun.trial.should_prune()
        return False

    def put_back(self, begun: Begun, *, counted: bool) -> None:
        """Give a trial back to the queue; `counted` says that this was an attempt."""
        self._leave(begun)
        with _replaced():
            if not counted:
                said = begun.trial.user_attrs[BEGUN]
                begun.trial.set_user_attr(BEGUN, said | {"attempts": begun.attempts - 1})
            self._put_back(begun.trial.number)
        begun.held.close()

    def end(self, begun: Begun, value: float | None, **facts: Any) -> None:
        """End a trial, with its value; None where it was pruned or failed. `facts` are kept with it."""
        self._leave(begun)
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        with _replaced():
            begun.trial.set_user_attr(HOW, facts)
            self.study.tell(begun.trial, value, state)
        begun.held.close()

    def _find_dead(self) -> None:
        """Put trials back into the queue whose process has ended."""
        for one in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            place = one.user_attrs.get(BEGUN, {}).get("place")
            if place == self.place or (place is None and self.is_local):
                try:
                    with claim(self.folder / f"trial-{number_of(one)}"), _replaced():
                        self._put_back(one.number)
                except BusyError:
                    continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)

    def _put_back(self, number: int) -> None:
        self.storage.set_trial_state_values(self._id(number), TrialState.WAITING)

    def _leave(self, begun: Begun) -> None:
        if self.pulse is not None:
            self.pulse.end(self._id(begun.trial.number))

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)


@contextmanager
def claim_study(folder: Path) -> Iterator[None]:
    """Hold the study of an experiment's folder, after other processes of this machine."""
    with claim(folder / "tune", lambda _: None):
        yield


@contextmanager
def _replaced() -> Iterator[None]:
    """A block on a trial that another machine may have taken for dead: its copy in the queue goes on with the run."""
    with suppress(UpdateFinishedTrialError):
        yield


class _Pulse:
    """A thread that gives a sign of life for each trial at work."""

    def __init__(self, storage: RDBStorage) -> None:
        self.storage = storage
        self.alive: set[int] = set()
        self.stopped = threading.Event()
        self.thread: threading.Thread | None = None

    def begin(self, trial: int) -> None:
        self.storage.record_heartbeat(trial)
        self.alive.add(trial)
        if self.thread is None:
            self.thread = threading.Thread(target=self._beat, daemon=True)
            self.thread.start()

    def end(self, trial: int) -> None:
        self.alive.discard(trial)

    def stop(self) -> None:
        self.stopped.set()
        if self.thread is not None:
            self.thread.join()

    def _beat(self) -> None:
        while not self.stopped.wait(HEARTBEAT):
            for trial in tuple(self.alive):
                try:
                    self.storage.record_heartbeat(trial)
                except (SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    break  # the next one may come through; a storage that is gone is told where a trial ends
        self.storage.remove_session()
