"""Dialogue State Interaction (DSI): K hops in which a vector attends to the slots of a dialogue state and takes them in.

The definition (equation 5 of the paper), for a vector x_0 and state embeddings S_0 [slot, dim]:

    a_k = softmax_i(cos(x_k, S_k,i) / temperature);   S_{k+1} = W_{k+1} S_k;   x_{k+1} = x_k + sum_i a_k,i S_{k+1},i

What is returned is x_K and a_K. With attention="sigmoid" each slot has a gate of its own in place of the softmax, a_k,i =
sigmoid(cos(x_k, S_k,i) / temperature + b): a softmax always takes in as much, and so loses how many slots a product
matches; gates add up. This departs from the paper. Here it is computed in state space, without forming any x_k. With the rows of the basis
M = [S_0; ...; S_K], [(K+1) slot, dim], and their Gram matrix G = M M^T, a hop changes what the cosines need by

    y_{k+1}     = y_k + a_k G[rows of S_{k+1}, :]            y_k = x_k M^T, which starts as x_0 M^T
    |x_{k+1}|^2 = |x_k|^2 + a_k . (x_k S_{k+1}^T + x_{k+1} S_{k+1}^T)

The one large product is x_0 M^T, a matrix product over the candidates; the rest is arithmetic in [candidate, slot]. It is
exact, and x_0 of a product does not depend on the dialogue. A vector v that all are compared with is one more row of M:
its entry of y_K is x_K . v.

Tensors here lie [batch, slot, item]: a softmax over the first of two long axes runs at memory speed, over a last axis of
fifteen it does not.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPSILON = 1e-8  # the least norm, torch.nn.functional.cosine_similarity's


@dataclass(frozen=True)
class StateSpace:
    """The basis M of one modality and its Gram matrix."""

    basis: Float[Tensor, "batch row dim"]
    gram: Float[Tensor, "batch row row"]
    slots: int


@dataclass(frozen=True)
class Enhanced:
    """x_K = x_0 + sum_k a_k S_{k+1}, not formed: `start` is x_0, `taken` are a_0 .. a_{K-1}.

    `norm` is |x_K|, `scaled` are cos(x_K, S_K,i) / temperature, `gate` is b (None: a softmax), `inner` is the product with
    the vector asked for. A leading size of 1 in `start` stands for vectors shared by the batch.
    """

    start: Float[Tensor, "#batch item dim"]
    taken: tuple[Float[Tensor, "batch slot item"], ...]
    norm: Float[Tensor, "batch item"]
    scaled: Float[Tensor, "batch slot item"]
    inner: Float[Tensor, "batch item"] | None
    gate: Float[Tensor, ""] | None = None

    @property
    def attention(self) -> Float[Tensor, "batch item slot"]:
        """a_K."""
        return weigh_slots(self.scaled, self.gate, dim=1).transpose(1, 2)

    def coefficients(self) -> Float[Tensor, "batch item row"]:
        """What x_K holds of each row of M."""
        return torch.cat([torch.zeros_like(self.scaled), *self.taken], dim=1).transpose(1, 2)

    def formed(self, space: StateSpace) -> Float[Tensor, "batch item dim"]:
        """x_K itself."""
        with torch.autocast(self.start.device.type, enabled=False):
            return self.start + self.coefficients() @ space.basis


class DialogueStateInteraction(nn.Module):
    """One modality's interaction with its maps W_1..W_K, shared by the dialogue and the product side."""

    GATE_START = -2.0  # b before training
    gates = ("gate",)

    def __init__(
        self,
        dim: int,
        hops: int,
        *,
        affine: bool,
        temperature: float = 1.0,
        start: str = "random",
        scale: float = 1.0,
        attention: str = "softmax",
    ) -> None:
        super().__init__()
        if attention not in ("softmax", "sigmoid"):
            raise ValueError(f"interaction attention: expected 'softmax' or 'sigmoid', got {attention!r}")
        if start not in ("random", "identity", "zero"):
            raise ValueError(f"interaction maps: expected a start of 'random', 'identity' or 'zero', got {start!r}")
        self.maps = nn.ModuleList(nn.Linear(dim, dim, bias=affine) for _ in range(hops))
        self.temperature = temperature
        self.gate = nn.Parameter(torch.tensor(self.GATE_START)) if attention == "sigmoid" else None
        for weight in (parameter for name, parameter in self.maps.named_parameters() if name.endswith("weight")):
            if start == "identity":
                nn.init.eye_(weight)
                with torch.no_grad():
                    weight.mul_(scale)
            elif start == "zero":
                nn.init.zeros_(weight)

    def expand(self, state: Float[Tensor, "batch slot dim"]) -> StateSpace:
        """M = [S_0; S_1; ...; S_K] and what follows from it alone."""
        levels = [state]
        for layer in self.maps:
            levels.append(layer(levels[-1]))
        with torch.autocast(state.device.type, enabled=False):
            basis = _precise(torch.cat(levels, dim=1))
            return StateSpace(basis, basis @ basis.transpose(1, 2), state.shape[1])

    def forward(
        self,
        start: Float[Tensor, "#batch item dim"],
        space: StateSpace,
        towards: Float[Tensor, "batch 1 dim"] | None = None,
        squared: Float[Tensor, "#batch item"] | None = None,
    ) -> Enhanced:
        """The vectors `start` after K hops through the state, and their product with `towards`; float32 whatever the autocast.

        `squared` are |x_0|^2 where they are known.
        """
        with torch.autocast(start.device.type, enabled=False):
            start = start.to(space.basis.dtype)
            products = inner_products(
                space.basis if towards is None else torch.cat([space.basis, towards], dim=1), start
            )
            if squared is None:
                squared = torch.linalg.vector_norm(start, dim=-1).square()
            gram, slots = space.gram, space.slots
            factor = (_root(gram.diagonal(dim1=1, dim2=2)) * self.temperature).reciprocal().unsqueeze(2)
            if towards is not None:
                gram = torch.cat([gram, towards @ space.basis.transpose(1, 2)], dim=1)
            rest, squared = products, squared.unsqueeze(1)  # y_k, from the rows of S_k on
            taken: list[Tensor] = []
            for hop in range(len(self.maps)):
                block = slice((hop + 1) * slots, (hop + 2) * slots)
                taken.append(weigh_slots(_scaled(rest, factor, squared, slots, hop), self.gate, dim=1))
                before = rest[:, slots:]
                rest = torch.baddbmm(before, gram[:, block.start :, block], taken[-1])
                squared = squared + (taken[-1] * (before[:, :slots] + rest[:, :slots])).sum(1, keepdim=True)
            scaled = _scaled(rest, factor, squared, slots, len(self.maps))
            norm = _root(squared).squeeze(1).expand(len(rest), -1)
            return Enhanced(start, tuple(taken), norm, scaled, None if towards is None else rest[:, -1], self.gate)


