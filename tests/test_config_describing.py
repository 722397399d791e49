"""Words about a configuration: its faults, and what each field means."""

import pytest
from pydantic import BaseModel

from semantic.config.describing import describe_config
from semantic.config.errors import ConfigError
from semantic.config.loading import load_config, make_config
from tests.configurations import faults_of, written


def test_three_faults_are_reported_at_once_each_with_where_expected_and_got(tmp_path):
    file = written(tmp_path, "model: {dmi: 64, heads: -2, pooling: max}")

    with pytest.raises(ConfigError) as raised:
        load_config(file)

    first, *faults = str(raised.value).splitlines()
    assert first == f"{file}: 3 faults"
    assert sorted(faults) == [
        "  model.dmi: no such key; did you mean 'dim'?",
        "  model.heads: expected greater than 0, got -2",
        "  model.pooling: expected 'sum', 'leaky_sum', 'mean' or 'attentive', got 'max'",
    ]


def test_faults_of_overrides_and_of_fields_come_together():
    with pytest.raises(ConfigError) as raised:
        make_config({"seed": -1}, ["model.dim", "trainign.epochs=3", "model.dim.x=3"], where="experiment")

    text = str(raised.value)
    assert text.startswith("experiment: 4 faults\n")
    assert "  --set model.dim: expected a.b=c" in text
    assert "  trainign: no such key; did you mean 'training'?" in text
    assert "  seed: expected greater than or equal to 0, got -1" in text
    assert "  model.dim: expected a valid integer" in text


@pytest.mark.parametrize("name", ["semantic", "semantic_small_data"])
def test_faults_of_a_models_section_and_of_the_rest_come_at_once(name):
    values = {
        "seed": -1,
        "preset": "papers",
        "data": {"storee": "here"},
        "model": {"name": name, "dim": 0, "text": {"vocabulry": 1}, "loss": {"alpha": 2, "ranking": {"kind": "max"}}},
        "training": {"warmup": 0.1, "epochs": -3},
        "evaluation": {"precision": "half"},
    }
    assert sorted(line.split(": ")[0] for line in faults_of(values, ["model.dims=3", "seed"])) == sorted(
        [
            "--set seed", "data.storee", "evaluation.precision", "model.dim", "model.dims", "model.loss.alpha",
            "model.loss.ranking.kind", "model.text.vocabulry", "preset", "seed", "training.epochs", "training.warmup",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ranking", "fault"),
    [
        ({"kind": "hinge", "margn": 2}, "model.loss.ranking.margn: no such key; did you mean 'margin'?"),
        ({"kind": "sampled_softmax", "scael": 2}, "model.loss.ranking.scael: no such key; did you mean 'scale'?"),
        ({"margn": 2}, "model.loss.ranking.margn: no such key; did you mean 'margin'?"),
        ({"scale": 2}, "model.loss.ranking.scale: no such key; the keys here are kind, margin"),
        (
            {"kind": "sampled_softmax", "margin": 2},
            "model.loss.ranking.margin: no such key; the keys here are kind, scale",
        ),
        ({"kind": "softmax"}, "model.loss.ranking.kind: expected 'hinge' or 'sampled_softmax', got 'softmax'"),
        ({"margin": -1}, "model.loss.ranking.margin: expected greater than or equal to 0, got -1"),
        ({"kind": "sampled_softmax", "scale": 0}, "model.loss.ranking.scale: expected greater than 0, got 0"),
    ],
)
def test_a_fault_within_alternatives_is_of_the_one_that_was_meant(ranking, fault):
    assert faults_of({"model": {"loss": {"ranking": ranking}}}) == [fault]


def test_a_word_is_no_section_of_alternatives():
    (fault,) = faults_of({"model": {"loss": {"ranking": "hinge"}}})
    assert fault.startswith("model.loss.ranking: expected ")
    assert fault.endswith("got 'hinge'")


def test_a_key_of_another_model_is_unknown():
    assert faults_of({"model": {"name": "semantic_small_data", "heads": 2}})[0].startswith("model.heads: no such key")
    (fault,) = faults_of({"model": {"scale": 5}})
    assert fault.startswith("model.scale: no such key")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"qqq": 1}, "qqq: no such key; the keys here are experiment, variant, seed, preset, data, model"),
        ({"model": {"interaction": {"hop": 1}}}, "model.interaction.hop: no such key; did you mean 'hops'?"),
        (
            {"preset": "papers"},
            "preset: expected one of 'paper', 'released', 'tuned' for the model 'semantic', got 'papers'",
        ),
        ({"training": {"epochs": "many"}}, "training.epochs: expected a valid integer"),
        ({"training": {"learning_rate": 0}}, "training.learning_rate: expected greater than 0, got 0"),
        ({"data": {"labelled_share": 1.5}}, "data.labelled_share: expected less than or equal to 1, got 1.5"),
        ({"experiment": "a/b"}, "experiment: expected"),
        ({"model": 3}, "model: expected a section, a mapping of keys to values, got 3"),
    ],
)
def test_one_fault_is_one_clear_line(values, message):
    with pytest.raises(ConfigError) as raised:
        make_config(values)

    head, fault = str(raised.value).splitlines()
    assert head == "configuration: 1 fault"
    assert fault.strip().startswith(message)


@pytest.mark.parametrize("override", ["seed.a=1", "seed.a.b=1", "model.dim={", "=3"])
def test_an_override_that_fits_no_field_is_a_fault_of_its_own(override):
    with pytest.raises(ConfigError, match="configuration: 1 fault"):
        make_config({"seed": 3}, [override])


def fields(section, prefix=""):
    """The fields of a section and of those within it, by path."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


@pytest.mark.parametrize("name", ["semantic", "semantic_small_data"])
@pytest.mark.parametrize("kind", ["hinge", "sampled_softmax"])
def test_the_description_mentions_every_field_with_its_reason(name, kind):
    config = make_config({"model": {"name": name, "loss": {"ranking": {"kind": kind}}}})
    rows = describe_config(config).splitlines()

    for path, field in fields(config):
        assert field.description, f"{path} is not documented"
        indent = "  " * path.count(".")
        assert any(
            row.startswith(f"{indent}{path.split('.')[-1]}: ") and row.endswith(f"# {field.description}")
            for row in rows
        ), path
