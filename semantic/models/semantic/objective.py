"""The training objective: which terms, on which examples, for which of the two states. Section 3.5 of the paper."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.config.schema import LossConfig
from semantic.datasets.batches.builder import Batch, Contexts
from semantic.dst.state import SlotValues
from semantic.models.semantic.losses import (
    Counts,
    correlation_loss,
    divergence_loss,
    ranking_loss,
    slot_distance,
    softmax_ranking_loss,
    state_loss,
    state_value_loss,
)
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import Match, Output

Terms = dict[str, Float[Tensor, ""]]


@dataclass(frozen=True)
class Part:
    """What one process does of a step: its examples, and what it must know of the others'.

    `counts` are the whole batch's. `gold`, where the loss compares an example's slot values with the whole batch's, holds the
    states of all its examples, of which `own` are this process's. A batch smaller than the number of processes leaves some
    without an example: they do the first one with `weight` 0, for no process may leave a step out.
    """

    batch: Batch
    counts: Counts
    own: slice = field(default_factory=lambda: slice(None))
    weight: float = 1.0
    gold: Contexts | None = None

    def to(self, device: torch.device) -> "Part":
        """The same on `device`; from pinned memory the copy runs while the device works."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Part":
        """The same in memory a device can copy from by itself; the data loader calls this."""
        return _each(self, Tensor.pin_memory)


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A dataclass with every tensor in it changed, in dataclasses within it too."""
    if isinstance(value, Tensor):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _each(getattr(value, f.name), change) for f in fields(value)})
    return value


@dataclass(frozen=True)
class GoldValues:
    """The gold slot values of a whole batch, of which `own` are the examples at hand."""

    tokens: Int[Tensor, "whole slot piece"]
    values: SlotValues
    own: slice = field(default_factory=lambda: slice(None))

    def same(self) -> Bool[Tensor, "whole slot whole"]:
        """Which examples share a slot's value."""
        return (self.tokens[:, :, None] == self.tokens.transpose(0, 1)[None]).all(-1)


class Objective(nn.Module):
    """A model and its loss as one module: what data-parallel training wraps.

    The loss is all it returns with a gradient, so a parameter is waited for exactly where the loss depends on it. With
    `autocast` the network runs under bfloat16 autocast; the losses never do.
    """

    def __init__(self, model: Semantic, config: LossConfig, *, autocast: bool = False) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.autocast = autocast

    def forward(self, part: Part, *, labelled: bool, teacher_only: bool = False) -> tuple[Tensor, Terms]:
        """A process's share of the loss and its terms: summed over the processes they are the whole batch's."""
        batch, config = part.batch, self.config
        with torch.autocast(batch.positive.device.type, torch.bfloat16, enabled=self.autocast):
            output = self.model(batch, teacher=labelled, text_image=config.correlation_weight > 0)
            gold = None if part.gold is None else self._gold_values(part.gold, part.own)
        if labelled:
            loss, terms = joint_loss(output, batch, config, teacher_only=teacher_only, counts=part.counts, gold=gold)
        else:
            loss, terms = student_loss(output, batch, config, counts=part.counts)
        return part.weight * loss, {name: part.weight * value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def _gold_values(self, contexts: Contexts, own: slice) -> GoldValues:
        return GoldValues(contexts.state_tokens, self.model.gold_values(contexts), own)


def ranking_term(match: Match, batch: Batch, config: LossConfig, counts: Counts | None = None) -> Float[Tensor, ""]:
    """The ranking loss that the configuration names."""
    if config.ranking == "hinge":
        return ranking_loss(match.relevance, batch.positive, batch.keep, config.margin, counts)
    assert match.logits is not None
    return softmax_ranking_loss(match.logits, batch.positive, batch.keep, counts)


def _value_term(output: Output, batch: Batch, gold: GoldValues | None) -> Float[Tensor, ""]:
    student = output.student_values
    assert student is not None
    if gold is None:
        assert output.teacher_values is not None
        gold = GoldValues(batch.contexts.state_tokens, output.teacher_values)
    teacher = gold.values
    return state_value_loss(student.values, teacher.values, student.is_set, teacher.is_set, gold.same(), own=gold.own)


def match_terms(match: Match, batch: Batch, config: LossConfig, counts: Counts | None = None) -> Terms:
    """L_all = ranking + divergence + correlation, term by term; a term of weight 0 is left out."""
    terms = {"ranking": ranking_term(match, batch, config, counts)}
    if config.divergence_weight:
        distance = slot_distance(
            config.divergence, match.context_text, match.context_image, match.product_text, match.product_image
        )
        terms["divergence"] = config.divergence_weight * divergence_loss(distance, batch.positive, batch.keep, counts)
    if config.correlation_weight:
        assert match.text_image_cosine is not None
        terms["correlation"] = config.correlation_weight * correlation_loss(
            match.text_image_cosine, batch.keep, config.correlation, counts
        )
    return terms


def joint_loss(
    output: Output,
    batch: Batch,
    config: LossConfig,
    *,
    teacher_only: bool = False,
    counts: Counts | None = None,
    gold: GoldValues | None = None,
) -> tuple[Tensor, Terms]:
    """On labelled dialogues: alpha L_all(teacher) + (1 - alpha) (ranking(student) + MSE(S', S)).

    Divergence and correlation belong to the teacher alone here. `teacher_only` is the released code's first epoch:
    L_all(teacher). Also returned: the terms, as weighed among themselves but not by alpha. `counts` and `gold` are of the
    whole batch where this is a part of it.
    """
    assert output.teacher is not None
    assert output.teacher_state is not None
    teacher = match_terms(output.teacher, batch, config, counts)
    terms = {f"teacher_{name}": value for name, value in teacher.items()}
    if teacher_only:
        return sum(teacher.values()), terms  # type: ignore[return-value]
    student = {"student_ranking": ranking_term(output.student, batch, config, counts)}
    if config.state_weight and config.state == "mse":
        student["state_mse"] = config.state_weight * state_loss(output.student_state, output.teacher_state, counts)
    elif config.state_weight:
        student["state_values"] = config.state_weight * _value_term(output, batch, gold)
    loss = config.alpha * sum(teacher.values()) + (1 - config.alpha) * sum(student.values())
    return loss, terms | student  # type: ignore[return-value]


def student_loss(
    output: Output, batch: Batch, config: LossConfig, *, counts: Counts | None = None
) -> tuple[Tensor, Terms]:
    """On dialogues whose state is not known: L_all(student)."""
    terms = match_terms(output.student, batch, config, counts)
    return sum(terms.values()), {f"student_{name}": value for name, value in terms.items()}  # type: ignore[return-value]
