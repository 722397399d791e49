"""Who trains on what: D_F, D_P, folds, and the candidates drawn for a step."""

import json
import math
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.batching.steps import (
    Examples,
    TrainingData,
    TrainingLoader,
    TrainingSteps,
    _few_places,
    _many_places,
    _order,
    all_candidates,
    draw_candidates,
    select_examples,
)
from semantic.config.schema import DataConfig, TrainingConfig
from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.distributed import Processes
from semantic.runtime.errors import DataError
from tests.commands import forking
from tests.worlds import STATELESS, UNLABELLED, changed_copy


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
            shop, DataConfig(labelled_share=0.5, unlabelled=(STATELESS,)), folds_of=3, fold=fold, seed=7
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
        return select_examples(shop, DataConfig(), folds_of=3, fold=0, seed=seed)

    assert np.array_equal(fold(1).test, fold(1).test)
    assert len({tuple(fold(seed).test.tolist()) for seed in range(5)}) > 1


def emptied(shop: Store, out, split: str, heir: str) -> Store:
    """The shop with all examples of `split` counted to its neighbour `heir`."""
    path = changed_copy(shop.path, out)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["splits"][heir]["examples"] += manifest["splits"][split]["examples"]
    manifest["splits"][split]["examples"] = 0
    (path / "manifest.json").write_text(json.dumps(manifest))
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


def test_all_candidates_are_the_positives_then_the_negatives(shop):
    rows = np.array([0, len(shop.example_turns) - 1, shop.split("test").start, 0])

    candidates, positive = all_candidates(shop, rows)

    for b, row in enumerate(rows):
        own, others = shop.positives(row).tolist(), shop.negatives(row).tolist()
        kept = candidates[b] != NONE
        assert candidates[b][kept].tolist() == own + others
        assert not kept[len(own) + len(others) :].any()
        assert candidates[b][positive[b]].tolist() == own
    assert (candidates == NONE).any()  # evaluation has more negatives than training, so some rows are padded


@settings(max_examples=40, deadline=None)
@given(positives=st.integers(1, 7), negatives=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_candidates_are_drawn_without_replacement(shop, positives, negatives, seed):
    rows = np.arange(0, len(shop.example_turns), 3)

    candidates, positive = draw_candidates(shop, rows, positives, negatives, np.random.default_rng(seed))

    assert candidates.shape == positive.shape == (len(rows), positives + negatives)
    for b, row in enumerate(rows):
        own, others = set(shop.positives(row).tolist()), set(shop.negatives(row).tolist())
        left, right = candidates[b, :positives], candidates[b, positives:]
        for part, pool, count in ((left, own, positives), (right, others, negatives)):
            drawn = part[part != NONE].tolist()
            assert len(drawn) == len(set(drawn)) == min(count, len(pool))
            assert set(drawn) <= pool
        assert np.array_equal(positive[b], np.concatenate([left != NONE, np.zeros(negatives, bool)]))
    again, _ = draw_candidates(shop, rows, positives, negatives, np.random.default_rng(seed))
    assert np.array_equal(candidates, again)


@pytest.mark.parametrize("places", [_few_places, _many_places])
def test_every_set_of_places_is_drawn_equally_often(places):
    """All sets of 2 of 4, with a list of 2 and one of 1 beside: the first is drawn whole, the second cannot be more."""
    draws = 6_000
    drawn = places(np.tile([4, 2, 1], draws), 2, np.random.default_rng(0)).reshape(draws, 3, 2)

    sets, times = np.unique(np.sort(drawn[:, 0]), axis=0, return_counts=True)
    assert sets.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    share, spread = draws / 6, math.sqrt(draws * (1 / 6) * (5 / 6))
    assert np.abs(times - share).max() < 4 * spread
    assert (np.sort(drawn[:, 1]) == [0, 1]).all()
    assert (np.sort(drawn[:, 2]) == [NONE, 0]).all()


def test_every_positive_and_every_negative_is_drawn_sooner_or_later(shop):
    row = next(r for r in range(len(shop.example_turns)) if len(shop.positives(r)) >= 3)
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_candidates(shop, np.array([row]), 1, 4, rng)[0][0] for _ in range(200)])

    assert set(drawn[:, 0]) == set(shop.positives(row).tolist())
    assert set(drawn[:, 1:].ravel()) == set(shop.negatives(row).tolist())


@pytest.fixture(scope="module")
def steps(shop: Store) -> TrainingSteps:
    pieces = Pieces(*(np.full((n, 1), 3, np.int32) for n in (40, len(shop.turn_texts), len(shop.state_values))))
    identity = np.arange(shop.num_products, dtype=np.float32)[:, None]
    builder = BatchBuilder(shop, pieces, identity, context_turns=1, photos_per_turn=1, pad=0)
    rows = np.array(sorted(of_split(shop, "train")))
    return TrainingSteps(builder, rows, TrainingConfig(batch_size=7, positives=2, negatives=3), seed=11)


def ids(batch) -> list[list[int]]:
    """The candidates of a batch as product ids; the photos of this builder are the products' numbers."""
    products = batch.products.photos[:, 0].long()
    candidates = torch.arange(len(products)) if batch.candidates is None else batch.candidates.clamp(min=0)
    return torch.where(batch.keep, products[candidates], NONE).tolist()


