"""The `search` section: ranges and choices, and every fault of them at once."""

import pytest
import yaml

from semantic.config.search_space import Parameter, drawn_fields, read_space
from semantic.config.sweeps import load_sweep, read_sweep
from tests.worlds import SMALL_DATA


def section(tmp_path, space, *overrides, **more):
    """What is said of a space, and what is read of it."""
    values = {"model": dict(SMALL_DATA), "search": {"space": space, **more.pop("search", {})}, **more}
    file = tmp_path / "lab.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    sweep, faults = read_sweep(str(file), overrides)
    if sweep is None or sweep.search is None:
        return (), faults
    read, _, found = read_space(sweep)
    return read, faults + found


def test_an_integer_field_is_drawn_as_integers_and_a_number_as_numbers(tmp_path):
    space = {
        "training.positives": {"low": 1, "high": 7, "step": 2},
        "training.learning_rate": {"low": 1, "high": 2},
        "training.threads": [1, 2],
    }
    del space["training.threads"]
    (count, rate), faults = section(tmp_path, space)
    assert faults == []
    assert (count.integer, count.points()) == (True, (1, 3, 5, 7))
    assert (rate.integer, rate.low, type(rate.low), rate.points()) == (False, 1.0, float, None)


@pytest.mark.parametrize(
    ("field", "values", "said"),
    [
        ("training.learning_rat", [0.1], "training.learning_rat: no such key; did you mean 'learning_rate'?"),
        (
            "training.learning_rate",
            {"low": 2, "high": 1},
            "training.learning_rate: low: expected less than high, which is 1, got 2",
        ),
        (
            "training.learning_rate",
            {"low": 0, "high": 1, "log": True},
            "training.learning_rate: low: expected more than 0 beside log, got 0",
        ),
        (
            "training.learning_rate",
            {"low": 1, "high": 2, "log": True, "step": 1},
            "training.learning_rate: step: expected none beside log, got 1",
        ),
        (
            "training.learning_rate",
            {"low": 0.1, "high": 1, "step": 0.4},
            "training.learning_rate: high: expected low and a number of steps, like 0.9, got 1",
        ),
        (
            "training.learning_rate",
            {"low": 0.1, "high": 1, "stp": 1},
            "training.learning_rate.stp: no such key; did you mean 'step'?",
        ),
        ("training.learning_rate", {"low": "a", "high": 1}, "training.learning_rate.low: expected a number, got 'a'"),
        (
            "training.learning_rate",
            {"low": 0, "high": True},
            "training.learning_rate.high: expected a number, got True",
        ),
        (
            "training.learning_rate",
            {"low": 0, "high": 1, "step": 0},
            "training.learning_rate: step: expected more than 0, got 0",
        ),
        (
            "training.learning_rate",
            [],
            "training.learning_rate: expected a list of choices or {low, high, log, step}, got []",
        ),
        (
            "training.learning_rate",
            3,
            "training.learning_rate: expected a list of choices or {low, high, log, step}, got 3",
        ),
        ("training.ema_decay", {"low": 0.5, "high": 1.5}, "training.ema_decay: expected less than 1, got 1.5"),
        (
            "training.ema_decay",
            {"low": -0.5, "high": 0.5},
            "training.ema_decay: expected greater than or equal to 0, got -0.5",
        ),
        ("training.positives", {"low": 1, "high": 2.5}, "training.positives.high: expected an integer, got 2.5"),
        ("training.positives", [1, 2, 1], "training.positives: expected each choice once, got 1 twice"),
        ("data.partial", ["all", "some"], "data.partial: expected 'none', 'stateless' or 'all', got 'some'"),
        ("data.partial", {"low": 1, "high": 2}, "data.partial: expected 'none', 'stateless' or 'all', got 1"),
        (
            "training.epochs.more",
            [1],
            "training.epochs.more: training.epochs: expected a valid integer, got {'more': 1}",
        ),
        (
            "seed",
            [1, 2],
            "seed: expected a field of the model, of its data or of its training that makes a difference, got one",
        ),
        ("data.fold.index", [1, 2], "data.fold.index: expected a field of the model, of its data or of its training"),
        ("evaluation.batch_size", [1, 2], "evaluation.batch_size: expected a field of the model, of its data or"),
    ],
)
def test_a_fault_says_the_field_what_was_expected_and_what_was_found(tmp_path, field, values, said):
    _, faults = section(tmp_path, {field: values})
    assert len(faults) == 1
    assert faults[0].startswith(f"search.space.{said}"), faults


