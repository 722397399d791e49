"""SeMANTIC: sample-efficient multimodal conversational recommendation.

    from semantic import Model, evaluate, load_config, load_store, train

Names are imported on first use, so that `semantic --help` does not wait for torch. The version stands here alone: setup.cfg
reads it, and a test holds CITATION.cff equal.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing's takes milliseconds, in which an interrupt has no answer yet (see __main__)
if TYPE_CHECKING:
    from semantic.config.loading import load_config as load_config
    from semantic.datasets.store.store import open_store as load_store
    from semantic.evaluation.outside import evaluate_scores as evaluate_scores
    from semantic.evaluation.ranking import evaluate as evaluate
    from semantic.models.interface import Model as Model
    from semantic.serving.recommend import Recommender as Recommender
    from semantic.training.loop import train as train

__version__ = "0.1.0"

_WHERE = {
    "Model": ("semantic.models.interface", "Model"),
    "Recommender": ("semantic.serving.recommend", "Recommender"),
    "evaluate_scores": ("semantic.evaluation.outside", "evaluate_scores"),
    "evaluate": ("semantic.evaluation.ranking", "evaluate"),
    "load_config": ("semantic.config.loading", "load_config"),
    "load_store": ("semantic.datasets.store.store", "open_store"),
    "train": ("semantic.training.loop", "train"),
}
__all__ = ["Model", "Recommender", "evaluate", "evaluate_scores", "load_config", "load_store", "train"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'semantic' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)
