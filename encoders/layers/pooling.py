"""The paper's Pool: one vector for the tokens or photos of a turn."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from semantic.encoders.layers.masking import masked_mean, masked_softmax, masked_sum

POOLS = ("sum", "leaky_sum", "mean", "attentive")


class Pool(nn.Module):
    """Masked pooling over items; a row with nothing kept gives zeros.

    sum: sum_i x_i (the paper). leaky_sum: LeakyReLU_0.01(sum_i x_i) (the released code). mean: sum_i x_i / number kept.
    attentive: sum_i softmax_i(w . x_i) x_i, w learned; w starts at zero, so that the pool starts as the mean.
    """

    def __init__(self, kind: str, dim: int) -> None:
        super().__init__()
        if kind not in POOLS:
            raise ValueError(f"pool: expected one of {', '.join(POOLS)}, got {kind!r}")
        self.kind = kind
        if kind == "attentive":
            self.score = nn.Linear(dim, 1, bias=False)
            nn.init.zeros_(self.score.weight)

    def forward(
        self, x: Float[Tensor, "*batch item dim"], keep: Bool[Tensor, "*batch item"]
    ) -> Float[Tensor, "*batch dim"]:
        if self.kind == "mean":
            return masked_mean(x, keep)
        if self.kind == "attentive":
            return masked_sum(masked_softmax(self.score(x).squeeze(-1), keep).unsqueeze(-1) * x, keep)
        pooled = masked_sum(x, keep)
        return F.leaky_relu(pooled) if self.kind == "leaky_sum" else pooled