def test_an_epoch_visits_every_example_once_in_an_order_of_its_own(steps, monkeypatch):
    visited: list[list[int]] = []
    build = BatchBuilder.batch

    def noted(builder, rows, *arguments):
        visited.append(rows.tolist())
        return build(builder, rows, *arguments)

    monkeypatch.setattr(BatchBuilder, "batch", noted)
    for step in range(len(steps)):
        steps[step]
    last = len(steps.rows) - 7 * (len(steps) - 1)
    assert [len(rows) for rows in visited] == [7] * (len(steps) - 1) + [last]
    order = [row for rows in visited for row in rows]
    assert sorted(order) == steps.rows.tolist()
    assert order != steps.rows.tolist()
    assert len(steps) == math.ceil(len(steps.rows) / 7)


def test_a_step_is_a_function_of_seed_epoch_part_and_number_alone(steps):
    expected = [ids(batch) for batch in steps.at(3)]
    np.random.default_rng(0).random(5)
    torch.manual_seed(99)
    for step in reversed(range(len(steps))):  # in another order
        assert ids(steps.at(3)[step]) == expected[step]
    elsewhere = pickle.loads(pickle.dumps(steps)).at(3)  # in another process
    assert ids(elsewhere[1]) == expected[1]
    fields = {"builder": steps.builder, "rows": steps.rows, "config": steps.config}
    others = [
        TrainingSteps(**fields, seed=12, epoch=3),
        TrainingSteps(**fields, seed=11, epoch=4),
        TrainingSteps(**fields, seed=11, epoch=3, part=1),
    ]
    assert all(ids(other[0]) != expected[0] for other in others)
    # Not the order alone: an example by itself draws other candidates.
    single = [replace(each, rows=steps.rows[:1]) for each in (steps.at(3), *others)]
    assert len({str(ids(each[0])) for each in single}) == 4
    assert len({str(step) for step in expected}) == len(expected)


@pytest.mark.parametrize("pool", [0, 11])
@pytest.mark.parametrize("size", [2, 3, 9])
def test_processes_share_a_step_among_them(steps, pool, size):
    """Together the parts are the whole batch, and each knows the whole batch's counts; one without an example does the
    first at weight 0. The last batch has fewer examples than 9 processes."""
    steps = replace(steps, config=steps.config.model_copy(update={"pool": pool}), share_gold=True)
    for step in range(len(steps)):
        whole = steps[step]
        keep, positive = whole.keep, whole.positive
        pairs = sum(int(p) * int(k - p) for p, k in zip(positive.sum(1), keep.sum(1), strict=True))
        parts = [steps.share(step, Processes(rank, size)) for rank in range(size)]

        real = [part for part in parts if part.weight]
        assert [part.weight for part in parts].count(0.0) == max(0, size - len(positive))
        assert [row for part in real for row in ids(part.batch)] == ids(whole)
        assert [row for part in real for row in part.batch.positive.tolist()] == positive.tolist()
        assert [i for part in real for i in range(*part.own.indices(len(positive)))] == list(range(len(positive)))
        for part in parts:
            assert (part.counts.examples, part.counts.pairs, part.counts.products) == (
                len(keep),
                pairs,
                int(keep.sum()),
            )
            assert torch.equal(part.gold.state_tokens, whole.contexts.state_tokens)
            assert torch.equal(part.gold.state_keep, whole.contexts.state_keep)
            assert ids(part.batch)[0] == ids(whole)[part.own.start]
    assert steps.share(0).gold is None  # one process alone sees them all


@forking
@pytest.mark.parametrize(("workers", "start"), [(0, None), (1, "fork"), (1, "spawn")])
def test_workers_bring_the_same_steps_however_they_start(shop, shop_features, steps, workers, start):
    """Two parts over two epochs by the same workers; what they send is what this process would make itself."""
    builder = BatchBuilder(
        shop, steps.builder.pieces, np.load(shop_features, mmap_mode="r"), context_turns=2, photos_per_turn=1, pad=0
    )
    parts = tuple(replace(steps, builder=builder, part=part, rows=steps.rows[: 20 + part]) for part in (0, 1))
    loader = TrainingLoader(TrainingData(parts, Processes(1, 2)), workers, start=start)
    for epoch in (4, 2):
        found = list(loader.epoch(epoch))
        expected = [p.at(epoch).share(step, Processes(1, 2)) for p in parts for step in range(len(p))]
        assert len(found) == len(expected) == 3 + 3
        for one, other in zip(found, expected, strict=True):
            assert one.counts == other.counts
            assert torch.equal(one.batch.products.photos, other.batch.products.photos)
            assert torch.equal(one.batch.candidates, other.batch.candidates)
            assert torch.equal(one.batch.contexts.turns, other.batch.contexts.turns)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_step_that_cannot_be_made_ends_the_epoch_where_it_is_asked_for(steps, workers):
    beyond = replace(steps, rows=np.append(steps.rows[:30], 10**6))
    broken = next(s for s in range(len(beyond)) if 30 in _order(11, 0, 0, 31)[7 * s : 7 * s + 7])
    epoch = TrainingLoader(TrainingData((beyond,)), workers).epoch(0)

    assert len([next(epoch) for _ in range(broken)]) == broken
    with pytest.raises(IndexError):
        next(epoch)


def test_an_epoch_that_is_left_leaves_no_thread(steps):
    before = set(threading.enumerate())
    epoch = TrainingLoader(TrainingData((steps,)), 0).epoch(0)
    next(epoch)
    (made,) = {thread for thread in threading.enumerate() if thread.name.startswith("training steps")} - before

    epoch.close()

    assert not made.is_alive()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_no_part_is_trained_on_twice_or_without_right(shop, split):
    with pytest.raises(DataError, match=rf"data.unlabelled: expected splits other than .* got '{split}'"):
        select_examples(shop, DataConfig(unlabelled=(split,)))
