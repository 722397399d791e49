"""Every term of the loss on hand-worked numbers, and its range by hypothesis."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semantic.batching.shards import Counts
from semantic.models.losses import FEW_CANDIDATES, Hinge, SampledSoftmax, hinge_loss, log_scale, sampled_softmax_loss
from semantic.models.semantic.losses import (
    DIVERGENCES,
    contrastive_correlation_loss,
    correlation_loss,
    divergence_loss,
    jensen_shannon,
    slot_distance,
    state_loss,
    state_value_loss,
    symmetric_kl,
)
from tests.oracle import cos, softmax
from tests.small_world import formula

RELEVANCE = torch.tensor([[0.5, -0.25, 0.75, 0.125], [0.25, 0.5, -0.75, 0.9]])
POSITIVE = torch.tensor([[True, False, True, False], [True, False, False, True]])
KEEP = torch.tensor([[True, True, True, True], [True, True, True, False]])
ALL = torch.ones_like(KEEP)
PAIRS = ((0.5, -0.25), (0.5, 0.125), (0.75, -0.25), (0.75, 0.125), (0.25, 0.5), (0.25, -0.75))  # the kept ones


@pytest.mark.parametrize("margin", [1.0, 0.5, 0.0])
def test_the_hinge_loss_is_the_mean_over_every_kept_pair_of_the_batch(margin):
    expected = sum(max(0, margin - plus + minus) for plus, minus in PAIRS) / len(PAIRS)

    assert hinge_loss(RELEVANCE, POSITIVE, KEEP, margin).item() == pytest.approx(expected)


def test_divergence_is_the_mean_hinge_without_a_margin():
    expected = sum(max(0, plus - minus) for plus, minus in PAIRS) / len(PAIRS)

    assert divergence_loss(RELEVANCE, POSITIVE, KEEP).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [hinge_loss, divergence_loss])
def test_what_padded_candidates_hold_changes_no_loss_and_gets_no_gradient(loss):
    relevance = RELEVANCE.masked_fill(~KEEP, 1e6).requires_grad_()

    value = loss(relevance, POSITIVE, KEEP)
    value.backward()

    assert value.item() == pytest.approx(loss(RELEVANCE, POSITIVE, KEEP).item())
    assert not relevance.grad[~KEEP].any()
    assert relevance.grad[KEEP].any()


@pytest.mark.parametrize("loss", [hinge_loss, divergence_loss])
@pytest.mark.parametrize("positive", [torch.zeros_like(KEEP), ALL])
def test_without_a_pair_the_loss_is_zero(loss, positive):
    relevance = RELEVANCE.clone().requires_grad_()

    value = loss(relevance, positive, ALL)
    value.backward()

    assert value.item() == 0
    assert not relevance.grad.any()


@given(st.permutations(range(4)))
def test_the_order_of_candidates_changes_no_loss(order):
    moved = [x[:, list(order)] for x in (RELEVANCE, POSITIVE, KEEP)]

    assert hinge_loss(*moved).item() == pytest.approx(hinge_loss(RELEVANCE, POSITIVE, KEEP).item())


def test_sampled_softmax_sets_each_positive_against_the_kept_negatives():
    logits = torch.log(torch.tensor([[3.0, 5.0, 7.0, 11.0], [2.0, 3.0, 1.0, 99.0]]))
    first = (math.log((3 + 16) / 3) + math.log((7 + 16) / 7)) / 2  # negatives 5 + 11; the other positive left out
    second = math.log((2 + 4) / 2)  # negatives 3 + 1; 99 is padding

    assert sampled_softmax_loss(logits, POSITIVE, KEEP).item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("positive", [torch.zeros_like(KEEP), ALL])
def test_sampled_softmax_without_a_pair_is_zero_with_a_finite_gradient(positive):
    logits = RELEVANCE.clone().requires_grad_()

    value = sampled_softmax_loss(logits, positive, KEEP)
    value.backward()

    assert value.item() == 0
    assert not logits.grad.any()


@given(st.floats(-30, 30))
def test_sampled_softmax_does_not_see_a_shift_nor_what_padding_holds(shift):
    moved = (RELEVANCE + shift).masked_fill(~KEEP, 1e6)

    assert sampled_softmax_loss(moved, POSITIVE, KEEP).item() == pytest.approx(
        sampled_softmax_loss(RELEVANCE, POSITIVE, KEEP).item(), abs=1e-5
    )


def test_a_softmax_learns_the_logarithm_of_its_scale_and_a_hinge_has_none():
    assert log_scale(SampledSoftmax(scale=12)).item() == pytest.approx(math.log(12))
    assert log_scale(Hinge()) is None


def test_divergences_of_hand_worked_distributions():
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    # The middle is (3/4, 1/4).
    expected = (1 * math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    assert jensen_shannon(p, q).item() == pytest.approx(expected)

    p, q = torch.tensor([3 / 4, 1 / 4]), torch.tensor([1 / 4, 3 / 4])
    assert symmetric_kl(p, q).item() == pytest.approx((3 / 4 - 1 / 4) * math.log(3))


def test_disjoint_distributions_are_log_two_apart():
    assert jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(math.log(2))


numbers = st.floats(0, 1)
distributions = st.integers(1, 7).flatmap(
    lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n).filter(lambda x: sum(x) > 0.1), min_size=2, max_size=2)
)


@given(distributions)
def test_jensen_shannon_is_symmetric_and_between_zero_and_log_two(pair):
    p, q = (torch.tensor(x, dtype=torch.float64) / sum(x) for x in pair)

    distance = jensen_shannon(p, q).item()

    assert distance == pytest.approx(jensen_shannon(q, p).item(), abs=1e-12)
    assert -1e-12 <= distance <= math.log(2) + 1e-9
    assert jensen_shannon(p, p).item() == 0
    assert symmetric_kl(p, q).item() == pytest.approx(symmetric_kl(q, p).item(), abs=1e-9)
    assert symmetric_kl(p, q).item() >= 4 * distance - 1e-6  # half of Jeffreys is at least four times Jensen-Shannon


@pytest.mark.parametrize("divergence", DIVERGENCES.values())
def test_divergences_have_finite_gradients_where_a_share_is_zero(divergence):
    p, q = (torch.tensor(x, requires_grad=True) for x in ([1.0, 0.0], [0.0, 1.0]))

    divergence(p, q).backward()

    assert p.grad.isfinite().all()
    assert q.grad.isfinite().all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_slot_distance_adds_text_and_image_each_against_the_dialogues_own(name):
    one, two, three, four = (torch.tensor(x) for x in ([0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.75, 0.25]))
    divergence = DIVERGENCES[name]

    g = slot_distance(name, one[None], two[None], torch.stack([three, one])[None], torch.stack([four, two])[None])

    assert g.shape == (1, 2)
    assert g[0, 0].item() == pytest.approx((divergence(one, three) + divergence(two, four)).item())
    assert g[0, 1].item() == 0


COSINE = torch.tensor([[0.5, 1.0, -0.25, -1.0], [0.75, 0.0, 1.0, 9.0]])
HINGES = (0.5, 0, 1.25, 2, 0.25, 1, 0)


def test_correlation_adds_over_an_examples_products_or_averages_over_all():
    assert correlation_loss(COSINE, KEEP).item() == pytest.approx(sum(HINGES) / 2)  # two examples
    assert correlation_loss(COSINE, KEEP, "sum").item() == pytest.approx(sum(HINGES) / 2)
    assert correlation_loss(COSINE, KEEP, "mean").item() == pytest.approx(sum(HINGES) / 7)  # seven products


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_correlation_ignores_padded_candidates(reduction):
    cosine = COSINE.masked_fill(~KEEP, -1e6).requires_grad_()

    value = correlation_loss(cosine, KEEP, reduction)
    value.backward()

    assert value.item() == pytest.approx(correlation_loss(COSINE, KEEP, reduction).item())
    assert not cosine.grad[~KEEP].any()
    assert correlation_loss(COSINE, torch.zeros_like(KEEP), reduction).item() == 0


def test_state_loss_is_the_mean_over_every_entry():
    student, teacher = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 5.0]]])

    assert state_loss(student, teacher).item() == pytest.approx((0 + 4 + 9 + 1) / 4)


def test_state_values_are_told_apart_once_each_and_set_slots_from_unset():
    """Three examples and one slot: the first two share a value along x, the third's is along y; a fourth has none."""
    teacher = torch.tensor([[[5.0, 0.0]], [[7.0, 0.0]], [[0.0, 2.0]], [[0.0, 0.0]]])
    student = torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]], [[0.0, 4.0]], [[1.0, 1.0]]])
    teacher_set, student_set = (
        torch.tensor([[1.0], [1.0], [1.0], [0.0]]),
        torch.tensor([[0.5], [0.75], [0.25], [0.125]]),
    )
    kinds = torch.tensor([0, 0, 1, 2])
    same = (kinds[:, None] == kinds[None]).unsqueeze(1)

    value = state_value_loss(student, teacher, student_set, teacher_set, same, scale=math.log(3))

    # exp(scale cos) is 3 for a student on its value and 1 beside it: right, wrong, right.
    told = -math.log(3 / 4) - math.log(1 / 4) - math.log(3 / 4)
    is_set = -math.log(0.5) - math.log(0.75) - math.log(0.25) - math.log(1 - 0.125)
    assert value.item() == pytest.approx((told + is_set) / 4)


