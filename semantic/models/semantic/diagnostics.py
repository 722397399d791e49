"""Figures beside the loss that show whether a run learns or has collapsed, and what they say when it has."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.batching.shards import Shard
from semantic.models.losses import Hinge, Ranking
from semantic.models.semantic.scoring import Matched

ALIKE = 1e-3
"""A spread of cosines below this: every vector is the same."""
STATES_ALIKE = 2e-2
"""A spread of the states below this: those of two dialogues are the same. A state has its slot's key within, the same in every
dialogue, so this is more than `ALIKE`: a student below it had the slot accuracy of one guess for all (experiments/README.md).
"""
EVEN = 0.999
"""A slot entropy above this: the attention tells no slot from another."""
AT_MARGIN = 1e-3
"""A hinge this near to its margin, which it has when all scores are equal."""


def spread(vectors: Float[Tensor, "*set item dim"]) -> Float[Tensor, ""]:
    """1 - the mean cosine of two items of a set, the mean over sets: 0 where all point one way, 1 where they are unrelated.

    The mean cosine over all pairs, an item with itself among them, is |mean of the unit vectors|^2. An item alone has spread 1:
    there is nothing that it could be like.
    """
    if vectors.shape[-2] < 2:
        return vectors.new_ones(())
    return (1 - F.normalize(vectors.float(), dim=-1).mean(-2).square().sum(-1)).mean()


def slot_entropy(
    attention: Float[Tensor, "batch candidate slot"], keep: Bool[Tensor, "batch candidate"]
) -> Float[Tensor, ""]:
    """The entropy of an attention over the slots, divided by that of an even one; the mean over candidates.

    Gates count by their share of all gates of a candidate.
    """
    attention = attention / attention.sum(-1, keepdim=True).clamp(min=1e-12)
    entropy = torch.special.entr(attention.float()).sum(-1) / math.log(max(2, attention.shape[-1]))
    return entropy.masked_fill(~keep, 0.0).sum() / keep.sum().clamp(min=1)


def score_spread(scores: Float[Tensor, "batch candidate"], keep: Bool[Tensor, "batch candidate"]) -> Float[Tensor, ""]:
    """The standard deviation of the scores of an example's candidates, the mean over examples."""
    count = keep.sum(1).clamp(min=1)
    scores = scores.float().masked_fill(~keep, 0.0)
    mean = (scores.sum(1) / count).unsqueeze(1)
    return ((scores - mean).masked_fill(~keep, 0.0).square().sum(1) / count).sqrt().mean()


@torch.no_grad()
def diagnose(
    products: Float[Tensor, "product 2 dim"],
    contexts: Float[Tensor, "batch 2 dim"],
    states: Mapping[str, Float[Tensor, "batch slot dim"]],
    matches: Mapping[str, Matched],
    shard: Shard,
) -> dict[str, Tensor]:
    """The figures of a step; `states` and `matches` are of teacher and student. Each is weighed by the shard's share of the batch,
    so that their sums over processes are means over shards.
    """
    found = {"product_text_spread": spread(products[:, 0]), "product_photo_spread": spread(products[:, 1])}
    found |= {"context_text_spread": spread(contexts[:, 0]), "context_photo_spread": spread(contexts[:, 1])}
    found |= {f"{who}_state_spread": spread(state.transpose(0, 1)) for who, state in states.items()}
    keep = shard.batch.keep
    for who, match in matches.items():
        found[f"{who}_score_spread"] = score_spread(match.relevance, keep)
        found[f"{who}_text_slot_entropy"] = slot_entropy(match.product_text, keep)
        found[f"{who}_photo_slot_entropy"] = slot_entropy(match.product_image, keep)
    share = len(keep) / shard.counts.examples
    return {name: share * value for name, value in found.items()}


def signs_of_collapse(means: Mapping[str, float], ranking: Ranking) -> list[str]:
    """What an epoch's means say is degenerate, a phrase each."""
    said = []
    for name, value in means.items():
        words = name.replace("_", " ")
        if name.endswith("_score_spread") and value < ALIKE:
            said.append(f"every candidate has the same score ({words} {value:.1e})")
        elif name.endswith("_state_spread") and value < STATES_ALIKE:
            said.append(f"every dialogue has the same state ({words} {value:.1e})")
        elif name.endswith("_spread") and value < ALIKE:
            said.append(f"every vector is alike ({words} {value:.1e})")
        elif name.endswith("_slot_entropy") and value > EVEN:
            said.append(f"the attention is even over the slots ({words} {value:.4f} of 1)")
        elif name.endswith("_ranking") and isinstance(ranking, Hinge) and abs(value - ranking.margin) < AT_MARGIN:
            said.append(f"the ranking loss stands at its margin ({words} {value:.6f})")
    return said
