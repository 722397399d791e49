"""Recurrent encoders: a GRU or LSTM over the kept items of sequences, and a text as one vector by it."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from semantic.encoders.layers.packing import by_length
from semantic.encoders.layers.pooling import Pool

Cell = Literal["gru", "lstm"]


class Recurrent(nn.Module):
    """A GRU or LSTM, forwards or both ways, whose items outside `keep` are passed over as if they were not there.

    The state after each kept item [forward; backward], zeros elsewhere; `width` numbers each.
    """

    def __init__(self, inputs: int, hidden: int, cell: Cell = "lstm", *, both_ways: bool = True) -> None:
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.hidden = hidden
        self.both_ways = both_ways
        self.width = hidden * (1 + both_ways)
        self.forwards = kind(inputs, hidden, batch_first=True)
        self.backwards = kind(inputs, hidden, batch_first=True) if both_ways else None

    def forward(
        self, x: Float[Tensor, "row item inputs"], keep: Bool[Tensor, "row item"]
    ) -> Float[Tensor, "row item width"]:
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)  # kept items first, in their order
        sequences = torch.take_along_dim(x, order.unsqueeze(-1), 1)
        # torch's packed sequences have a backward pass on CPUs that grows with the square of their length.
        states = by_length(self._read, sequences, keep.gather(1, order), x.new_zeros(0, self.width), items=True)
        return torch.zeros_like(states).scatter(1, order.unsqueeze(-1).expand_as(states), states)

    def _read(self, x: Tensor, keep: Tensor) -> Tensor:
        """The states of sequences whose kept items come first."""
        states = self._run(self.forwards, x)
        if self.backwards is not None:
            places = torch.arange(keep.shape[1], device=keep.device)
            turned = (keep.sum(1, keepdim=True) - 1 - places).clamp(min=0).unsqueeze(-1)
            backward = self._run(self.backwards, torch.take_along_dim(x, turned, 1))
            states = torch.cat([states, torch.take_along_dim(backward, turned, 1)], dim=-1)
        return states.masked_fill(~keep.unsqueeze(-1), 0.0)

    def _run(self, network: nn.RNNBase, x: Tensor) -> Tensor:
        network.flatten_parameters()  # a copy of the network, as a moving average is, has its weights apart
        states: Tensor = network(x)[0]
        return states

    def ends(
        self, states: Float[Tensor, "row item width"], keep: Bool[Tensor, "row item"]
    ) -> Float[Tensor, "row width"]:
        """The forward state after the last kept item, and the backward one after the first; zeros where nothing is kept."""
        places = torch.arange(keep.shape[1], device=keep.device)
        last = torch.where(keep, places, -1).amax(1).clamp(min=0)
        first = torch.where(keep, places, keep.shape[1]).amin(1).clamp(max=keep.shape[1] - 1)
        rows = torch.arange(len(keep), device=keep.device)
        forward, backward = states[..., : self.hidden], states[..., self.hidden :]
        return torch.cat([forward[rows, last], backward[rows, first]], dim=-1)


class RecurrentText(nn.Module):
    """A text's vector: the ends of a recurrent network over its words, or its states pooled by attention.

        h_1 .. h_n = RNN(x_1 .. x_n);    u = [h_n forward; h_1 backward],  or  u = sum_i softmax_i(w . h_i) h_i

    An empty text gives zeros.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        cell: Cell = "lstm",
        *,
        both_ways: bool = True,
        pool: Literal["ends", "attentive"] = "attentive",
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(inputs, hidden, cell, both_ways=both_ways)
        self.width = self.recurrent.width
        self.pool = Pool(pool, self.width) if pool == "attentive" else None

    def forward(
        self, words: Float[Tensor, "text word inputs"], keep: Bool[Tensor, "text word"]
    ) -> Float[Tensor, "text width"]:
        states = self.recurrent(words, keep)
        return self.recurrent.ends(states, keep) if self.pool is None else self.pool(states, keep)