def test_a_batch_without_a_set_slot_has_a_finite_state_value_loss():
    student, share = torch.zeros(2, 3, 5, requires_grad=True), torch.full((2, 3), 0.5, requires_grad=True)
    same = torch.ones(2, 3, 2, dtype=torch.bool)

    value = state_value_loss(student, torch.zeros(2, 3, 5), share, torch.zeros(2, 3), same)
    value.backward()

    assert value.item() == pytest.approx(3 * math.log(2))
    assert student.grad.isfinite().all()
    assert share.grad.isfinite().all()


def test_counts_of_a_batch_are_its_examples_pairs_and_kept_candidates_and_at_least_one():
    counts = Counts.of(POSITIVE, KEEP)
    assert (counts.examples, int(counts.pairs), int(counts.products)) == (2, len(PAIRS), len(HINGES))

    none = Counts.of(POSITIVE[:0], KEEP[:0])
    assert (none.examples, int(none.pairs), int(none.products)) == (1, 1, 1)


@pytest.mark.parametrize(
    "loss",
    [
        lambda own, counts: hinge_loss(RELEVANCE[own], POSITIVE[own], KEEP[own], 1.0, counts),
        lambda own, counts: sampled_softmax_loss(RELEVANCE[own], POSITIVE[own], KEEP[own], counts),
        lambda own, counts: divergence_loss(RELEVANCE[own], POSITIVE[own], KEEP[own], counts),
        lambda own, counts: correlation_loss(COSINE[own], KEEP[own], "sum", counts),
        lambda own, counts: correlation_loss(COSINE[own], KEEP[own], "mean", counts),
        lambda own, counts: state_loss(RELEVANCE[own, None], 2 * COSINE[own, None], counts),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_parts_of_a_batch_with_its_counts_add_up_to_its_loss(loss, cut):
    counts = Counts.of(POSITIVE, KEEP)
    parts = [loss(slice(0, cut), counts), loss(slice(cut, None), counts)]

    assert sum(part.item() for part in parts) == pytest.approx(loss(slice(None), None).item())


def test_few_candidates_and_many_give_the_same_mean():
    """Beyond FEW_CANDIDATES only as many places as there are positives are compared with the others."""
    wide = [torch.nn.functional.pad(x, (0, FEW_CANDIDATES)) for x in (RELEVANCE, POSITIVE, KEEP)]

    assert hinge_loss(*wide).item() == pytest.approx(hinge_loss(RELEVANCE, POSITIVE, KEEP).item())


def test_the_student_of_some_examples_is_told_from_the_whole_batchs_values():
    generator = torch.Generator().manual_seed(5)
    student, teacher = (torch.randn(3, 2, 5, generator=generator) for _ in range(2))
    share, is_set = torch.rand(3, 2, generator=generator), torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    kinds = torch.tensor([[0, 1], [2, 1], [3, 4]])
    same = kinds[:, :, None] == kinds.T[None]

    whole = state_value_loss(student, teacher, share, is_set, same)
    parts = [
        state_value_loss(student[own], teacher, share[own], is_set, same, own=own) for own in (slice(0, 1), slice(1, 3))
    ]

    assert sum(part.item() for part in parts) == pytest.approx(whole.item())


def test_what_is_no_number_gives_a_loss_that_is_none_and_no_crash():
    nothing = torch.full((2, 3, 5), math.nan)
    same = torch.ones(2, 3, 2, dtype=torch.bool)

    assert state_value_loss(nothing, nothing, nothing[..., 0], torch.ones(2, 3), same).isnan()


def test_the_contrastive_correlation_is_the_loop_over_positives_and_candidates():
    text, image = formula((2, 5, 7), 3), formula((2, 5, 7), 4)
    positive = torch.tensor([[True, False, True, False, True], [False, True, False, False, False]])
    keep = torch.tensor([[True, True, True, True, False], [True, True, True, False, False]])
    examples = []
    for row in range(2):
        kept = [place for place in range(5) if keep[row, place]]
        terms = []
        for own in (place for place in kept if positive[row, place]):
            for asked, offered in ((text, image), (image, text)):
                scores = [20.0 * cos(asked[row, own], offered[row, place]) for place in kept]
                terms.append(-math.log(softmax(scores)[kept.index(own)]))
        examples.append(sum(terms) / len(terms))

    found = contrastive_correlation_loss(text, image, positive, keep)

    assert found.item() == pytest.approx(sum(examples) / 2, rel=1e-9)


def test_equal_vectors_have_the_logarithm_of_the_candidates_as_contrastive_correlation():
    same = torch.ones(1, 7, 3)  # shared by the batch
    positive = torch.zeros(2, 7, dtype=torch.bool)
    positive[:, 2] = True

    found = contrastive_correlation_loss(same, same, positive, torch.ones(2, 7, dtype=torch.bool))

    assert found.item() == pytest.approx(math.log(7))
    assert correlation_loss(torch.ones(2, 7), torch.ones(2, 7, dtype=torch.bool)).item() == 0.0


def test_the_divergence_of_gates_is_that_of_a_choice_for_each_slot():
    context, product = torch.tensor([[0.75, 0.5]]), torch.tensor([[[0.25, 0.5]]])
    middle = 0.5
    one = sum(
        0.5 * (p * math.log(p / middle) + q * math.log(q / middle)) for p, q in ((0.75, 0.25), (0.25, 0.75))
    )  # the second slot's gates are equal

    found = slot_distance("jensen_shannon", context, context, product, product, gated=True)

    assert found.item() == pytest.approx(2 * one)
