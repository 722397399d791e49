"""A sweep on this machine: its cells side by side, each in a process of its own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from semantic.config.sweeps import Cell, Sweep
from semantic.runs.folder import RunFolder
from semantic.runs.plan import Plan, write_plan
from semantic.runs.reading import load_runs
from semantic.runs.summary import COMPARED
from semantic.runtime.claims import BusyError
from semantic.runtime.errors import UserError
from semantic.runtime.progress import Advance, Progress
from semantic.sweeps.cells import cell_states
from semantic.sweeps.workers import CellProcess


@dataclass
class SweepResult:
    """What a sweep did: cells finished now and before, those that failed with error and traceback, those that others hold."""

    finished: list[Cell] = field(default_factory=list)
    before: list[Cell] = field(default_factory=list)
    failed: list[tuple[Cell, BaseException, str]] = field(default_factory=list)
    busy: list[tuple[Cell, str]] = field(default_factory=list)


def run_sweep(
    sweep: Sweep, cells: Sequence[Cell], *, runs: Path = Path("runs"), jobs: int = 1, progress: Progress | None = None
) -> SweepResult:
    """Train the cells of a sweep that are not finished, `jobs` at a time; a cell that was begun goes on where it stopped.

    Each cell is a process: an error, or a lack of memory, ends that cell alone. With several jobs each takes its share of
    the cores, and of the GPUs one in turn. A cell that another process works on is left to it, and looked at once more at
    the end. The store, its kept arrays and the floors are shared: what one cell has computed the others read.

    Raises:
        UserError: started by torchrun or accelerate launch.
        KeyboardInterrupt: the cells' processes are ended first.
    """
    check_alone("a sweep")
    progress = progress or Progress()
    write_plan(Plan.of(sweep), runs)
    states = cell_states(cells, runs)
    result = SweepResult(before=[state.cell for state in states if state.state == "finished"])
    for cell in result.before:
        RunFolder.of(cell.config, runs).complete_config()
    todo = [state for state in states if state.state != "finished"]
    epochs = sum(state.cell.config.training.epochs - state.epochs for state in todo)
    with progress.bar(f"{len(todo)} runs, epochs", epochs) as advance:
        work = _Work(runs, jobs, progress, result, len(states), advance, epochs)
        work.all([state.cell for state in todo])
        held, result.busy = result.busy, []
        work.all([cell for cell, _ in held])
    return result


class _Work:
    """The processes at work, one a slot."""

    def __init__(
        self, runs: Path, jobs: int, progress: Progress, result: SweepResult, cells: int, advance: Advance, epochs: int
    ) -> None:
        self.runs, self.progress, self.result = runs, progress, result
        self.jobs, self.num_cells, self.advance, self.num_epochs = jobs, cells, advance, epochs
        self.at_work: dict[int, tuple[Cell, CellProcess]] = {}
        self.epochs = 0
        self.said: set[str] = set()
        self.threads, self.devices = machine_shares(jobs)
        self.worked: set[str] = set()  # cells that did something: others were finished meanwhile

    def all(self, cells: Sequence[Cell]) -> None:
        """Train these cells, the first ones first."""
        waiting = list(cells)
        try:
            while waiting or self.at_work:
                for slot in range(self.jobs):
                    if slot not in self.at_work and waiting:
                        self._start(slot, waiting.pop(0))
                if self.at_work:
                    wait([process.line for _, process in self.at_work.values()])
                for slot, (cell, process) in list(self.at_work.items()):
                    self._hear(slot, cell, process)
        finally:
            for _, process in self.at_work.values():
                process.stop()
            self.at_work.clear()

    def _start(self, slot: int, cell: Cell) -> None:
        if RunFolder.of(cell.config, self.runs).summary.is_file():  # by another process, meanwhile
            self.result.before.append(cell)
            return
        device = self.devices[slot % len(self.devices)] if self.devices else None
        self.at_work[slot] = cell, CellProcess(cell.config, self.runs, threads=self.threads, device=device)

    def _hear(self, slot: int, cell: Cell, process: CellProcess) -> None:
        for kind, *said in process.events():
            if kind == "say" and said[0] not in self.said:
                self.said.add(said[0])
                self.progress.say(f"{cell.name}: {said[0]}")
            elif kind == "bar":
                self.worked.add(cell.name)
                if said[0].startswith("epoch ") and said[1] == said[2]:
                    self.epochs = min(self.epochs + 1, self.num_epochs)
                    self.advance(self.epochs, self.num_epochs)
            elif kind == "ended":
                del self.at_work[slot]
                process.stop()
                self._end(cell, *said)

    def _end(self, cell: Cell, error: BaseException | None, trace: str) -> None:
        if isinstance(error, BusyError):
            self.result.busy.append((cell, str(error)))
        elif error is not None:
            self.result.failed.append((cell, error, trace))
            self.progress.say(f"{cell.name}: failed; the others go on")
        elif cell.name not in self.worked:
            self.result.before.append(cell)
        else:
            self.result.finished.append(cell)
            (run,) = load_runs([RunFolder.of(cell.config, self.runs).path])
            protocol, metric = COMPARED
            value = 100 * run.summary.protocols[protocol][metric]
            done = len(self.result.finished) + len(self.result.before)
            self.progress.say(
                f"{cell.name}: test NDCG@5 {value:.1f} in {run.summary.seconds:.0f} s ({done} of {self.num_cells})"
            )


def check_alone(what: str) -> None:
    """UserError where torchrun or accelerate launch started this process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"environment: expected one process for {what}, which starts its own; found WORLD_SIZE above 1")


def machine_shares(jobs: int) -> tuple[int | None, tuple[str, ...]]:
    """The threads of each of several jobs, None for torch's choice, and the GPUs that they take in turn."""
    if jobs == 1:
        return None, ()
    threads = None if "OMP_NUM_THREADS" in os.environ else max(1, (os.cpu_count() or 1) // jobs)
    return threads, _devices()


def _devices() -> tuple[str, ...]:
    """The GPUs that jobs share out, as CUDA_VISIBLE_DEVICES names them; none where there is one or none."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(number) for number in range(count)]
    return tuple(names[:count]) if count > 1 else ()
