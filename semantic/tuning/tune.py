"""A search from its experiment's file to the best configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semantic.config.loading import together
from semantic.config.search_space import Space, read_space
from semantic.config.sweeps import Sweep, read_sweep
from semantic.datasets.store.store import open_store
from semantic.runs.folder import RunError
from semantic.runtime.files import remove_leftovers
from semantic.runtime.progress import Progress
from semantic.sweeps.cells import faults_of_data
from semantic.sweeps.running import check_alone
from semantic.tuning.best import BEST, HISTORY, check_out, write_results
from semantic.tuning.figure import FIGURE, write_trials
from semantic.tuning.history import Row, importances, rows
from semantic.tuning.running import Search
from semantic.tuning.studies import FILE, identity, lasting_storage, open_study
from semantic.tuning.trials import Trials, claim_study

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Tuned:
    """What a search has found: all trials, the file of the best configuration (None before a trial is finished), the
    figure's files, and each field's importance.
    """

    sweep: Sweep
    space: Space
    rows: tuple[Row, ...]
    folder: Path
    best: Path | None
    figure: tuple[Path, ...]
    importances: dict[str, float]


def open_search(experiment: str, overrides: Sequence[str] = ()) -> tuple[Sweep, Space]:
    """The sweep of an experiment's file and the space of its search, with nothing wrong that can be known beforehand.

    Raises:
        ConfigError: every fault at once: of the file, of the space, and of the data that a trial would take.
    """
    sweep, faults = read_sweep(experiment, overrides)
    if sweep is None:
        raise together(experiment, faults)
    space: Space = ()
    if not any(fault.startswith("search") for fault in faults) or sweep.search is not None:
        space, tried, found = read_space(sweep)
        faults = [*faults, *found, *faults_of_data([sweep.base, *tried])]
    if faults:
        raise together(experiment, faults)
    return sweep, space


def _check_new(study: "optuna.Study", folder: Path) -> None:
    """RunError where a study without trials would begin in the folders of another's."""
    found = [] if study.get_trials(deepcopy=False) else sorted(folder.glob("trial-*"))
    if found:
        raise RunError(
            f"{found[0]}: expected no trial there yet, for the study has none, found one of another study; give another "
            "experiment (--set experiment=NAME), or that study's --storage"
        )


def tune(
    experiment: str,
    overrides: Sequence[str] = (),
    *,
    trials: int = 40,
    storage: str | None = None,
    jobs: int = 1,
    runs: Path = Path("runs"),
    out: Path | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Search until the study has this many trials that ended, those of earlier calls and of other processes included.

    The objective is NDCG@5 (standard) of a run's kept weights on the validation split; the test split is not ranked. After
    each trial the best configuration is written to `out`, by default best.yaml beside the trials, and trials.csv with it.

    Raises:
        ConfigError: every fault of the experiment at once.
        RunError: a storage that cannot be used, or the study of another search.
        DataError: a file that may not be replaced.
        UserError: started by torchrun or accelerate launch.
    """
    check_alone("a search")
    sweep, space = open_search(experiment, overrides)
    folder = runs / sweep.name
    out = folder / BEST if out is None else out
    check_out(out, folder / HISTORY)
    store = open_store(sweep.base.data.store)
    search = sweep.search
    assert search is not None  # `open_search` says where it is not
    with claim_study(folder):
        for file in (out, *(folder / name for name in (FILE, HISTORY, *FIGURE))):
            remove_leftovers(file)
        study, opened = open_study(sweep.name, storage, folder, identity(sweep.base, search, space, store.identity))
        _check_new(study, folder)
    epochs, seed = sweep.base.training.epochs, sweep.cells[0].config.seed
    with (
        lasting_storage("--storage" if storage else str(folder / FILE)),
        Trials(study, opened, search, space, folder, epochs=epochs, is_local=storage is None) as desk,
    ):

        def write() -> tuple[Row, ...]:
            with claim_study(folder):
                found = tuple(rows(desk.all(), space))
                write_results(sweep, space, found, folder, out)
            return found

        progress = progress or Progress()
        Search(sweep, space, desk, runs=runs, most=trials, jobs=jobs, seed=seed, progress=progress, ended=write).run()
        found = write()
        shares = importances(study, space)
        with claim_study(folder):
            figure = write_trials(found, space, shares, folder)
    is_found = any(row.is_finished for row in found)
    return Tuned(sweep, space, found, folder, out if is_found else None, figure, shares)
