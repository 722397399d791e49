"""CLIP: a frozen CLIP model's vectors of turns and products, and attention over the turns.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, as the SeMANTIC paper compares with it:

    turn        u = CLIP(its text);   v = the mean of CLIP(photo) over its photos
    context     c_T, c_V: the last turn after 3 attention layers over the turns' u and over their v, one stack for each
    product     p_T = CLIP(its text);   p_V = CLIP(its photo)
    relevance   tanh(cos(c_T, p_T) + cos(c_V, p_V));   hinge with margin 1

Verified in the released code: both towers are frozen, and the two stacks are all that is trained. `model.text.checkpoint` names the CLIP
checkpoint, a folder or a hub name in transformers' form; nothing is downloaded that is not named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.batching.shards import Shard
from semantic.config.errors import ConfigError
from semantic.config.schema import Depth, PositiveInt, Share
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.masking import masked_mean
from semantic.models.compared.clip_towers import ClipText, ClipVision
from semantic.models.interface import Loss, ProductRows
from semantic.models.losses import Hinge, Ranking, log_scale
from semantic.models.photos import PhotoConfig, PhotoModel, PhotoSource
from semantic.models.text_checkpoints import load_clip


class ClipConfig(PhotoConfig):
    """The choices of the comparison with CLIP; `image` has none, for photos go through the checkpoint."""

    name: str = Field("clip", description="this model, by its short name")
    image: PhotoSource = PhotoSource()
    layers: Depth = Field(3, description="of each stack over the turns")
    heads: PositiveInt = Field(8, description="of a layer")
    dropout: Share = Field(0.1, description="of the stacks")
    ranking: Ranking = Field(Hinge(), description="the loss; the hinge is the published one")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"published": {"training": {"learning_rate": 5e-4}}}
    sources: ClassVar[tuple[str, ...]] = ()  # of its own checkpoint alone

    @model_validator(mode="after")
    def _has_no_other_photos(self) -> "ClipConfig":
        if self.image != PhotoSource():
            raise ValueError("model.image: expected nothing of its own, as photos go through the CLIP checkpoint")
        return self


@dataclass(frozen=True)
class Sides:
    """A context's two vectors."""

    text: Float[Tensor, "query dim"]
    image: Float[Tensor, "query dim"]


class Clip(PhotoModel):
    """The model; see the head of this file. A row of a product is [p_T, p_V]."""

    Config = ClipConfig
    config: ClipConfig
    backbone: ClipVision

    def __init__(self, config: ClipConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.text_encoder is None:
            raise ConfigError("model.text.checkpoint: expected a CLIP checkpoint, a folder or a hub name, got null")
        self.text = ClipText(spec.text_encoder)
        self.backbone = ClipVision(spec.text_encoder)
        self.dim = dim = self.text.width
        if dim % config.heads:
            raise ConfigError(f"model.heads: expected a divisor of the checkpoint's width {dim}, got {config.heads}")
        self.text_turns, self.image_turns = (
            Attention(dim, config.heads, dim, config.layers, config.dropout) for _ in range(2)
        )
        self.log_scale = log_scale(config.ranking)

    @classmethod
    def load_text_encoder(cls, checkpoint: str) -> Any:
        return load_clip(checkpoint)

    def initialise(self, text_encoder: nn.Module | None) -> None:
        assert text_encoder is not None
        weights = text_encoder.state_dict()
        for tower in (self.text.tower, self.backbone.network):
            tower.load_state_dict({name: weights[name] for name in tower.state_dict()})

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (2, self.dim)

    def encode_products(self, products: Products) -> Float[Tensor, "product 2 dim"]:
        photo = self.image_features(products.photos).masked_fill(~products.has_photo.unsqueeze(1), 0.0)
        return torch.stack([self.text(products.tokens, products.keep), photo], dim=1)

    def encode_query(self, contexts: Contexts) -> Sides:
        photos, shown = self.turn_photos(contexts, self.image_features(contexts.photos))
        texts, keep = contexts.each_turn(self.text(contexts.turn_tokens, contexts.turn_keep))
        images, _ = contexts.each_turn(masked_mean(photos, shown))
        return Sides(self.text_turns(texts, keep=keep)[:, -1], self.image_turns(images, keep=keep)[:, -1])

    def score(self, query: Sides, products: ProductRows) -> Float[Tensor, "query candidate"]:
        text, image = products.part(0), products.part(1)
        return torch.tanh(text.cosines(query.text) + image.cosines(query.image))

    def loss(self, shard: Shard) -> Loss:
        return self.loss_of_ranking(shard)
