"""Who trains on what: D_F, D_P, validation, test and folds."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from semantic.batching.examples import Examples, held_out_dialogues, select_examples
from semantic.config.schema import DataConfig, FoldConfig
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.errors import DataError
from tests.worlds import STATELESS, UNLABELLED, changed_copy, reseal


def dialogues(store: Store, rows: np.ndarray) -> set[int]:
    return {int(store.example_turns[row, 0]) for row in rows}


def of_split(store: Store, name: str) -> set[int]:
    return set(store.split(name).examples)


@pytest.fixture(scope="module")
def half_stated(shop: Store, tmp_path_factory) -> Store:
    """The shop with the states of two training dialogues taken away."""
    states = np.array(shop.turn_states)
    for dialogue in (1, 3):
        first = shop.dialogue_first_turn[dialogue]
        states[first : first + shop.dialogue_turns[dialogue]] = NONE
    return open_store(changed_copy(shop.path, tmp_path_factory.mktemp("data") / "store", turn_states=states))


def test_the_defaults_label_every_training_dialogue(shop):
    examples = select_examples(shop, DataConfig())

    assert set(examples.labelled) == of_split(shop, "train")
    assert set(examples.unlabelled) == set()
    assert set(examples.valid) == of_split(shop, "valid")
    assert set(examples.test) == of_split(shop, "test")


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_share_splits_the_training_dialogues_into_labelled_and_not(shop, share):
    train = of_split(shop, "train")
    count = len(dialogues(shop, np.array(sorted(train))))

    examples = select_examples(shop, DataConfig(labelled_share=share))

    labelled, unlabelled = dialogues(shop, examples.labelled), dialogues(shop, examples.unlabelled)
    assert len(labelled) == math.ceil(share * count)
    assert labelled.isdisjoint(unlabelled)  # a dialogue is in or out as a whole
    assert set(examples.labelled) | set(examples.unlabelled) == train
    assert len(examples.labelled) + len(examples.unlabelled) == len(train)


def test_a_smaller_share_lies_inside_a_larger_one(shop):
    parts = [
        set(select_examples(shop, DataConfig(labelled_share=share, subset_seed=5)).labelled)
        for share in (0.2, 0.4, 0.6, 0.8)
    ]
    assert parts[0] < parts[1] < parts[2] < parts[3]


def test_the_subset_is_drawn_by_its_seed(shop):
    drawn = [frozenset(select_examples(shop, DataConfig(labelled_share=0.5, subset_seed=s)).labelled) for s in range(5)]
    assert len(set(drawn)) > 1
    again = select_examples(shop, DataConfig(labelled_share=0.5, subset_seed=2))
    assert frozenset(again.labelled) == drawn[2]


@pytest.mark.parametrize("partial", ["none", "stateless", "all"])
def test_partial_says_what_joins_d_p(shop, partial):
    train = of_split(shop, "train")
    examples = select_examples(shop, DataConfig(labelled_share=0.5, partial=partial, unlabelled=(STATELESS,)))

    labelled = set(examples.labelled)
    expected = {
        "none": set(),
        "stateless": (train - labelled) | of_split(shop, STATELESS),
        "all": train | of_split(shop, STATELESS),
    }
    assert set(examples.unlabelled) == expected[partial]
    assert len(examples.unlabelled) == len(expected[partial])
    assert 0 < len(labelled) < len(train)  # D_F does not depend on it
    assert labelled == set(select_examples(shop, DataConfig(labelled_share=0.5)).labelled)


def test_a_dialogue_without_states_is_never_labelled(half_stated):
    train = of_split(half_stated, "train")
    examples = select_examples(half_stated, DataConfig())

    assert dialogues(half_stated, examples.unlabelled) == {1, 3}
    assert set(examples.labelled) | set(examples.unlabelled) == train
    half = select_examples(half_stated, DataConfig(labelled_share=0.5))
    assert len(dialogues(half_stated, half.labelled)) == 3  # of the six with states
    assert {1, 3} < dialogues(half_stated, half.unlabelled)


def test_the_unlabelled_splits_have_a_share_of_their_own(shop):
    examples = select_examples(shop, DataConfig(unlabelled=(STATELESS,), unlabelled_share=0.5))

    assert len(dialogues(shop, examples.unlabelled)) == UNLABELLED / 2
    assert set(examples.unlabelled) < of_split(shop, STATELESS)
    assert set(examples.labelled) == of_split(shop, "train")


def test_counts_say_how_many_of_each_part(shop):
    examples = select_examples(shop, DataConfig(labelled_share=0.5, unlabelled=(STATELESS,)))
    splits = shop.manifest["splits"]

    counts = examples.counts(shop)

    assert counts["labelled_dialogues"] == splits["train"]["dialogues"] / 2
    assert counts["unlabelled_dialogues"] == splits["train"]["dialogues"] / 2 + UNLABELLED
    assert (
        counts["labelled_examples"] + counts["unlabelled_examples"]
        == splits["train"]["examples"] + splits[STATELESS]["examples"]
    )
    assert counts["valid_queries"] == splits["valid"]["examples"]
    assert counts["test_queries"] == splits["test"]["examples"]


def test_folds_test_every_dialogue_once_and_never_train_on_it(shop):
    everything = of_split(shop, "train") | of_split(shop, "valid") | of_split(shop, "test")
    tested: list[int] = []
    for fold in range(3):
        examples = select_examples(
            shop, DataConfig(labelled_share=0.5, unlabelled=(STATELESS,), fold=FoldConfig(count=3, index=fold, seed=7))
        )
        own_unlabelled = set(examples.unlabelled) - of_split(shop, STATELESS)
        parts = [set(examples.labelled), own_unlabelled, set(examples.valid), set(examples.test)]
        assert set.union(*parts) == everything
        assert sum(map(len, parts)) == len(everything)
        owners = [dialogues(shop, np.array(sorted(part))) for part in parts]
        assert sum(map(len, owners)) == len(set.union(*owners))
        assert of_split(shop, STATELESS) < set(examples.unlabelled)
        tested += examples.test.tolist()
    assert sorted(tested) == sorted(everything)


def test_folds_follow_their_seed(shop):
    def fold(seed: int) -> Examples:
        return select_examples(shop, DataConfig(fold=FoldConfig(count=3, seed=seed)))

    assert np.array_equal(fold(1).test, fold(1).test)
    assert len({tuple(fold(seed).test.tolist()) for seed in range(5)}) > 1


def emptied(shop: Store, out: Path, split: str, heir: str) -> Store:
    """The shop with all examples of `split` counted to its neighbour `heir`."""
    path = changed_copy(shop.path, out)
    splits = json.loads((path / "manifest.json").read_text())["splits"]
    splits[heir]["examples"] += splits[split]["examples"]
    splits[split]["examples"] = 0
    reseal(path, splits=splits)
    return open_store(path)


@pytest.mark.parametrize(("split", "heir"), [("train", "valid"), ("valid", "test"), ("test", "valid")])
def test_an_empty_split_is_named(shop, tmp_path, split, heir):
    store = emptied(shop, tmp_path / "store", split, heir)
    with pytest.raises(DataError, match=rf"store: expected .*examples in split '{split}', found none"):
        select_examples(store, DataConfig())


@pytest.mark.parametrize("field", ["train", "valid", "test"])
def test_an_unknown_split_is_named_with_those_there_are(shop, field):
    with pytest.raises(DataError, match=f"expected a split of train, valid, test, {STATELESS}, found 'dev'"):
        select_examples(shop, DataConfig(**{field: "dev"}))
    with pytest.raises(DataError, match="found 'dev'"):
        select_examples(shop, DataConfig(unlabelled=("dev",)))


def test_no_state_used_and_no_d_p_leaves_nothing_to_train_on(shop):
    with pytest.raises(DataError, match="expected training examples in split 'train', found none"):
        select_examples(shop, DataConfig(labelled_share=0, partial="none"))


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_split_that_is_used_as_another_cannot_be_unlabelled_too(shop, split):
    with pytest.raises(DataError, match=rf"data.unlabelled: expected splits other than .* got '{split}'"):
        select_examples(shop, DataConfig(unlabelled=(split,)))


def test_pooled_splits_are_those_that_are_divided(shop):
    examples = select_examples(shop, DataConfig(fold=FoldConfig(count=3, pooled=("train",))))
    parts = (examples.labelled, examples.unlabelled, examples.valid, examples.test)
    assert set(np.concatenate(parts)) == of_split(shop, "train")


@pytest.fixture(scope="module")
def twins(shop: Store, tmp_path_factory) -> Store:
    """The shop, where one dialogue each of train, of valid and of the stateless says what one of test says, and one of
    train what another of valid says."""
    names = ("train", "valid", "test", STATELESS)
    train, valid, test, stateless = (sorted(dialogues(shop, np.array(shop.split(name).examples))) for name in names)
    digests = np.array(shop.dialogue_digests)
    digests[[train[0], valid[0], stateless[1]]] = digests[test[0]]
    digests[train[2]] = digests[valid[1]]
    path = tmp_path_factory.mktemp("twins") / "store"
    return open_store(changed_copy(shop.path, path, dialogue_digests=digests))


def test_a_dialogue_on_two_sides_is_refused_by_name(twins):
    with pytest.raises(
        DataError, match=r"found 2 of training again in validation or test and 1 of validation again in test"
    ) as caught:
        select_examples(twins, DataConfig())
    assert re.search(r"first: '\d+' of split train, '\d+' of split valid, '\d+' of split test\)", str(caught.value))
    assert "data.overlap=drop" in str(caught.value)


def test_a_dialogue_on_two_sides_is_dropped_from_the_first_and_counted(twins):
    config = DataConfig(overlap="drop", unlabelled=(STATELESS,), labelled_share=0.5)
    examples = select_examples(twins, config)
    sides = [
        set(twins.dialogue_digests[sorted(dialogues(twins, rows))])
        for rows in (examples.training, examples.valid, examples.test)
    ]
    assert set(examples.test) == of_split(twins, "test")
    assert examples.dropped == {"train": 3, "valid": 1}
    assert sides[0].isdisjoint(sides[1] | sides[2])
    assert sides[1].isdisjoint(sides[2])
    held = set(held_out_dialogues(twins, examples))
    assert held > dialogues(twins, examples.valid) | dialogues(
        twins, examples.test
    )  # the twins in train are held out too
    assert held.isdisjoint(dialogues(twins, examples.training))


@pytest.mark.parametrize(("valid", "test"), [("test", "test"), ("valid", "train"), ("train", "test")])
def test_one_split_on_two_sides_is_refused_and_cannot_be_dropped_whole(shop, valid, test):
    with pytest.raises(DataError, match="expected every dialogue on one side"):
        select_examples(shop, DataConfig(valid=valid, test=test))
    with pytest.raises(DataError, match="found none after dialogues on two sides were dropped"):
        select_examples(shop, DataConfig(valid=valid, test=test, overlap="drop"))


@pytest.mark.parametrize("unannotated", ["unlabelled", "unset"])
def test_a_turn_that_was_never_annotated_is_labelled_only_where_asked(shop, tmp_path, unannotated):
    row = shop.split("train").start
    states = np.array(shop.turn_states)
    states[shop.example_turns[row, 1] - 1] = NONE
    store = open_store(changed_copy(shop.path, tmp_path / "store", turn_states=states))
    examples = select_examples(store, DataConfig(unannotated=unannotated))
    assert (row in examples.labelled) == (unannotated == "unset")
    assert (row in examples.unlabelled) == (unannotated == "unlabelled")
    assert row not in select_examples(store, DataConfig(unannotated=unannotated, partial="none")).unlabelled
