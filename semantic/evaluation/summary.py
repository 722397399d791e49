"""The one file of a run that a table is made from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semantic.batching.examples import Examples
from semantic.config.schema import Config
from semantic.datasets.store.store import Store
from semantic.evaluation.floors import floors
from semantic.evaluation.ranking import Evaluation
from semantic.evaluation.state_tracking import Tracking
from semantic.models.interface import Model
from semantic.runs.folder import RunFolder
from semantic.runtime.files import write_text
from semantic.runtime.memory import peak_memory_mb
from semantic.runtime.progress import Progress

NONE_SEEN: Mapping[str, int] = {"train": 0, "valid": 0}


def write_summary(
    folder: RunFolder,
    config: Config,
    store: Store,
    examples: Examples,
    model: Model,
    test: Evaluation,
    tracking: Tracking | None = None,
    *,
    seconds: float,
    epochs: Sequence[Mapping[str, Any]] = (),
    split: str | None = None,
    seen: Mapping[str, int] = NONE_SEEN,
    progress: Progress | None = None,
) -> None:
    """Both protocols on the evaluated examples, how well their states are tracked, the floors beneath, and every count that explains them.

    `seen` are how many of the evaluated dialogues the model was trained on, and how many its weights were chosen by.
    """
    fold = config.data.fold
    summary: dict[str, Any] = {
        "experiment": config.experiment,
        "variant": config.variant,
        "seed": config.seed,
        "fold": fold.model_dump(mode="json") if fold.count else None,
        "split": split or config.data.test,
        "store": str(store.path),
        "identity": store.identity,
        "queries": _digest(store, examples.test),
        "slots": list(store.slots),
        "explanations": test.explanations,
        "protocols": test.protocols,
        "tie_rate": test.tie_rate,
        "reads_gold_states": config.model.reads_gold_states or config.data.dialogue_states == "appended",
        "states": None if tracking is None else tracking.record(),
        "floors": floors(
            store,
            examples.test.tolist(),
            examples.training.tolist(),
            config.seed,
            context_turns=config.data.context_turns,
            progress=progress or Progress(),
        ),
        "counts": {
            **examples.counts(store),
            "parameters": sum(p.numel() for p in model.parameters()),
            "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "masked_photos": store.manifest["products"]["masked_photos"],
        },
        "seen": dict(seen),
        "dropped": examples.dropped,
        "rejected": store.manifest["rejected"],
        "best_epoch": max((line["epoch"] for line in epochs if line.get("best")), default=0),
        "epochs": len(epochs),
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    write_text(folder.summary, json.dumps(summary, indent=1))


def _digest(store: Store, rows: np.ndarray) -> str:
    """Of the queries: equal for the same examples of stores of the same content, candidates and all."""
    return hashlib.sha256(store.identity.encode() + np.sort(rows).astype("<i8").tobytes()).hexdigest()
