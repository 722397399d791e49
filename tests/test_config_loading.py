"""Configuration: YAML, presets, overrides, and faults that say where, what was expected and what was found."""

import copy
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from semantic.config.describing import describe_config
from semantic.config.errors import ConfigError
from semantic.config.loading import dump_config, load_config, make_config, read_config, read_slots
from semantic.config.registry import find_model
from tests.configurations import faults_of, written


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_overrides_may_be_a_mapping():
    overrides = {"training.learning_rate": 1e-5, "data.hidden": ["photos"], "model.image.weights": None, "seed": 3}

    assert load_config("quickstart", overrides) == load_config(
        "quickstart",
        ["training.learning_rate=0.00001", "data.hidden=[photos]", "model.image.weights=null", "seed=3"],
    )


def test_a_configuration_with_other_values_is_a_copy():
    config = load_config("quickstart")

    changed = config.replace(seed=3, training={"epochs": 2}, model={"text": {"layers": 0}}, data={"hidden": ["photos"]})

    assert changed == load_config(
        "quickstart", {"seed": 3, "training.epochs": 2, "model.text.layers": 0, "data.hidden": ["photos"]}
    )
    assert config == load_config("quickstart")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epochs": -1}}, r"training\.epochs: expected greater than or equal to 0, got -1"),
        ({"training": {"epoch": 1}}, r"training\.epoch: no such key"),
        ({"seeds": 1}, "seeds: no such key"),
        ({"model": {"heads": 3}}, r"model\.heads: expected a divisor of model.dim \(128\), got 3"),
        (
            {"model": {"name": "larch"}},
            r"model\.name: expected 'semantic', got 'larch'; load_config\(..., {'model.name': 'larch'}",
        ),
    ],
)
def test_other_values_are_checked(changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config("quickstart").replace(**changes)


def test_released_differs_from_paper_exactly_where_the_table_of_the_design_says():
    """`memory` and `unannotated` are not in the table."""
    paper, released = (dict(flat(make_config({"preset": name}).model_dump())) for name in ("paper", "released"))

    assert paper.keys() == released.keys()
    assert {key: (paper[key], released[key]) for key in paper if paper[key] != released[key]} == {
        "preset": ("paper", "released"),
        "data.unannotated": ("unlabelled", "unset"),
        "model.pooling": ("sum", "leaky_sum"),
        "model.photos": ("attention", "sum"),
        "model.memory": ("updated", "input"),
        "model.value_mean": ("pieces", "padded_sum"),
        "model.text.product_encoder": ("shared", "separate"),
        "model.image.batch_norm": ("eval", "train"),
        "model.interaction.map": ("linear", "affine"),
        "model.loss.divergence": ("jensen_shannon", "symmetric_kl"),
        "model.loss.correlation": ("sum", "mean"),
        "model.loss.teacher_first": (False, True),
        "training.selection": ("ndcg@5", "loss_or_ndcg@5"),
    }


def test_the_defaults_are_the_papers_settings():
    config = make_config({})

    assert config.preset is None
    assert config == make_config({"preset": "paper"}).model_copy(update={"preset": None})
    assert (config.model.dim, config.model.layers, config.model.heads, config.model.inner) == (768, 3, 8, None)
    assert (config.model.dropout, config.model.interaction.hops, config.model.interaction.temperature) == (0.1, 3, 1.0)
    assert (config.model.loss.alpha, config.model.loss.ranking.kind, config.model.loss.ranking.margin) == (
        0.5,
        "hinge",
        1,
    )
    training = config.training
    assert (training.learning_rate, training.warmup_ratio, training.batch_size, training.epochs) == (5e-4, 0.01, 64, 50)
    assert (training.positives, training.negatives) == (1, 4)
    data = config.data
    assert (data.context_turns, data.photos_per_turn, data.turn_tokens, data.product_tokens, data.value_tokens) == (
        5, 5, 30, 30, 6,
    )  # fmt: skip


def test_values_lie_over_the_preset_and_leave_its_neighbours():
    presets = find_model("semantic").Config.presets
    before = copy.deepcopy(presets)
    values = {"preset": "released", "model": {"pooling": "mean", "interaction": {"hops": 5}}}
    given = copy.deepcopy(values)

    config = make_config(values, ["model.interaction.temperature=0.5", "model.loss.teacher_first=false"])

    assert config.model.pooling == "mean"
    assert config.model.memory == "input"
    assert (config.model.interaction.hops, config.model.interaction.map) == (5, "affine")
    assert config.model.interaction.temperature == 0.5
    assert not config.model.loss.teacher_first
    assert config.model.loss.correlation == "mean"
    assert values == given
    assert before == presets


def test_a_preset_may_be_set_on_the_command_line():
    assert make_config({}, ["preset=released"]) == make_config({"preset": "released"})


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 0.001), ("5E-4", 0.0005), ("1.5e-3", 0.0015), (".5e0", 0.5), ("+2e1", 20.0), ("3.e-1", 0.3)],
)
def test_a_yaml_number_with_an_exponent_is_a_float(tmp_path, text, number):
    file = written(tmp_path, f"training: {{learning_rate: {text}}}")

    assert load_config(file).training.learning_rate == pytest.approx(number)
    assert make_config({}, [f"training.learning_rate={text}"]).training.learning_rate == pytest.approx(number)


