"""An experiment's file as its runs: their order, names and configurations, and all that can be wrong, at once."""

import pytest

from semantic.config.describing import describe_config
from semantic.config.errors import ConfigError
from semantic.config.sweep_schema import MOST_SEEDS, parse_seeds
from semantic.config.sweeps import MOST_CELLS, describe_sweep, load_sweep
from tests.configurations import written

TINY = "base: quickstart_bag\n"


def names(sweep):
    return [cell.name for cell in sweep.cells]


def faults_of(tmp_path, text, *overrides):
    with pytest.raises(ConfigError) as raised:
        load_sweep(written(tmp_path, text), overrides)
    first, *lines = str(raised.value).splitlines()
    assert first.endswith(f"mine.yaml: {len(lines)} fault{'s' * (len(lines) > 1)}")
    return [line.removeprefix("  ") for line in lines]


def test_axes_seeds_and_folds_are_all_combined(tmp_path):
    sweep = load_sweep(
        written(tmp_path, TINY + "vary: {data.labelled_share: [0, 0.05], model.dim: [16, 32]}\nseeds: 3,5\nfolds: 3")
    )

    assert len(sweep.cells) == len(set(names(sweep))) == 2 * 2 * 2 * 3
    assert names(sweep)[:4] == [
        "labelled_share=0,dim=16, seed 3, fold 0", "labelled_share=0,dim=16, seed 3, fold 1",
        "labelled_share=0,dim=16, seed 3, fold 2", "labelled_share=0,dim=16, seed 5, fold 0",
    ]  # fmt: skip
    last = sweep.cells[-1]
    assert last.point == {"data.labelled_share": 0.05, "model.dim": 32}
    assert (last.config.data.labelled_share, last.config.model.dim, last.config.seed) == (0.05, 32, 5)
    assert (last.config.data.fold.count, last.config.data.fold.index) == (3, 2)
    assert last.config.variant == "labelled_share=0.05,dim=32"
    assert sweep.variants == (
        "labelled_share=0,dim=16", "labelled_share=0,dim=32", "labelled_share=0.05,dim=16", "labelled_share=0.05,dim=32",
    )  # fmt: skip


def test_an_experiment_that_varies_nothing_is_one_run(tmp_path):
    (cell,) = load_sweep(written(tmp_path, TINY)).cells

    assert (cell.name, cell.variant, cell.point, cell.config.variant) == ("base, seed 0", "", {}, "base")


def test_variants_have_dotted_keys_or_sections(tmp_path):
    text = "variants:\n  full:\n  one: {model.dim: 16, model: {dropout: 0.2}}\n  two: {training.epochs: 5}"
    full, one, two = load_sweep(written(tmp_path, TINY + text)).cells

    assert [cell.config.variant for cell in (full, one, two)] == ["full", "one", "two"]
    assert (one.config.model.dim, one.config.model.dropout) == (16, 0.2)
    assert (two.config.training.epochs, full.config.training.epochs) == (5, 15)


def test_a_variant_may_be_another_model(tmp_path):
    text = "variants:\n  small:\n  paper: {model: {name: semantic, dim: 16}}\n  released: {model.name: semantic, preset: released}"
    small, paper, released = load_sweep(written(tmp_path, TINY + text)).cells

    assert [cell.config.model.name for cell in (small, paper, released)] == [
        "semantic_small_data",
        "semantic",
        "semantic",
    ]
    assert (paper.config.model.pooling, released.config.model.pooling) == ("sum", "leaky_sum")


def test_variants_may_be_those_of_another_experiment(tmp_path):
    shared = "variants: {small: {training: &t {epochs: 3}}, large: {model.dim: 64, training: *t}}"
    written(tmp_path, TINY + shared, "others.yaml")
    mine = written(tmp_path, TINY + "variants: others.yaml\nmodel: {dropout: 0.2}")

    small, large = load_sweep(mine, ["variants.small.training.epochs=4"]).cells

    assert (small.config.experiment, small.config.variant, large.config.model.dim) == ("mine", "small", 64)
    assert (small.config.model.dropout, small.config.training.epochs, large.config.training.epochs) == (0.2, 4, 3)
    assert faults_of(tmp_path, TINY + "variants: quickstart") == [
        "variants: expected a mapping, or an experiment that has one, got 'quickstart', which has none"
    ]


