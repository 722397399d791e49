"""Recurrent networks over the kept items of sequences."""

import pytest
import torch

from semantic.encoders.layers.recurrent import Recurrent, RecurrentText
from tests.small_world import fill, formula

KEEP = torch.tensor([[True, True, True, False], [False, True, False, True], [False] * 4])
X = formula((3, 4, 5), 3)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("both_ways", [False, True])
def test_items_that_are_not_kept_are_passed_over(cell, both_ways):
    network = fill(Recurrent(5, 3, cell, both_ways=both_ways)).double()

    states = network(X, KEEP)

    assert states.shape == (3, 4, network.width) == (3, 4, 6 if both_ways else 3)
    for row in range(3):
        kept = KEEP[row].nonzero().squeeze(1)
        if len(kept):
            torch.testing.assert_close(states[row, kept, :3], network.forwards(X[row : row + 1, kept])[0][0])
            if both_ways:
                backward = network.backwards(X[row : row + 1, kept.flip(0)])[0][0].flip(0)
                torch.testing.assert_close(states[row, kept, 3:], backward)
        assert not states[row, ~KEEP[row]].any()


def test_ends_are_the_last_forward_and_the_first_backward_state():
    network = fill(Recurrent(5, 3)).double()
    states = network(X, KEEP)

    ends = network.ends(states, KEEP)

    for row, (first, last) in enumerate([(0, 2), (1, 3)]):
        assert ends[row].tolist() == [*states[row, last, :3].tolist(), *states[row, first, 3:].tolist()]
    assert not ends[2].any()


def test_a_text_is_its_ends_or_its_states_weighed():
    ends, weighed = (fill(RecurrentText(5, 3, pool=pool)).double() for pool in ("ends", "attentive"))
    weighed.recurrent.load_state_dict(ends.recurrent.state_dict())
    states = ends.recurrent(X, KEEP)

    assert torch.equal(ends(X, KEEP), ends.recurrent.ends(states, KEEP))
    weights = torch.softmax(states[1, [1, 3]] @ weighed.pool.score.weight[0], dim=0)
    torch.testing.assert_close(weighed(X, KEEP)[1], weights @ states[1, [1, 3]])


def test_nothing_at_all_gives_zeros():
    network = Recurrent(5, 3).double()

    assert not network(X[:0], KEEP[:0]).numel()
    assert not network(X, torch.zeros_like(KEEP)).any()
