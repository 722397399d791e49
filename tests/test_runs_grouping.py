"""Which runs are averaged: those that differ in seed and fold alone; and how the others are told apart."""

import json

import pytest

from semantic.runs.grouping import group_runs
from semantic.runs.reading import load_runs
from semantic.runtime.errors import DataError, UserError
from tests.report_files import change_summary, write_result

DATA = "data: {{store: {store}, fold: {{count: {count}, index: {index}, seed: 0}}}}\n"


def names(folder):
    groups, warnings = group_runs(load_runs([folder]))
    return [(group.name, len(group.runs)) for group in groups], warnings


def config(**changes):
    values = {"rate": 0.1, "epochs": 5, "decay": 0, "workers": 0, "batch": 32, "store": "stores/shop"} | changes
    return (
        f"data:\n  store: {values['store']}\n"
        f"training: {{learning_rate: {values['rate']}, epochs: {values['epochs']}, workers: {values['workers']}, "
        f"threads: {values['workers']}, weight_decay: {values['decay']}}}\n"
        f"evaluation: {{batch_size: {values['batch']}, product_batch_size: {values['batch']}}}\n"
    )


def test_seeds_and_what_changes_no_result_are_one_group(tmp_path):
    write_result(tmp_path, "base", 0, 0.4, config=config())
    write_result(tmp_path, "base", 1, 0.4, config=config(workers=3))
    write_result(tmp_path, "base", 2, 0.4, config=config(batch=7))
    assert names(tmp_path) == ([("demo/base", 3)], [])


def test_a_store_of_the_same_content_may_stand_elsewhere(tmp_path):
    write_result(tmp_path, "base", 0, 0.4, config=config())
    write_result(tmp_path, "base", 1, 0.4, config=config(store="elsewhere/shop"), store="elsewhere/shop")
    assert names(tmp_path)[0] == [("demo/base", 2)]
    # Trained on another store than the one evaluated: its content is not known.
    write_result(tmp_path, "base", 2, 0.4, config=config(store="another"))
    assert names(tmp_path)[0] == [("demo/base [data.store=absent]", 2), ("demo/base [data.store=another]", 1)]


def trained_on(folder, identity, name="data.json", key="identity"):
    (folder / name).write_text(json.dumps({key: identity}))


def test_what_a_run_was_trained_on_counts_by_its_content(tmp_path):
    for seed, (store, identity) in enumerate((("a", "0" * 64), ("b", "0" * 64), ("a", "1" * 64))):
        trained_on(write_result(tmp_path, "base", seed, 0.4, config=config(store=store)), identity)
    # Evaluations of runs that were trained on two stores, both on a third, which their configurations name.
    for seed, identity in ((3, "0" * 64), (4, "1" * 64)):
        folder = write_result(tmp_path, "base", seed, 0.4, config=config(store="stores/shop"))
        trained_on(folder, identity, "evaluation.json", "trained_on")
    assert names(tmp_path)[0] == [
        ("demo/base [data.store=000000000000]", 3),
        ("demo/base [data.store=111111111111]", 2),
    ]


@pytest.mark.parametrize("identity", [7, ["a"]])
def test_a_digest_of_another_kind_is_refused(tmp_path, identity):
    trained_on(write_result(tmp_path, "base", 0, 0.4, config=config()), identity)
    with pytest.raises(DataError, match=r"data.json: identity: expected a store's digest, found "):
        group_runs(load_runs([tmp_path]))


def test_other_configurations_of_one_variant_say_how_they_differ(tmp_path):
    write_result(tmp_path / "a", "base", 0, 0.4, config=config())
    write_result(tmp_path / "b", "base", 0, 0.4, config=config(rate=0.01))
    write_result(tmp_path / "b", "base", 1, 0.4, config=config(rate=0.01))
    write_result(tmp_path, "other", 0, 0.4, config=config(rate=7))
    found, warnings = names(tmp_path)
    assert found == [
        ("demo/base [training.learning_rate=0.1]", 1),
        ("demo/base [training.learning_rate=0.01]", 2),
        ("demo/other", 1),
    ]
    assert warnings == []


def test_a_label_names_as_many_keys_as_tell_the_rows_apart_and_three_if_there_are(tmp_path):
    write_result(tmp_path / "a", "base", 0, 0.4, config="a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n")
    write_result(tmp_path / "b", "base", 0, 0.4, config="a: 2\nb: 2\nc: 2\nd: 2\ne: 1\n")
    assert [name for name, _ in names(tmp_path)[0]] == [
        "demo/base [a=1, b=1, c=1, ...]",
        "demo/base [a=2, b=2, c=2, ...]",
    ]
    write_result(tmp_path / "c", "base", 0, 0.4, config="a: 2\nb: 2\nc: 2\nd: 7\ne: 1\n")
    assert [name for name, _ in names(tmp_path)[0]] == [
        "demo/base [a=1, b=1, d=1, ...]",
        "demo/base [a=2, b=2, d=2, ...]",
        "demo/base [a=2, b=2, d=7, ...]",
    ]


