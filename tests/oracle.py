"""Section 3 of the paper transcribed, with loops over turns, slots, heads and hops: slow, without masks, batches or tricks.

An example is what it is, ragged: what is padded or missing does not exist here. Every function works on lists of vectors,
in the dtype of the model's parameters, and autograd goes through.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semantic.models.semantic.paper import Semantic
from tests.small_world import Example, Item, Turn, World

Vectors = list[Tensor]


def cos(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y) / (norm(x) * norm(y))


def norm(x: Tensor) -> Tensor:
    return (x @ x).clamp(min=1e-16).sqrt()


def softmax(scores: Sequence[Tensor]) -> Vectors:
    exponentials = [score.exp() for score in scores]
    return [e / sum(exponentials) for e in exponentials]  # type: ignore[misc]


def add(vectors: Sequence[Tensor], dim: int, like: Tensor) -> Tensor:
    total = like.new_zeros(dim)
    for vector in vectors:
        total = total + vector
    return total


def interact(
    x: Tensor, state: Vectors, maps: Sequence[tuple[Tensor, Tensor | None]], temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """x_K and a_K by the definition: `maps` are the K pairs (W, bias)."""
    for weight, bias in maps:
        attention = softmax([cos(x, slot) / temperature for slot in state])
        state = [weight @ slot if bias is None else weight @ slot + bias for slot in state]
        for share, slot in zip(attention, state, strict=True):
            x = x + share * slot
    return x, torch.stack(softmax([cos(x, slot) / temperature for slot in state]))


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    total = p.new_zeros(())
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        total = total + (a * (a / middle).log() + b * (b / middle).log()) / 2
    return total


def symmetric_kl(p: Tensor, q: Tensor) -> Tensor:
    total = p.new_zeros(())
    for a, b in zip(p, q, strict=True):
        total = total + (a * (a / b).log() + b * (b / a).log()) / 2
    return total


@dataclass
class Matched:
    """One example's relevance [candidate], attentions, and cos(x_PT, x_PV) [candidate]."""

    relevance: Tensor
    context_text: Tensor
    context_image: Tensor
    product_text: Tensor
    product_image: Tensor
    text_image: Tensor


