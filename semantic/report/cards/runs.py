"""The card of a trained model: of one run, or of a variant's runs with several seeds or folds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from semantic.report.cards.rendering import NAME, read_template, render
from semantic.report.exporting import to_markdown
from semantic.report.tables import Row, Section, store_name, table
from semantic.runs.reading import SUMMARY, Run, load_runs, unfinished_runs
from semantic.runs.summary import PROTOCOLS
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible, visible_lines

WEIGHTS = Path("model") / "config.json"
"""The file of a run by which its weights are known."""

TASK = "conversational-recommendation"

COUNTED = (
    "labelled_dialogues",
    "labelled_examples",
    "unlabelled_dialogues",
    "unlabelled_examples",
    "valid_queries",
    "test_queries",
    "parameters",
    "trainable_parameters",
)
"""What a card tells of a summary's counts."""


@dataclass(frozen=True)
class ModelFacts:
    """What a run's model is: its class by import path, the preset it is based on, and what the class says of itself."""

    path: str
    preset: str | None
    says: str


@dataclass(frozen=True)
class Trained:
    """The runs of one variant below a folder, in order of seed and fold, and the folders of others that are not finished."""

    folder: Path
    runs: tuple[Run, ...]
    unfinished: tuple[Path, ...]

    @property
    def model(self) -> str:
        """The name of the runs' model, as their configuration has it."""
        return str(_section(self.runs[0], "model").get("name", "semantic"))

    @property
    def preset(self) -> str | None:
        """The preset that the configuration names."""
        preset = (self.runs[0].config or {}).get("preset")
        return None if preset is None else str(preset)


def read_trained(folder: Path) -> Trained:
    """The runs of a run's folder, or of the folder of a variant.

    Raises:
        DataError: no finished run, runs of several variants, runs without weights, or a damaged file.
    """
    runs = load_runs([folder], also=", or a prepared store")
    others = list(dict.fromkeys(run.name for run in runs))
    if len(others) > 1:
        raise DataError(
            f"{folder}: expected a run, or the runs of one variant, found {len(others)} variants ({', '.join(others[:5])}); "
            "give the folder of one"
        )
    for run in runs:
        if not (run.path / WEIGHTS).is_file():
            raise DataError(f"{run.path}: expected a run with its weights ({WEIGHTS.as_posix()}), found none")
    return Trained(folder, tuple(runs), tuple(unfinished_runs([folder])))


def card_place(folder: Path) -> Path:
    """Where the card of `folder` goes: beside the weights of a run, else into the folder itself."""
    return folder / "model" / NAME if (folder / SUMMARY).is_file() else folder / NAME


def run_card(trained: Trained, facts: ModelFacts) -> str:
    """The card of these runs. A number is the mean over them, with the sample deviation beside it.

    Raises:
        DataError: the runs cannot be averaged, or a file of a run is damaged.
    """
    result = table(trained.runs, trained.unfinished)
    if len(result.groups) > 1:
        raise DataError(
            f"{trained.runs[0].name}: expected runs that differ in seed and fold alone, found {len(result.groups)} groups: "
            f"{'; '.join(result.groups)}"
        )
    (section,), (group,) = result.sections, result.groups.values()
    first = group.runs[0]
    name = group.runs[0].name + ("" if len(group.runs) > 1 else f", {first.place}")
    return render(
        "model_card.md",
        _front_matter(name, section, section.variants[0]),
        name=name,
        facts=facts,
        group=group,
        one=first.summary,
        store=store_name(first.summary.store),
        weights={id(run): (run.path.relative_to(trained.folder) / WEIGHTS.parent).as_posix() for run in group.runs},
        environment=_environment(first),
        commands=[visible(one) for one in _distinct(run.environment.get("command") for run in group.runs)],
        counts={name: _span(run.summary.counts.get(name) for run in group.runs) for name in COUNTED},
        dropped={side: _span(getattr(run.summary.dropped, side) for run in group.runs) for side in ("train", "valid")},
        hidden=_section(first, "data").get("hidden") or (),
        selection=_section(first, "training").get("selection"),
        trained_on=first.trained_on,
        tables=to_markdown(result).rstrip(),
        configuration=visible_lines(first.config_text).rstrip(),
        citation=read_template("citation.bib").rstrip(),
    )


def _front_matter(name: str, section: Section, row: Row) -> ModelCardData:
    """What the hub reads: the library, tags, and each metric of both protocols as a fraction."""
    store = visible(store_name(section.store))
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=store,
            dataset_name=store,
            dataset_split=visible(section.split),
            dataset_revision=section.identity,
            metric_type=metric,
            metric_name=f"{metric} ({protocol} protocol)",
            metric_value=round(row.cells[protocol, metric].mean, 6),
            metric_args={
                "protocol": protocol,
                "runs": row.runs,
                "sample_deviation": round(row.cells[protocol, metric].deviation, 6),
            },
        )
        for protocol in PROTOCOLS
        for metric in section.metrics
    ]
    tags = [TASK, "multimodal", "dialogue-state-tracking", "fashion"]
    return ModelCardData(library_name="semantic", tags=tags, model_name=name, eval_results=results)


def _section(run: Run, name: str) -> Mapping[str, Any]:
    """A section of a run's configuration; empty where there is none."""
    found = (run.config or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _environment(run: Run) -> dict[str, Any]:
    """A run's machine and versions, None for what its file does not say."""
    keys = ("python", "platform", "cpu", "cores", "device", "processes", "git", "started")
    packages = run.environment.get("packages")
    known: dict[str, Any] = {key: run.environment.get(key) for key in keys}
    git = known["git"] if isinstance(known["git"], Mapping) else {}
    return known | {
        "git": git.get("commit"),
        "changed": bool(git.get("changed")),
        "packages": packages if isinstance(packages, Mapping) else {},
    }


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _span(values: Iterable[int | None]) -> str:
    """A count of the runs: "3 to 5" where they differ, as folds do; empty where a summary lacks it."""
    known = [value for value in values if value is not None]
    return " to ".join(f"{value:,}" for value in sorted({min(known), max(known)})) if known else ""
