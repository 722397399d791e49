"""Every model passes the battery, and every check of the battery can fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import BertConfig

from semantic.batching.shards import Counts
from semantic.config.loading import make_config
from semantic.models.interface import Explanation, Model
from tests import battery
from tests.battery import BATTERY, Case, cancels, unread
from tests.small_world import DIM, LONGEST, VOCABULARY, build, fill, small_spec
from tests.two_tower import TwoTower

KEY_BIAS = {".key.bias": cancels}


def with_contextual_words() -> Model:
    bert = BertConfig(
        vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11
    )
    text = {"encoder": "contextual", "checkpoint": "bert"}
    return build("paper", {"text_encoder": bert.to_dict()}, text=text)


def two_towers() -> Model:
    config = make_config({"model": {"name": "tests.two_tower:TwoTower", "dim": DIM}}).model
    return fill(TwoTower(config, small_spec())).double().eval()


CASES = {
    "paper": Case(lambda: build("paper"), idle=KEY_BIAS),
    "released": Case(lambda: build("released"), idle=KEY_BIAS),
    "paper, contextual words": Case(with_contextual_words, idle={**KEY_BIAS, ".pooler.": unread}),
    "paper, softmax": Case(
        lambda: build("paper", pooling="attentive", loss={"ranking": {"kind": "sampled_softmax"}}), idle=KEY_BIAS
    ),
    "tuned": Case(lambda: build("tuned"), LONGEST, KEY_BIAS),
    # A bag has no order, so the table of positions is not read; text completion learns from the catalogue.
    "small_data": Case(
        lambda: build("small_data"), LONGEST, {".positions.": unread, "completion.": unread}, ("completion.",)
    ),
    "small_data, hinge": Case(
        lambda: build("small_data", loss={"ranking": {"kind": "hinge"}}, text={"completion": False}),
        LONGEST,
        {".positions.": unread},
    ),
    "two towers": Case(two_towers),
}


@pytest.mark.parametrize("check", BATTERY, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_battery(name, check, tmp_path):
    check(CASES[name], tmp_path)


def changed(method: str, change: Callable) -> Case:
    """The two towers with a method changed: `change` gets the method and its arguments."""

    def built() -> Model:
        model = two_towers()
        original = getattr(model, method)
        setattr(model, method, lambda *arguments: change(original, *arguments))
        return model

    return Case(built)


def with_one_more_parameter() -> Model:
    model = two_towers()
    model.forgotten = nn.Parameter(torch.ones(3))
    return model


def told_nothing_of_the_whole(loss, shard):
    return loss(replace(shard, counts=Counts.of(shard.batch.positive, shard.batch.keep)))


FAULTS = (
    (battery.padding_changes_nothing, changed("score", lambda f, q, p: f(q, p) + p.rows.shape[1])),
    (
        battery.batch_of_one_is_batch_of_many,
        changed("encode_query", lambda f, contexts: f(contexts) + len(f(contexts))),
    ),
    (battery.gathered_candidates_score_as_shared_ones, changed("score", lambda f, q, p: f(q, p) + len(p.rows))),
    (battery.known_norms_change_no_score, changed("score", lambda f, q, p: f(q, p) + (p.squared_norms is None))),
    (battery.rows_are_as_declared, changed("encode_products", lambda f, products: f(products).unsqueeze(1))),
    (battery.rows_are_as_declared, changed("encode_products", lambda f, products: f(products).double())),
    (battery.rows_are_as_declared, changed("encode_products", lambda f, products: f(products) - f(products).mean(0))),
    (battery.queries_can_be_sliced, changed("score", lambda f, q, p: f(q, p) + torch.arange(len(q)).unsqueeze(1))),
    (
        battery.every_explanation_has_a_weight_for_each_label,
        changed("explain", lambda f, q, p: [*f(q, p), Explanation("two", ("a", "b"), {"one": torch.ones(3, 1)})]),
    ),
    (battery.every_parameter_is_saved_and_trained, Case(with_one_more_parameter)),
    (battery.every_parameter_is_saved_and_trained, Case(two_towers, idle={"words.": unread})),
    (battery.every_parameter_is_saved_and_trained, Case(two_towers, idle={"words.": cancels})),
    (battery.every_parameter_is_saved_and_trained, Case(two_towers, idle={"sentences.": unread})),
    (battery.parameter_groups_hold_each_trained_parameter_once, changed("parameter_groups", lambda f: f()[1:])),
    (battery.parameter_groups_hold_each_trained_parameter_once, changed("parameter_groups", lambda f: 2 * f())),
    (battery.parameter_groups_hold_each_trained_parameter_once, Case(two_towers, elsewhere=("words.",))),
    (battery.parts_of_a_batch_add_up_to_the_whole, changed("loss", told_nothing_of_the_whole)),
    (battery.evaluation_is_deterministic, changed("score", lambda f, q, p: f(q, p) + torch.rand(()))),
    (battery.the_gold_state_is_not_read_to_rank, changed("encode_query", lambda f, c: f(c) * c.state_tokens[:, 0, :1])),
    (battery.save_load_is_bit_identical, changed("score", lambda f, q, p: 2 * f(q, p))),
    (battery.candidate_order_changes_nothing, changed("score", lambda f, q, p: f(q, p).cumsum(1))),
    (battery.duplicated_candidate_scores_alike, changed("score", lambda f, q, p: f(q, p).softmax(1))),
)


@pytest.mark.parametrize(("check", "case"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_check_finds_the_fault_planted_for_it(check, case, tmp_path):
    with pytest.raises(AssertionError):
        check(case, tmp_path)


def test_every_check_has_a_fault_that_it_finds():
    assert {check for check, _ in FAULTS} == set(BATTERY)
