"""Experiments on a base: what lies over what, and what a base must not be."""

import pytest

from semantic.config.errors import ConfigError
from semantic.config.layers import laid_over, merge, read_experiment
from semantic.config.loading import load_config
from tests.configurations import written


def test_a_file_lies_over_its_base_and_that_over_its_own(tmp_path):
    written(tmp_path, "seed: 1\ntraining: {epochs: 3, batch_size: 5}\nmodel: {dim: 16}", "lowest.yaml")
    written(tmp_path, "base: lowest.yaml\ntraining: {epochs: 7}\nexperiment: middle", "middle.yaml")
    top = written(tmp_path, "base: middle.yaml\nmodel: {layers: 2}", "top.yaml")

    config = load_config(top, ["training.batch_size=11"])

    assert config.experiment == "top"  # a base's name is not the experiment's
    assert (config.seed, config.training.epochs, config.training.batch_size) == (1, 7, 11)
    assert (config.model.dim, config.model.layers) == (16, 2)


def test_a_base_may_be_a_shipped_experiment(tmp_path):
    config = load_config(written(tmp_path, "base: quickstart_bag\nmodel: {dim: 32}"))

    assert (config.model.name, config.model.dim, config.training.epochs) == ("semantic_small_data", 32, 15)


def test_another_base_makes_another_experiment(tmp_path):
    file = written(tmp_path, "base: quickstart_bag\nmodel: {dropout: 0.3}", "study.yaml")
    other = written(tmp_path, "base: quickstart_bag\ntraining: {epochs: 2}", "data.yaml")

    config = load_config(file, [f"base={other}"])

    assert (config.experiment, config.training.epochs, config.model.dropout) == ("study.data", 2, 0.3)


def test_a_bases_sections_of_several_runs_are_its_own(tmp_path):
    written(tmp_path, "seeds: 0-4\nvary: {model.dim: [8, 16]}\nmodel: {heads: 1}", "study.yaml")

    values, faults = read_experiment(written(tmp_path, "base: study.yaml"))

    assert (values, faults) == ({"experiment": "mine", "model": {"heads": 1}}, [])


def test_a_layer_that_names_another_model_starts_its_section_anew():
    base = {"preset": "paper", "model": {"name": "semantic", "heads": 2}, "seed": 3}

    assert laid_over(base, {"model": {"dim": 5}}) == {**base, "model": {"name": "semantic", "heads": 2, "dim": 5}}
    assert laid_over(base, {"model": {"name": "other", "dim": 5}}) == {"seed": 3, "model": {"name": "other", "dim": 5}}
    unnamed = {"model": {"heads": 2}}  # of the default model
    assert laid_over(unnamed, {"model": {"name": "semantic"}}) == {"model": {"heads": 2, "name": "semantic"}}
    assert laid_over(unnamed, {"model": {"name": "other"}}) == {"model": {"name": "other"}}


def test_what_feeds_both_models_stays():
    text, image = {"checkpoint": "c", "completion": True}, {"weights": "w", "frozen": True}
    base = {"model": {"name": "semantic", "text": text, "image": image, "dim": 3}}

    def over(model):
        return laid_over(base, {"model": model})["model"]

    fed = {"name": "mhred", "text": {"checkpoint": "c"}, "image": {"weights": "w"}}
    assert over({"name": "mhred"}) == fed
    assert over({"name": "mhred", "text": {"checkpoint": None}}) == {**fed, "text": {"checkpoint": None}}
    assert over({"name": "tfidf"}) == {"name": "tfidf", "text": {"checkpoint": "c"}}
    assert over({"name": "clip"}) == {"name": "clip"}  # a BERT is none


@pytest.mark.parametrize("model", ["model.name=larch", "model={name: larch}"])
def test_an_override_that_names_another_model_is_such_a_layer(model):
    config = load_config("quickstart", [model, "model.dim=8", "training.epochs=2"])

    assert (config.model.name, config.preset, config.model.dim, config.training.epochs) == ("larch", None, 8, 2)
    assert config.data.store == "data/quickstart/store"


def test_merging_leaves_both_as_they_were():
    base, top = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 5}}

    assert merge(base, top) == {"a": {"b": 1, "c": 5}, "d": 3}
    assert (base, top) == ({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 5}})


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("mine.yaml", "base: expected experiments that end in one without a base, got 'mine.yaml' again"),
        ("[1]", r"base: expected a YAML file or the name of an experiment, got \[1\]"),
    ],
)
def test_a_base_that_leads_nowhere_is_a_fault(tmp_path, base, message):
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, f"base: {base}"))


def test_a_base_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"experiment .*below.yaml: expected a YAML file, got none there"):
        load_config(written(tmp_path, "base: below.yaml"))
    with pytest.raises(ConfigError, match="experiment 'below': expected a YAML file or one of"):
        load_config(written(tmp_path, "base: below"))


def test_an_experiment_of_several_runs_is_no_run(tmp_path):
    with pytest.raises(
        ConfigError, match="seeds, vary: expected an experiment of one run, got one of several; semantic sweep"
    ):
        load_config(written(tmp_path, "seeds: 0-1\nvary: {model.dim: [8, 16]}"))
