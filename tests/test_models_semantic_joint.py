"""Which terms, on which examples, for which state; with terms whose values are seen by eye."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from semantic.models.losses import Hinge, SampledSoftmax
from semantic.models.semantic.joint import LossConfig, joint_loss, match_terms, student_loss
from tests.small_world import collate, small_world, whole

HALF = torch.tensor([[0.5, 0.5]])
ONE = torch.tensor([[1.0, 0.0]])
EXAMPLE = whole(collate(small_world(), [1]))  # one positive, one negative
FIRST = replace(EXAMPLE, all_labelled=True)  # of the first epoch of a run without D_P


@dataclass(frozen=True)
class Said:
    """A match whose numbers are given."""

    relevance: Tensor
    context_text: Tensor
    context_image: Tensor
    product_text: Tensor
    product_image: Tensor
    text_image_cosine: Tensor
    logits: Tensor | None = None
    gated: bool = False

    @property
    def text_vectors(self) -> Tensor:
        return ONE.expand(1, 2, -1)

    image_vectors = text_vectors


def match(plus, minus, cosines, matched=True):
    """Relevances, text-image cosines, and attention that puts the positive (or else the negative) at the dialogue's."""
    attention = torch.stack([HALF, ONE] if matched else [ONE, HALF], dim=1)
    return Said(torch.tensor([[plus, minus]]), HALF, HALF, attention, attention, torch.tensor([cosines]))


STUDENT, TEACHER = match(0.25, 0.5, [1.0, 1.0]), match(0.75, -0.125, [0.5, 0.25])
STATE_TERMS = {"state": torch.tensor(4.5)}


def joint(config=None, *, teacher=TEACHER, student=STUDENT, shard=EXAMPLE):
    return joint_loss(teacher, student, STATE_TERMS, shard, config or LossConfig())


TEACHER_RANKING = 1 - 0.75 - 0.125
TEACHER_CORRELATION = (1 - 0.5) + (1 - 0.25)
STUDENT_RANKING = 1 - 0.25 + 0.5
STATE = 4.5


def values(terms):
    return {name: value.item() for name, value in terms.items()}


def test_joint_loss_weighs_the_teachers_all_against_the_students_ranking_and_state():
    loss = joint(LossConfig(alpha=0.25))

    teacher, student = TEACHER_RANKING + TEACHER_CORRELATION, STUDENT_RANKING + STATE
    assert loss.total.item() == pytest.approx(0.25 * teacher + 0.75 * student)
    assert values(loss.terms) == pytest.approx(
        {
            "teacher_ranking": TEACHER_RANKING,
            "teacher_divergence": 0,
            "teacher_correlation": TEACHER_CORRELATION,
            "student_ranking": STUDENT_RANKING,
            "state": STATE,
        }
    )


def test_alpha_is_one_half():
    loss = joint()

    assert loss.total.item() == pytest.approx(sum(values(loss.terms).values()) / 2)


def test_teacher_first_is_all_of_the_teacher_unweighed():
    loss = joint(LossConfig(alpha=0.25, teacher_first=True), shard=FIRST)

    assert loss.total.item() == pytest.approx(TEACHER_RANKING + TEACHER_CORRELATION)
    assert set(loss.terms) == {"teacher_ranking", "teacher_divergence", "teacher_correlation"}


@pytest.mark.parametrize(
    ("asked", "shard"),
    [(False, FIRST), (True, replace(FIRST, epoch=1)), (True, EXAMPLE)],
    ids=["not asked", "the second epoch", "a run with D_P"],
)
def test_the_teacher_is_first_only_if_asked_in_the_first_epoch_of_a_run_without_d_p(asked, shard):
    config = LossConfig(teacher_first=asked)

    assert joint(config, shard=shard).total == joint().total


def test_divergence_and_correlation_of_the_student_have_no_part_in_the_joint_loss():
    other = match(0.25, 0.5, [-1.0, -1.0], matched=False)

    assert joint(student=other).total == joint().total
    assert joint(teacher=other).total != joint().total


def test_the_student_alone_takes_all_three_terms_without_a_teacher():
    student = match(0.25, 0.5, [0.75, 0.0], matched=False)

    loss = student_loss(student, EXAMPLE, LossConfig())

    divergence = match_terms(student, EXAMPLE, LossConfig())["divergence"].item()
    assert divergence > 0.1  # the positive's slots are further away than the negative's, twice
    assert values(loss.terms) == pytest.approx(
        {"student_ranking": STUDENT_RANKING, "student_divergence": divergence, "student_correlation": 0.25 + 1}
    )
    assert loss.total.item() == pytest.approx(STUDENT_RANKING + divergence + 1.25)


def test_weights_multiply_their_terms_and_zero_leaves_them_out():
    teacher = match(0.5, 0.0, [0.0, 0.0], matched=False)
    plain = joint(teacher=teacher).terms
    heavy = joint(LossConfig(divergence_weight=3, correlation_weight=5), teacher=teacher).terms

    assert plain["teacher_divergence"].item() > 0.1
    assert heavy["teacher_divergence"].item() == pytest.approx(3 * plain["teacher_divergence"].item())
    assert heavy["teacher_correlation"].item() == pytest.approx(5 * plain["teacher_correlation"].item())

    loss = joint_loss(TEACHER, STUDENT, {}, EXAMPLE, LossConfig(divergence_weight=0, correlation_weight=0))
    assert set(loss.terms) == {"teacher_ranking", "student_ranking"}
    assert loss.total.item() == pytest.approx((TEACHER_RANKING + STUDENT_RANKING) / 2)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_configured_margin_divergence_and_reduction_are_used(reduction):
    teacher = match(0.75, -0.125, [0.5, 0.25], matched=False)
    terms = match_terms(teacher, EXAMPLE, LossConfig(ranking=Hinge(margin=2), correlation=reduction))
    other = match_terms(teacher, EXAMPLE, LossConfig(divergence="symmetric_kl"))

    assert terms["ranking"].item() == pytest.approx(2 - 0.75 - 0.125)
    assert terms["correlation"].item() == pytest.approx(TEACHER_CORRELATION / (1 if reduction == "sum" else 2))
    assert other["divergence"].item() > terms["divergence"].item()


def test_a_softmax_ranks_by_logits_and_a_hinge_by_relevance():
    said = replace(STUDENT, logits=torch.tensor([[math.log(3), math.log(5)]]))

    softmax = match_terms(said, EXAMPLE, LossConfig(ranking=SampledSoftmax()))["ranking"]

    assert softmax.item() == pytest.approx(-math.log(3 / (3 + 5)))
    assert match_terms(said, EXAMPLE, LossConfig())["ranking"].item() == pytest.approx(STUDENT_RANKING)


def test_a_shard_is_weighed_by_the_whole_batchs_counts():
    four = replace(EXAMPLE, counts=replace(EXAMPLE.counts, examples=2, pairs=4, products=8))

    terms = joint(LossConfig(correlation="mean"), shard=four).terms

    assert terms["teacher_ranking"].item() == pytest.approx(TEACHER_RANKING / 4)
    assert terms["student_ranking"].item() == pytest.approx(STUDENT_RANKING / 4)
    assert terms["teacher_correlation"].item() == pytest.approx(TEACHER_CORRELATION / 8)
    summed = joint(LossConfig(correlation="sum"), shard=four).terms
    assert summed["teacher_correlation"].item() == pytest.approx(TEACHER_CORRELATION / 2)
