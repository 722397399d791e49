"""What a job of a cluster does: it trains one run, from where the run stands, until the run is finished or the job stopped."""

import os
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission

from semantic.config.loading import make_config, read_values
from semantic.config.schema import Config
from semantic.runs.folder import RunFolder
from semantic.runtime.errors import FailedError, UserError
from semantic.runtime.terminal import visible

SIGNAL_SECONDS = 60
"""How long before its time limit a job is sent the signal; SLURM may send it a minute earlier still."""

MOST_FRUITLESS = 2
"""Time limits in a row before an epoch was finished, after which a run is given up. The first may have gone into features."""


@dataclass
class RunJob:
    """Train a run. It holds plain values alone, for submitit keeps it in a file until the job starts.

    Before its time limit, and where SLURM says so on preemption, a job is sent a signal. submitit then asks `checkpoint`
    what is to be done next, and requeues the job. A run goes on from its last finished epoch, so that is the same again.
    """

    config: str  # YAML
    runs: str
    minutes: int  # of the time limit
    fruitless: int = 0  # time limits, up to now, since the last finished epoch
    _begun: "_Begun | None" = field(default=None, init=False, repr=False)

    def __call__(self) -> None:
        """Train the run to its end. A known error is one line in the log, and the exit code of the job."""
        os.register_at_fork(after_in_child=_ignore_signal)
        try:
            config = make_config(read_values(self.config))
            self._begun = _Begun(RunFolder.of(config, Path(self.runs)))
            _train(config, Path(self.runs))
        except (UserError, FailedError) as error:
            _end(str(error), error.exit_code)

    def checkpoint(self) -> DelayedSubmission:
        """The job that goes on after this one. It ends here where too many time limits came before an epoch was finished."""
        fruitless, begun = self.fruitless, self._begun
        if begun is not None and begun.has_finished_an_epoch:
            fruitless = 0
        elif begun is not None and begun.seconds > min(0.8 * 60 * self.minutes, 60 * self.minutes - 3 * SIGNAL_SECONDS):
            fruitless += 1
            if fruitless >= MOST_FRUITLESS:
                _end(
                    f"{begun.folder.path}: expected to finish an epoch within {self.minutes} minutes, the time limit of a job, "
                    f"found none finished in {fruitless} jobs; --slurm-option time=... gives them longer",
                    FailedError.exit_code,
                )
        return DelayedSubmission(replace(self, fruitless=fruitless))


class _Begun:
    """A run as this job found it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._state = self._written()
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def has_finished_an_epoch(self) -> bool:
        return self._written() != self._state

    def _written(self) -> int | None:
        """When the state of the last finished epoch was written; None before there is one."""
        return self.folder.state.stat().st_mtime_ns if self.folder.state.is_file() else None


def _train(config: Config, runs: Path) -> None:
    import torch
    from rich.console import Console

    from semantic.runtime.progress import TerminalProgress
    from semantic.training.loop import train

    cores = os.environ.get("SLURM_CPUS_ON_NODE", "")
    if cores.isdecimal() and "OMP_NUM_THREADS" not in os.environ:  # not every cluster binds a job to its cores
        torch.set_num_threads(int(cores))
    train(config, runs=runs, resume=True, progress=TerminalProgress(Console()))


def _ignore_signal() -> None:
    """Let processes that this one forks pass over the signal, which SLURM sends to them too: submitit's answer came with
    the fork, and each would requeue the job.
    """
    number = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
    if callable(signal.getsignal(number)):
        signal.signal(number, signal.SIG_IGN)


def _end(message: str, code: int) -> NoReturn:
    print(f"semantic: {visible(message)}", file=sys.stderr, flush=True)
    sys.exit(code)
