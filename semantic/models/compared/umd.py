"""UMD: attention of the shopper's words over a photo's attributes, under a tree of garments.

Cui, Wang, Song, Huang, Xu and Nie, "User Attention-guided Multimodal Dialog Systems", SIGIR 2019.

    text        t = sum_i softmax_i(w . h_i) h_i,   h = BiLSTM(words)
    photo       m = tree(map of an early layer);   v_a = mean over places of conv_a(m), an a for each of six attributes
    attention   v = sum_a softmax_a(sum (W_t t) * (W_v v_a)) v_a
    fusion      s = (U_t t) * (U_v v)
    context     c = W_c [forward; backward] ends of BiLSTM(s_1, s_2)
    product     p = the same fusion of its text and photo
    relevance   cos(c, p);  hinge with margin 1

Verified in the released code: two turns of context, the sizes (1024 each), six attributes (color, material, style, fit, length, care),
3 x 3 convolutions for nodes of the tree and for attributes, Adam with 4e-4. Departures: the tree there is of MMD's categories, and its
nodes, in plain lists, were never trained; here a root's map goes on through `branches` nodes, weighed by a softmax over the words of
the photographed product, and all are trained. What is not said or not shown has a learned vector, as a product with zeros is zero.
A turn's several photos are averaged. The product's encoders are those of the turns.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.config.schema import PositiveInt, Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.fusion import BilinearFusion
from semantic.encoders.layers.masking import masked_mean, mean_or
from semantic.encoders.layers.recurrent import Recurrent, RecurrentText
from semantic.models.compared.reading import ComparedConfig, ComparedModel, PhotoMaps


class UmdMaps(PhotoMaps):
    """An early layer's map."""

    layer: str = Field("layer2", description="part of the backbone whose map is read")
    grid: Width = Field(4, description="the map is averaged to so many places a side")


class UmdConfig(ComparedConfig):
    """The choices of UMD."""

    name: str = Field("umd", description="this model, by its short name")
    dim: Width = Field(1024, description="of fused vectors")
    hidden: Width = Field(1024, description="of the recurrent networks, in each direction")
    maps: Width = Field(128, description="channels of the tree's and the attributes' maps")
    branches: PositiveInt = Field(4, description="nodes of the tree under its root")
    attributes: PositiveInt = Field(6, description="of a garment; no label says which is which")
    image: UmdMaps = UmdMaps()

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "published": {"data": {"context_turns": 2}, "training": {"learning_rate": 4e-4}}
    }


class AttributeMaps(nn.Module):
    """v_1 .. v_A of photos: a root, branches weighed by what the product is called, and a convolution for each attribute."""

    def __init__(self, channels: int, words: int, maps: int, branches: int, attributes: int) -> None:
        super().__init__()
        self.maps, self.attributes = maps, attributes
        self.root = nn.Conv2d(channels, maps, 3, padding=1)
        self.branches = nn.Conv2d(maps, branches * maps, 3, padding=1)
        self.chooses = nn.Linear(words, branches)
        self.heads = nn.Conv2d(maps, attributes * maps, 3, padding=1)

    def forward(
        self, maps: Float[Tensor, "photo channel height width"], called: Float[Tensor, "photo words"]
    ) -> Float[Tensor, "photo attribute maps"]:
        root = torch.relu(self.root(maps))
        nodes = torch.relu(self.branches(root)).unflatten(1, (-1, self.maps))
        node = torch.einsum("pb,pbchw->pchw", torch.softmax(self.chooses(called), dim=1), nodes)
        return torch.relu(self.heads(node)).unflatten(1, (self.attributes, self.maps)).mean((-2, -1))


class Umd(ComparedModel):
    """The model; see the head of this file."""

    Config = UmdConfig
    config: UmdConfig

    def __init__(self, config: UmdConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.text = RecurrentText(self.words.embedding_dim, config.hidden)
        self.attributes = AttributeMaps(
            self.features, self.words.embedding_dim, config.maps, config.branches, config.attributes
        )
        self.asks = nn.Linear(self.text.width, config.dim)
        self.shows = nn.Linear(config.maps, config.dim, bias=False)
        self.fusion = BilinearFusion(self.text.width, config.maps, config.dim)
        self.no_text = nn.Parameter(torch.ones(self.text.width) / self.text.width**0.5)
        self.no_photo = nn.Parameter(torch.ones(config.maps) / config.maps**0.5)
        self.context = Recurrent(config.dim, config.hidden)
        self.query = nn.Linear(self.context.width, config.dim)

    def encode_products(self, products: Products) -> Float[Tensor, "product dim"]:
        text = self.read_text(products.tokens, products.keep)
        found = self.photo_attributes(products.photos, products.tokens, products.keep)
        photo = mean_or(self.attend(text, found.unsqueeze(1)), products.has_photo.unsqueeze(1), self.no_photo)
        return self.fusion(self.dropout(text), self.dropout(photo))

    def encode_query(self, contexts: Contexts) -> Float[Tensor, "query dim"]:
        text = self.read_text(contexts.turn_tokens, contexts.turn_keep)
        found = self.photo_attributes(contexts.photos, contexts.photo_tokens, contexts.photo_keep)
        seen, shown = self.turn_photos(contexts, found)
        photo = mean_or(self.attend(text, seen), shown, self.no_photo)
        steps, keep = contexts.each_turn(self.fusion(self.dropout(text), self.dropout(photo)))
        return self.query(self.context.ends(self.context(steps, keep), keep))

    def read_text(self, tokens: Tensor, keep: Tensor) -> Float[Tensor, "text width"]:
        text = self.text(self.word_vectors(tokens), keep)
        return torch.where(keep.any(1, keepdim=True), text, self.no_text)

    def photo_attributes(self, photos: Tensor, tokens: Tensor, keep: Tensor) -> Float[Tensor, "photo attribute maps"]:
        """v_a of photos of products with these texts."""
        return self.attributes(self.maps(photos), masked_mean(self.words(tokens), keep))

    def attend(
        self, text: Float[Tensor, "text width"], photos: Float[Tensor, "text photo attribute maps"]
    ) -> Float[Tensor, "text photo maps"]:
        """v of each text's photos."""
        near = (self.shows(photos) @ self.asks(text)[:, None, :, None]).squeeze(-1)
        return (torch.softmax(near, dim=-1).unsqueeze(-2) @ photos).squeeze(-2)
