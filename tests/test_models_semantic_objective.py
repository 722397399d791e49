"""Which terms, on which examples, for which state; with terms whose values are seen by eye."""

import pytest
import torch

from semantic.config.schema import LossConfig
from semantic.models.semantic.objective import joint_loss, match_terms, student_loss
from semantic.models.semantic.vectors import Match, Output
from tests.small_world import collate, small_world

HALF = torch.tensor([[0.5, 0.5]])
ONE = torch.tensor([[1.0, 0.0]])
EXAMPLE = collate(small_world(), [1])  # one positive, one negative


def match(plus, minus, cosines, matched=True):
    """Relevances, text-image cosines, and attention that puts the positive (or else the negative) at the dialogue's."""
    attention = torch.stack([HALF, ONE] if matched else [ONE, HALF], dim=1)
    return Match(torch.tensor([[plus, minus]]), HALF, HALF, attention, attention, torch.tensor([cosines]))


def output(student=None, teacher=None):
    return Output(
        student or match(0.25, 0.5, [1.0, 1.0]),
        torch.tensor([[[1.0, 2.0]]]),
        teacher or match(0.75, -0.125, [0.5, 0.25]),
        torch.tensor([[[1.0, 5.0]]]),
    )


TEACHER_RANKING = 1 - 0.75 - 0.125
TEACHER_CORRELATION = (1 - 0.5) + (1 - 0.25)
STUDENT_RANKING = 1 - 0.25 + 0.5
STATE_MSE = (0**2 + 3**2) / 2


def values(terms):
    return {name: value.item() for name, value in terms.items()}


def test_joint_loss_weighs_the_teachers_all_against_the_students_ranking_and_state():
    loss, terms = joint_loss(output(), EXAMPLE, LossConfig(alpha=0.25))

    teacher, student = TEACHER_RANKING + TEACHER_CORRELATION, STUDENT_RANKING + STATE_MSE
    assert loss.item() == pytest.approx(0.25 * teacher + 0.75 * student)
    assert values(terms) == pytest.approx(
        {
            "teacher_ranking": TEACHER_RANKING,
            "teacher_divergence": 0,
            "teacher_correlation": TEACHER_CORRELATION,
            "student_ranking": STUDENT_RANKING,
            "state_mse": STATE_MSE,
        }
    )


def test_alpha_is_one_half():
    loss, terms = joint_loss(output(), EXAMPLE, LossConfig())

    assert loss.item() == pytest.approx(sum(values(terms).values()) / 2)


def test_teacher_only_is_all_of_the_teacher_unweighed():
    loss, terms = joint_loss(output(), EXAMPLE, LossConfig(alpha=0.25), teacher_only=True)

    assert loss.item() == pytest.approx(TEACHER_RANKING + TEACHER_CORRELATION)
    assert set(terms) == {"teacher_ranking", "teacher_divergence", "teacher_correlation"}


def test_divergence_and_correlation_of_the_student_have_no_part_in_the_joint_loss():
    other = match(0.25, 0.5, [-1.0, -1.0], matched=False)

    assert joint_loss(output(student=other), EXAMPLE, LossConfig())[0] == joint_loss(output(), EXAMPLE, LossConfig())[0]


def test_the_student_alone_takes_all_three_terms_without_a_teacher():
    student = match(0.25, 0.5, [0.75, 0.0], matched=False)
    alone = Output(student, torch.zeros(1, 1, 2))

    loss, terms = student_loss(alone, EXAMPLE, LossConfig())

    divergence = match_terms(student, EXAMPLE, LossConfig())["divergence"].item()
    assert divergence > 0.1  # the positive's slots are further away than the negative's, twice
    assert values(terms) == pytest.approx(
        {"student_ranking": STUDENT_RANKING, "student_divergence": divergence, "student_correlation": 0.25 + 1}
    )
    assert loss.item() == pytest.approx(STUDENT_RANKING + divergence + 1.25)


def test_weights_multiply_their_terms_and_zero_leaves_them_out():
    config = LossConfig(divergence_weight=3, correlation_weight=5, state_weight=7)
    _, plain = joint_loss(output(teacher=match(0.5, 0.0, [0.0, 0.0], matched=False)), EXAMPLE, LossConfig())
    _, heavy = joint_loss(output(teacher=match(0.5, 0.0, [0.0, 0.0], matched=False)), EXAMPLE, config)

    assert heavy["teacher_divergence"].item() == pytest.approx(3 * plain["teacher_divergence"].item())
    assert heavy["teacher_correlation"].item() == pytest.approx(5 * plain["teacher_correlation"].item())
    assert heavy["state_mse"].item() == pytest.approx(7 * plain["state_mse"].item())

    off = LossConfig(divergence_weight=0, correlation_weight=0, state_weight=0)
    loss, terms = joint_loss(output(), EXAMPLE, off)
    assert set(terms) == {"teacher_ranking", "student_ranking"}
    assert loss.item() == pytest.approx((TEACHER_RANKING + STUDENT_RANKING) / 2)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_configured_margin_divergence_and_reduction_are_used(reduction):
    teacher = match(0.75, -0.125, [0.5, 0.25], matched=False)
    terms = match_terms(teacher, EXAMPLE, LossConfig(margin=2, correlation=reduction))
    other = match_terms(teacher, EXAMPLE, LossConfig(divergence="symmetric_kl"))

    assert terms["ranking"].item() == pytest.approx(2 - 0.75 - 0.125)
    assert terms["correlation"].item() == pytest.approx(TEACHER_CORRELATION / (1 if reduction == "sum" else 2))
    assert other["divergence"].item() > terms["divergence"].item()
