"""Photos as models read them: a frozen or trained backbone, or a user's file of features."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from semantic.batching.inputs import Inputs
from semantic.config.schema import ModelConfig, Section
from semantic.datasets.batches.tensors import Batch, Contexts
from semantic.encoders.image import Backbone
from semantic.models.interface import Model


class PhotoSource(Section):
    """Where photo vectors come from."""

    backbone: str = Field("resnet18", description="torchvision or timm model name")
    weights: str | None = Field(
        None, description="'pretrained' (hub), a safetensors file, or null for weights from scratch"
    )
    features: str | None = Field(
        None, description=".npy file [product, feature] in the store's order, read instead of running a backbone"
    )


class PhotoConfig(ModelConfig):
    """The configuration of a model that reads photos."""

    image: PhotoSource

    sources: ClassVar[tuple[str, ...]] = (*ModelConfig.sources, "image.backbone", "image.weights", "image.features")

    @property
    def features_file(self) -> str | None:
        return self.image.features


class PhotoModel(Model):
    """A model that reads photos. Pictures go through `backbone`, which a subclass makes; None where features come from a file."""

    config: PhotoConfig
    backbone: Backbone | None

    @property
    def inputs(self) -> Inputs:
        if self.config.image.features is not None:
            return Inputs(Path(self.config.image.features))
        assert self.backbone is not None
        # Of hidden photos the features are zeros, and no backbone runs over black pictures.
        computed_once = self.backbone.cacheable or "photos" in self.spec.hidden
        return Inputs(self.backbone if computed_once else "pictures")

    def load_photos(self) -> None:
        """Take over the backbone's weights, where the configuration names any."""
        if self.backbone is not None and self.config.image.weights is not None:
            self.backbone.load(self.config.image.weights)

    def image_features(self, photos: Tensor) -> Float[Tensor, "photo feature"]:
        """Backbone features of pictures; features computed beforehand pass through."""
        if photos.dtype != torch.uint8:
            return photos.to(next(self.parameters()).dtype)
        if self.backbone is None:
            raise ValueError("photos: expected features [photo, feature], as this model was trained on, got pictures")
        if not len(photos):
            return torch.zeros(0, self.backbone.features, device=photos.device)
        return self.backbone(photos)

    def with_features(self, batch: Batch) -> Batch:
        """The batch with features for pictures, by one call of the backbone: statistics over processes need as many on each."""
        products, contexts = batch.products, batch.contexts
        own, shown = self.image_features(torch.cat([products.photos, contexts.photos])).split(
            [len(products.photos), len(contexts.photos)]
        )
        return replace(batch, products=replace(products, photos=own), contexts=replace(contexts, photos=shown))

    def turn_photos(
        self, contexts: Contexts, vectors: Float[Tensor, "picture *dim"]
    ) -> tuple[Float[Tensor, "turn photo *dim"], Bool[Tensor, "turn photo"]]:
        """What belongs to the photos of each turn, and which places hold one."""
        keep = contexts.turn_photos >= 0
        if not len(vectors):
            return vectors.new_zeros(*keep.shape, *vectors.shape[1:]), keep
        return vectors[contexts.turn_photos.clamp(min=0)], keep
