"""The direct form and the model are one function: values and gradients, on ragged batches with every kind of gap."""

from collections import Counter
from dataclasses import fields, replace

import pytest
import torch

from semantic.dst.state import SlotValues
from semantic.models.semantic.direct import DirectForm
from semantic.models.semantic.layout import lay_out
from semantic.models.semantic.objective import joint_loss, student_loss
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import Match
from tests.small_world import SIZES, VARIANTS, collate, fill, formula, small_config, small_sizes, small_world, window

TURNS, PHOTOS, TOKENS, PRODUCT_TOKENS = 5, 4, 7, 11
WINDOWS = {"context_turns": TURNS, "photos_per_turn": PHOTOS, "turn_tokens": TOKENS, "product_tokens": PRODUCT_TOKENS}


def build(variant, sizes=None, **model) -> Semantic:
    """The variant's model in float64, with windows wider than the data: padding that only the direct form computes."""
    given = small_sizes(**{**WINDOWS, **SIZES.get(variant, {}), **(sizes or {})})
    return fill(Semantic(small_config(variant, **model).model, given)).double().eval()


def batch_of(variant, **model):
    return collate(small_world(), turns_at_least=window(small_config(variant, **model)))


def both(model, batch):
    """What each form makes of the batch, by student and teacher."""
    full = lay_out(batch, model.sizes)
    return model(batch, teacher=True, text_image=True), DirectForm(model)(full, teacher=True, text_image=True)


def parts(output, keep):
    """Every tensor of an output by name; scores of padded candidates, which mean nothing, are zeros."""
    found = {}
    for field in fields(output):
        value = getattr(output, field.name)
        if isinstance(value, torch.Tensor):
            found[field.name] = value
        elif isinstance(value, (Match, SlotValues)):
            for inner in fields(value):
                tensor = getattr(value, inner.name)
                if tensor is not None:
                    a_candidate_each = isinstance(value, Match) and not inner.name.startswith("context")
                    padded = ~keep.view(*keep.shape, *[1] * (tensor.dim() - 2)) if a_candidate_each else None
                    found[f"{field.name}.{inner.name}"] = tensor if padded is None else tensor.masked_fill(padded, 0)
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
def test_both_forms_say_the_same(variant):
    model, batch = build(variant), batch_of(variant)
    ours, direct = both(model, batch)

    assert_same(parts(ours, batch.keep), parts(direct, batch.keep), 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("objective", [joint_loss, student_loss])
def test_both_forms_learn_the_same(variant, objective):
    model, batch, loss = build(variant), batch_of(variant), small_config(variant).loss
    ours, direct = (gradients(model, objective(output, batch, loss)[0]) for output in both(model, batch))

    assert sum(bool(gradient.any()) for gradient in ours.values()) > 10
    assert_same(ours, direct, 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_attention_and_cosine_has_the_same_gradient(variant):
    """A loss may leave a hinge or a modality out; a weighted sum of all that a match says does not."""
    model, batch = build(variant), batch_of(variant)

    def weighed(output):
        return sum((formula(tensor.shape, seed) * tensor).sum() for seed, tensor in enumerate(output.values()))

    ours, direct = (gradients(model, weighed(parts(output, batch.keep))) for output in both(model, batch))

    assert_same(ours, direct, 1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_forms_say_the_same_in_float32(variant):
    model = build(variant).float()
    world = small_world()
    world = replace(world, pictures=world.pictures.float())
    batch = collate(world, turns_at_least=window(small_config(variant)))
    ours, direct = both(model, batch)

    assert_same(parts(ours, batch.keep), parts(direct, batch.keep), 1e-5)


OPTIONS = {
    "query image": ("paper", {"image_query": "image"}),
    "attentive pool": ("paper", {"pool": "attentive"}),
    "mean pool": ("released", {"pool": "mean"}),
    "slots read from a pooled context": ("paper", {"context": "pooled"}),
    "values read under attention": ("small_data", {"context": "attention", "photo_weight": "one"}),
    "no completion": ("small_data", {"text": {"encoder": "bag", "completion": False}}),
    "three hops": ("small_data", {"interaction": {"hops": 3, "temperature": 0.1}}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_choice_of_the_network_is_in_both_forms(name):
    variant, options = OPTIONS[name]
    sizes = {"context_turns": 3} if options.get("context") == "pooled" else {}
    model, batch = build(variant, sizes, **options), batch_of(variant, **options)
    ours, direct = both(model, batch)

    assert_same(parts(ours, batch.keep), parts(direct, batch.keep), 1e-10)


def test_candidates_that_the_batch_shares_are_written_out_for_each():
    model, batch = build("small_data"), batch_of("small_data")
    products = len(batch.products.tokens)
    shared = replace(batch, candidates=None, positive=torch.zeros(3, products, dtype=torch.bool))
    full = lay_out(shared, model.sizes)
    ours, direct = both(model, shared)

    assert full.product_tokens.shape == (3, products, PRODUCT_TOKENS)
    assert_same(parts(ours, shared.keep), parts(direct, shared.keep), 1e-10)


def test_the_layout_has_every_place():
    model, batch = build("paper"), batch_of("paper")
    full = lay_out(batch, model.sizes)

    assert full.turn_tokens.shape == full.turn_keep.shape == (3, TURNS, TOKENS)
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
    DirectForm(model)(lay_out(batch, model.sizes))
    candidates = batch.positive.shape[1]

    assert seen == {3: TURNS * PHOTOS + candidates}

    ours, direct = both(model, batch)
    assert_same(parts(ours, batch.keep), parts(direct, batch.keep), 1e-4)


def test_dropout_follows_the_mode():
    model, batch = build("paper", dropout=0.5), batch_of("paper")
    full = lay_out(batch, model.sizes)

    def relevance():
        return DirectForm(model)(full).student.relevance

    assert torch.equal(relevance(), relevance())
    model.train()
    assert not torch.equal(relevance(), relevance())
