"""The terms of SeMANTIC's loss beside the ranking: pure functions of named tensors. Equations are section 3.4 of the paper.

Each is a mean over a batch. Where the batch is a shard of a larger one, `counts` are the larger one's: the shards' terms,
and their gradients, then add up to the whole's.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.batching.shards import Counts
from semantic.dst.interaction import inner_products
from semantic.models.losses import pair_sum

SMALLEST = 1e-12  # under a logarithm


def divergence_loss(
    distance: Float[Tensor, "batch candidate"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """L_JS = max(0, g(+) - g(-)), the mean over all (positive, negative) pairs of the batch."""
    total = pair_sum(lambda plus, minus: F.relu(plus - minus), distance, positive, keep)
    return total / (counts or Counts.of(positive, keep)).pairs


def jensen_shannon(p: Float[Tensor, "*#batch slot"], q: Float[Tensor, "*#batch slot"]) -> Float[Tensor, "..."]:
    """JS(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats; in [0, log 2]."""
    log_middle = _log((p + q) / 2)
    return ((p * (_log(p) - log_middle)).sum(-1) + (q * (_log(q) - log_middle)).sum(-1)) / 2


def symmetric_kl(p: Float[Tensor, "*#batch slot"], q: Float[Tensor, "*#batch slot"]) -> Float[Tensor, "..."]:
    """(KL(p || q) + KL(q || p)) / 2, what the released code calls its divergence; unbounded."""
    return ((p - q) * (_log(p) - _log(q))).sum(-1) / 2


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


def contrastive_correlation_loss(
    text: Float[Tensor, "#batch candidate dim"],
    image: Float[Tensor, "#batch candidate dim"],
    positive: Bool[Tensor, "batch candidate"],
    keep: Bool[Tensor, "batch candidate"],
    counts: Counts | None = None,
    scale: float = 20.0,
) -> Float[Tensor, ""]:
    """-log softmax of scale cos(p_T, p_V): a positive's text finds its own photo among the candidates', its photo its own text.

    The mean of both directions (Radford et al., 2021) over an example's positives, then over the batch. Departs from
    `correlation_loss`, which is least when every vector is the same; here equal vectors give the logarithm of the number of
    candidates. A leading size of 1 stands for candidates that the batch shares.
    """
    positive = positive & keep
    width = max(1, int(positive.sum(1).max()))
    held, place = positive.to(torch.int8).sort(dim=1, descending=True, stable=True)
    held, place = held[:, :width].bool(), place[:, :width]  # [batch, positive]
    vectors = [F.normalize(side, dim=-1) for side in (text, image)]
    own = [side[torch.arange(len(side), device=side.device).unsqueeze(1), place] for side in vectors]
    right = scale * (own[0] * own[1]).sum(-1)
    terms = -2 * right
    for asked, offered in ((own[0], vectors[1]), (own[1], vectors[0])):
        logits = scale * inner_products(asked, offered)
        terms = terms + logits.masked_fill(~keep.unsqueeze(1), -torch.inf).logsumexp(2)
    found = terms.masked_fill(~held, 0.0).sum(1) / (2 * held.sum(1).clamp(min=1))
    return found.sum() / (counts.examples if counts else max(1, len(keep)))


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
    paper's MSE, in which unset slots outweigh the rest. `student` may be a shard, the examples `own` of the whole batch.
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


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=SMALLEST).log()


DIVERGENCES = {"jensen_shannon": jensen_shannon, "symmetric_kl": symmetric_kl}
"""By the names of `model.loss.divergence`."""


def slot_distance(
    divergence: str,
    context_text: Float[Tensor, "batch slot"],
    context_image: Float[Tensor, "batch slot"],
    product_text: Float[Tensor, "batch candidate slot"],
    product_image: Float[Tensor, "batch candidate slot"],
    *,
    gated: bool = False,
) -> Float[Tensor, "batch candidate"]:
    """g = D(a_CT, a_PT) + D(a_CV, a_PV); the paper prints JS(a_PI, a_PI) for the second term, a misprint.

    `gated` attentions are a probability for each slot, no distribution over them; then D is the sum over slots of the
    divergence between the two Bernoulli distributions.
    """
    between = DIVERGENCES[divergence]

    def distance(context: Tensor, product: Tensor) -> Tensor:
        open_slots = between(context[:, None], product)
        return open_slots + between(1 - context[:, None], 1 - product) if gated else open_slots

    return distance(context_text, product_text) + distance(context_image, product_image)