class Oracle:
    """The model's own weights and choices, under the equations."""

    def __init__(self, model: Semantic) -> None:
        self.weights = dict(model.named_parameters(remove_duplicate=False))
        self.config, self.spec = model.config, model.spec
        self.like = self.weights["image.project.weight"]

    def linear(self, name: str, x: Tensor) -> Tensor:
        bias = self.weights.get(f"{name}.bias")
        return self.weights[f"{name}.weight"] @ x + (0 if bias is None else bias)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        mean = x.sum() / len(x)
        variance = ((x - mean) ** 2).sum() / len(x)
        return (x - mean) / (variance + 1e-5).sqrt() * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def layer(self, name: str, query: Vectors, memory: Vectors) -> Vectors:
        width = len(query[0]) // self.config.heads
        keys = [self.linear(f"{name}.key", m) for m in memory]
        values = [self.linear(f"{name}.value", m) for m in memory]
        out = []
        for vector in query:
            asked, heads = self.linear(f"{name}.query", vector), []
            for head in range(self.config.heads):
                part = slice(head * width, (head + 1) * width)
                shares = softmax([asked[part] @ key[part] / width**0.5 for key in keys])
                heads.append(add([s * v[part] for s, v in zip(shares, values, strict=True)], width, vector))
            hidden = self.layer_norm(f"{name}.attention_norm", vector + self.linear(f"{name}.out", torch.cat(heads)))
            inner = self.linear(f"{name}.expand", hidden)
            fed = self.linear(f"{name}.contract", torch.where(inner > 0, inner, torch.zeros_like(inner)))
            out.append(self.layer_norm(f"{name}.feedforward_norm", hidden + fed))
        return out

    def attend(self, name: str, query: Vectors, memory: Vectors | None = None) -> Vectors:
        """Attn; without a memory it is self-attention."""
        hidden, layer = query, 0
        while query and f"{name}.layers.{layer}.query.weight" in self.weights:
            own = query if self.config.memory == "input" else hidden
            hidden = self.layer(f"{name}.layers.{layer}", hidden, own if memory is None else memory)
            layer += 1
        return hidden

    def pool(self, vectors: Vectors) -> Tensor:
        total = add(vectors, self.config.dim, self.like)
        if self.config.pooling == "leaky_sum":
            return torch.where(total > 0, total, 0.01 * total)
        if self.config.pooling == "mean":
            return total / max(1, len(vectors))
        assert self.config.pooling == "sum"
        return total

    def word(self, token: int) -> Tensor:
        return self.weights["turn_text.words.words.weight"][token]

    def text(self, name: str, tokens: Sequence[int]) -> Tensor:
        places = self.weights["turn_text.words.positions.weight"]
        return self.pool(self.attend(f"{name}.attention", [self.word(t) + places[i] for i, t in enumerate(tokens)]))

    def photos(self, pictures: Sequence[Tensor]) -> Tensor:
        vectors = [self.linear("image.project", picture) for picture in pictures]
        if self.config.photos == "attention":
            vectors = self.attend("photo_attention", vectors)
        return self.pool(vectors)

    def product(self, item: Item, world: World) -> tuple[Tensor, Tensor]:
        """p_T and p_V."""
        name = "product_text" if self.config.text.product_encoder == "separate" else "turn_text"
        return self.text(name, item.tokens), self.photos([] if item.photo is None else [world.pictures[item.photo]])

    def context(self, turns: Sequence[Turn], world: World) -> tuple[Vectors, Vectors]:
        """C_T and C_V."""
        texts = [self.text("turn_text", turn.tokens) for turn in turns]
        images = [self.photos([world.pictures[photo] for photo in turn.photos]) for turn in turns]
        c_text = self.attend("context_text", texts)
        return c_text, self.attend("context_image", c_text, images)

    def keys(self) -> Vectors:
        return [add([self.word(t) for t in key], self.config.dim, self.like) / len(key) for key in self.spec.key_tokens]

    def teacher(self, values: Sequence[Sequence[int]]) -> Vectors:
        """S, from the word pieces of each slot's value."""
        slots = []
        for key, pieces in zip(self.keys(), values, strict=True):
            rows = [self.word(piece) for piece in pieces]
            if self.config.value_mean == "padded_sum":
                rows += [self.word(self.spec.pad)] * (self.spec.value_tokens - len(pieces))
            slots.append(key + add(rows, self.config.dim, self.like) / len(pieces))
        return self.attend("state.teacher.attention", slots)

    def student(self, c_text: Vectors, c_image: Vectors) -> Vectors:
        """S', from the context."""
        keys = self.keys()
        predicted = self.attend("state.student.predictor", keys, [t + v for t, v in zip(c_text, c_image, strict=True)])
        return self.attend("state.student.attention", [key + z for key, z in zip(keys, predicted, strict=True)])

    def interaction(self, name: str, x: Tensor, state: Vectors) -> tuple[Tensor, Tensor]:
        c = self.config.interaction
        maps = [(f"{name}.maps.{k}.weight", f"{name}.maps.{k}.bias") for k in range(c.hops)]
        return interact(x, state, [(self.weights[w], self.weights.get(b)) for w, b in maps], c.temperature)

    def match(self, example: Example, world: World, state: Vectors) -> Matched:
        c_text, c_image = self.context(example.turns, world)
        x_ct, a_ct = self.interaction("text_interaction", c_text[-1], state)
        x_cv, a_cv = self.interaction("image_interaction", c_image[-1], state)
        relevance, texts, images, together = [], [], [], []
        for candidate in example.candidates:
            p_text, p_image = self.product(world.items[candidate], world)
            x_pt, a_pt = self.interaction("text_interaction", p_text, state)
            x_pv, a_pv = self.interaction("image_interaction", p_image, state)
            relevance.append(torch.tanh(cos(x_ct, x_pt) + cos(x_cv, x_pv)))
            together.append(cos(x_pt, x_pv))
            texts.append(a_pt)
            images.append(a_pv)
        return Matched(
            torch.stack(relevance), a_ct, a_cv, torch.stack(texts), torch.stack(images), torch.stack(together)
        )
