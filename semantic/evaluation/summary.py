"""The one file of a run that a table is made from."""

import json
from typing import Any

import numpy as np

from semantic.batching.examples import Examples
from semantic.config.schema import Config
from semantic.datasets.store.store import Store
from semantic.evaluation.floors import floors
from semantic.evaluation.ranking import Evaluation
from semantic.models.interface import Model
from semantic.runs.folder import RunFolder
from semantic.runtime.files import write_text
from semantic.runtime.memory import peak_memory_mb


def write_summary(
    folder: RunFolder,
    config: Config,
    store: Store,
    examples: Examples,
    model: Model,
    test: Evaluation,
    *,
    fold: int | None,
    seconds: float,
    split: str | None = None,
) -> None:
    """Both protocols on the evaluated split, the floors beneath, and every count that explains them."""
    training = np.union1d(examples.labelled, examples.unlabelled).tolist()
    epochs = (
        [json.loads(line) for line in folder.metrics.read_text(encoding="utf-8").splitlines()]
        if folder.metrics.is_file()
        else []
    )
    summary: dict[str, Any] = {
        "experiment": config.experiment,
        "variant": config.variant,
        "seed": config.seed,
        "fold": fold,
        "split": split or config.data.test,
        "store": str(store.path),
        "slots": list(store.slots),
        "explanations": test.explanations,
        "protocols": test.protocols,
        "tie_rate": test.tie_rate,
        "floors": floors(store, examples.test.tolist(), training, config.seed, context_turns=config.data.context_turns),
        "counts": {
            **examples.counts(store),
            "parameters": sum(p.numel() for p in model.parameters()),
            "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "masked_photos": store.manifest["products"]["masked_photos"],
        },
        "rejected": store.manifest["rejected"],
        "best_epoch": max((line["epoch"] for line in epochs if line.get("best")), default=0),
        "epochs": len(epochs),
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    write_text(folder.summary, json.dumps(summary, indent=1))