def test_a_long_value_is_cut_and_a_control_character_is_escaped(tmp_path):
    write_result(tmp_path / "a", "base", 0, 0.4, config=f"x: {'a' * 20}{'b' * 20}\n")
    write_result(tmp_path / "b", "base", 0, 0.4, config='x: "\\e[2J"\n')
    assert [name for name, _ in names(tmp_path)[0]] == [
        f"demo/base [x={'a' * 12}...{'b' * 12}]",
        r"demo/base [x=\u001b[2J]",
    ]


def test_a_run_without_a_configuration_stands_alone(tmp_path):
    for seed in (0, 1):
        write_result(tmp_path, "base", seed, 0.4, config="")
    write_result(tmp_path, "base", 2, 0.4, config=config())
    folders = [tmp_path / "demo" / "base" / f"seed_{seed}" for seed in (0, 1)]
    assert names(tmp_path)[0] == [
        (f"demo/base [no config.yaml: {folders[0]}]", 1),
        (f"demo/base [no config.yaml: {folders[1]}]", 1),
        ("demo/base", 1),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"split": "valid"},
        {"identity": "0" * 64},
        {"queries": "0" * 64},
        {"fold": {"index": 0, "count": 2, "seed": 0, "pooled": []}},
    ],
)
def test_results_on_other_queries_are_no_seed_of_the_group(tmp_path, changes):
    write_result(tmp_path, "base", 0, 0.4, config=config())
    change_summary(write_result(tmp_path, "base", 1, 0.4, config=config()), **changes)
    assert [count for _, count in names(tmp_path)[0]] == [1, 1]


def test_folds_of_another_partition_are_no_folds_of_the_group(tmp_path):
    for fold, count in ((0, 3), (1, 3), (2, 4)):
        text = DATA.format(store="stores/shop", count=count, index=fold)
        write_result(tmp_path, "base", 0, 0.4, fold=fold, folds=count, config=text)
    assert names(tmp_path)[0] == [("demo/base [data.fold.count=3]", 2), ("demo/base [data.fold.count=4]", 1)]


@pytest.mark.parametrize(
    ("seeds", "folds", "size"),
    [
        ((0,), (None,), "1 seed"),
        ((0, 1, 5), (None,), "3 seeds"),
        ((0,), (0,), "1 fold"),
        ((0,), (0, 1, 2), "3 folds"),
        ((0, 1), (0, 1, 2), "2 seeds x 3 folds"),
    ],
)
def test_a_group_says_what_its_runs_are(tmp_path, seeds, folds, size):
    for seed in seeds:
        for fold in folds:
            write_result(tmp_path, "base", seed, 0.4, fold=fold, folds=3)
    [group], _ = group_runs(load_runs([tmp_path]))
    assert group.size == size
    absent = [] if folds == (None,) else [fold for fold in range(3) if fold not in folds]
    assert group.missing == (dict.fromkeys(seeds, absent) if absent else {})


def test_a_seed_that_is_there_twice_counts_once_and_is_named(tmp_path):
    first = write_result(tmp_path / "a", "base", 0, 0.4)
    second = write_result(tmp_path / "b", "base", 0, 0.5)
    write_result(tmp_path / "b", "base", 1, 0.5)
    found, warnings = names(tmp_path)
    assert found == [("demo/base", 2)]
    assert warnings == [f"{second}: seed 0 of demo/base is there twice, left out; kept: {first}."]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n}: 1\n" for n in range(10_001)),
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{b}'] * 10)}]\n" for b, n in zip("abcdefg", "bcdefgh", strict=True)),
        "a: &a {b: *a}\n",
        "a: " + "[" * 5000,
        "x: [{[1]: 2}]",
    ],
)
def test_a_configuration_without_an_end_is_refused(tmp_path, text):
    write_result(tmp_path, "base", 0, 0.4, config=text)
    with pytest.raises(UserError, match=r"^[^\n]*config.yaml: expected [^\n]*$"):
        group_runs(load_runs([tmp_path]))


def test_what_the_groups_saw_is_the_most_of_a_run(tmp_path):
    for seed, seen in enumerate(({"train": 3, "valid": 4}, {"train": 0, "valid": 0})):
        change_summary(write_result(tmp_path, "base", seed, 0.4), seen=seen)
    [group], _ = group_runs(load_runs([tmp_path]))
    assert group.seen == 3 + 4
