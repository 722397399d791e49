"""The pooled context against loops over turns and photos."""

import pytest
import torch

from semantic.encoders.context import PooledContext, identity_linear
from tests.oracle import add, softmax
from tests.small_world import fill, formula

BATCH, TURNS, PHOTOS, DIM = 3, 5, 2, 7
EXACT = {"atol": 1e-12, "rtol": 0}
KEEP = torch.tensor([[False, False, True, True, True], [False] * 4 + [True], [True] * 5])
SHOWN = torch.zeros(BATCH, TURNS, PHOTOS, dtype=torch.bool)
SHOWN[0, 2, 0] = SHOWN[0, 4, 0] = SHOWN[0, 4, 1] = SHOWN[2, 1, 0] = True  # nothing shown in the second dialogue


def inputs():
    turns = formula((BATCH, TURNS, DIM), 5).masked_fill(~KEEP.unsqueeze(-1), 0.0)
    return turns.requires_grad_(), formula((BATCH, TURNS, PHOTOS, DIM), 6, 3.0).requires_grad_()


def context():
    return fill(PooledContext(DIM, TURNS)).double()


def unit(vector):
    return vector / (vector @ vector).sqrt()


def naive(module, turns, photos, row):
    """c_T, c_V and the share of attention on photos of one dialogue."""
    places = [t for t in range(TURNS) if KEEP[row, t]]
    weights = softmax([module.score @ turns[t] / DIM**0.5 + module.position[t] for t in places])
    mean = add([w * turns[t] for w, t in zip(weights, places, strict=True)], DIM, turns)
    text = module.last.weight @ turns[-1] + module.gate * (module.mean.weight @ mean)
    shown = [(t, unit(photos[t, p])) for t in range(TURNS) for p in range(PHOTOS) if SHOWN[row, t, p]]
    asked = unit(module.query.weight @ text)
    scores = [module.SHARPNESS * (asked @ photo) + module.photo_position[t] for t, photo in shown]
    *attention, _ = softmax([*scores, module.sink + text @ module.sink_query / DIM**0.5])
    image = add([a * photo for a, (_, photo) in zip(attention, shown, strict=True)], DIM, turns)
    return text, image, sum(attention, turns.new_zeros(()))


def test_a_context_is_the_loop_over_turns_and_photos():
    module, (turns, photos) = context(), inputs()
    found = module(turns, KEEP, photos, SHOWN)
    rows = [naive(module, turns[row], photos[row], row) for row in range(BATCH)]
    expected = [torch.stack(part) for part in zip(*rows, strict=True)]
    leaves = [turns, photos, *module.parameters()]

    totals = []
    for part in (found, expected):
        for one, other in zip(found, part, strict=True):
            torch.testing.assert_close(one, other, **EXACT)
        total = sum((vectors * formula(vectors.shape, 8)).sum() for vectors in part)
        totals.append(torch.autograd.grad(total, leaves, materialize_grads=True))
    for one, other in zip(*totals, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


def test_without_photos_nothing_is_attended_and_gradients_are_finite():
    module, (turns, photos) = context(), inputs()

    _, image, share = module(turns, KEEP, photos, torch.zeros_like(SHOWN))

    assert not image.any()
    assert not share.any()
    for gradient in torch.autograd.grad(image.sum() + share.sum(), [turns, photos, *module.parameters()],
                                        materialize_grads=True):  # fmt: skip
        assert not gradient.any()  # not NaN either


def test_a_context_of_empty_texts_and_black_photos_has_finite_gradients():
    module = context()
    turns = torch.zeros(BATCH, TURNS, DIM).double().requires_grad_()
    photos = torch.zeros(BATCH, TURNS, PHOTOS, DIM).double().requires_grad_()

    text, image, share = module(turns, KEEP, photos, SHOWN)

    assert not text.any()
    assert not image.any()
    gradients = torch.autograd.grad(
        text.sum() + image.sum() + share.sum(), [turns, photos, *module.parameters()], materialize_grads=True
    )
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_share_of_photos_is_between_zero_and_one():
    _, _, share = context()(*inputs()[:1], KEEP, inputs()[1], SHOWN)

    assert (share >= 0).all()
    assert (share < 1).all()
    assert [bool(s) for s in share] == [True, False, True]


def test_what_a_masked_place_holds_changes_nothing():
    module, (turns, photos) = context(), inputs()
    plain = module(turns, KEEP, photos, SHOWN)

    garbage = photos.masked_fill(~SHOWN.unsqueeze(-1), 9.0)
    for one, other in zip(plain, module(turns, KEEP, garbage, SHOWN), strict=True):
        assert torch.equal(one, other)


def test_a_context_starts_as_the_last_turn_and_a_share_of_the_mean():
    turns, photos = inputs()

    text, *_ = PooledContext(DIM, TURNS).double()(turns, KEEP, photos, SHOWN)

    means = turns.sum(1) / KEEP.sum(1, keepdim=True)
    torch.testing.assert_close(text, turns[:, -1] + 0.3 * means, atol=1e-7, rtol=0)


def test_photos_of_the_last_turn_have_a_head_start():
    module = PooledContext(DIM, TURNS).double()
    photo = formula((DIM,), 3)
    photos = photo.expand(1, TURNS, PHOTOS, DIM)
    keep = torch.ones(1, TURNS, dtype=torch.bool)
    shares = []
    for turn in (TURNS - 1, 0):
        shown = torch.zeros(1, TURNS, PHOTOS, dtype=torch.bool)
        shown[0, turn, 0] = True
        _, _, share = module(formula((1, TURNS, DIM), 4), keep, photos, shown)
        shares.append(share.item())

    odds = [share / (1 - share) for share in shares]
    assert odds[0] / odds[1] == pytest.approx(torch.tensor(PooledContext.LAST_TURN).exp().item())


def test_an_identity_layer_changes_nothing_at_first():
    assert torch.equal(identity_linear(DIM)(torch.eye(DIM)), torch.eye(DIM))
