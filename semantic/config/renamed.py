"""Keys of earlier versions: each is a fault that names what stands in its place."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
"""Of a key: the names of its sections and its own."""

SMALL_DATA = "the model semantic_small_data (model.name) has them always, semantic never"

RENAMED = {
    "training.warmup": "training.warmup_ratio",
    "training.average": "training.ema_decay",
    "training.clip": "training.max_grad_norm",
    "training.pool": "training.shared_negatives",
    "training.teacher_first": "model.loss.teacher_first",
    "training.gate_learning_rate": "model.gate_learning_rate",
    "training.completion_epochs": "model.text.completion_epochs",
    "model.pool": "model.pooling",
    "model.score_scale": "model.loss.ranking.scale",
    "loss.ranking": "model.loss.ranking.kind",
    "loss.margin": "model.loss.ranking.margin",
    "loss.divergence": "model.loss.divergence",
    "loss.divergence_weight": "model.loss.divergence_weight",
    "loss.correlation": "model.loss.correlation",
    "loss.correlation_weight": "model.loss.correlation_weight",
    "loss.state_weight": "model.loss.state_weight",
    "loss.alpha": "model.loss.alpha",
}
"""Old key -> new key."""

GONE = {
    "model.context": f"pooled contexts: {SMALL_DATA}",
    "model.state_scale": f"states of slot values: {SMALL_DATA}",
    "model.text.word_dropout": f"bags of words: {SMALL_DATA}",
    "model.photo_weight": f"weighted photos: {SMALL_DATA}",
    "model.image_query": "there is no such choice any more: C_T is the query, in the paper and in the released code",
    "loss.state": f"which of the values each slot has: {SMALL_DATA}",
}
"""Old key -> why there is none in its place."""


def old_keys(values: Mapping[str, Any], is_key: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[Path, str]]:
    """The keys of earlier versions in nested values, each with its fault.

    `is_key` says whether a path is a key of the configuration at hand: a model is free to have a field by an old name.
    """
    for old, new in (RENAMED | GONE).items():
        path = tuple(old.split("."))
        if _holds(values, path) and not is_key(path):
            said = f"is now {new}" if old in RENAMED else f"is gone; {new}"
            elsewhere = old in RENAMED and not is_key(tuple(new.split(".")))
            yield path, f"{old}: this key {said}{', which the model named here has not' if elsewhere else ''}"


def _holds(values: Any, path: Path) -> bool:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True
