"""Two vectors of different kinds into one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GatedFusion(nn.Module):
    """g * a + (1 - g) * b,   g = sigmoid(W [a; b; c_1; ...]) with further vectors c that the gate alone reads."""

    def __init__(self, dim: int, others: int = 0) -> None:
        super().__init__()
        self.gate = nn.ModuleList(nn.Linear(dim, dim, bias=not i) for i in range(2 + others))

    def forward(
        self, a: Float[Tensor, "*#batch dim"], b: Float[Tensor, "*#batch dim"], *others: Float[Tensor, "*#batch dim"]
    ) -> Float[Tensor, "*batch dim"]:
        gate = self.gate[0](a) + self.gate[1](b)  # each part by itself: one that many items share is mapped once
        for layer, part in zip(self.gate[2:], others, strict=True):
            gate = gate + layer(part)
        return b + torch.sigmoid(gate) * (a - b)


class BilinearFusion(nn.Module):
    """(W_a a) * (W_b b): multimodal low-rank bilinear pooling (MLB; Kim et al., ICLR 2017), without its nonlinearity."""

    def __init__(self, a: int, b: int, dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(a, dim)
        self.second = nn.Linear(b, dim)

    def forward(self, a: Float[Tensor, "*batch a"], b: Float[Tensor, "*#batch b"]) -> Float[Tensor, "*batch dim"]:
        return self.first(a) * self.second(b)
