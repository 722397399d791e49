"""The direct form and the model are one function: values and gradients, on ragged batches with every kind of gap."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from transformers import BertConfig

from semantic.dst.state import GoldValues
from semantic.models.interface import ProductRows
from semantic.models.semantic.direct.layout import lay_out
from semantic.models.semantic.direct.paper import PaperDirectForm
from semantic.models.semantic.direct.small_data import SmallDataDirectForm
from tests import small_world as small
from tests.small_world import DIM, VARIANTS, VOCABULARY, collate, formula, small_config, small_world, whole, window

TURNS, PHOTOS, TOKENS, PRODUCT_TOKENS = 5, 4, 7, 11
WINDOWS = {"context_turns": TURNS, "photos_per_turn": PHOTOS, "turn_tokens": TOKENS, "product_tokens": PRODUCT_TOKENS}
MATCHED = ("context_text", "context_image")
MATCHED_EACH = ("relevance", "logits", "product_text", "product_image", "text_image_cosine")  # candidate


def build(variant, spec=None, **model):
    """The variant's model in float64, with windows wider than the data: padding that only the direct form computes."""
    return small.build(variant, {**WINDOWS, **small.SPECS.get(variant, {}), **(spec or {})}, **model)


def batch_of(variant, **model):
    return collate(small_world(), turns_at_least=window(small_config(variant, **model)))


def the_models(model, batch):
    """The student's and the teacher's state and match."""
    words, contexts = model.words(), batch.contexts
    reading = model.read_contexts(contexts, words)
    states = (
        model.state.infer(words, reading.evidence),
        model.state.encode(words, GoldValues(contexts.state_tokens, contexts.state_keep)),
    )
    rows = ProductRows.of(model.encode_products(batch.products), batch.candidates)
    return states, [model.match(model.query(reading, state), rows) for state in states]


def the_direct_forms(model, batch):
    form = model.direct_form()
    full = form.lay_out(batch)
    context = form.context(full)
    states = (context.state, form.teacher_state(full))
    return states, form.match(list(states), context, full)


def both(model, batch):
    """What each form makes of the batch, by student and teacher, by name."""
    return tuple(parts(*found(model, batch), batch.keep) for found in (the_models, the_direct_forms))