def test_words_that_resemble_numbers_stay_words_and_the_rest_of_pyyaml_is_left_alone(tmp_path):
    file = written(tmp_path, "data: {store: '1e-3', train: e5, slot_words: {size: 'size'}}")

    assert load_config(file).data.store == "1e-3"
    assert load_config(file).data.train == "e5"
    assert yaml.safe_load("1e-3") == "1e-3"


def test_a_bare_no_is_a_word_where_a_word_is_meant(tmp_path):
    """YAML reads it as false."""
    config = load_config(written(tmp_path, "training: {precision: no}"), ["evaluation.precision=no"])
    assert (config.training.precision, config.evaluation.precision) == ("no", "no")


KINDS = {
    "semantic": ("hinge", {"margin": 2.0}, "scale"),
    "semantic_small_data": ("sampled_softmax", {"scale": 3.0}, "margin"),
}


@pytest.mark.parametrize("name", KINDS)
def test_fields_without_a_kind_are_those_of_the_default(name):
    kind, given, _ = KINDS[name]

    config = make_config({"model": {"name": name, "loss": {"ranking": given}}})

    assert config.model.loss.ranking.model_dump() == {"kind": kind, **given}
    assert make_config({"model": {"name": name, "loss": {"ranking": {}}}}) == make_config({"model": {"name": name}})


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", ["hinge", "sampled_softmax"])
def test_each_kind_has_its_own_fields(name, kind):
    field = {"hinge": "margin", "sampled_softmax": "scale"}[kind]
    overrides = [f"model.loss.ranking.kind={kind}", f"model.loss.ranking.{field}=7"]

    assert make_config({"model": {"name": name}}, overrides).model.loss.ranking.model_dump() == {"kind": kind, field: 7}


def test_a_preset_is_the_models_own():
    assert faults_of({"preset": "paper", "model": {"name": "semantic_small_data"}}) == [
        "preset: expected null (this model has no presets) for the model 'semantic_small_data', got 'paper'"
    ]
    assert make_config({"model": {"name": "semantic_small_data"}}).preset is None


