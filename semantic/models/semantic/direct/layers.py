"""Attention, pooling and interaction by their definitions, on the weights of a model."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.interaction import EPSILON, DialogueStateInteraction
from semantic.encoders.attention import Attention, AttentionLayer
from semantic.encoders.masking import masked_mean, masked_softmax, masked_sum
from semantic.encoders.pooling import Pool


def attend(
    stack: Attention,
    query: Float[Tensor, "batch query dim"],
    memory: Float[Tensor, "batch key dim"] | None = None,
    keep: Bool[Tensor, "batch key"] | None = None,
) -> Float[Tensor, "batch query dim"]:
    """`Attention.forward` with the scores of every query and key written out."""
    hidden = query
    for layer in stack.layers:
        assert isinstance(layer, AttentionLayer)
        own = query if stack.memory == "input" else hidden
        hidden = _layer(layer, hidden, own if memory is None else memory, keep)
    return hidden


def _layer(layer: AttentionLayer, query: Tensor, memory: Tensor, keep: Tensor | None) -> Tensor:
    asked, keys, values = (
        x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        for x in (layer.query(query), layer.key(memory), layer.value(memory))
    )
    scores = asked @ keys.mT / math.sqrt(asked.shape[-1])
    if keep is not None:
        scores = scores.masked_fill(~(keep | ~keep.any(-1, keepdim=True))[:, None, None, :], -torch.inf)
    attended = layer.dropout(torch.softmax(scores, dim=-1)) @ values
    hidden = layer.attention_norm(query + layer.dropout(layer.out(attended.transpose(1, 2).flatten(2))))
    inner = torch.relu(layer.expand(hidden))
    return layer.feedforward_norm(hidden + layer.dropout(layer.contract(inner)))


def pool(kind: Pool, x: Float[Tensor, "set item dim"], keep: Bool[Tensor, "set item"]) -> Float[Tensor, "set dim"]:
    """`Pool.forward`."""
    if kind.kind == "attentive":
        return masked_sum(masked_softmax(kind.score(x).squeeze(-1), keep).unsqueeze(-1) * x, keep)
    if kind.kind == "mean":
        return masked_mean(x, keep)
    return F.leaky_relu(masked_sum(x, keep)) if kind.kind == "leaky_sum" else masked_sum(x, keep)


def interact(
    interaction: DialogueStateInteraction, x: Float[Tensor, "batch dim"], state: Float[Tensor, "batch slot dim"]
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch slot"]]:
    """x_K and a_K of one vector an example, as DSI is defined: the state is mapped anew for every vector."""
    for layer in interaction.maps:
        attention = _attention(x, state, interaction.temperature)
        state = layer(state)
        x = x + (attention.unsqueeze(1) @ state).squeeze(1)
    return x, _attention(x, state, interaction.temperature)


def _attention(x: Tensor, state: Tensor, temperature: float) -> Tensor:
    return torch.softmax(cosine(x.unsqueeze(1), state) / temperature, dim=-1)


def cosine(x: Float[Tensor, "*#batch dim"], y: Float[Tensor, "*#batch dim"]) -> Float[Tensor, "..."]:
    """cos(x, y) along the last axis, both norms at least EPSILON."""
    return F.cosine_similarity(x, y, dim=-1, eps=EPSILON)
