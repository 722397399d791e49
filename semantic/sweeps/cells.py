"""A sweep before it starts: what is wrong with it, which cells are to do, and what they are likely to cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from semantic.batching.examples import select_examples
from semantic.config.loading import together
from semantic.config.schema import Config, DataConfig
from semantic.config.sweeps import Cell, Sweep, read_sweep
from semantic.datasets.store.store import open_store
from semantic.runs.folder import RunError, RunFolder
from semantic.runs.reading import count_epochs, load_runs
from semantic.runtime.errors import UserError

State = Literal["finished", "begun", "to do"]


@dataclass(frozen=True)
class CellState:
    """Where a cell stands: its folder, the epochs that are finished, and its seconds so far (None before it is finished)."""

    cell: Cell
    folder: RunFolder
    state: State
    epochs: int
    seconds: float | None

    @property
    def left(self) -> float:
        """The share of the cell's epochs that is still to do."""
        return 0.0 if self.state == "finished" else 1 - self.epochs / max(1, self.cell.config.training.epochs)


def open_sweep(experiment: str, overrides: Sequence[str], runs: Path) -> Sweep:
    """The sweep of an experiment's file, with nothing wrong that can be known before it starts.

    Raises:
        ConfigError: every fault at once: of the file, of the data that a cell would take, and of folders in which another
            configuration was run.
    """
    sweep, faults = read_sweep(experiment, overrides)
    if sweep is not None:
        configs = [cell.config for cell in sweep.cells] or [sweep.base]
        faults = [*faults, *faults_of_data(configs), *_of_folders(sweep.cells, runs)]
    if faults or sweep is None:
        raise together(experiment, faults)
    return sweep


def cell_states(cells: Sequence[Cell], runs: Path) -> list[CellState]:
    """Where each cell stands, from the files in its folder alone."""
    return [_state(cell, RunFolder.of(cell.config, runs)) for cell in cells]


def _state(cell: Cell, folder: RunFolder) -> CellState:
    if folder.summary.is_file():
        (run,) = load_runs([folder.path])
        return CellState(cell, folder, "finished", run.summary.epochs, run.summary.seconds)
    epochs = count_epochs(folder.path)
    return CellState(cell, folder, "begun" if folder.config.is_file() else "to do", epochs, None)


def expected_seconds(states: Sequence[CellState]) -> list[float | None]:
    """What each cell is likely to take still: the mean of its variant's finished ones, else of all, for the epochs left.

    None where no cell is finished.
    """
    finished = [state for state in states if state.seconds is not None]
    if not finished:
        return [None for _ in states]

    def mean(state: CellState) -> float:
        own = [one for one in finished if one.cell.config.variant == state.cell.config.variant]
        return fmean(one.seconds or 0.0 for one in own or finished)

    return [state.left * mean(state) for state in states]


def shard_of(cells: Sequence[Cell], shard: str | None) -> list[Cell]:
    """The cells of a shard, "3/16" being the third of sixteen: every sixteenth, so that long variants are shared out.

    Raises:
        UserError: not of that form, or no shard from 1 to the number of shards.
    """
    if shard is None:
        return list(cells)
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--shard: expected one of several like 3/16, got {shard!r}")
    return list(cells)[int(found[1]) - 1 :: int(found[2])]


def faults_of_data(configs: Sequence[Config]) -> list[str]:
    """What is wrong with the stores that cells read, and with their examples; each once."""
    distinct: dict[str, tuple[DataConfig, int]] = {}
    for config in configs:
        data = config.data.model_copy(update={"fold": config.data.fold.model_copy(update={"index": 0})})
        seed = config.seed if data.subset_seed is None else 0
        distinct.setdefault(f"{seed} {data.model_dump_json()}", (data, seed))
    faults: dict[str, None] = {}
    for data, seed in distinct.values():
        try:
            select_examples(open_store(data.store), data, seed)
        except UserError as error:
            faults[str(error)] = None
    return list(faults)


def _of_folders(cells: Sequence[Cell], runs: Path) -> list[str]:
    faults = []
    for cell in cells:
        folder = RunFolder.of(cell.config, runs)
        try:
            if folder.config.is_file():
                folder.check_same(cell.config, open_store(cell.config.data.store).identity)
        except RunError as error:
            faults.append(f"{error}; give another experiment (--set experiment=NAME), or another --runs")
        except UserError:
            continue  # the store's fault, which is told already
    return faults
