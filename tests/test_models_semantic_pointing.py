"""What shown products add to a product's relevance, against loops; and that it learns to draw to them and away."""

import math

import pytest
import torch

from semantic.models.interface import ProductRows
from semantic.models.semantic.pointing import ShownProducts
from semantic.training.optimiser import make_optimizer
from tests.small_world import build, collate, fill, formula, small_config, small_world

QUERIES, TURNS, PHOTOS, CANDIDATES, DIM = 3, 5, 2, 7, 11
EXACT = {"atol": 1e-12, "rtol": 0}
PLACES = torch.tensor(
    [
        [[-1, -1], [0, -1], [-1, -1], [3, 1], [2, -1]],
        [[-1, -1]] * 5,
        [[4, -1], [-1, -1], [-1, -1], [-1, -1], [4, 0]],
    ]
)
KEEP = PLACES >= 0


def cosine(a, b):
    return (a @ b) / (a.norm() * b.norm())


def pointer():
    return fill(ShownProducts(DIM, TURNS)).double()


def inputs():
    texts, pictures, rows = (
        formula((QUERIES, DIM), 3),
        formula((5, 2, DIM), 5),
        formula((QUERIES, CANDIDATES, 2, DIM), 7),
    )
    return tuple(tensor.requires_grad_() for tensor in (texts, pictures, rows))


def naive(module, text, pictures, rows, query):
    """r of each candidate of a query, place after place."""
    found = []
    for candidate in rows[query]:
        total = text.new_zeros(())
        for turn in range(TURNS):
            for place in PLACES[query, turn].tolist():
                if place < 0:
                    continue
                shown = pictures[place]
                weight = module.bias + module.position[turn] + module.query @ text[query] / DIM**0.5
                weight = weight + module.near * cosine(text[query], shown[0])
                like = cosine(candidate[0], shown[0]) + cosine(candidate[1], shown[1])
                total = total + weight * torch.exp(module.log_sharpness.exp() * (like - 2) / 2)
        found.append(total)
    return torch.stack(found)


def test_it_is_the_loop_over_shown_products_and_so_are_its_gradients():
    module, (texts, pictures, rows) = pointer(), inputs()
    found = module(module.read(texts, pictures, PLACES, KEEP), ProductRows(rows))
    expected = torch.stack([naive(module, texts, pictures, rows, query) for query in range(QUERIES)])
    leaves, towards = [texts, pictures, rows, *module.parameters()], formula(found.shape, 13)

    torch.testing.assert_close(found, expected, **EXACT)
    assert not found[1].any()  # nothing was shown
    for ours, theirs in zip(
        torch.autograd.grad((found * towards).sum(), leaves),
        torch.autograd.grad((expected * towards).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **EXACT)


def test_known_norms_and_candidates_that_queries_share_change_nothing():
    module, (texts, pictures, rows) = pointer(), inputs()
    shown, shared = module.read(texts, pictures, PLACES, KEEP), rows[:1]
    expected = module(shown, ProductRows(shared.expand(QUERIES, -1, -1, -1)))

    torch.testing.assert_close(module(shown, ProductRows(shared)), expected, **EXACT)
    known = ProductRows(shared, shared.square().sum(-1))
    torch.testing.assert_close(module(shown, known), expected, **EXACT)


def test_under_autocast_it_is_computed_in_float32():
    module, (texts, pictures, rows) = pointer().float(), (tensor.float() for tensor in inputs())
    shown = module.read(texts, pictures, PLACES, KEEP)
    expected = module(shown, ProductRows(rows))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(shown, ProductRows(rows)), expected)
        half = module(shown, ProductRows(rows.bfloat16()))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, atol=0.05, rtol=0.05)


def test_padded_turns_and_photos_change_nothing():
    module, (texts, pictures, rows) = pointer(), inputs()
    wide = torch.cat([PLACES, torch.full((QUERIES, TURNS, 3), -1)], dim=2)
    narrow = module.read(texts[:1], pictures, PLACES[:1, 1:], KEEP[:1, 1:])  # the first turn shows nothing

    padded = module.read(texts, pictures, wide, wide >= 0)

    expected = module(module.read(texts, pictures, PLACES, KEEP), ProductRows(rows))
    torch.testing.assert_close(module(padded, ProductRows(rows)), expected, **EXACT)
    torch.testing.assert_close(module(narrow, ProductRows(rows[:1])), expected[:1], **EXACT)


def test_before_training_it_adds_nothing_and_a_shown_product_counts_in_full():
    module, (texts, pictures, _) = ShownProducts(DIM, TURNS).double(), inputs()
    rows = ProductRows(torch.stack([pictures[2], -pictures[2]]).unsqueeze(0))
    shown = [module.read(texts[:1], pictures, PLACES[:1], KEEP[:1])]

    assert not module(shown[0], rows).any()

    with torch.no_grad():
        module.bias.fill_(0.5)
        module.position[-1] = -2.0
    one = PLACES[:1].clone()
    one[:, :-1] = -1  # product 2 alone is left, in the last turn
    found = module(module.read(texts[:1], pictures, one, one >= 0), rows)
    expected = torch.tensor([[-1.5, -1.5 * math.exp(10 * (-2 - 2) / 2)]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_model_learns_to_draw_to_what_was_shown_or_away(sign):
    """Only the products that a dialogue has shown are right, or wrong: nothing but the pointer can tell by turns."""
    model, batch = build("small_data", pointer=True, dropout=0.0).train(), collate(small_world(), (0, 2))
    contexts = model.encode_query(batch.contexts)
    rows = model.encode_products(batch.products)
    before = model.scores(contexts, rows, None)
    shown = torch.zeros_like(before, dtype=torch.bool)
    for query, turns in enumerate(batch.contexts.turns.tolist()):
        photos = {p for turn in turns if turn >= 0 for p in batch.contexts.turn_photos[turn].tolist() if p >= 0}
        shown[query] = torch.tensor(
            [bool((batch.contexts.photos[[*photos]] == own).all(-1).any()) for own in batch.products.photos]
        )
    assert shown.any()
    assert not shown.all()
    optimizer = torch.optim.Adam(model.pointer.parameters(), lr=0.1)
    for _ in range(30):
        scores = model.scores(model.encode_query(batch.contexts), model.encode_products(batch.products), None)
        optimizer.zero_grad()
        (-sign * scores[shown].mean()).backward()
        optimizer.step()

    change = (scores - before)[shown]
    assert (sign * change > 0).all()


@pytest.mark.parametrize("variant", ["tuned", "small_data"])
def test_its_few_numbers_learn_at_the_rate_of_gates(variant):
    config = small_config(variant, pointer=True)
    model = build(variant, pointer=True)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    others, gates = make_optimizer(model, config.training).param_groups
    held = [{names[id(p)] for p in group["params"] if names[id(p)].startswith("pointer.")} for group in (others, gates)]

    assert held == [{"pointer.query"}, {f"pointer.{name}" for name in ShownProducts.gates}]
    assert gates["lr"] == config.model.gate_learning_rate
