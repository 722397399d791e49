"""A turn that was never annotated says nothing of its state: no state term sees one, but in the released code's preset."""

import numpy as np
import pytest

from semantic.batching.examples import select_examples
from semantic.batching.steps import TrainingSteps
from semantic.config.loading import make_config
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store, open_store
from semantic.models.building import build_model
from tests.worlds import SMALL_DATA, TINY, changed_copy, tiny_values


@pytest.fixture(scope="module")
def gaps(shop: Store, tmp_path_factory) -> Store:
    """The shop in which every third turn with a state has lost it; none of its dialogues has lost all."""
    states = np.array(shop.turn_states)
    states[np.flatnonzero(states[:, 0] != NONE)[::3]] = NONE
    return open_store(changed_copy(shop.path, tmp_path_factory.mktemp("gaps") / "store", turn_states=states))


def passes(store: Store, features, **values):
    """The steps over D_F and D_P, as a run takes them."""
    given = tiny_values(store.path, features, model=values.pop("model", None)) | values
    config = make_config(given, ["training.batch_size=5"])
    model = build_model(config, store, lambda _: None)
    builder, examples = model.open_batches(store), select_examples(store, config.data)
    whole = model.inputs.states == "whole batch"
    labelled = TrainingSteps(builder, examples.labelled, config.training, 0, whole_states=whole)
    return model, labelled, TrainingSteps(builder, examples.unlabelled, config.training, 0, labelled=False)


def annotated(store: Store, steps: TrainingSteps) -> np.ndarray:
    return store.turn_states[store.example_turns[steps.rows, 1] - 1, 0] != NONE


def state_terms(model, steps: TrainingSteps) -> list[int]:
    """How many examples each call of the state terms saw."""
    seen, own = [], model.state_terms

    def counting(student, teacher, shard):
        seen.append(len(shard.batch.positive))
        return own(student, teacher, shard)

    model.state_terms = counting
    for step in range(len(steps)):
        model.loss(steps.shard(step))
    return seen


@pytest.mark.parametrize("model", [TINY["model"], SMALL_DATA])
def test_a_state_term_never_sees_a_turn_without_a_state(gaps, shop_features, model):
    made, labelled, unlabelled = passes(gaps, shop_features, model=model)

    assert annotated(gaps, labelled).all()
    assert not annotated(gaps, unlabelled).any()
    assert len(labelled.rows) + len(unlabelled.rows) == len(gaps.split("train"))
    assert len(unlabelled.rows) > 0
    assert sum(state_terms(made, labelled)) == len(labelled.rows)
    assert state_terms(made, unlabelled) == []


def test_what_a_labelled_batch_reads_is_what_was_annotated(gaps, shop_features):
    _, labelled, _ = passes(gaps, shop_features)
    builder = labelled.builder

    contexts = builder.contexts(labelled.rows)

    states = gaps.turn_states[gaps.example_turns[labelled.rows, 1] - 1]
    pieces = builder.pieces.values[states]
    assert (states != NONE).all()
    np.testing.assert_array_equal(contexts.state_keep.numpy(), pieces != NONE)
    np.testing.assert_array_equal(contexts.state_tokens.numpy()[pieces != NONE], pieces[pieces != NONE])


def test_the_released_codes_preset_reads_them_as_unset(gaps, shop_features):
    _, labelled, unlabelled = passes(gaps, shop_features, preset="released")

    assert len(labelled.rows) == len(gaps.split("train"))
    assert not len(unlabelled.rows)
    known = annotated(gaps, labelled)
    assert not known.all()
    contexts = labelled.builder.contexts(labelled.rows[~known])
    unset = labelled.builder.pieces.values[0]
    assert (contexts.state_tokens.numpy()[..., unset != NONE] == unset[unset != NONE]).all()
    assert gaps.state_values[0] == "none"


def test_presets_differ_in_it_and_a_run_can_choose():
    for preset, expected in (("paper", "unlabelled"), ("released", "unset")):
        assert make_config({"preset": preset}).data.unannotated == expected
    assert make_config({"model": SMALL_DATA}).data.unannotated == "unlabelled"
    assert make_config({"preset": "released", "data": {"unannotated": "unlabelled"}}).data.unannotated == "unlabelled"
