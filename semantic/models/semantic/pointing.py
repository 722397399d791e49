"""Products that a dialogue has shown, as such: what is said draws to them ("the blue one") or away ("something else")."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.dst.interaction import EPSILON, inner_products
from semantic.models.interface import ProductRows, full_precision, precise


@dataclass(frozen=True)
class Shown:
    """The unit vectors [t_j, v_j] of the products that a query's turns show, and b_j, zero for padding."""

    vectors: Float[Tensor, "query shown 2 dim"]
    weights: Float[Tensor, "query shown"]


class ShownProducts(nn.Module):
    """What it adds to a product's relevance that it is one of those shown, or like one.

        r(p) = sum_j b_j exp(g (cos(p_T, t_j) + cos(p_V, v_j) - 2) / 2)
        b_j  = b_0 + position_turn(j) + u . c_T / sqrt(dim) + k cos(c_T, t_j)

    t_j and v_j are the text and photo vectors of shown product j. b_j has either sign; it starts at zero, and so does r.
    Departs from the paper, whose dialogues read shown products by their photos alone.
    """

    SHARPNESS_START = 10.0  # g before training
    gates = ("bias", "position", "near", "log_sharpness")

    def __init__(self, dim: int, turns: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.position = nn.Parameter(torch.zeros(turns))
        self.query = nn.Parameter(torch.zeros(dim))
        self.near = nn.Parameter(torch.zeros(()))
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(self.SHARPNESS_START)))

    def read(
        self,
        text: Float[Tensor, "query dim"],
        rows: Float[Tensor, "picture 2 dim"],
        places: Int[Tensor, "query turn photo"],
        keep: Bool[Tensor, "query turn photo"],
    ) -> Shown:
        """What queries show: `places` point at the rows of products, `text` is c_T."""
        turns = torch.arange(-places.shape[1], 0, device=places.device).repeat_interleave(places.shape[2])
        width = max(1, int(keep.sum((1, 2)).max()))
        held, order = keep.flatten(1).to(torch.int8).sort(dim=1, descending=True, stable=True)
        held, order = held[:, :width].bool(), order[:, :width]  # the shown places first, in their order
        vectors = F.normalize(rows, dim=-1)[places.flatten(1).gather(1, order).clamp(min=0)]
        near = (vectors[:, :, 0] @ F.normalize(text, dim=-1).unsqueeze(2)).squeeze(2)
        said = (text @ self.query / math.sqrt(text.shape[-1])).unsqueeze(1)
        weights = self.bias + self.position[turns[order]] + said + self.near * near
        return Shown(vectors, weights.masked_fill(~held, 0.0))

    def forward(self, shown: Shown, products: ProductRows) -> Float[Tensor, "query candidate"]:
        """r of candidates; float32 whatever the autocast."""
        with full_precision(products.rows.device):
            shown, rows = precise(shown), precise(products.rows)
            known = products.squared_norms
            norms = torch.linalg.vector_norm(rows, dim=-1) if known is None else known.sqrt()
            text, photo = (
                inner_products(shown.vectors[:, :, side], rows[:, :, side])
                / norms[:, :, side].clamp(min=EPSILON).unsqueeze(1)
                for side in (0, 1)
            )
            like = torch.exp(self.log_sharpness.exp() * (text + photo - 2) / 2)  # [query, shown, candidate]
            return (shown.weights.unsqueeze(1) @ like).squeeze(1)
