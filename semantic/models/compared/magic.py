"""MAGIC: knowledge-aware recurrent encoders with attention over a photo's places.

Nie, Wang, Hong, Wang and Tian, "Multimodal Dialog System: Generating Responses via Adaptive Decoders", MM 2019.

    text        t = sum_i softmax_i(w . h_i) h_i,   h = BiLSTM(words)
    photo       v = sum_j softmax_j(w_a . tanh(W_m m_j + W_t t)) m_j,   m_j the places of the last convolution's map
    turn        s = W_s [t; v],  v the mean over the turn's photos
    context     c = [forward; backward] ends of BiLSTM(s_1 .. s_n)
    product     p = W_p [t; v] with encoders of its own
    relevance   cos(c, p);  hinge with margin 1

Verified in the released code: the sizes (256 a direction for words, 1024 for turns, 2048 in the end), encoders of the product's own,
Adam with 1e-4. Departures: the product's text is read too, a turn's photos are averaged, what is not shown has a learned vector,
turns and products share words and backbone; the released attention ran on a map of one place, where it does nothing, and runs
on a larger one here. Its knowledge (attributes, style tips, celebrities) served the decoder of answers; here, where `knowledge` is on,
a product attends to its entries (k, u) and takes what it reads through a gate:

    p' = g * n + (1 - g) * p,   n = W_n sum_i softmax_i(W_q p . k_i / sqrt(d)) u_i,   g = sigmoid(W_g [p; n])
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.fusion import GatedFusion
from semantic.encoders.layers.masking import masked_softmax, mean_or
from semantic.encoders.layers.recurrent import Recurrent, RecurrentText
from semantic.models.compared.knowledge import KnowledgeComparedConfig, KnowledgeConfig, KnowledgeModel
from semantic.models.compared.reading import PhotoMaps


class MagicKnowledge(KnowledgeConfig):
    """Knowledge of products, off as published."""

    attributes: bool = Field(
        False, description="`key value key value ...` in a product's text, the keys being the slots' words"
    )


class MagicConfig(KnowledgeComparedConfig):
    """The choices of MAGIC."""

    name: str = Field("magic", description="this model, by its short name")
    hidden: Width = Field(256, description="of the network over words, in each direction")
    context_hidden: Width = Field(
        1024, description="of the network over turns, in each direction; a context has twice as many"
    )
    image: PhotoMaps = PhotoMaps()
    knowledge: MagicKnowledge = MagicKnowledge()
    dim: Width = Field(512, description="of a turn before the network over turns")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"published": {"training": {"learning_rate": 1e-4}}}


class PlaceAttention(nn.Module):
    """v = sum_j softmax_j(w . tanh(W_m m_j + W_t t)) m_j over the places of a map."""

    def __init__(self, channels: int, text: int, dim: int) -> None:
        super().__init__()
        self.place = nn.Linear(channels, dim)
        self.text = nn.Linear(text, dim, bias=False)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(
        self, maps: Float[Tensor, "*batch place channel"], text: Float[Tensor, "*#batch text"]
    ) -> Float[Tensor, "*batch channel"]:
        scores = self.score(torch.tanh(self.place(maps) + self.text(text).unsqueeze(-2)))
        return (torch.softmax(scores, dim=-2) * maps).sum(-2)


class Magic(KnowledgeModel):
    """The model; see the head of this file."""

    Config = MagicConfig
    config: MagicConfig

    def __init__(self, config: MagicConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        words, hidden = self.words.embedding_dim, config.hidden
        self.turn_text, self.product_text = (RecurrentText(words, hidden) for _ in range(2))
        self.turn_places, self.product_places = (PlaceAttention(self.features, 2 * hidden, hidden) for _ in range(2))
        self.no_photo = nn.Parameter(torch.zeros(self.features))
        self.turn = nn.Linear(2 * hidden + self.features, config.dim)
        self.context = Recurrent(config.dim, config.context_hidden)
        self.product = nn.Linear(2 * hidden + self.features, self.context.width)
        if self.reads_knowledge:
            self.asks = nn.Linear(self.context.width, words)
            self.takes = nn.Linear(words, self.context.width)
            self.gate = GatedFusion(self.context.width)

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (self.context.width,)

    def encode_products(self, products: Products) -> Float[Tensor, "product dim"]:
        words = self.word_vectors(products.tokens)
        text = self.product_text(words, products.keep)
        photo = self.product_places(self.places(products.photos), text)
        photo = torch.where(products.has_photo.unsqueeze(1), photo, self.no_photo)
        product = self.product(self.dropout(torch.cat([text, photo], dim=1)))
        if not self.reads_knowledge:
            return product
        entries = self.entries(products.tokens, products.keep)
        near = (entries.keys @ self.asks(product).unsqueeze(-1)).squeeze(-1) / math.sqrt(entries.keys.shape[-1])
        read = (masked_softmax(near, entries.keep).unsqueeze(1) @ entries.values).squeeze(1)
        return self.gate(self.takes(read), product)

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        text = self.turn_text(self.word_vectors(contexts.turn_tokens), contexts.turn_keep)
        maps, shown = self.turn_photos(contexts, self.places(contexts.photos))
        photo = mean_or(self.turn_places(maps, text.unsqueeze(1)), shown, self.no_photo)
        steps, keep = contexts.each_turn(self.turn(self.dropout(torch.cat([text, photo], dim=1))))
        return self.context.ends(self.context(steps, keep), keep)

    def places(self, photos: Tensor) -> Float[Tensor, "photo place channel"]:
        """The places of photos' maps."""
        return self.maps(photos).flatten(2).transpose(1, 2)
