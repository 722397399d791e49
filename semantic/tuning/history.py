"""What became of each trial: the rows of trials.csv, the best ones, and how much each field mattered."""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from semantic.config.search_space import Space, label
from semantic.tuning.trials import HOW, number_of

FEWEST = 4
"""Finished trials from which the importance of a field can be told."""


@dataclass(frozen=True)
class Row:
    """A trial: its number, how it stands, its value (NDCG@5 of the kept weights; of a pruned one the last), and its values.

    `state` is finished, pruned, failed (its training could not go on; `note` says why), at work or waiting.
    """

    number: int
    state: str
    value: float | None
    values: Mapping[str, Any]
    epochs: int
    best_epoch: int | None
    seconds: float
    note: str

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def has_ended(self) -> bool:
        return self.state in ("finished", "pruned", "failed")


def rows(trials: Sequence[FrozenTrial], space: Space) -> list[Row]:
    """A row a trial, in their order."""
    return [_row(one, space) for one in trials]


def _row(one: FrozenTrial, space: Space) -> Row:
    facts = one.user_attrs.get(HOW, {})
    state = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "failed" if facts.get("failed") else "pruned",
        TrialState.RUNNING: "at work",
    }.get(one.state, "waiting")
    return Row(
        number=number_of(one),
        state=state,
        value=one.value if one.state in (TrialState.COMPLETE, TrialState.PRUNED) and state != "failed" else None,
        values={each.field: each.value(one.params[each.field]) for each in space if each.field in one.params},
        epochs=facts.get("epochs", len(one.intermediate_values)),
        best_epoch=facts.get("best_epoch"),
        seconds=facts.get("seconds", 0.0),
        note=facts.get("failed") or facts.get("note", ""),
    )


def best_first(found: Sequence[Row]) -> list[Row]:
    """The finished trials, the best one first; of equal ones the earlier."""
    return sorted((row for row in found if row.is_finished), key=lambda row: (-(row.value or 0.0), row.number))


def importances(study: optuna.Study, space: Space) -> dict[str, float]:
    """How much of the variance of the value each field explains (fANOVA, Hutter et al. 2014), in [0, 1], together 1.

    Empty where too few trials are finished, or all have the same value.
    """
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < FEWEST or len({one.value for one in finished}) < 2:
        return {}
    fields = [one.field for one in space if len({str(trial.params[one.field]) for trial in finished}) > 1]
    if not fields:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of a forest that Optuna builds
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=fields)
    return {one.field: float(found.get(one.field, 0.0)) for one in space}


def csv_text(found: Sequence[Row], space: Space) -> str:
    """The history as CSV: a line a trial."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    fields = [one.field for one in space]
    writer.writerow(["number", "state", "ndcg@5", *fields, "epochs", "best_epoch", "seconds", "note"])
    for row in found:
        value = "" if row.value is None else f"{row.value:.6f}"
        values = [shown(row.values[field]) if field in row.values else "" for field in fields]
        best = "" if row.best_epoch is None else row.best_epoch
        writer.writerow([row.number, row.state, value, *values, row.epochs, best, f"{row.seconds:.1f}", row.note])
    return stream.getvalue()


def shown(value: Any) -> str:
    """A value in a line: numbers with all their digits, words as they are, sections and lists as JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(label(value))


def short(value: Any) -> str:
    """A value for a person: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else shown(value)
