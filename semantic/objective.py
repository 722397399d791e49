"""The training objective: which terms, on which examples, for which of the two states. Section 3.5 of the paper."""

from jaxtyping import Float
from torch import Tensor

from semantic.datasets.batches import Batch
from semantic.losses import (
    correlation_loss,
    divergence_loss,
    ranking_loss,
    slot_distance,
    softmax_ranking_loss,
    state_loss,
    state_value_loss,
)
from semantic.match import Match, Output
from semantic.settings import LossConfig

Terms = dict[str, Float[Tensor, ""]]


def ranking_term(match: Match, batch: Batch, config: LossConfig) -> Float[Tensor, ""]:
    """The ranking loss that the configuration names."""
    if config.ranking == "hinge":
        return ranking_loss(match.relevance, batch.positive, batch.keep, config.margin)
    assert match.logits is not None
    return softmax_ranking_loss(match.logits, batch.positive, batch.keep)


def _value_term(output: Output, batch: Batch) -> Float[Tensor, ""]:
    student, teacher = output.student_values, output.teacher_values
    assert student is not None
    assert teacher is not None
    tokens = batch.contexts.state_tokens
    same = (tokens[:, :, None] == tokens.transpose(0, 1)[None]).all(-1)  # [batch, slot, batch]
    return state_value_loss(student.values, teacher.values, student.is_set, teacher.is_set, same)


def match_terms(match: Match, batch: Batch, config: LossConfig) -> Terms:
    """L_all = ranking + divergence + correlation, term by term; a term of weight 0 is left out."""
    terms = {"ranking": ranking_term(match, batch, config)}
    if config.divergence_weight:
        distance = slot_distance(
            config.divergence, match.context_text, match.context_image, match.product_text, match.product_image
        )
        terms["divergence"] = config.divergence_weight * divergence_loss(distance, batch.positive, batch.keep)
    if config.correlation_weight:
        assert match.text_image_cosine is not None
        terms["correlation"] = config.correlation_weight * correlation_loss(
            match.text_image_cosine, batch.keep, config.correlation
        )
    return terms


def joint_loss(output: Output, batch: Batch, config: LossConfig, *, teacher_only: bool = False) -> tuple[Tensor, Terms]:
    """On labelled dialogues: alpha L_all(teacher) + (1 - alpha) (ranking(student) + MSE(S', S)).

    Divergence and correlation belong to the teacher alone here. `teacher_only` is the released code's first epoch:
    L_all(teacher). Also returned: the terms, as weighed among themselves but not by alpha.
    """
    assert output.teacher is not None
    assert output.teacher_state is not None
    teacher = match_terms(output.teacher, batch, config)
    terms = {f"teacher_{name}": value for name, value in teacher.items()}
    if teacher_only:
        return sum(teacher.values()), terms  # type: ignore[return-value]
    student = {"student_ranking": ranking_term(output.student, batch, config)}
    if config.state_weight and config.state == "mse":
        student["state_mse"] = config.state_weight * state_loss(output.student_state, output.teacher_state)
    elif config.state_weight:
        student["state_values"] = config.state_weight * _value_term(output, batch)
    loss = config.alpha * sum(teacher.values()) + (1 - config.alpha) * sum(student.values())
    return loss, terms | student  # type: ignore[return-value]


def student_loss(output: Output, batch: Batch, config: LossConfig) -> tuple[Tensor, Terms]:
    """On dialogues whose state is not known: L_all(student)."""
    terms = match_terms(output.student, batch, config)
    return sum(terms.values()), {f"student_{name}": value for name, value in terms.items()}  # type: ignore[return-value]