def weigh_slots(scaled: Float[Tensor, "..."], gate: Float[Tensor, ""] | None, dim: int) -> Float[Tensor, "..."]:
    """a from cos / temperature, whose slots lie along `dim`: a softmax, or gates sigmoid(. + b)."""
    return torch.softmax(scaled, dim=dim) if gate is None else torch.sigmoid(scaled + gate)


def inner_products(
    rows: Float[Tensor, "batch row dim"], items: Float[Tensor, "#batch item dim"]
) -> Float[Tensor, "batch row item"]:
    """Every row times every item of its example; of items that the batch shares as one matrix product."""
    if len(items) == len(rows):
        return rows @ items.transpose(1, 2)
    return (rows.flatten(0, 1) @ items[0].T).unflatten(0, rows.shape[:2])


def _scaled(rest: Tensor, factor: Tensor, squared: Tensor, slots: int, hop: int) -> Float[Tensor, "batch slot item"]:
    """cos(x_k, S_k,i) / temperature."""
    return rest[:, :slots] * factor[:, hop * slots : (hop + 1) * slots] / _root(squared)


def _precise(x: Tensor) -> Tensor:
    """Scores are float32 at least: half precision is for the encoders."""
    return x if x.dtype == torch.float64 else x.float()


def _root(squared: Tensor) -> Tensor:
    """A norm from its square, at least EPSILON; a zero vector then has cosine zero and a zero gradient, not NaN."""
    return squared.clamp(min=EPSILON**2).sqrt()


def cosine(norm: Float[Tensor, "batch 1"], items: Enhanced) -> Float[Tensor, "batch item"]:
    """cos of the vector that the items were multiplied with, whose norm this is, and x_K of each item."""
    assert items.inner is not None
    return items.inner / (norm * items.norm)


def cross_cosine(
    text: Enhanced, image: Enhanced, text_space: StateSpace, image_space: StateSpace
) -> Float[Tensor, "batch item"]:
    """cos(x_K of an item's text, x_K of its photo): the two sides of one item, each in its own space."""
    with torch.autocast(text.start.device.type, enabled=False):
        by_text, by_image = text.coefficients(), image.coefficients()
        inner = (text.start * image.start).sum(-1)
        inner = inner + (by_image * inner_products(image_space.basis, text.start).transpose(1, 2)).sum(-1)
        inner = inner + (by_text * inner_products(text_space.basis, image.start).transpose(1, 2)).sum(-1)
        between = text_space.basis @ image_space.basis.transpose(1, 2)  # [batch, row, row]
        inner = inner + ((by_text @ between) * by_image).sum(-1)
        return inner / (text.norm * image.norm)
