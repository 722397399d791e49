"""Attention, pooling, reading of values, selection of photos and interaction by their definitions, on a model's weights."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.interaction import EPSILON, DialogueStateInteraction, weigh_slots
from semantic.dst.state import LEAST_SET, SlotValues, WordReader
from semantic.encoders.context import PhotoSelection
from semantic.encoders.layers.attention import Attention, AttentionLayer
from semantic.encoders.layers.masking import masked_mean, masked_softmax, masked_sum
from semantic.encoders.layers.pooling import Pool
from semantic.models.semantic.neighbours import Neighbours
from semantic.models.semantic.pointing import ShownProducts


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
    if layer.norm == "post":
        hidden = layer.attention_norm(query + _attended(layer, query, memory, keep))
        return layer.feedforward_norm(hidden + _fed_forward(layer, hidden))
    hidden = query + _attended(layer, layer.attention_norm(query), layer.attention_norm(memory), keep)
    return hidden + _fed_forward(layer, layer.feedforward_norm(hidden))


def _attended(layer: AttentionLayer, query: Tensor, memory: Tensor, keep: Tensor | None) -> Tensor:
    asked, keys, values = (
        x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        for x in (layer.query(query), layer.key(memory), layer.value(memory))
    )
    scores = asked @ keys.mT / math.sqrt(asked.shape[-1])
    if keep is not None:
        scores = scores.masked_fill(~(keep | ~keep.any(-1, keepdim=True))[:, None, None, :], -torch.inf)
    attended = layer.dropout(torch.softmax(scores, dim=-1)) @ values
    return layer.dropout(layer.out(attended.transpose(1, 2).flatten(2)))


def _fed_forward(layer: AttentionLayer, hidden: Tensor) -> Tensor:
    return layer.dropout(layer.contract(torch.relu(layer.expand(hidden))))


def pool(kind: Pool, x: Float[Tensor, "set item dim"], keep: Bool[Tensor, "set item"]) -> Float[Tensor, "set dim"]:
    """`Pool.forward`."""
    if kind.kind == "attentive":
        return masked_sum(masked_softmax(kind.score(x).squeeze(-1), keep).unsqueeze(-1) * x, keep)
    if kind.kind == "mean":
        return masked_mean(x, keep)
    return F.leaky_relu(masked_sum(x, keep)) if kind.kind == "leaky_sum" else masked_sum(x, keep)


def read_values(
    reader: WordReader,
    keys: Float[Tensor, "slot dim"],
    words: Float[Tensor, "batch turn token dim"],
    vectors: Float[Tensor, "batch turn token dim"],
    keep: Bool[Tensor, "batch turn token"],
) -> SlotValues:
    """`WordReader.forward` of words looked up where they stand, which are scored by their vectors."""
    root = math.sqrt(words.shape[-1])
    scores = vectors @ (reader.query(keys) / root + reader.extra).T / root + reader.position.T[None, :, None, :]
    scores = scores.flatten(1, 2).mT  # [batch, slot, word]
    kept = keep.flatten(1).unsqueeze(1).expand_as(scores)
    unset = reader.unset.expand(len(words), -1).unsqueeze(-1)
    places = torch.cat([kept, torch.ones_like(unset, dtype=torch.bool)], dim=2)
    weights = masked_softmax(torch.cat([scores, unset], dim=2), places).to(words.dtype)
    values, is_set = weights[..., :-1] @ words.flatten(1, 2), 1.0 - weights[..., -1]
    if (layer := reader.translation) is not None:
        share = is_set.unsqueeze(-1)
        said = values / share.clamp(min=LEAST_SET)
        values = values + share * layer.contract(torch.relu(layer.expand(said) + layer.slot))
    return SlotValues(values, is_set)


def select_photos(
    selection: PhotoSelection,
    text: Float[Tensor, "batch dim"],
    photos: Float[Tensor, "batch turn photo dim"],
    keep: Bool[Tensor, "batch turn photo"],
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch"]]:
    """`PhotoSelection.select`."""
    photos = F.normalize(photos.flatten(1, 2), dim=-1)
    near = selection.SHARPNESS * cosine(photos, selection.query(text).unsqueeze(1))
    near = near + selection.photo_position.repeat_interleave(keep.shape[2])
    root = math.sqrt(text.shape[-1])
    sink = (selection.sink + (text * selection.sink_query).sum(-1) / root).unsqueeze(1)
    places = torch.cat([keep.flatten(1), torch.ones_like(sink, dtype=torch.bool)], dim=1)
    shares = masked_softmax(torch.cat([near, sink], dim=1), places)[:, :-1]
    return (shares.unsqueeze(-1) * photos).sum(1), shares.sum(1)


@dataclass(frozen=True)
class ShownPlace:
    """One place for a shown product in every example: its vectors, where there is one, and its turn, counted from the last (-1)."""

    text: Float[Tensor, "batch dim"]
    image: Float[Tensor, "batch dim"]
    there: Bool[Tensor, "batch"]
    turn: int


def point(
    pointer: ShownProducts,
    context: Float[Tensor, "batch dim"],
    shown: list[ShownPlace],
    product: tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]],
) -> Float[Tensor, "batch"]:
    """r of one product an example, as `ShownProducts` defines it."""
    total = torch.zeros_like(context[:, 0])
    said = (context * pointer.query).sum(-1) / math.sqrt(context.shape[-1])
    for place in shown:
        weight = pointer.bias + pointer.position[place.turn] + said + pointer.near * cosine(context, place.text)
        like = cosine(product[0], place.text) + cosine(product[1], place.image)
        like = torch.exp(pointer.log_sharpness.exp() * (like - 2) / 2)
        total = total + (weight * like).masked_fill(~place.there, 0.0)
    return total


def recall(
    neighbours: Neighbours, x: Float[Tensor, "batch dim"], product: Float[Tensor, "batch dim"]
) -> Float[Tensor, "batch"]:
    """m of one product an example, as `Neighbours` defines it, over everything that is held."""
    if neighbours.contexts is None or neighbours.products is None or neighbours.pairs is None:
        return torch.zeros_like(x[:, 0])
    near = torch.stack([cosine(x, other.expand_as(x)) for other in neighbours.contexts], dim=1)
    share = len(neighbours.contexts) * torch.softmax(neighbours.config.context_sharpness * near, dim=1)
    total = torch.zeros_like(x[:, 0])
    for example, text in neighbours.pairs.tolist():
        like = cosine(product, neighbours.products[text].expand_as(product))
        total = total + share[:, example] * torch.exp(neighbours.config.product_sharpness * (like - 1))
    return neighbours.config.weight * total.log1p()


def interact(
    interaction: DialogueStateInteraction, x: Float[Tensor, "batch dim"], state: Float[Tensor, "batch slot dim"]
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch slot"]]:
    """x_K and a_K of one vector an example, as DSI is defined: the state is mapped anew for every vector."""
    for layer in interaction.maps:
        attention = _attention(interaction, x, state)
        state = layer(state)
        x = x + (attention.unsqueeze(1) @ state).squeeze(1)
    return x, _attention(interaction, x, state)


def _attention(interaction: DialogueStateInteraction, x: Tensor, state: Tensor) -> Tensor:
    return weigh_slots(cosine(x.unsqueeze(1), state) / interaction.temperature, interaction.gate, dim=-1)


def cosine(x: Float[Tensor, "*#batch dim"], y: Float[Tensor, "*#batch dim"]) -> Float[Tensor, "..."]:
    """cos(x, y) along the last axis, both norms at least EPSILON."""
    return F.cosine_similarity(x, y, dim=-1, eps=EPSILON)
