"""SeMANTIC: sample-efficient multimodal conversational recommendation.

    from semantic import Semantic, evaluate, load_config, load_store, train

Names are imported on first use, so that `semantic --help` does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semantic.config import load_config as load_config
    from semantic.datasets.store import open_store as load_store
    from semantic.evaluation import evaluate as evaluate
    from semantic.model import Semantic as Semantic
    from semantic.trainer import train as train

__version__ = "0.1.0"

_WHERE = {
    "Semantic": ("semantic.model", "Semantic"),
    "evaluate": ("semantic.evaluation", "evaluate"),
    "load_config": ("semantic.config", "load_config"),
    "load_store": ("semantic.datasets.store", "open_store"),
    "train": ("semantic.trainer", "train"),
}
__all__ = ["Semantic", "evaluate", "load_config", "load_store", "train"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'semantic' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)
