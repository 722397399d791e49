"""Every model passes the battery, and every check of the battery can fail."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, CLIPConfig

from semantic.batching.shards import Counts
from semantic.config.loading import make_config
from semantic.config.registry import find_model
from semantic.models.compared.clip import Clip
from semantic.models.floors.popularity import product_numbers
from semantic.models.floors.sentences import Sentences
from semantic.models.interface import Explanation, Model
from tests import battery
from tests.battery import BATTERY, Case, cancels, unread
from tests.small_world import (
    DIM,
    FEATURES,
    LONGEST,
    POSITIONS,
    SPECS,
    VOCABULARY,
    build,
    fill,
    formula,
    small_config,
    small_spec,
)
from tests.two_tower import TwoTower

KEY_BIAS = {".key.bias": cancels}
SOFTMAX = {"kind": "sampled_softmax"}


def with_contextual_words() -> Model:
    bert = BertConfig(
        vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11
    )
    text = {"encoder": "contextual", "checkpoint": "bert"}
    return build("paper", {"text_encoder": bert.to_dict()}, text=text)


def two_towers() -> Model:
    config = make_config({"model": {"name": "tests.two_tower:TwoTower", "dim": DIM}}).model
    return fill(TwoTower(config, small_spec())).double().eval()


PLACES, CHANNELS = 4, 3
MAPS = formula((5, CHANNELS * PLACES), 78, 2.0)
ATTRIBUTES = ((9,), (13,), (17,), (25,))  # keys of the attributes in the small world's product texts


def compared(name: str, features: int = FEATURES, by_formula: bool = True, **model: Any) -> Model:
    """A compared method at small size, with weights by formula, or those that training starts from."""
    small = {"dim": DIM, "text": {"dim": 7}, "image": {"features": "features.npy"}}
    config = make_config({"model": {"name": name, **small, **model}}).model
    spec = replace(small_spec(context_turns=LONGEST, image_features=features), key_tokens=ATTRIBUTES)
    torch.manual_seed(0)
    made = find_model(name)(config, spec)
    return (fill(made) if by_formula else made).double().eval()


def of_maps(name: str, facts: bool = False, **model: Any) -> Case:
    """The same over maps of photos; with `facts` two of them: of what says 7, and of what says 11 and 9."""

    def built() -> Model:
        knowledge = {"knowledge": {"attributes": True, "style_tips": "tips.txt", "entries": 3}} if facts else {}
        made = compared(name, CHANNELS * PLACES, **knowledge, **model)
        if facts:
            made.facts.about = torch.tensor([[7, -1], [11, 9]])
            made.facts.key, made.facts.value = torch.tensor([[7, -1], [11, -1]]), torch.tensor([[6, -1], [4, 8]])
        return made

    begun = None if facts else lambda: compared(name, CHANNELS * PLACES, by_formula=False, **model)
    return Case(built, pictures=MAPS, start=begun)


def clip() -> Model:
    """A CLIP of random weights under the two stacks, in float64."""
    towers = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **towers,
        "vocab_size": VOCABULARY + 2,
        "max_position_embeddings": 12,
        "bos_token_id": 31,
        "eos_token_id": 32,
    }
    vision = {**towers, "image_size": 8, "patch_size": 4}
    both = CLIPConfig(text_config=text, vision_config=vision, projection_dim=FEATURES).to_dict()
    config = make_config({"model": {"name": "clip", "heads": 1, "text": {"checkpoint": "clip"}}}).model
    spec = small_spec(image_features=None, text_encoder=both)
    return fill(Clip(config, spec)).double().eval()


def floor(name: str, **model: Any) -> Model:
    config = make_config({"model": {"name": name, **model}}).model
    made = find_model(name)(config, small_spec(context_turns=LONGEST, product_tokens=POSITIONS))
    return fill(made).double().eval()


def lexical(name: str, **model: Any) -> Model:
    """With counts of a catalogue of nine texts."""
    made = floor(name, **model)
    made.frequency.copy_(torch.arange(VOCABULARY) % 7)
    made.products.fill_(9)
    made.pieces.fill_(3)
    return made


def popularity() -> Model:
    made = floor("popularity")
    batch = Case(two_towers).batch()
    made.known = product_numbers(batch.products)[1:3].sort().values
    made.counts = torch.tensor([5.0, 2.0], dtype=torch.float64)
    return made


def sentences() -> Model:
    bert = BertConfig(
        vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11
    )
    config = make_config({"model": {"name": "sentences", "text": {"checkpoint": "bert"}}}).model
    return fill(Sentences(config, small_spec(text_encoder=bert.to_dict()))).double().eval()


def drawn() -> Model:
    """The preset `tuned` with the weights that training starts from, float64."""
    config = small_config("tuned").model
    torch.manual_seed(0)
    made: Model = find_model(config.name)(config, small_spec(**SPECS["tuned"]))
    made.initialise(None)
    return made.double()


# The correlation term makes all products the same before anything is learnt (experiments/collapse.yaml), and the pooled words of
# deep layers, from weights by formula, are much alike.
COLLAPSES = {"learns": 0}
# Where the scores of a node's edges have one sign, who asks adds one number to all of them.
ONE_SIGN = {"layers.1.target": cancels}
CASES = {
    "paper": Case(lambda: build("paper"), idle=KEY_BIAS, **COLLAPSES),
    "released": Case(lambda: build("released"), idle=KEY_BIAS, **COLLAPSES),
    "paper, contextual words": Case(with_contextual_words, idle={**KEY_BIAS, ".pooler.": unread}, **COLLAPSES),
    "paper, softmax": Case(
        lambda: build("paper", pooling="attentive", loss={"ranking": {"kind": "sampled_softmax"}}),
        idle=KEY_BIAS,
        **COLLAPSES,
    ),
    "tuned": Case(lambda: build("tuned"), LONGEST, KEY_BIAS, start=drawn),
    # A bag has no order, so the table of positions is not read; text completion learns from the catalogue,
    # and before it has, it adds the same words to every product.
    "small_data": Case(
        lambda: build("small_data"),
        LONGEST,
        {".positions.": unread, "completion.": unread},
        ("completion.",),
        learns=0,
    ),
    "small_data, hinge": Case(
        lambda: build("small_data", loss={"ranking": {"kind": "hinge"}}, text={"completion": False}),
        LONGEST,
        {".positions.": unread},
    ),
    "mhred": Case(lambda: compared("mhred", hidden=5)),
    "mhred, both ways": Case(
        lambda: compared("mhred", hidden=5, cell="lstm", both_ways=True, pool="attentive", ranking=SOFTMAX)
    ),
    # Its vectors are products of text and photo, which learn slowly.
    "umd": replace(
        of_maps("umd", hidden=8, maps=6, branches=2, image={"features": "features.npy", "grid": 2}), learns=240
    ),
    "magic": replace(of_maps("magic", hidden=5, context_hidden=3), learns=160),
    "magic, knowledge": of_maps("magic", facts=True, hidden=5, context_hidden=3),
    "larch": Case(lambda: compared("larch", layers=2, heads=2, head_dim=3)),
    "larch, knowledge": of_maps("larch", facts=True, layers=1, heads=2, head_dim=3, word_window=1),
    "treasure": Case(lambda: compared("treasure", hidden=5, heads=2), idle=ONE_SIGN),
    "enteract": replace(of_maps("enteract", hidden=5, heads=2), idle=ONE_SIGN),
    # Towers of random weights say little of what they read, and are frozen.
    "clip": Case(clip, idle={**KEY_BIAS, "text.tower.": unread, "backbone.": unread}, learns=0),
    "random": Case(lambda: floor("random")),
    "popularity": Case(popularity),
    "tfidf": Case(lambda: lexical("tfidf")),
    "bm25": Case(lambda: lexical("bm25", turns=2)),
    "sentences": Case(sentences, idle={"words.": unread}),
    "bag": Case(lambda: floor("bag", text={"dim": 7}), LONGEST),
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
    (battery.learns_a_planted_signal, changed("encode_query", lambda f, contexts: f(contexts) * 0 + 1)),
    (
        battery.stays_at_chance_on_shuffled_labels,
        changed("score", lambda f, q, p: f(q, p) - torch.arange(p.rows.shape[1])),
    ),
)


@pytest.mark.parametrize(("check", "case"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_check_finds_the_fault_planted_for_it(check, case, tmp_path):
    with pytest.raises(AssertionError):
        check(case, tmp_path)


def test_every_check_has_a_fault_that_it_finds():
    assert {check for check, _ in FAULTS} == set(BATTERY)
