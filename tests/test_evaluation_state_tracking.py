"""Slot accuracy and joint goal accuracy, on states that are known, missed, or new."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semantic.batching.examples import select_examples
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.evaluation.state_tracking import stated_rows, track_states
from semantic.models.building import build_model
from semantic.runtime.progress import Progress

CONFIG = EvaluationConfig(batch_size=7, product_batch_size=5)
WIDTH = 11


class Tracker:
    """Stands for a model: a slot's gold embedding is a function of its word pieces, `infer` says what is made of it."""

    device = torch.device("cpu")
    has_states = True
    training = True

    def __init__(self, infer=lambda gold: gold):
        self.infer = infer

    def eval(self):
        self.training = False

    def train(self, mode):
        self.training = mode

    def encode_states(self, contexts):
        weights = torch.sin(torch.arange(1, contexts.state_tokens.shape[-1] * WIDTH + 1).float()).view(-1, WIDTH)
        return (contexts.state_tokens * contexts.state_keep).float() @ weights

    def infer_states(self, contexts):
        return self.infer(self.encode_states(contexts))


@pytest.fixture
def data(shop, tiny):
    config = tiny("model.text.vocabulary=500", "data.value_tokens=6")  # enough pieces to tell values apart
    model = build_model(config, shop, lambda _: None, np.zeros(0, dtype=np.int64))
    builder: BatchBuilder = model.open_batches(shop, Progress())
    return builder, select_examples(shop, config.data)


def values(store, rows):
    return np.asarray(store.turn_states[store.example_turns[rows, 1] - 1])


def track(tracker, builder, training, rows):
    return track_states(tracker, builder, training, rows, CONFIG)


def test_a_student_that_infers_the_gold_state_is_right_wherever_training_holds_the_value(data):
    builder, examples = data
    training, test = (stated_rows(builder.store, rows) for rows in (examples.labelled, examples.test))
    known, asked = values(builder.store, training), values(builder.store, test)
    right = np.stack([np.isin(asked[:, slot], known[:, slot]) for slot in range(asked.shape[1])], axis=1)
    tracker = Tracker()

    found = track(tracker, builder, examples.labelled, examples.test)

    assert 0 < right.all(1).mean() < 1  # some values are new
    assert list(found.slots.values()) == pytest.approx(right.mean(0).tolist())
    assert found.slot_accuracy == pytest.approx(right.mean())
    assert found.joint_goal_accuracy == pytest.approx(right.all(1).mean())
    assert (list(found.slots), found.turns) == (list(builder.store.slots), len(test))
    assert tracker.training


def test_on_training_itself_every_value_is_known_and_a_lost_slot_costs_every_goal(data):
    builder, examples = data
    rows = stated_rows(builder.store, examples.labelled)

    def lose_first(gold):
        return torch.cat([torch.full_like(gold[:, :1], 1e6), gold[:, 1:]], dim=1)

    whole, lost = (track(Tracker(infer), builder, rows, rows) for infer in (lambda gold: gold, lose_first))
    first, *others = whole.slots

    assert (whole.slot_accuracy, whole.joint_goal_accuracy) == (1.0, 1.0)
    assert all(lost.slots[slot] == 1.0 for slot in others)
    assert lost.joint_goal_accuracy == lost.slots[first] < 1.0


def test_without_states_there_is_nothing_to_track(data):
    builder, examples = data
    stateless = SimpleNamespace(has_states=False)
    nothing = examples.test[:0]

    assert track(stateless, builder, examples.labelled, examples.test) is None
    assert track(Tracker(), builder, nothing, examples.test) is None
    assert track(Tracker(), builder, examples.labelled, nothing) is None