@pytest.mark.parametrize("preset", [["paper"], {"paper": 1}, 3])
def test_a_preset_that_is_no_word_is_a_fault(preset):
    faults = faults_of({"preset": preset})
    assert faults[0].startswith("preset: expected one of 'paper', 'released', 'tuned' for the model 'semantic', got ")
    assert all(fault.startswith("preset: ") for fault in faults)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", "seed", 7),
        ("data.unlabelled=[a, b]", "data.unlabelled", ("a", "b")),
        ("model.text.checkpoint=null", "model.text.checkpoint", None),
        ("data.store=/somewhere/else=here", "data.store", "/somewhere/else=here"),
        ("training.max_grad_norm=1", "training.max_grad_norm", 1.0),
        (" model.dim = 24", "model.dim", 24),
    ],
)
def test_set_reads_its_value_as_yaml(override, path, value):
    assert dict(flat(make_config({}, [override]).model_dump()))[path] == value


def test_a_configuration_does_not_change():
    config = make_config({})

    with pytest.raises(ValidationError):
        config.model.dim = 5
    with pytest.raises(ValidationError):
        config.seed = 5


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "released", "data": {"store": "où", "unlabelled": ["a"], "slot_words": {"taille": "size"}}},
        {"model": {"loss": {"ranking": {"kind": "sampled_softmax", "scale": 7}}}, "training": {"precision": "no"}},
        {"model": {"name": "semantic_small_data", "gate_learning_rate": 1e-5, "loss": {"ranking": {"kind": "hinge"}}}},
        {"model": {"name": "two_tower:TwoTower", "scale": 3}, "training": {"max_grad_norm": 1e-12}},
    ],
)
def test_the_resolved_configuration_reads_back_the_same(tmp_path, values):
    config = make_config({"experiment": "mine", "training": {"learning_rate": 1e-5}} | values)

    assert load_config(written(tmp_path, dump_config(config))) == config
    assert load_config(written(tmp_path, describe_config(config))) == config
    assert read_config(tmp_path / "mine.yaml") == config


def test_a_recorded_configuration_that_does_not_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.yaml: expected a YAML file, got none there"):
        read_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match=r"mine.yaml: expected YAML, got: while parsing"):
        read_config(Path(written(tmp_path, "a: [")))
    with pytest.raises(ConfigError, match=r"mine.yaml: expected a mapping of sections, got list"):
        read_config(Path(written(tmp_path, "- 1")))
    with pytest.raises(ConfigError, match=r"mine.yaml: 1 fault\n  model.dims: no such key"):
        read_config(Path(written(tmp_path, "model: {dims: 3}")))


def test_an_experiment_is_named_by_its_file_unless_it_names_itself(tmp_path):
    assert load_config(written(tmp_path, "seed: 1", "tiny.yaml")).experiment == "tiny"
    assert load_config(written(tmp_path, "experiment: other", "tiny.yaml")).experiment == "other"
    assert load_config(written(tmp_path, "", "tiny.yaml")) == make_config({"experiment": "tiny"})


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "expected YAML, got: .*"), ("- 1\n- 2", "expected a mapping of sections, got list")],
)
def test_a_file_that_is_no_experiment_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, text))


def test_an_experiment_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: expected a YAML file, got none there"):
        load_config(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(ConfigError, match=r"experiment 'nowhere': expected a YAML file or one of"):
        load_config("nowhere")


def test_own_slots_are_read_in_their_order(tmp_path):
    (tmp_path / "slots.yaml").write_text("hue: colour\ncut: fit of it\n")

    assert list(read_slots(tmp_path / "slots.yaml").items()) == [("hue", "colour"), ("cut", "fit of it")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hue, cut]", r"expected a mapping of slots to words, got \['hue', 'cut'\]"),
        ("hue: 1e-3", r"expected a mapping of slots to words, got \{'hue': 0.001\}"),
        ("hue: 3", r"expected a mapping of slots to words, got \{'hue': 3\}"),
        ("", "expected a mapping of slots to words, got None"),
        ("hue: [", "expected YAML, got: while parsing"),
    ],
)
def test_slots_that_are_no_mapping_of_words_are_refused(tmp_path, text, message):
    (tmp_path / "slots.yaml").write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_slots(tmp_path / "slots.yaml")


def test_slots_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: expected a YAML file, got none there"):
        read_slots(tmp_path / "nowhere.yaml")
