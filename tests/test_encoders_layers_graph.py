"""Graph attention, with dense and with sparse weights."""

import torch
import torch.nn.functional as F

from semantic.encoders.layers.graph import GraphAttention, sparsemax
from tests.small_world import fill, formula


def test_sparsemax_is_the_nearest_distribution():
    scores, keep = formula((7, 5), 11), formula((7, 5), 13) > -0.6
    keep[6] = False

    weights = sparsemax(scores, keep)

    assert not weights[~keep].any()
    torch.testing.assert_close(weights[:6].sum(1), torch.ones(6, dtype=torch.float64))
    assert not weights[6].any()
    # Of the nearest distribution the gradient of the distance is one number on its support, and no less elsewhere.
    for row in range(6):
        slope = (weights - scores)[row][keep[row]]
        held = weights[row][keep[row]] > 0
        assert float(slope[held].max() - slope[held].min()) < 1e-12
        assert bool((slope[~held] >= slope[held].max() - 1e-12).all())
    assert int((weights[:6][keep[:6]] == 0).sum()) > 0


def test_sparsemax_of_close_scores_far_from_zero_keeps_their_differences():
    scores = torch.tensor([[1000.0, 1000.5]])

    torch.testing.assert_close(sparsemax(scores, torch.ones(1, 2, dtype=torch.bool)), torch.tensor([[0.25, 0.75]]))


def plain(layer, x, edges):
    """The layer's formula, node by node and head by head."""
    heads, rows = layer.heads, []
    for i in range(len(x)):
        neighbours = [j for j in range(len(x)) if edges[i, j] or i == j]
        found = []
        for head in range(heads):
            weight = layer.map.weight.view(heads, -1, x.shape[1])[head]
            scores = [
                F.leaky_relu(layer.target[head] @ weight @ x[i] + layer.source[head] @ weight @ x[j], 0.2)
                for j in neighbours
            ]
            shares = layer.weigh(torch.stack(scores), torch.ones(len(neighbours), dtype=torch.bool))
            found.append(sum(share * (weight @ x[j]) for share, j in zip(shares, neighbours, strict=True)))
        whole = torch.cat(found)
        whole = whole if layer.last else F.elu(whole)
        rows.append(whole if layer.skip is None else whole + layer.skip.weight @ x[i])
    return torch.stack(rows)


def test_a_layer_is_its_formula():
    x, edges = formula((2, 4, 5), 17), formula((2, 4, 4), 19) > 0
    for options in ({}, {"last": True, "residual": False}, {"weights": "sparsemax"}):
        layer = fill(GraphAttention(5, 3, 2, **options)).double()

        found = layer(x, edges)

        for one in range(2):
            torch.testing.assert_close(found[one], plain(layer, x[one], edges[one]))


def test_a_node_without_neighbours_reads_itself():
    layer = fill(GraphAttention(5, 3, 2, residual=False, last=True)).double()
    x = formula((1, 4, 5), 17)

    torch.testing.assert_close(layer(x, torch.zeros(1, 4, 4, dtype=torch.bool)), layer.map(x))
