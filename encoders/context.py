"""A context window pooled into a text vector and an image vector, without attention layers."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from semantic.encoders.layers.masking import masked_softmax


def identity_linear(dim: int) -> nn.Linear:
    """A linear layer without bias that starts as the identity, because its inputs are already comparable."""
    layer = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(layer.weight)
    return layer


class PhotoSelection(nn.Module):
    """A mean of the shown photos, weighted by attention: which of them the text means, or none.

        c_V = sum_j a_j norm(v_j)                       a = softmax over the photos and a sink of
                                                            SHARPNESS cos(Q c_T, v_j) + position_turn(j)

    The sink is one more entry of the softmax, with score s_0 + w . c_T / sqrt(dim). The attention left to the photos is
    the model's estimate that the shopper means a shown product. Q starts as the identity. Photos of the last turn
    start with a higher score, LAST_TURN, because shoppers mean them most often.
    """

    SHARPNESS = 10.0
    LAST_TURN = 2.0
    gates = ("photo_position", "sink")  # parameters that have a learning rate of their own, as they must change more

    def __init__(self, dim: int, turns: int) -> None:
        super().__init__()
        self.query = identity_linear(dim)
        self.photo_position = nn.Parameter(torch.zeros(turns))
        with torch.no_grad():
            self.photo_position[-1] = self.LAST_TURN
        self.sink_query = nn.Parameter(torch.zeros(dim))
        self.sink = nn.Parameter(torch.tensor(3.0))

    def select(
        self,
        text: Float[Tensor, "batch dim"],
        photos: Float[Tensor, "batch turn photo dim"],
        photos_keep: Bool[Tensor, "batch turn photo"],
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch"]]:
        """c_V, and the sum of the attention on photos, zero where there are none."""
        position = self.photo_position[-photos.shape[1] :].repeat_interleave(photos.shape[2])
        photos = F.normalize(photos.flatten(1, 2), dim=-1)
        near = (photos @ F.normalize(self.query(text), dim=-1).unsqueeze(-1)).squeeze(-1)
        near = self.SHARPNESS * near + position
        sink = (self.sink + text @ self.sink_query / math.sqrt(text.shape[-1])).unsqueeze(1)
        kept = torch.cat([photos_keep.flatten(1), torch.ones_like(sink, dtype=torch.bool)], dim=1)
        attention = masked_softmax(torch.cat([near, sink], dim=1), kept)[:, :-1]
        return (attention.unsqueeze(1) @ photos).squeeze(1), attention.sum(1)


class PooledContext(PhotoSelection):
    """The last turn plus a weighted mean of all turns, and a selection of the shown photos.

        c_T = P_last u_n + gate P_mean sum_t b_t u_t            b = softmax_t(s . u_t / sqrt(dim) + position_t)

    P starts as the identity.
    """

    def __init__(self, dim: int, turns: int) -> None:
        super().__init__(dim, turns)
        self.last, self.mean = identity_linear(dim), identity_linear(dim)
        self.score = nn.Parameter(torch.zeros(dim))
        self.position = nn.Parameter(torch.zeros(turns))
        self.gate = nn.Parameter(torch.tensor(0.3))

    def forward(
        self,
        turns: Float[Tensor, "batch turn dim"],
        keep: Bool[Tensor, "batch turn"],
        photos: Float[Tensor, "batch turn photo dim"],
        photos_keep: Bool[Tensor, "batch turn photo"],
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, "batch"]]:
        """c_T, c_V, and the sum of the attention on photos, zero where there are none."""
        weights = masked_softmax(
            turns @ self.score / math.sqrt(turns.shape[-1]) + self.position[-turns.shape[1] :], keep
        )
        text = self.last(turns[:, -1]) + self.gate * self.mean((weights.unsqueeze(1) @ turns).squeeze(1))
        return text, *self.select(text, photos, photos_keep)
