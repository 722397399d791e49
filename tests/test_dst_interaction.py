"""The interaction in state space against its definition hop by hop: values, gradients, zero vectors, cosines."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.dst.interaction import DialogueStateInteraction, cosine, cross_cosine
from tests.oracle import cos, interact
from tests.small_world import fill, formula

BATCH, ITEM, SLOT, DIM = 2, 3, 5, 7


def interaction(hops, affine=False, **options):
    return fill(DialogueStateInteraction(DIM, hops, affine=affine, **options)).double()


def maps(module):
    return [(layer.weight, layer.bias) for layer in module.maps]


def direct(module, start, state):
    """x_K and a_K of every item by the definition."""
    found = [
        [interact(x, list(slots), maps(module), module.temperature) for x in items]
        for items, slots in zip(start, state, strict=True)
    ]
    return tuple(torch.stack([torch.stack([pair[i] for pair in row]) for row in found]) for i in (0, 1))


def relevance(module, context, items, space):
    """cos(x_K of the context, x_K of each item)."""
    query = module(context, space)
    return cosine(query.norm, module(items, space, query.formed(space)))


@given(
    hops=st.integers(0, 4),
    affine=st.booleans(),
    temperature=st.sampled_from([0.1, 1.0, 3.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_state_space_is_the_direct_form(hops, affine, temperature, seed):
    module = interaction(hops, affine, temperature=temperature)
    start, state = formula((BATCH, ITEM, DIM), seed, 3.0), formula((BATCH, SLOT, DIM), seed + 1, 2.0)
    x, attention = direct(module, start, state)

    space = module.expand(state)
    enhanced = module(start, space)

    torch.testing.assert_close(enhanced.formed(space), x, atol=1e-10, rtol=0)
    torch.testing.assert_close(enhanced.attention, attention, atol=1e-10, rtol=0)
    torch.testing.assert_close(enhanced.norm, x.norm(dim=-1), atol=1e-10, rtol=0)


def test_gradients_are_those_of_the_direct_form():
    module = interaction(3, affine=True, temperature=0.5)
    start, state = formula((BATCH, ITEM, DIM), 3, 3.0).requires_grad_(), formula((BATCH, SLOT, DIM), 5).requires_grad_()
    leaves = [start, state, *module.parameters()]
    towards, weight = formula((BATCH, ITEM, DIM), 11), formula((BATCH, ITEM, SLOT), 13)

    def gradients(x, attention, norm):
        return torch.autograd.grad((x * towards).sum() + (attention * weight).sum() + norm.sum(), leaves)

    x, attention = direct(module, start, state)
    expected = gradients(x, attention, x.norm(dim=-1))
    space = module.expand(state)
    enhanced = module(start, space)

    for found, by_definition in zip(
        gradients(enhanced.formed(space), enhanced.attention, enhanced.norm), expected, strict=True
    ):
        torch.testing.assert_close(found, by_definition, atol=1e-9, rtol=0)


def test_gradients_are_those_of_finite_differences():
    module = fill(DialogueStateInteraction(3, 2, affine=True)).double()

    def by_state(context, items, state):
        return relevance(module, context, items, module.expand(state))

    inputs = [
        formula(shape, seed, 2.0).requires_grad_() for seed, shape in enumerate([(1, 1, 3), (1, 2, 3), (1, 2, 3)])
    ]
    assert torch.autograd.gradcheck(by_state, inputs)


def test_cosines_are_those_of_the_vectors_formed():
    text, image = interaction(3), interaction(2, affine=True)
    state = formula((BATCH, SLOT, DIM), 5)
    context, items, photos = (formula((BATCH, n, DIM), s, 3.0) for n, s in ((1, 7), (ITEM, 11), (ITEM, 13)))
    text_space, image_space = text.expand(state), image.expand(state)
    x_context, _ = direct(text, context, state)
    x_text, _ = direct(text, items, state)
    x_photo, _ = direct(image, photos, state)

    enhanced = text(items, text_space)
    found = relevance(text, context, items, text_space)
    between = cross_cosine(enhanced, image(photos, image_space), text_space, image_space)

    for row in range(BATCH):
        for item in range(ITEM):
            assert found[row, item].item() == pytest.approx(cos(x_context[row, 0], x_text[row, item]).item(), abs=1e-10)
            assert between[row, item].item() == pytest.approx(
                cos(x_text[row, item], x_photo[row, item]).item(), abs=1e-10
            )


def test_one_set_of_items_may_be_shared_by_the_batch():
    module, state = interaction(3), formula((BATCH, SLOT, DIM), 5)
    context, items = formula((BATCH, 1, DIM), 7), formula((1, ITEM, DIM), 11)
    other = formula((1, ITEM, DIM), 13)
    space = module.expand(state)

    shared, repeated = (module(x, space) for x in (items, items.expand(BATCH, -1, -1)))

    torch.testing.assert_close(shared.attention, repeated.attention, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        relevance(module, context, items, space),
        relevance(module, context, items.expand(BATCH, -1, -1), space),
        atol=1e-12,
        rtol=0,
    )
    torch.testing.assert_close(
        cross_cosine(shared, module(other, space), space, space),
        cross_cosine(repeated, module(other.expand(BATCH, -1, -1), space), space, space),
        atol=1e-12,
        rtol=0,
    )


def test_squared_norms_that_are_known_are_taken_as_they_are():
    module, start = interaction(2), formula((BATCH, ITEM, DIM), 3, 3.0)
    space = module.expand(formula((BATCH, SLOT, DIM), 5))
    plain, known = module(start, space), module(start, space, squared=start.square().sum(-1))

    torch.testing.assert_close(known.norm, plain.norm, atol=1e-12, rtol=0)
    torch.testing.assert_close(known.attention, plain.attention, atol=1e-12, rtol=0)
    other = module(start, space, squared=4 * start.square().sum(-1))
    assert (other.attention - plain.attention).abs().max() > 1e-3  # they are not computed again


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_a_zero_vector_has_a_finite_cosine_and_gradient(hops):
    module = interaction(hops)
    start, state = torch.zeros(BATCH, ITEM, DIM).double().requires_grad_(), formula((BATCH, SLOT, DIM), 5)
    context, photos = formula((BATCH, 1, DIM), 7), torch.zeros(BATCH, ITEM, DIM).double().requires_grad_()
    space = module.expand(state.requires_grad_())
    items = module(start, space)

    found = relevance(module, context, start, space)
    (found.sum() + cross_cosine(items, module(photos, space), space, space).sum()).backward()

    if hops == 0:
        assert not found.any()
        torch.testing.assert_close(items.attention, torch.full_like(items.attention, 1 / SLOT))
    for value in (found, start.grad, photos.grad, state.grad, *(p.grad for p in module.parameters())):
        assert value.isfinite().all()


@given(order=st.permutations(range(SLOT)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_slots_changes_no_vector(order):
    module, start, state = interaction(2), formula((BATCH, ITEM, DIM), 3), formula((BATCH, SLOT, DIM), 5)
    space, moved = module.expand(state), module.expand(state[:, list(order)])
    plain, other = module(start, space), module(start, moved)

    torch.testing.assert_close(other.formed(moved), plain.formed(space), atol=1e-12, rtol=0)
    torch.testing.assert_close(other.attention, plain.attention[..., list(order)], atol=1e-12, rtol=0)


def test_a_low_temperature_sharpens_the_attention():
    start, state = formula((1, 1, DIM), 3), formula((1, SLOT, DIM), 5)
    warm, cold = interaction(2), interaction(2, temperature=0.05)

    assert warm(start, warm.expand(state)).attention.max() < cold(start, cold.expand(state)).attention.max()


def test_scores_stay_single_precision_under_autocast():
    module, start, state = (
        interaction(3).float(),
        formula((BATCH, ITEM, DIM), 3).float(),
        formula((BATCH, SLOT, DIM), 5),
    )
    state = state.float()
    plain = module(start, module.expand(state))

    with torch.autocast("cpu", torch.bfloat16):
        space = module.expand(state)
        enhanced = module(start.bfloat16(), space)
        score = relevance(module, start[:, :1], start.bfloat16(), space)

    assert {t.dtype for t in (space.basis, enhanced.attention, enhanced.norm, score)} == {torch.float32}
    torch.testing.assert_close(enhanced.attention, plain.attention, atol=0.02, rtol=0)
    torch.testing.assert_close(module(start, module.expand(state)).attention, plain.attention)


def test_single_precision_agrees_with_double():
    module, start, state = interaction(3), formula((BATCH, ITEM, DIM), 3), formula((BATCH, SLOT, DIM), 5)
    double = module(start, module.expand(state)).attention

    module.float()
    single = module(start.float(), module.expand(state.float())).attention

    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=0)


def test_maps_may_start_as_the_identity_or_at_zero():
    state = formula((BATCH, SLOT, DIM), 5)

    for start, later in (("identity", state), ("zero", torch.zeros_like(state))):
        module = DialogueStateInteraction(DIM, 2, affine=False, start=start).double()
        assert torch.equal(module.expand(state).basis, torch.cat([state, later, later], dim=1))
    with pytest.raises(ValueError, match=r"interaction maps: expected a start of .*, got 'ones'"):
        DialogueStateInteraction(DIM, 2, affine=False, start="ones")


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_gates_are_the_definition_too(hops):
    torch.manual_seed(hops)
    module = DialogueStateInteraction(7, hops, affine=False, temperature=0.5, attention="sigmoid").double()
    state, items = formula((2, 5, 7), 3), formula((2, 3, 7), 4)
    found = module(items, module.expand(state))

    for row in range(2):
        for item in range(3):
            x, level = items[row, item], state[row]
            for layer in module.maps:
                gates = torch.sigmoid(torch.cosine_similarity(x.unsqueeze(0), level, dim=1) / 0.5 + module.gate)
                level = layer(level)
                x = x + gates @ level
            last = torch.sigmoid(torch.cosine_similarity(x.unsqueeze(0), level, dim=1) / 0.5 + module.gate)
            torch.testing.assert_close(found.attention[row, item], last, atol=1e-10, rtol=0)
            torch.testing.assert_close(found.norm[row, item], x.norm(), atol=1e-10, rtol=0)


def test_an_identity_start_is_scaled_and_other_words_are_refused():
    module = DialogueStateInteraction(3, 2, affine=False, start="identity", scale=0.25)
    assert torch.equal(module.maps[1].weight, 0.25 * torch.eye(3))
    assert module.gate is None
    with pytest.raises(ValueError, match="expected 'softmax' or 'sigmoid', got 'relu'"):
        DialogueStateInteraction(3, 1, affine=False, attention="relu")
