"""What shows whether a run learns: spreads, entropies, and what they say of a run that has collapsed."""

import math

import pytest
import torch

from semantic.models.losses import Hinge, SampledSoftmax
from semantic.models.semantic.diagnostics import score_spread, signs_of_collapse, slot_entropy, spread


def test_the_spread_of_vectors_that_point_one_way_is_zero_and_of_orthogonal_ones_near_one():
    one_way = torch.tensor([[3.0, 0.0], [5.0, 0.0], [0.5, 0.0]])
    apart = torch.eye(7)

    assert spread(one_way).item() == pytest.approx(0.0, abs=1e-6)
    assert spread(apart).item() == pytest.approx(1 - 1 / 7)  # seven of the 49 pairs are of a vector with itself
    assert spread(one_way[:1]).item() == 1.0  # a batch of one example is no collapse
    assert spread(torch.stack([apart, apart[:1].expand(7, 7)])).item() == pytest.approx((1 - 1 / 7) / 2)


def test_an_even_attention_has_entropy_one_and_a_sharp_one_zero_and_padding_none():
    even, sharp = torch.full((5,), 1 / 5), torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    half = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0])
    attention = torch.stack([torch.stack([even, sharp]), torch.stack([half, even])])
    keep = torch.tensor([[True, True], [True, False]])

    assert slot_entropy(attention, keep).item() == pytest.approx((1 + 0 + math.log(2) / math.log(5)) / 3)


def test_the_spread_of_scores_is_their_deviation_without_padding():
    scores = torch.tensor([[1.0, 3.0, 90.0], [0.5, 0.5, 0.5]])
    keep = torch.tensor([[True, True, False], [True, True, True]])

    assert score_spread(scores, keep).item() == pytest.approx((1.0 + 0.0) / 2)


HEALTHY = {"loss": 1.0, "student_ranking": 0.7, "product_text_spread": 0.4, "student_score_spread": 0.1,
           "student_text_slot_entropy": 0.9}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"student_ranking": 0.9999998}, ["the ranking loss stands at its margin (student ranking 1.000000)"]),
        ({"product_text_spread": 2e-8}, ["every vector is alike (product text spread 2.0e-08)"]),
        ({"teacher_state_spread": 0.018}, ["every dialogue has the same state (teacher state spread 1.8e-02)"]),
        ({"teacher_state_spread": 0.08}, []),
        ({"student_score_spread": 1e-5}, ["every candidate has the same score (student score spread 1.0e-05)"]),
        (
            {"student_text_slot_entropy": 0.9995},
            ["the attention is even over the slots (student text slot entropy 0.9995 of 1)"],
        ),
        ({"student_score_spread": math.nan}, []),
    ],
)
def test_what_has_collapsed_is_said_with_its_figure(changed, said):
    assert signs_of_collapse(HEALTHY | changed, Hinge()) == said


def test_a_softmax_has_no_margin():
    assert signs_of_collapse(HEALTHY | {"student_ranking": 1.0}, SampledSoftmax()) == []
    assert signs_of_collapse(HEALTHY | {"student_ranking": 1.0}, Hinge(margin=0.7)) == []
