"""Models by short name and by import path, and every way a path can be wrong."""

import re
import sys
from pathlib import Path

import pytest

from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.config.registry import DEFAULT, MODELS, find_model
from semantic.models.interface import Model

OWN = """
from semantic.config.schema import ModelConfig
from semantic.models.interface import Model


class Config(ModelConfig):
    width: int = 7


class Own(Model):
    Config = Config
    product_shape = encode_products = encode_query = score = loss = None


class Half(Model):
    Config = Config


class Plain:
    pass


class Wrong:
    Config = dict
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module `own_models` in it; nothing of it stays behind."""
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    yield tmp_path
    for name in ("own_models", "with_a_fault"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", MODELS)
def test_a_short_name_is_a_model_whose_configuration_bears_it(name):
    found = find_model(name)
    assert issubclass(found, Model)
    assert make_config({"model": {"name": name}}).model == found.Config(name=name)
    assert found.Config().name == name


def test_the_default_is_a_name_of_its_own():
    assert DEFAULT in MODELS
    assert make_config({}).model.name == DEFAULT


@pytest.mark.parametrize("name", MODELS)
def test_a_models_import_path_is_the_same_model(name):
    assert find_model(MODELS[name]) is find_model(name)
    assert make_config({"model": {"name": MODELS[name]}}).model.name == MODELS[name]


@pytest.mark.usefixtures("folder")
def test_a_module_in_the_current_folder_is_found():
    config = make_config({"model": {"name": "own_models:Own", "width": 11}})

    assert find_model("own_models:Own").Config is type(config.model)
    assert (config.model.name, config.model.width, config.preset) == ("own_models:Own", 11, None)
    with pytest.raises(ConfigError, match=r"model.widht: no such key; did you mean 'width'\?"):
        make_config({"model": {"name": "own_models:Own", "widht": 11}})


def test_the_current_folder_is_searched_last_and_named_once(folder):
    (folder / "json.py").write_text("raise RuntimeError('not this one')")
    for _ in range(2):
        find_model("own_models:Own")
    assert sys.path.count("") == 1
    assert sys.path[-1] == ""


EXPECTED = f"model.name: expected one of {', '.join(MODELS)}, or an import path module:Class"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sematic", ", got 'sematic'"),
        ("own_models", ", got 'own_models'"),
        (":Own", ", got ':Own'"),
        ("own_models:", ", got 'own_models:'"),
        ("nowhere:Own", ", got 'nowhere:Own': there is no module 'nowhere'"),
        ("own_models.inner:Own", ", got 'own_models.inner:Own': there is no module 'own_models.inner'"),
        ("semantic.models.nowhere:Own", ", got 'semantic.models.nowhere:Own': there is no module 'semantic.models.nowhere'"),
        ("own_models:Other", ", got 'own_models:Other': module 'own_models' has no 'Other'"),
        ("own_models:Half", " of a model, got 'own_models:Half', which is abstract or has no Config that extends ModelConfig"),
        ("own_models:Plain", " of a model, got 'own_models:Plain', which is abstract or has no Config that extends ModelConfig"),
        ("own_models:Wrong", " of a model, got 'own_models:Wrong', which is abstract or has no Config that extends ModelConfig"),
        (".relative:Own", ", got '.relative:Own'"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folder")
def test_a_name_that_is_no_model_is_one_fault(name, found):
    with pytest.raises(ConfigError, match=f"^{re.escape(EXPECTED + found)}$"):
        find_model(name)
    with pytest.raises(ConfigError, match=rf"^configuration: 1 fault\n  {re.escape(EXPECTED + found)}$"):
        make_config({"seed": 3, "model": {"name": name}})


def test_a_name_that_is_no_model_comes_with_the_faults_of_overrides():
    with pytest.raises(ConfigError, match=r"^configuration: 2 faults\n  --set seed: expected a.b=c\n  model.name: "):
        make_config({}, ["model.name=sematic", "seed"])


@pytest.mark.parametrize("name", [3, None, ["semantic"]])
def test_a_name_that_is_no_word_is_a_fault(name):
    with pytest.raises(ConfigError, match=r"model.name: expected "):
        make_config({"model": {"name": name}})


def test_a_module_that_misses_another_says_which(folder):
    (folder / "with_a_fault.py").write_text("import nowhere_at_all")
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        find_model("with_a_fault:Own")
