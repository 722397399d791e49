"""The steps of an epoch: a function of seed, epoch and number alone, shared by processes, built ahead by others."""

import math
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from semantic.batching.loader import TrainingData, TrainingLoader
from semantic.batching.shards import Counts, Shard
from semantic.batching.steps import TrainingSteps, _order
from semantic.config.schema import TrainingConfig
from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.datasets.batches.tensors import NONE, Batch
from semantic.datasets.store.store import Store
from semantic.runtime.distributed import Processes
from tests.commands import forking


@pytest.fixture(scope="module")
def steps(shop: Store) -> TrainingSteps:
    pieces = Pieces(*(np.full((n, 1), 3, np.int32) for n in (40, len(shop.turn_texts), len(shop.state_values))))
    identity = np.arange(shop.num_products, dtype=np.float32)[:, None]
    builder = BatchBuilder(shop, pieces, identity, context_turns=1, photos_per_turn=1, pad=0)
    rows = np.array(shop.split("train").examples)
    return TrainingSteps(builder, rows, TrainingConfig(batch_size=7, positives=2, negatives=3), seed=11)


def ids(batch: Batch) -> list[list[int]]:
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
    assert len(list(steps)) == len(steps) == math.ceil(len(steps.rows) / 7)
    last = len(steps.rows) - 7 * (len(steps) - 1)
    assert [len(rows) for rows in visited] == [7] * (len(steps) - 1) + [last]
    order = [row for rows in visited for row in rows]
    assert sorted(order) == steps.rows.tolist()
    assert order != steps.rows.tolist()


def test_a_step_is_a_function_of_seed_epoch_stream_and_number_alone(steps):
    expected = [ids(batch) for batch in steps.at(3)]
    np.random.default_rng(0).random(5)
    torch.manual_seed(99)
    for step in reversed(range(len(steps))):  # in another order
        assert ids(steps.at(3)[step]) == expected[step]
    elsewhere = pickle.loads(pickle.dumps(steps)).at(3)  # in another process
    assert ids(elsewhere[1]) == expected[1]
    others = [replace(steps, seed=12, epoch=3), steps.at(4), replace(steps, epoch=3, labelled=False)]
    assert all(ids(other[0]) != expected[0] for other in others)
    # Not the order alone: an example by itself draws other candidates.
    single = [replace(each, rows=steps.rows[:1]) for each in (steps.at(3), *others)]
    assert len({str(ids(each[0])) for each in single}) == 4
    assert len({str(step) for step in expected}) == len(expected)


def test_shared_negatives_are_the_products_drawn_and_the_positives_of_all_examples(steps):
    shared = replace(steps, config=steps.config.model_copy(update={"shared_negatives": 11}))
    store, drawn = steps.builder.store, set()
    for step in range(len(shared)):
        batch = shared[step]
        rows = steps.rows[_order(11, 0, 0, len(steps.rows))[7 * step : 7 * step + 7]]
        own = [set(store.positives(row).tolist()) for row in rows]
        (candidates,) = {tuple(row) for row in ids(batch)}  # the same for every example
        assert batch.candidates is None
        assert set.union(*own) <= set(candidates)
        assert len(candidates) == len(set(candidates)) <= len(set.union(*own)) + 11
        drawn |= set(candidates) - set.union(*own)
        for marked, positives in zip(batch.positive.tolist(), own, strict=True):
            assert {product for product, is_one in zip(candidates, marked, strict=True) if is_one} == positives
    assert len(drawn) > 11  # each step draws anew


@pytest.mark.parametrize("shared_negatives", [0, 11])
@pytest.mark.parametrize("size", [2, 3, 9])
def test_processes_share_a_step_among_them(steps, shared_negatives, size):
    """Together the shards are the whole batch, and each knows the whole batch's counts; one without an example does the
    first at weight 0. The last batch has fewer examples than 9 processes."""
    config = steps.config.model_copy(update={"shared_negatives": shared_negatives})
    steps = replace(steps, config=config, whole_states=True)
    for step in range(len(steps)):
        whole = steps[step]
        keep, positive = whole.keep, whole.positive
        pairs = sum(int(p) * int(k - p) for p, k in zip(positive.sum(1), keep.sum(1), strict=True))
        shards = [steps.shard(step, Processes(rank, size)) for rank in range(size)]

        real = [shard for shard in shards if shard.weight]
        assert [shard.weight for shard in shards].count(0.0) == max(0, size - len(positive))
        assert [row for shard in real for row in ids(shard.batch)] == ids(whole)
        assert [row for shard in real for row in shard.batch.positive.tolist()] == positive.tolist()
        assert [i for shard in real for i in range(*shard.own.indices(len(positive)))] == list(range(len(positive)))
        assert Counts.of(positive, keep) == Counts(len(keep), pairs, int(keep.sum()))
        for shard in shards:
            assert shard.counts == Counts(len(keep), pairs, int(keep.sum()))
            assert torch.equal(shard.states.state_tokens, whole.contexts.state_tokens)
            assert torch.equal(shard.states.state_keep, whole.contexts.state_keep)
            assert ids(shard.batch)[0] == ids(whole)[shard.own.start]


def test_states_of_the_whole_batch_are_built_only_where_a_shard_lacks_some(steps):
    """One process alone sees them all, and most losses ask for none."""
    assert replace(steps, whole_states=True).shard(0).states is None
    assert steps.shard(0, Processes(0, 2)).states is None


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("all_labelled", [True, False])
def test_a_shard_says_where_it_stands(steps, labelled, all_labelled):
    shard = replace(steps, labelled=labelled, all_labelled=all_labelled).at(5).shard(0)
    assert (shard.labelled, shard.all_labelled, shard.epoch, shard.weight) == (labelled, all_labelled, 5, 1.0)


def assert_same_shards(one: Shard, other: Shard) -> None:
    assert (one.counts, one.labelled, one.own, one.weight, one.epoch) == (
        other.counts, other.labelled, other.own, other.weight, other.epoch,
    )  # fmt: skip
    assert torch.equal(one.batch.products.photos, other.batch.products.photos)
    assert torch.equal(one.batch.candidates, other.batch.candidates)
    assert torch.equal(one.batch.contexts.turns, other.batch.contexts.turns)


@forking
@pytest.mark.parametrize(
    ("workers", "start"),
    [(0, None), pytest.param(1, "fork", marks=pytest.mark.slow), pytest.param(1, "spawn", marks=pytest.mark.slow)],
)
def test_workers_bring_the_same_steps_however_they_start(shop, shop_features, steps, workers, start):
    """Two passes in two epochs by the same workers; what they send is what this process would make itself."""
    builder = BatchBuilder(
        shop, steps.builder.pieces, np.load(shop_features, mmap_mode="r"), context_turns=2, photos_per_turn=1, pad=0
    )
    passes = tuple(
        replace(steps, builder=builder, labelled=labelled, rows=steps.rows[:count])
        for labelled, count in ((True, 20), (False, 22))
    )
    loader = TrainingLoader(TrainingData(passes, Processes(1, 2)), workers, start=start)
    for epoch in (4, 2):
        found = list(loader.epoch(epoch))
        expected = [p.at(epoch).shard(step, Processes(1, 2)) for p in passes for step in range(len(p))]
        assert len(found) == len(expected) == 3 + 4
        for one, other in zip(found, expected, strict=True):
            assert_same_shards(one, other)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
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
