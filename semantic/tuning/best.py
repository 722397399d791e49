"""What a search leaves beside its study: the history as trials.csv, and the best configuration as an experiment's file."""

import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from semantic import __version__
from semantic.config.search_space import Space, drawn_fields
from semantic.config.sweeps import Sweep
from semantic.config.values import dump_yaml
from semantic.runtime.errors import DataError
from semantic.runtime.files import write_text
from semantic.runtime.terminal import command_line, visible
from semantic.tuning.history import Row, best_first, csv_text, short

HISTORY = "trials.csv"
BEST = "best.yaml"
MARK = "# Found by semantic tune"
"""How the file of a best configuration begins: one that does is replaced by the next."""


def check_out(out: Path, history: Path) -> None:
    """DataError where a result may not be written."""
    if out.suffix not in (".yaml", ".yml"):
        raise DataError(f"{out}: expected a file that ends in .yaml or .yml, to be trained from; give another --out")
    for file, opening in ((out, MARK), (history, "number,state,ndcg@5,")):
        if not file.exists():
            continue
        try:
            found = file.read_bytes()[: len(opening)]
        except OSError as error:
            raise DataError(f"{file}: expected a file that can be read, found: {error.strerror}") from None
        if found != opening.encode():
            raise DataError(
                f"{file}: expected a new file, or one that semantic tune wrote, found another"
                + ("; give another --out" if file is out else "")
            )


def write_results(sweep: Sweep, space: Space, found: Sequence[Row], folder: Path, out: Path) -> None:
    """Write the history, and the best configuration where a trial is finished. The caller has claimed the study."""
    write_text(folder / HISTORY, csv_text(found, space))
    best = best_first(found)
    if best:
        write_text(out, best_text(sweep, space, found, folder))


def best_text(sweep: Sweep, space: Space, found: Sequence[Row], folder: Path) -> str:
    """The best configuration: the fields that differ from the preset, and how it was found as comments.

    Its runs lie beside the trials, as the variant `best`. Their seed is left to who trains it.
    """
    best = best_first(found)[0]
    fields = drawn_fields(sweep, best.values) | {"experiment": sweep.name, "variant": "best"}
    seed = fields.pop("seed", 0)
    order = {"experiment": None, "variant": None, "preset": None} | dict.fromkeys(fields)
    fields = {key: fields[key] for key in order if key in fields}
    ended = [row for row in found if row.has_ended]
    states = {state: sum(row.state == state for row in ended) for state in ("finished", "pruned", "failed")}
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    assert sweep.search is not None
    assert best.value is not None
    drawn = [f"#   {one.field}: {short(best.values[one.field])}" for one in space]
    lines = [
        f"{MARK}: the best of {len(ended)} trials ({', '.join(f'{n} {s}' for s, n in states.items() if n)}) on validation.",
        f"# Trial {best.number}: NDCG@5 (standard) {100 * best.value:.2f} at epoch {best.best_epoch} of {best.epochs}, seed {seed}, with",
        *drawn,
        f"# {command_line('semantic')}",
        f"# sampler {sweep.search.sampler}, pruner {sweep.search.pruner}, seed of the search {sweep.search.seed}",
        f"# {now}, {versions}",
        f"# All trials: {folder / HISTORY}",
    ]
    return "\n".join([*map(visible, lines), dump_yaml(fields, sort_keys=False, allow_unicode=True, width=120)])


def _versions() -> dict[str, str]:
    found = {"semantic": __version__, "Python": platform.python_version()}
    return found | {name: metadata.version(name) for name in ("optuna", "torch")}
