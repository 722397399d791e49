"""The terms of the training loss: pure functions of named tensors. Equations are section 3.4 of the SeMANTIC paper.

Each is a mean over a batch. Where the batch is a part of a larger one, `counts` are the larger one's: the parts' terms, and
their gradients, then add up to the whole's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

SMALLEST = 1e-12  # under a logarithm
FEW_CANDIDATES = 32


@dataclass(frozen=True)
class Counts:
    """What the means of a batch are over: examples, (positive, negative) pairs, and products; at least 1 each."""

    examples: int
    pairs: int | Tensor
    products: int | Tensor

    @classmethod
    def of(cls, positive: Bool[Tensor, "batch candidate"], keep: Bool[Tensor, "batch candidate"]) -> "Counts":
        """The counts of a batch's kept candidates."""
        positive = positive & keep
        pairs = positive.sum(1) * (keep & ~positive).sum(1)
        return cls(max(1, len(keep)), pairs.sum().clamp(min=1), keep.sum().clamp(min=1))


def ranking_loss(
    relevance: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    margin: float = 1.0,
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """L_rank = max(0, margin - f(+) + f(-)), the mean over all (positive, negative) pairs of the batch; in [0, margin + 2]."""
    total = _pair_sum(lambda plus, minus: F.relu(margin - plus + minus), relevance, positive, keep)
    return total / (counts or Counts.of(positive, keep)).pairs


def softmax_ranking_loss(
    logits: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """-log softmax of a positive against the negatives, the other positives left out; mean over positives, then examples.

    Departs from the paper's hinge: InfoNCE (van den Oord et al., 2018) over as many negatives as the pool holds.
    """
    positive = positive & keep
    negatives = logits.masked_fill(~keep | positive, -torch.inf).logsumexp(1, keepdim=True)
    terms = (torch.logaddexp(negatives, logits) - logits).masked_fill(~positive, 0.0)
    return (terms.sum(1) / positive.sum(1).clamp(min=1)).sum() / (counts or Counts.of(positive, keep)).examples


def divergence_loss(
    distance: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """L_JS = max(0, g(+) - g(-)), the mean over all (positive, negative) pairs of the batch."""
    total = _pair_sum(lambda plus, minus: F.relu(plus - minus), distance, positive, keep)
    return total / (counts or Counts.of(positive, keep)).pairs


def jensen_shannon(p: Float[Tensor, "*#batch slot"], q: Float[Tensor, "*#batch slot"]) -> Float[Tensor, "..."]:
    """JS(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats; in [0, log 2]."""
    middle = (p + q) / 2
    return (_kl(p, middle) + _kl(q, middle)) / 2


def symmetric_kl(p: Float[Tensor, "*#batch slot"], q: Float[Tensor, "*#batch slot"]) -> Float[Tensor, "..."]:
    """(KL(p || q) + KL(q || p)) / 2, what the released code calls its divergence; unbounded."""
    return (_kl(p, q) + _kl(q, p)) / 2


def correlation_loss(
    text_image_cosine: Float[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    reduction: str = "sum",
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """L_co_sim = max(0, 1 - cos(x_PT, x_PV)) of positives and negatives.

    reduction="sum" adds over an example's products and averages over the batch (the paper); "mean" averages over every
    product of the batch (the released code).
    """
    hinge = F.relu(1.0 - text_image_cosine).masked_fill(~keep, 0.0)
    counts = counts or Counts.of(keep, keep)
    return hinge.sum() / (counts.examples if reduction == "sum" else counts.products)


def state_value_loss(
    student: Float[Tensor, "batch slot dim"],
    teacher: Float[Tensor, "whole slot dim"],
    student_set: Float[Tensor, "batch slot"],
    teacher_set: Float[Tensor, "whole slot"],
    same: Bool[Tensor, "whole slot whole"],
    scale: float = 20.0,
    own: slice = slice(None),
) -> Float[Tensor, ""]:
    """Which value each slot has, and whether it has one, summed over slots and averaged over the batch.

    For a set slot, -log softmax of scale * cos(student's value, gold value) over the distinct gold values that the slot has in
    the batch; `same` says which examples share a value. For every slot, the cross-entropy of "set". Departs from the
    paper's MSE, which unset slots, the most, dominate. The student may be that of the examples `own` of the batch only.
    """
    is_set = teacher_set > 0
    logits = scale * torch.einsum("bsd,csd->bsc", F.normalize(student, dim=-1), F.normalize(teacher.detach(), dim=-1))
    # Each distinct value counts once, however many examples have it.
    logits = (logits - same.sum(2).T.to(logits.dtype).log()).masked_fill(~is_set.T, -torch.inf)
    unset = ~is_set[own].unsqueeze(2)  # an unset slot has no value to tell: log 1 in place of a softmax over nothing
    logits, right = logits.masked_fill(unset, 0.0), same[own] | unset
    value = logits.logsumexp(2) - logits.masked_fill(~right, -torch.inf).logsumexp(2)
    share = student_set.clamp(1e-4, 1 - 1e-4)
    told = torch.where(is_set[own], share, 1 - share).log()
    return (value.sum() - told.sum()) / len(teacher)


def state_loss(
    student: Float[Tensor, "batch slot dim"], teacher: Float[Tensor, "batch slot dim"], counts: Counts | None = None
) -> Float[Tensor, ""]:
    """MSE(S', S), the mean over every entry."""
    examples = counts.examples if counts else max(1, len(student))
    return F.mse_loss(student, teacher, reduction="sum") / (examples * student.shape[1:].numel())


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p.clamp(min=SMALLEST).log() - q.clamp(min=SMALLEST).log())).sum(-1)


def _pair_sum(term: Callable[[Tensor, Tensor], Tensor], values: Tensor, positive: Tensor, keep: Tensor) -> Tensor:
    """Sum over pairs (i positive, j negative) of term(values_i, values_j)."""
    positive = positive & keep
    # Among few candidates all pairs cost less than waiting for the device to say how many positives there are.
    width = positive.shape[1] if positive.shape[1] <= FEW_CANDIDATES else int(positive.sum(1).max())
    held, index = positive.to(torch.int8).sort(dim=1, descending=True, stable=True)
    held, index = held[:, :width].bool(), index[:, :width]  # [batch, positive]
    real = held[:, :, None] & (~positive & keep)[:, None, :]
    pairs = term(values.gather(1, index)[:, :, None], values[:, None, :])
    return pairs.masked_fill(~real, 0.0).sum()


DIVERGENCES = {"jensen_shannon": jensen_shannon, "symmetric_kl": symmetric_kl}
"""By the names of `loss.divergence`."""


def slot_distance(
    divergence: str,
    context_text: Float[Tensor, "batch slot"],
    context_image: Float[Tensor, "batch slot"],
    product_text: Float[Tensor, "batch candidate slot"],
    product_image: Float[Tensor, "batch candidate slot"],
) -> Float[Tensor, "batch candidate"]:
    """g = D(a_CT, a_PT) + D(a_CV, a_PV); the paper prints JS(a_PI, a_PI) for the second term, a misprint."""
    distance = DIVERGENCES[divergence]
    return distance(context_text[:, None], product_text) + distance(context_image[:, None], product_image)
