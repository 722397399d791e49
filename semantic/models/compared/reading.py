"""What the compared methods share: a word table, photos of a frozen or trained backbone, cosines, and a ranking loss."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.batching.shards import Shard
from semantic.config.errors import ConfigError
from semantic.config.schema import Depth, PositiveInt, Share, Width
from semantic.encoders.image import Backbone, MapBackbone
from semantic.models.interface import Loss, ProductRows
from semantic.models.losses import Hinge, Ranking, log_scale
from semantic.models.photos import PhotoConfig, PhotoModel, PhotoSource
from semantic.models.word_vectors import WordSource, load_words, word_table


class Photos(PhotoSource):
    """The backbone, and how it is trained."""

    frozen: bool = Field(True, description="no gradient into the backbone, whose features are then computed once")
    batch_norm: Literal["train", "eval"] = Field(
        "eval", description="BatchNorm in training: by running statistics, or by the batch's"
    )


class PhotoMaps(Photos):
    """The same for a method that reads the backbone's map of a photo, place by place."""

    layer: str = Field("layer4", description="part of the backbone whose map is read")
    grid: Width = Field(
        2,
        description="the map is averaged to so many places a side; a row of `features` is a map of as many, channel by channel",
    )


class ComparedConfig(PhotoConfig):
    """What the configurations of the compared methods hold."""

    text: WordSource = WordSource()
    image: Photos = Photos()
    dim: Width = Field(512, description="of the vectors whose cosine is the relevance")
    dropout: Share = Field(
        0.0, description="of words, of turns' and products' vectors, and of the attention over graphs"
    )
    ranking: Ranking = Field(Hinge(), description="the loss; the hinge is the published one")


class TurnGraphConfig(ComparedConfig):
    """What a method with a graph over the turns holds beside."""

    hidden: Width = Field(256, description="of the network over words, in each direction")
    layers: Depth = Field(2, description="graph attention layers over the turns")
    heads: PositiveInt = Field(4, description="of a layer but the last, which has one")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"approximate": {"training": {"learning_rate": 1e-4}}}

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> "TurnGraphConfig":
        if self.dim % self.heads:
            raise ValueError(f"expected model.heads to divide model.dim {self.dim}, got {self.heads}")
        return self


class ComparedModel(PhotoModel):
    """f(dialogue, product) = cos(c, p), trained by a ranking loss; dialogue states are neither read nor inferred."""

    config: ComparedConfig

    def __init__(self, config: ComparedConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.words = word_table(config.text, spec)
        self.backbone = None
        image = config.image
        if spec.image_features is not None:
            self.grid = image.grid if isinstance(image, PhotoMaps) else 1
            self.features, rest = divmod(spec.image_features, self.grid**2)
            if rest:
                raise ConfigError(
                    f"model.image.features {image.features}: expected maps of {self.grid} x {self.grid} places "
                    f"(model.image.grid), got {spec.image_features} numbers a product"
                )
        elif isinstance(image, PhotoMaps):
            self.backbone = MapBackbone(
                image.backbone, image.layer, image.grid, frozen=image.frozen, batch_norm=image.batch_norm
            )
            self.features, self.grid = self.backbone.channels, image.grid
        else:
            self.backbone = Backbone(image.backbone, frozen=image.frozen, batch_norm=image.batch_norm)
            self.features, self.grid = self.backbone.features, 1
        self.dropout = nn.Dropout(config.dropout)
        self.log_scale = log_scale(config.ranking)

    @property
    def product_shape(self) -> tuple[int, ...]:
        return (self.config.dim,)

    def score(self, query: Any, products: ProductRows) -> Float[Tensor, "query candidate"]:
        return products.cosines(query)

    def loss(self, shard: Shard) -> Loss:
        return self.loss_of_ranking(replace(shard, batch=self.with_features(shard.batch)))

    def initialise(self, text_encoder: nn.Module | None) -> None:
        load_words(self.words, self.config.text, text_encoder, self.tokenizer)
        self.load_photos()

    def word_vectors(self, tokens: Tensor) -> Float[Tensor, "text word dim"]:
        return self.dropout(self.words(tokens))

    def maps(self, photos: Tensor) -> Float[Tensor, "photo channel height width"]:
        """The maps of photos, [photo, channel, grid, grid]."""
        return self.image_features(photos).unflatten(1, (self.features, self.grid, self.grid))