def test_integers_between_the_ends_are_tried_too(tmp_path):
    _, faults = section(tmp_path, {"model.dim": {"low": 8, "high": 24}}, model={"dim": 16, "heads": 4})
    assert faults[0].startswith("search.space.model.dim: ")
    assert any("9" in fault for fault in faults)
    assert section(tmp_path, {"model.dim": {"low": 8, "high": 24, "step": 4}}, model={"dim": 16, "heads": 4})[1] == []


def test_a_long_range_of_integers_is_tried_at_both_ends_and_between():
    probes = Parameter("x", None, 3, 100_003, integer=True).probes()
    assert (probes[0], probes[-1]) == (3, 100_003)
    assert 60 < len(probes) < 70


@pytest.mark.parametrize(
    ("more", "overrides", "by"),
    [
        ({"vary": {"training.positives": [1, 2]}}, (), "vary"),
        ({"variants": {"one": {"training.positives": 1}, "two": {}}}, (), "the variant one"),
        ({}, ("training.positives=3",), "--set training.positives"),
    ],
)
def test_a_searched_field_is_changed_by_nothing_else(tmp_path, more, overrides, by):
    _, faults = section(tmp_path, {"training.positives": [1, 2]}, *overrides, **more)
    assert f"search.space.training.positives: expected a field that nothing else changes, but {by} does" in faults


def test_a_section_of_choices_and_a_field_within_it_are_the_same_field(tmp_path):
    _, faults = section(tmp_path, {"model.text": [{"vocabulary": 50}]}, "model.text.vocabulary=70")
    assert faults == [
        "search.space.model.text: expected a field that nothing else changes, but --set model.text.vocabulary does"
    ]


RATE = {"training.learning_rate": {"low": 0.1, "high": 1}}


@pytest.mark.parametrize(
    ("sampler", "space", "expected", "got"),
    [
        ("grid", RATE, "choices, integers or a step in every range for a grid", "none in training.learning_rate"),
        (
            "grid",
            {"training.learning_rate": {"low": 0.0001, "high": 1.5, "step": 0.0001}},
            "a grid of at most 10,000 points",
            "15,000",
        ),
        ("cmaes", RATE, "two ranges or more, and no choices, for cmaes", "one range"),
        (
            "cmaes",
            RATE | {"training.positives": [1, 2]},
            "two ranges or more, and no choices, for cmaes",
            "choices of training.positives",
        ),
    ],
)
def test_what_a_sampler_cannot_draw_is_a_fault(tmp_path, sampler, space, expected, got):
    _, faults = section(tmp_path, space, search={"sampler": sampler})
    assert faults == [f"search.sampler: expected {expected}, got {got}"]


def test_a_search_compares_validations(tmp_path):
    _, faults = section(tmp_path, {"training.positives": [1, 2]}, "training.epochs=0")
    assert faults == ["training.epochs: expected an epoch or more for a search, which compares validations; got 0"]


def test_no_section_and_an_empty_space_are_faults(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("training: {epochs: 1}\n")
    assert read_space(load_sweep(str(file)))[2] == [
        "search: expected the section that says what is searched (search: {space: {field: ...}}), got none"
    ]
    assert section(tmp_path, {})[1] == ["search.space: expected a field or more, got none"]


def test_a_space_may_be_given_by_overrides(tmp_path):
    (parameter,), faults = section(tmp_path, {"training.positives": [1]}, "search.space.training.positives=[2, 3]")
    assert (parameter.choices, faults) == ((2, 3), [])


def test_drawn_fields_are_laid_over_those_of_the_file(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("training: {epochs: 3, positives: 2}\n")
    fields = drawn_fields(load_sweep(str(file)), {"training.positives": 5, "model.name": "semantic_small_data"})
    assert fields["training"] == {"epochs": 3, "positives": 5}
    assert fields["model"] == {"name": "semantic_small_data"}
    assert "preset" not in fields
