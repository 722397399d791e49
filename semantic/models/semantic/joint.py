"""SeMANTIC's joint loss: which terms, on which examples, for which of the two states. Section 3.5 of the paper."""

from collections.abc import Mapping
from typing import Any, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from semantic.batching.shards import Shard
from semantic.config.schema import NaturalFloat, Section, Share
from semantic.models.interface import Loss
from semantic.models.losses import Hinge, Ranking, ranking_loss
from semantic.models.semantic.losses import (
    contrastive_correlation_loss,
    correlation_loss,
    divergence_loss,
    slot_distance,
)
from semantic.models.semantic.scoring import Matched

Terms = dict[str, Float[Tensor, ""]]


class LossConfig(Section):
    """What is minimised."""

    ranking: Ranking = Hinge()
    divergence: Literal["jensen_shannon", "symmetric_kl"] = Field(
        "jensen_shannon", description="distance between hop attentions"
    )
    divergence_weight: NaturalFloat = Field(1.0, description="0 switches the term off")
    correlation: Literal["sum", "mean", "contrastive"] = Field(
        "sum",
        description="1 - cos(x_PT, x_PV), summed (paper) or averaged (released) over an example's products; contrastive: p_T of a "
        "positive finds its own p_V among the candidates', and the reverse",
    )
    correlation_weight: NaturalFloat = Field(1.0, description="0 switches the term off")
    state_weight: NaturalFloat = Field(1.0, description="of the term that draws S' to S; 0 switches it off")
    alpha: Share = Field(0.5, description="weight of the teacher's losses in the joint loss")
    teacher_first: bool = Field(False, description="the first epoch trains the teacher alone when D_P is empty")

    @model_validator(mode="before")
    @classmethod
    def _default_ranking(cls, values: Any) -> Any:
        """Fields of a ranking without its `kind` are those of the default."""
        ranking = values.get("ranking") if isinstance(values, Mapping) else None
        if isinstance(ranking, Mapping) and "kind" not in ranking:
            return {**values, "ranking": {"kind": cls.model_fields["ranking"].default.kind, **ranking}}
        return values


def joint_loss(
    teacher: Matched, student: Matched, state_terms: Mapping[str, Float[Tensor, ""]], shard: Shard, config: LossConfig
) -> Loss:
    """On labelled dialogues: alpha L_all(teacher) + (1 - alpha) (ranking(student) + state terms).

    Divergence and correlation belong to the teacher alone here. With `teacher_first` the first epoch of a run without
    D_P is L_all(teacher), as in the released code. The terms are weighed among themselves, but not by alpha.
    """
    of_teacher = match_terms(teacher, shard, config)
    terms = {f"teacher_{name}": value for name, value in of_teacher.items()}
    if config.teacher_first and shard.epoch == 0 and shard.all_labelled:
        return Loss(sum(of_teacher.values()), terms)  # type: ignore[arg-type]
    of_student = {"student_ranking": ranking_term(student, shard, config.ranking)} | dict(state_terms)
    total = config.alpha * sum(of_teacher.values()) + (1 - config.alpha) * sum(of_student.values())
    return Loss(total, terms | of_student)  # type: ignore[arg-type]


def student_loss(student: Matched, shard: Shard, config: LossConfig) -> Loss:
    """On dialogues whose state is not known: L_all(student)."""
    terms = match_terms(student, shard, config)
    return Loss(sum(terms.values()), {f"student_{name}": value for name, value in terms.items()})  # type: ignore[arg-type]


def match_terms(match: Matched, shard: Shard, config: LossConfig) -> Terms:
    """L_all = ranking + divergence + correlation, term by term; a term of weight 0 is left out."""
    batch, counts = shard.batch, shard.counts
    terms = {"ranking": ranking_term(match, shard, config.ranking)}
    if config.divergence_weight:
        distance = slot_distance(
            config.divergence,
            match.context_text,
            match.context_image,
            match.product_text,
            match.product_image,
            gated=match.gated,
        )
        terms["divergence"] = config.divergence_weight * divergence_loss(distance, batch.positive, batch.keep, counts)
    if config.correlation_weight:
        terms["correlation"] = config.correlation_weight * _correlation(match, shard, config.correlation)
    return terms


def _correlation(match: Matched, shard: Shard, kind: str) -> Float[Tensor, ""]:
    batch, counts = shard.batch, shard.counts
    if kind == "contrastive":
        return contrastive_correlation_loss(match.text_vectors, match.image_vectors, batch.positive, batch.keep, counts)
    return correlation_loss(match.text_image_cosine, batch.keep, kind, counts)


def ranking_term(match: Matched, shard: Shard, config: Ranking) -> Float[Tensor, ""]:
    """The ranking loss that the configuration names: the hinge is over f, the softmax over scaled sums of cosines."""
    batch = shard.batch
    return ranking_loss(config, match.relevance, match.logits, batch.positive, batch.keep, shard.counts)