def test_points_have_names_of_their_own(tmp_path):
    text = "vary:\n  data.unlabelled: {none: [], all: [v2_train]}\n  model.image.weights: [null, a/b c.safetensors]"
    sweep = load_sweep(written(tmp_path, TINY + text))

    assert sweep.variants == (
        "unlabelled=none,weights=null", "unlabelled=none,weights=a-b-c.safetensors",
        "unlabelled=all,weights=null", "unlabelled=all,weights=a-b-c.safetensors",
    )  # fmt: skip
    assert sweep.cells[-1].config.data.unlabelled == ("v2_train",)


def test_a_variant_exists_when_the_base_is_as_it_says(tmp_path):
    text = (
        "variants:\n  full:\n  there: {when: {model.name: semantic_small_data}, model.dim: 16}\n  gone: {when: {model.name: [a, b]}}\n"
        "  too: {when: {model.text.checkpoint: {not: null}}}"
    )
    sweep = load_sweep(written(tmp_path, TINY + text))

    assert sweep.variants == ("full", "there")
    assert sweep.left_out == (
        'gone: left out, for model.name is "semantic_small_data"', "too: left out, for model.text.checkpoint is null",
    )  # fmt: skip


def test_of_equal_configurations_one_is_run(tmp_path):
    text = "seeds: 0-1\nvariants:\n  full:\n  same: {model.interaction.hops: 1}\n  other: {model.interaction.hops: 2}"
    sweep = load_sweep(written(tmp_path, TINY + text))

    assert names(sweep) == ["full, seed 0", "full, seed 1", "other, seed 0", "other, seed 1"]
    assert sweep.left_out == ("same: left out, for with this base it is full",)


def test_overrides_lie_beneath_what_varies_and_may_change_the_grid(tmp_path):
    file = written(tmp_path, TINY + "seeds: 0-4\nvary: {model.dim: [16, 32]}")
    sweep = load_sweep(file, ["training.epochs=1", "seeds=[7]", "vary.model.dim=[8]", "folds=3", "experiment=other"])

    assert names(sweep) == [f"dim=8, seed 7, fold {fold}" for fold in range(3)]
    assert {cell.config.training.epochs for cell in sweep.cells} == {1}
    assert sweep.name == "other"