def parts(states, matches, keep):
    """Every tensor by name; those of padded candidates, which mean nothing, are zeros."""
    found = {}
    for who, state, match in zip(("student", "teacher"), states, matches, strict=True):
        found[f"{who}.state"] = state.embeddings
        if state.values is not None:
            found |= {f"{who}.values": state.values.values, f"{who}.is_set": state.values.is_set}
        found |= {f"{who}.{name}": getattr(match, name) for name in MATCHED}
        for name in MATCHED_EACH:
            tensor = getattr(match, name)
            if tensor is not None:
                found[f"{who}.{name}"] = tensor.masked_fill(~keep.view(*keep.shape, *[1] * (tensor.dim() - 2)), 0)
    return found


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(left, right, tolerance):
    assert left.keys() == right.keys()
    for name in left:
        close = torch.allclose(left[name], right[name], rtol=tolerance, atol=tolerance)
        assert close, f"{name}: {(left[name] - right[name]).abs().max():g} apart"


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_model_has_its_own_direct_form(variant):
    form = build(variant).direct_form()

    assert type(form) is (SmallDataDirectForm if variant == "small_data" else PaperDirectForm)


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_forms_say_the_same(variant):
    model, batch = build(variant), batch_of(variant)
    ours, direct = both(model, batch)

    assert_same(ours, direct, 1e-10)
    assert ("student.logits" in ours) == (variant in ("small_data", "tuned"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_forms_score_the_same(variant):
    model, batch = build(variant), batch_of(variant)
    form = model.direct_form()
    query, rows = model.encode_query(batch.contexts), model.encode_products(batch.products)

    ours, direct = model.score(query, ProductRows.of(rows, batch.candidates)), form.score(form.lay_out(batch))

    assert_same({"score": ours[batch.keep]}, {"score": direct[batch.keep]}, 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("labelled", [True, False])
def test_both_forms_learn_the_same(variant, labelled):
    model, shard = build(variant), whole(batch_of(variant), labelled=labelled)
    form = model.direct_form()
    losses = [model.loss(shard), form.loss(form.lay_out(shard.batch), shard)]

    assert_same(*({**loss.terms, "total": loss.total} for loss in losses), 1e-10)
    ours, direct = (gradients(model, loss.total) for loss in losses)
    assert sum(bool(gradient.any()) for gradient in ours.values()) > 10
    assert_same(ours, direct, 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_attention_and_cosine_has_the_same_gradient(variant):
    """A loss may leave a hinge or a modality out; a weighted sum of all that a match says does not."""
    model, batch = build(variant), batch_of(variant)

    def weighed(found):
        return sum((formula(tensor.shape, seed) * tensor).sum() for seed, tensor in enumerate(found.values()))

    ours, direct = (gradients(model, weighed(found)) for found in both(model, batch))

    assert_same(ours, direct, 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_forms_say_the_same_in_float32(variant):
    model = build(variant).float()
    world = small_world()
    world = replace(world, pictures=world.pictures.float())
    batch = collate(world, turns_at_least=window(small_config(variant)))
    ours, direct = both(model, batch)

    assert_same(ours, direct, 1e-5)


BERT = BertConfig(
    vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11
)
CONTEXTUAL = {"encoder": "contextual", "checkpoint": "bert"}
WORDS = {"catalogue_words": small.SPECS["small_data"]["catalogue_words"]}
OPTIONS = {
    "attentive pool": ("paper", {}, {"pooling": "attentive"}),
    "mean pool": ("released", {}, {"pooling": "mean"}),
    "no layers on text": ("paper", {}, {"text": {"layers": 0}}),
    "contextual words": ("paper", {"text_encoder": BERT.to_dict()}, {"text": CONTEXTUAL}),
    "softmax": ("released", {}, {"loss": {"ranking": {"kind": "sampled_softmax", "scale": 5}}}),
    "hinge": ("small_data", {}, {"loss": {"ranking": {"kind": "hinge"}}}),
    "no completion": ("small_data", {}, {"text": {"completion": False}}),
    "post-norm, gates, the paper's evidence": (
        "paper",
        {},
        {"interaction": {"attention": "sigmoid"}, "turn_positions": True, "state": {"key_weight": 0.5}},
    ),
    "words that are translated": ("tuned", {}, {"state": {"evidence": "words", "translates": True}}),
    "attention of its own for the student": ("tuned", {}, {"state": {"evidence": "words", "attention": "separate"}}),
    "selected photos of a trained layer": ("paper", {}, {"image": {"features": "f.npy", "context": "selection"}}),
    "shown products": ("small_data", {}, {"pointer": True}),
    "shown products, turns read as turns": ("released", {}, {"pointer": True}),
    "contrastive correlation": ("tuned", {}, {"loss": {"correlation": "contrastive", "correlation_weight": 0.5}}),
    "contrastive correlation, own negatives": ("paper", {}, {"loss": {"correlation": "contrastive"}}),
    "guessed words in a mean": ("tuned", WORDS, {"text": {"completion": True}}),
    "guessed words in a sum": ("paper", WORDS, {"text": {"completion": True}}),
    "products through the turns' layers": ("tuned", {}, {"text": {"product_encoder": "shared"}}),
    "interaction of texts alone": ("paper", {}, {"interaction": {"sides": "text"}}),
    "interaction of photos alone": ("tuned", {}, {"interaction": {"sides": "image"}}),
    "divergence of gates": ("tuned", {}, {"loss": {"divergence_weight": 0.5}}),
    "no hops": ("paper", {}, {"interaction": {"hops": 0}}),
    "one hop": ("small_data", {}, {"interaction": {"hops": 1, "temperature": 0.1}}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_choice_of_the_network_is_in_both_forms(name):
    variant, spec, options = OPTIONS[name]
    model, batch = build(variant, spec, **options), batch_of(variant, **options)
    ours, direct = both(model, batch)

    assert_same(ours, direct, 1e-10)
    form, shard = model.direct_form(), whole(batch, labelled=True)
    assert_same(dict(model.loss(shard).terms), dict(form.loss(form.lay_out(batch), shard).terms), 1e-10)


def test_candidates_that_the_batch_shares_are_written_out_for_each():
    model, batch = build("small_data"), batch_of("small_data")
    products = len(batch.products.tokens)
    shared = replace(batch, candidates=None, positive=torch.zeros(3, products, dtype=torch.bool))
    full = lay_out(shared, model.spec)
    ours, direct = both(model, shared)

    assert full.product_tokens.shape == (3, products, PRODUCT_TOKENS)
    assert_same(ours, direct, 1e-10)


def test_the_layout_has_every_place():
    model, batch = build("paper"), batch_of("paper")
    full = model.direct_form().lay_out(batch)

    assert full.turn_tokens.shape == full.turn_keep.shape == (3, TURNS, TOKENS)
    assert full.product_tokens.shape == full.product_keep.shape == (3, batch.positive.shape[1], PRODUCT_TOKENS)
    assert full.turn_photos.shape[:3] == full.photo_keep.shape == (3, TURNS, PHOTOS)
    assert full.turn_real.tolist() == [[False] * 2 + [True] * 3, [False] * 4 + [True], [False] * 3 + [True] * 2]
    assert full.photo_keep.sum((1, 2)).tolist() == [6, 0, 1]  # of the dialogues of small_world
    assert not full.turn_photos[~full.photo_keep].any()


def test_photos_go_through_the_backbone_place_by_place_and_candidates_one_by_one():
    """The released code's order: what is padded, missing or seen before is computed like everything else."""
    world = small_world(torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.manual_seed(0)))
    model = build("released", {"image_features": None}, image={"backbone": "resnet18"}).float()
    batch = collate(world)
    seen = Counter()
    model.backbone.register_forward_hook(lambda _module, inputs, _output: seen.update([len(inputs[0])]))
    form = model.direct_form()
    form.score(form.lay_out(batch))
    candidates = batch.positive.shape[1]

    assert seen == {3: TURNS * PHOTOS + candidates}

    ours, direct = both(model, batch)
    assert_same(ours, direct, 1e-4)


def test_dropout_follows_the_mode():
    model, batch = build("paper", dropout=0.5), batch_of("paper")
    form = model.direct_form()
    full = form.lay_out(batch)

    assert torch.equal(form.score(full), form.score(full))
    model.train()
    assert not torch.equal(form.score(full), form.score(full))
