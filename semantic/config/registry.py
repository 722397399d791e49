"""Models by name: short names of this package's own, import paths of anybody's."""

import sys
from importlib import import_module
from inspect import isabstract
from typing import Any

from semantic.config.errors import ConfigError
from semantic.config.schema import ModelConfig

MODELS = {
    "semantic": "semantic.models.semantic.paper:Semantic",
    "semantic_small_data": "semantic.models.semantic.small_data:SmallDataSemantic",
    "mhred": "semantic.models.compared.mhred:Mhred",
    "umd": "semantic.models.compared.umd:Umd",
    "magic": "semantic.models.compared.magic:Magic",
    "larch": "semantic.models.compared.larch:Larch",
    "treasure": "semantic.models.compared.treasure:Treasure",
    "enteract": "semantic.models.compared.enteract:Enteract",
    "clip": "semantic.models.compared.clip:Clip",
    "random": "semantic.models.floors.popularity:Random",
    "popularity": "semantic.models.floors.popularity:Popularity",
    "tfidf": "semantic.models.floors.lexical:Tfidf",
    "bm25": "semantic.models.floors.lexical:Bm25",
    "sentences": "semantic.models.floors.sentences:Sentences",
    "bag": "semantic.models.floors.bag:Bag",
}
"""Short name -> import path of the model's class."""

DEFAULT = "semantic"


def find_model(name: str) -> Any:
    """The class of a model, by its short name or by an import path `module:Class`; the current folder is searched last.

    Raises:
        ConfigError: no such name or module, no such class in it, or a class without a `Config` of its own.
    """
    path = MODELS.get(name, name)
    module, colon, attribute = path.partition(":")
    expected = f"model.name: expected one of {', '.join(MODELS)}, or an import path module:Class"
    if not colon or not module or not attribute or module.startswith("."):
        raise ConfigError(f"{expected}, got {name!r}")
    if "" not in sys.path:
        sys.path.append("")
    try:
        found = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise  # the module is there, and misses another
        raise ConfigError(f"{expected}, got {name!r}: there is no module {module!r}") from None
    except AttributeError:
        raise ConfigError(f"{expected}, got {name!r}: module {module!r} has no {attribute!r}") from None
    config = getattr(found, "Config", None)
    if not (isinstance(config, type) and issubclass(config, ModelConfig)) or isabstract(found):
        raise ConfigError(
            f"{expected} of a model, got {name!r}, which is abstract or has no Config that extends ModelConfig"
        )
    return found
