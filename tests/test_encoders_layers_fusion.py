"""Two vectors into one."""

import torch

from semantic.encoders.layers.fusion import BilinearFusion, GatedFusion
from tests.small_world import fill, formula

A, B, C = (formula((3, 5), seed) for seed in (2, 3, 5))


def test_a_gate_goes_from_one_vector_to_the_other():
    fusion = fill(GatedFusion(5, others=1)).double()
    weight = torch.cat([layer.weight for layer in fusion.gate], dim=1)

    gate = torch.sigmoid(torch.cat([A, B, C], dim=1) @ weight.T + fusion.gate[0].bias)

    torch.testing.assert_close(fusion(A, B, C), gate * A + (1 - gate) * B)


def test_a_vector_that_many_share_is_broadcast():
    fusion = fill(GatedFusion(5, others=1)).double()

    many = fusion(A.expand(2, 3, 5), B.expand(2, 3, 5), C[:2].unsqueeze(1))

    torch.testing.assert_close(many[1, 2], fusion(A[2], B[2], C[1]))


def test_bilinear_fusion_is_the_product_of_two_maps():
    fusion = fill(BilinearFusion(5, 5, 4)).double()

    torch.testing.assert_close(fusion(A, B), fusion.first(A) * fusion.second(B))
