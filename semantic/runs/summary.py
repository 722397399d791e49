"""What a run's summary.json and metrics.jsonl hold: their fields, typed and checked."""

import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

PROTOCOLS = ("standard", "released")
COMPARED = ("standard", "ndcg@5")
"""The protocol and metric that runs are compared by."""

ADDED = {"identity", "queries", "seen", "dropped"}
"""Keys that summaries of earlier versions lack."""

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,}$")]
Word = Annotated[str, Field(pattern=r"^[\w.+,=-]+$")]
Metric = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
"""A fraction; precision of the released protocol may exceed 1."""
Metrics = dict[Annotated[str, Field(pattern=r"^\w+@\d+$")], Metric]


def _with_compared(metrics: Metrics) -> Metrics:
    if COMPARED[1] not in metrics:
        raise ValueError(f"metrics with {COMPARED[1]}")
    return metrics


def _with_protocols(protocols: dict[str, Any]) -> dict[str, Any]:
    if set(protocols) != set(PROTOCOLS):
        raise ValueError(f"the protocols {' and '.join(PROTOCOLS)}")
    return protocols


Protocol = Annotated[Metrics, AfterValidator(_with_compared)]
Protocols = Annotated[dict[str, Protocol], AfterValidator(_with_protocols)]


class Record(BaseModel):
    """A JSON object of a run: types are not coerced, numbers are finite, and other keys are left alone."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


class Sides(Record):
    """Numbers of dialogues that a run trained on (`train`) and chose its weights by (`valid`)."""

    train: Count
    valid: Count


class Fold(Record):
    """One fold of a cross-validation over the pooled splits."""

    index: Count
    count: Annotated[int, Field(gt=0, le=1000)]
    seed: int
    pooled: tuple[str, ...]

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Fold":
        if self.index >= self.count:
            raise ValueError(f"a fold below {self.count}")
        return self


class NamedExplanation(Record):
    """A table by which a model explains a ranking, and the sources of the query and of a product with a column in queries.parquet."""

    title: str
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    query: tuple[str, ...]
    products: tuple[str, ...]


class StateTracking(Record):
    """How often a student's slots are right, over `turns` with a gold state."""

    slot_accuracy: Share
    joint_goal_accuracy: Share
    turns: Count
    slots: Annotated[dict[str, Share], Field(min_length=1)]


class Summary(Record):
    """A run's results on one set of queries, and what explains them.

    `identity` is the digest of the evaluated store, `queries` that of the queries and their candidates. Of the evaluated
    dialogues, `seen` were trained on or chosen by; `dropped` were left out of training because they are evaluated.
    """

    experiment: Word
    variant: Word
    seed: Count
    fold: Fold | None
    split: str
    store: str
    identity: Digest
    queries: Digest
    seen: Sides
    dropped: Sides
    slots: tuple[str, ...]
    explanations: tuple[NamedExplanation, ...]
    protocols: Protocols
    tie_rate: Share
    reads_gold_states: bool = False
    states: StateTracking | None = None
    floors: dict[str, Protocols]
    counts: dict[str, Count]
    rejected: dict[str, Count]
    best_epoch: Count
    epochs: Count
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    peak_memory_mb: Annotated[float, Field(ge=0, le=1e12)]


class Validation(Record):
    """How an epoch's weights ranked the validation split, and tracked its states."""

    standard: Protocol
    states: StateTracking | None = None

    @property
    def tracking(self) -> dict[str, float]:
        """Both accuracies by their names; empty without states."""
        if self.states is None:
            return {}
        return {
            "joint goal accuracy": self.states.joint_goal_accuracy,
            "slot accuracy": self.states.slot_accuracy,
        }


class Epoch(Record):
    """A line of metrics.jsonl; terms of the loss and norms of gradients may be no numbers."""

    model_config = ConfigDict(allow_inf_nan=True)

    epoch: Annotated[int, Field(gt=0, le=10**9)]
    train: dict[str, float] = {}
    train_unlabelled: dict[str, float] = {}
    diagnostics: dict[str, dict[str, float]] = {}
    gradients: dict[str, float] = {}
    collapse: tuple[str, ...] = ()
    valid: Validation | None = None


Some = TypeVar("Some", bound=Record)


def parse(kind: type[Some], text: bytes, where: str) -> Some:
    """The record that a JSON text holds. DataError, with `where`, for the first thing that is wrong in it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{where}: {fault(error)}") from None


def parse_summary(text: bytes, file: Path) -> Summary:
    """The summary that a file's text holds.

    Raises:
        DataError: it is not one, or one that an earlier version wrote.
    """
    try:
        return Summary.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        absent = {one["loc"][0] for one in faults if one["type"] == "missing"}
        if absent >= ADDED and not absent & {"experiment", "protocols"}:
            raise DataError(
                f"{file}: expected a summary with {', '.join(sorted(ADDED))}, found one of an earlier version; "
                "evaluate the run again with `semantic evaluate`"
            ) from None
        raise DataError(f"{file}: {fault(error)}") from None


def fault(error: ValidationError) -> str:
    """The first of pydantic's errors in words: where, expected, found."""
    one = error.errors(include_url=False)[0]
    place = visible(".".join(map(str, one["loc"])))
    where = f"{place}: " if place else ""
    if one["type"] == "missing":
        return f"expected a value of {place}, found none"
    if one["type"] == "json_invalid":
        return f"expected JSON, found {visible(str(one['ctx']['error']))}"
    message = re.sub(r"^(Input should be|Value error,) ", "", one["msg"])
    message = re.sub(r"^(String|List|Tuple) should ", lambda match: f"a {match[1].lower()} to ", message)
    return f"{where}expected {visible(message)}, found {reprlib.repr(one['input'])}"
