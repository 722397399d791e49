"""Keys of earlier versions: each is one fault that names what stands in its place."""

import re

import pytest

from semantic.config.describing import is_key
from semantic.config.loading import make_config
from semantic.config.registry import MODELS, find_model
from semantic.config.renamed import GONE, RENAMED, old_keys
from semantic.config.schema import ModelConfig
from tests.configurations import faults_of

SECTIONS = {name: find_model(name).Config for name in MODELS}


def nested(path: str, value: object) -> dict:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize("old", RENAMED)
@pytest.mark.parametrize("value", [1, None, "softmax"])
def test_a_renamed_key_is_one_fault_that_names_the_new_one(old, value):
    assert faults_of(nested(old, value)) == [f"{old}: this key is now {RENAMED[old]}"]


def test_a_renamed_key_that_the_model_lacks_says_so():
    values = {"model": {"name": "semantic_small_data", "pool": 5}}
    assert faults_of(values) == ["model.pool: this key is now model.pooling, which the model named here has not"]


@pytest.mark.parametrize("old", GONE)
def test_a_key_that_is_gone_is_one_fault_that_says_why(old):
    assert faults_of(nested(old, 1)) == [f"{old}: this key is gone; {GONE[old]}"]


@pytest.mark.parametrize("new", RENAMED.values())
def test_a_new_name_is_a_key_of_some_model(new):
    assert any(is_key(new.split("."), section) for section in SECTIONS.values())


@pytest.mark.parametrize("old", RENAMED | GONE)
def test_an_old_name_is_no_key_of_the_papers_model(old):
    assert not is_key(old.split("."), SECTIONS["semantic"])


def test_models_that_are_named_exist():
    named = re.findall(r"the model (\w+)", " ".join(GONE.values()))
    assert set(named) == {"semantic_small_data"} <= set(MODELS)


def test_no_key_is_both_renamed_and_gone():
    assert not RENAMED.keys() & GONE.keys()


@pytest.mark.parametrize("old", [old for old in GONE if is_key(old.split("."), SECTIONS["semantic_small_data"])])
def test_a_key_that_moved_to_a_model_is_a_key_there(old):
    config = make_config({"model": {"name": "semantic_small_data"}}, [f"{old}=0.25"])
    value = config
    for key in old.split("."):
        value = getattr(value, key)
    assert value == 0.25


def test_old_keys_come_with_all_other_faults():
    values = {"loss": {"ranking": "softmax", "alpha": 0.5, "alhpa": 1}, "training": {"warmup": 0.1, "epochs": -1}}
    assert sorted(line.split(": ")[0] for line in faults_of(values)) == [
        "loss", "loss.alpha", "loss.ranking", "training.epochs", "training.warmup",
    ]  # fmt: skip


class OwnConfig(ModelConfig):
    """A model's own section, with a field by an old name."""

    pool: int = 3


class Own:
    """As much of a model as a configuration reads."""

    Config = OwnConfig


def test_a_model_is_free_to_have_a_field_by_an_old_name(monkeypatch):
    monkeypatch.setitem(MODELS, "own", f"{__name__}:Own")
    monkeypatch.setattr("semantic.config.loading.find_model", lambda name: Own if name == "own" else find_model(name))

    assert make_config({"model": {"name": "own", "pool": 5}}).model.pool == 5
    assert faults_of({"model": {"name": "own", "pool": 5, "context": 1}}) == [
        f"model.context: this key is gone; {GONE['model.context']}"
    ]


@pytest.mark.parametrize("values", [{}, {"model": 3}, {"loss": None}, {"training": []}, {"model": {"text": "pool"}}])
def test_values_without_old_keys_have_none(values):
    assert list(old_keys(values, lambda _: False)) == []


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("seed", True),
        ("model.dim", True),
        ("model.loss.ranking.margin", True),
        ("model.loss.ranking.scale", True),  # of any alternative
        ("model.loss", True),
        ("model.loss.ranking.kinds", False),
        ("model.dim.x", False),
        ("models", False),
    ],
)
def test_a_path_is_a_key_of_a_configuration_or_not(path, known):
    assert is_key(path.split("."), SECTIONS["semantic"]) is known
