"""Dialogue State Interaction (DSI): K hops in which a vector attends to the slots of a dialogue state and takes them in.

The definition (equation 5 of the paper), for a vector x_0 and state embeddings S_0 [slot, dim]:

    a_k = softmax_i(cos(x_k, S_k,i) / temperature);   S_{k+1} = W_{k+1} S_k;   x_{k+1} = x_k + sum_i a_k,i S_{k+1},i

What is returned is x_K and a_K. Here it is computed in state space. Every x_k is x_0 plus a combination, with
coefficients c_k, of the rows of the basis M = [S_0; ...; S_K] [(K+1) slot, dim], so each cosine needs only

    x_k . M_j = x_0 . M_j + (c_k G)_j          with the Gram matrix G = M M^T
    |x_k|^2   = |x_0|^2 + 2 c_k . (M x_0) + c_k G c_k^T

The one large product is x_0 M^T, a matrix product over the candidates; the rest is arithmetic in [candidate, slot]. It is
exact, and x_0 of a product does not depend on the dialogue.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPSILON = 1e-8  # the least norm, torch.nn.functional.cosine_similarity's


@dataclass(frozen=True)
class StateSpace:
    """The basis M of one modality, its Gram matrix, and the row norms |M_j|."""

    basis: Float[Tensor, "batch row dim"]
    gram: Float[Tensor, "batch row row"]
    norms: Float[Tensor, "batch row"]
    slots: int


@dataclass(frozen=True)
class Enhanced:
    """x_K = x_0 + coefficients . M without forming it, its norm, and the attention a_K over the slots.

    `start` is x_0 and `products` is x_0 M^T; a leading size of 1 in `start` stands for vectors shared by the batch.
    """

    start: Float[Tensor, "#batch item dim"]
    products: Float[Tensor, "batch item row"]
    coefficients: Float[Tensor, "batch item row"]
    norm: Float[Tensor, "batch item"]
    attention: Float[Tensor, "batch item slot"]


class DialogueStateInteraction(nn.Module):
    """One modality's interaction with its maps W_1..W_K, shared by the dialogue and the product side."""

    def __init__(self, dim: int, hops: int, *, affine: bool, temperature: float = 1.0, start: str = "random") -> None:
        super().__init__()
        if start not in ("random", "identity", "zero"):
            raise ValueError(f"interaction maps: expected a start of 'random', 'identity' or 'zero', got {start!r}")
        self.maps = nn.ModuleList(nn.Linear(dim, dim, bias=affine) for _ in range(hops))
        self.temperature = temperature
        for weight in (parameter for name, parameter in self.maps.named_parameters() if name.endswith("weight")):
            if start == "identity":
                nn.init.eye_(weight)
            elif start == "zero":
                nn.init.zeros_(weight)

    def expand(self, state: Float[Tensor, "batch slot dim"]) -> StateSpace:
        """M = [S_0; S_1; ...; S_K] and what follows from it alone."""
        levels = [state]
        for layer in self.maps:
            levels.append(layer(levels[-1]))
        with torch.autocast(state.device.type, enabled=False):
            basis = _precise(torch.cat(levels, dim=1))
            gram = basis @ basis.transpose(1, 2)
            return StateSpace(basis, gram, _root(gram.diagonal(dim1=1, dim2=2)), state.shape[1])

    def forward(self, start: Float[Tensor, "#batch item dim"], space: StateSpace) -> Enhanced:
        """The vectors `start` after K hops through the state; float32 whatever the autocast."""
        with torch.autocast(start.device.type, enabled=False):
            start = start.to(space.basis.dtype)
            products = start @ space.basis.transpose(1, 2)  # [batch, item, row]
            squared = start.square().sum(-1, keepdim=True)
            slots, hops = space.slots, len(self.maps)
            taken: list[Tensor] = []  # a_0 .. a_{k-1}, the coefficients of blocks 1 .. k
            norm = _root(squared).expand(*products.shape[:2], 1)
            for hop in range(hops + 1):
                block = slice(hop * slots, (hop + 1) * slots)
                inner = products[..., block]
                if taken:
                    used = slice(slots, (hop + 1) * slots)
                    c = torch.cat(taken, dim=-1)
                    through = c @ space.gram[:, used, used]
                    inner = inner + through[..., -slots:]
                    norm = _root(squared + (c * (2 * products[..., used] + through)).sum(-1, keepdim=True))
                cosine = inner / (norm * space.norms[:, None, block])
                taken.append(torch.softmax(cosine / self.temperature, dim=-1))
            coefficients = torch.cat([torch.zeros_like(taken[0]), *taken[:-1]], dim=-1)
            return Enhanced(start, products, coefficients, norm.squeeze(-1), taken[-1])


def _precise(x: Tensor) -> Tensor:
    """Scores are float32 at least: half precision is for the encoders."""
    return x if x.dtype == torch.float64 else x.float()


def _root(squared: Tensor) -> Tensor:
    """A norm from its square, at least EPSILON; a zero vector then has cosine zero and a zero gradient, not NaN."""
    return squared.clamp(min=EPSILON**2).sqrt()


def cosine(context: Enhanced, items: Enhanced, space: StateSpace) -> Float[Tensor, "batch item"]:
    """cos(x_K of the context, x_K of each item) in one space; the context holds one vector a batch row."""
    with torch.autocast(context.start.device.type, enabled=False):
        vector = context.start + context.coefficients @ space.basis  # [batch, 1, dim]
        on_basis = vector @ space.basis.transpose(1, 2)
        inner = (items.start @ vector.transpose(1, 2)).squeeze(-1) + (items.coefficients * on_basis).sum(-1)
        return inner / (context.norm * items.norm)


def cross_cosine(
    text: Enhanced, image: Enhanced, text_space: StateSpace, image_space: StateSpace
) -> Float[Tensor, "batch item"]:
    """cos(x_K of an item's text, x_K of its photo): the two sides of one item, each in its own space."""
    with torch.autocast(text.start.device.type, enabled=False):
        inner = (text.start * image.start).sum(-1)
        inner = inner + (image.coefficients * (text.start @ image_space.basis.transpose(1, 2))).sum(-1)
        inner = inner + (text.coefficients * (image.start @ text_space.basis.transpose(1, 2))).sum(-1)
        between = text_space.basis @ image_space.basis.transpose(1, 2)  # [batch, row, row]
        inner = inner + ((text.coefficients @ between) * image.coefficients).sum(-1)
        return inner / (text.norm * image.norm)
