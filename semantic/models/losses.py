"""Ranking losses that any model may use: pure functions of scores, and the configuration that names one.

Each is a mean over a batch. Where the batch is a shard of a larger one, `counts` are the larger one's: the shards' losses,
and their gradients, then add up to the whole's.
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.shards import Counts
from semantic.config.schema import NaturalFloat, PositiveFloat, Section

FEW_CANDIDATES = 32


class Hinge(Section):
    """A margin between each positive and each negative."""

    kind: Literal["hinge"] = Field("hinge", description="max(0, margin - f(+) + f(-)) over pairs, the paper's")
    margin: NaturalFloat = Field(1.0, description="between the scores of a positive and a negative")


class SampledSoftmax(Section):
    """A softmax over an example's candidates."""

    kind: Literal["sampled_softmax"] = Field(
        "sampled_softmax", description="-log softmax of a positive over the negatives"
    )
    scale: PositiveFloat = Field(20.0, description="start of the learned scale that turns cosines into logits")


Ranking = Annotated[Hinge | SampledSoftmax, Field(discriminator="kind")]


def log_scale(ranking: Hinge | SampledSoftmax) -> nn.Parameter | None:
    """The learned logarithm of the scale of logits; None for a hinge, which has none."""
    return nn.Parameter(torch.tensor(math.log(ranking.scale))) if isinstance(ranking, SampledSoftmax) else None


def ranking_loss(
    ranking: Hinge | SampledSoftmax,
    relevance: Float[Tensor, "batch candidate"],
    logits: Float[Tensor, "batch candidate"] | None,
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts,
) -> Float[Tensor, ""]:
    """The loss that a configuration names: a hinge is over the relevance, a softmax over the logits."""
    if isinstance(ranking, Hinge):
        return hinge_loss(relevance, positive, keep, ranking.margin, counts)
    assert logits is not None
    return sampled_softmax_loss(logits, positive, keep, counts)


def hinge_loss(
    relevance: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    margin: float = 1.0,
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """L_rank = max(0, margin - f(+) + f(-)), the mean over all (positive, negative) pairs of the batch; in [0, margin + 2]."""
    total = pair_sum(lambda plus, minus: F.relu(margin - plus + minus), relevance, positive, keep)
    return total / (counts or Counts.of(positive, keep)).pairs


def sampled_softmax_loss(
    logits: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """-log softmax of a positive against the negatives, the other positives left out; mean over positives, then examples.

    InfoNCE (van den Oord et al., 2018) over an example's negatives; departs from SeMANTIC's hinge.
    """
    positive = positive & keep
    negatives = logits.masked_fill(~keep | positive, -torch.inf).logsumexp(1, keepdim=True)
    terms = (torch.logaddexp(negatives, logits) - logits).masked_fill(~positive, 0.0)
    return (terms.sum(1) / positive.sum(1).clamp(min=1)).sum() / (counts or Counts.of(positive, keep)).examples


def pair_sum(term: Callable[[Tensor, Tensor], Tensor], values: Tensor, positive: Tensor, keep: Tensor) -> Tensor:
    """Sum over pairs (i positive, j negative) of term(values_i, values_j)."""
    positive = positive & keep
    # Among few candidates all pairs cost less than waiting for the device to say how many positives there are.
    width = positive.shape[1] if positive.shape[1] <= FEW_CANDIDATES else int(positive.sum(1).max())
    held, index = positive.to(torch.int8).sort(dim=1, descending=True, stable=True)
    held, index = held[:, :width].bool(), index[:, :width]  # [batch, positive]
    real = held[:, :, None] & (~positive & keep)[:, None, :]
    pairs = term(values.gather(1, index)[:, :, None], values[:, None, :])
    return pairs.masked_fill(~real, 0.0).sum()