def test_every_fault_is_told_at_once(tmp_path):
    text = (
        "vary: {data.labeled_share: [0, 0.5], model.dim: []}\nfolds: 2\nfold: 5\nseeds: [0, 0]\n"
        "variants:\n  a: {}\n  b: {model.dims: 3}\n  a: {model.dim: 0}\nreport: {figure: pie}"
    )

    assert faults_of(tmp_path, TINY + text, "training.epoch=1") == [
        "the key 'a' twice, again in line 9",
        "vary.model.dim: expected a list of values or {name: value}, got []",
        "seeds: expected a seed or more, each once, got (0, 0)",
        "folds: expected 0, or 3 or more (to test, to validate, to train), got 2",
        "report.figure: expected 'none', 'line' or 'bars', got 'pie'",
        "training.epoch: no such key; did you mean 'epochs'?",
        "fold: no such key; did you mean 'folds'?",
        "variants.a: model.dim: expected greater than 0, got 0",
        "variants.b: model.dims: no such key; did you mean 'dim'?",
        "vary: data.labeled_share: no such key; did you mean 'labelled_share'?",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("vary: {}", "vary: expected an axis or more, got none"),
        ("vary: {model.dim: 3}", "vary.model.dim: expected a list of values or {name: value}, got 3"),
        ("vary: {model.dim: [16, 16]}", "vary.model.dim: expected each value once, got 16 twice"),
        ("vary: {model: [{dim: 16}]}", "vary.model: expected names for values that are sections, {name: value}, got {'dim': 16}"),
        ("vary: [1]", "vary: expected a valid dictionary, got [1]"),
        ("variants: {}", "variants: expected a variant or more, got none"),
        ("variants: {-a: {}}", None),
        ("variants: {a: {when: 3}}", "variants.a.when: expected {field: value}, got 3"),
        ("variants: {a: {when: {model.nam: semantic}}}", "variants.a.when.model.nam: no such key"),
        ("variants: {a: {when: {data: {stor: {not: 3}}}}}", "variants.a.when.data.stor.not: no such key"),
        ("variants: {a: {when: {model.name: x}}}", "variants: expected one that exists here, got none (a: left out, for model.name is "
         '"semantic_small_data")'),
        ("seeds: []", "seeds: expected a seed or more, each once, got ()"),
        ("seeds: 5", "seeds: expected a list of seeds, or a range like 0-4, got 5"),
        ("seeds: 4-1", f"seeds: expected seeds like 0-4 or 0,3,7-9, at most {MOST_SEEDS:,} of them, got '4-1'"),
        ("seeds: 0-1\nseed: 3", "seed: expected none beside seeds, got both"),
        ("report: {baseline: x}", "report.baseline: expected one of base, got 'x'"),
        ("report: {axis: model.dim}", "report.axis: expected one of vary (none, for nothing varies), got 'model.dim'"),
        ("report: {figure: line}", "report.figure: expected an axis in vary for a line, got none"),
        ("report: {published: [{name: A, beside: b, values: {ndcg@5: 3}}]}", "report.published (A).beside: expected one of base, got 'b'"),
        ("report: {published: [{name: A, values: {ndcg@5: 3 +/- 1}}]}", None),
        ("report: {metrics: [ndcg@0]}", "report.metrics.0: expected precision@k, recall@k or ndcg@k, got 'ndcg@0'"),
    ],
)  # fmt: skip
def test_a_fault_of_a_sweep(tmp_path, text, fault):
    (found,) = faults_of(tmp_path, TINY + text)

    assert fault is None or found == fault


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("model.dim=3", "--set model.dim: expected a field that nothing varies, but vary does"),
        ("model.dropout=0", "--set model.dropout: expected a field that nothing varies, but the variant a does"),
        ("seed=3", "seed: expected none beside seeds, got both"),
    ],
)
def test_an_override_of_what_varies_is_a_fault(tmp_path, override, fault):
    text = TINY + "seeds: 0-1\nvary: {model.dim: [16]}\nvariants: {a: {model.dropout: 0.2}}"

    assert fault in faults_of(tmp_path, text, override)


def test_a_grid_beyond_bounds_is_refused(tmp_path):
    (fault,) = faults_of(
        tmp_path, TINY + "seeds: 0-999\nvary: {model.dim: [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88]}"
    )

    assert fault == f"experiment: expected at most {MOST_CELLS:,} runs, got 11,000"


def test_published_values_are_numbers_with_or_without_a_deviation(tmp_path):
    text = "report: {published: [{name: A, values: {ndcg@5: 63.2 ± 0.4, recall@5: 3, precision@10: 12+-1.5}}]}"
    (row,) = load_sweep(written(tmp_path, TINY + text)).report.published

    assert row.values == {"ndcg@5": (63.2, 0.4), "recall@5": (3.0, None), "precision@10": (12.0, 1.5)}


def test_seeds_are_read_as_ranges_and_lists():
    assert parse_seeds("0-2, 7") == (0, 1, 2, 7)
    assert parse_seeds("4294967295") == (2**32 - 1,)
    for wrong in ("", "a", "2-1", "0-1,1", "4294967296", "-3", "0-1000", "1,,2"):
        with pytest.raises(ValueError, match=r"seeds like|each once"):
            parse_seeds(wrong)


def test_a_sweep_is_described_with_what_its_variants_change(tmp_path):
    text = "seeds: 0-1\nvariants:\n  full:\n  other: {model.interaction.hops: 2}\n  same: {model.interaction.hops: 1}"
    sweep = load_sweep(written(tmp_path, TINY + text))
    above, below = describe_sweep(sweep).split("# 4 runs.")

    assert above.rstrip("\n") == describe_config(sweep.base)
    assert below.splitlines() == [
        " Beside seed and fold they differ in:",
        "#   full: nothing",
        "#   other: model.interaction.hops: 2",
        "#   same: left out, for with this base it is full",
    ]
