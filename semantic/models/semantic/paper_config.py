"""The choices of the paper's network, and its presets: `paper`, `released` and `tuned`."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from semantic.config.schema import Depth, NaturalFloat, PositiveFloat, PositiveInt, Section, Share, Width
from semantic.models.photos import PhotoSource
from semantic.models.semantic.base import (
    SemanticConfig,
    TableSource,
)
from semantic.models.semantic.joint import LossConfig


class TextConfig(TableSource):
    """Word vectors, and the layers over them."""

    encoder: Literal["tables", "contextual"] = Field(
        "tables", description="BERT's word and position tables (paper), or the checkpoint's whole encoder"
    )
    layers: Depth | None = Field(None, description="attention layers over word pieces; null: model.layers")
    product_encoder: Literal["shared", "separate", "pooled"] = Field(
        "shared",
        description="product texts: the turns' encoder (paper), weights of their own (released), or the words pooled without layers",
    )

    @model_validator(mode="after")
    def _contextual_has_a_checkpoint(self) -> "TextConfig":
        if self.encoder == "contextual" and self.checkpoint is None:
            raise ValueError("a checkpoint (model.text.checkpoint) for encoder contextual")
        if self.encoder == "contextual" and self.table_scale == "unit":
            raise ValueError("encoder tables for table_scale unit")
        if self.encoder == "contextual" and self.completion:
            raise ValueError("encoder tables for completion")
        return self


class ImageConfig(PhotoSource):
    """The backbone, and how it is trained."""

    frozen: bool = Field(False, description="no gradient into the backbone")
    batch_norm: Literal["train", "eval"] = Field(
        "eval", description="BatchNorm in training: by running statistics, or by the batch's (released)"
    )
    projection: Literal["trained", "whitened"] = Field(
        "trained", description="v: a trained layer over the features (paper), or the catalogue's PCA whitening of them"
    )
    context: Literal["attention", "selection"] = Field(
        "attention",
        description="C_V: CrossAttn(C_T, V) of pooled turns (paper), or the shown photos that c_T selects, one by one, whose cosine is "
        "then weighed by the attention that they get",
    )

    @model_validator(mode="after")
    def _whitening_needs_fixed_features(self) -> "ImageConfig":
        if self.projection != "trained" and not self.frozen:
            raise ValueError(f"a frozen backbone (model.image.frozen) for projection {self.projection}")
        return self


class StateConfig(Section):
    """Teacher's and student's dialogue state."""

    evidence: Literal["turns", "words"] = Field(
        "turns", description="the student attends to the turns' vectors C_T + C_V (paper), or to the words of the turns"
    )
    translates: bool = Field(
        False,
        description="words read as a slot's value go through a layer that starts as the identity, and learns how labels name them",
    )
    attention: Literal["separate", "shared"] = Field(
        "separate", description="Attn of S and of S': weights of their own (paper), or the same"
    )
    key_weight: NaturalFloat = Field(1.0, description="of the slot keys K in S and S'; 1 in the paper")
    ranks_by: Literal["inferred", "gold"] = Field(
        "inferred", description="the state in ranking: the student's, or the label itself, which gives an upper bound"
    )


class InteractionConfig(Section):
    """Dialogue State Interaction."""

    hops: Depth = Field(3, description="K")
    sides: Literal["both", "text", "image"] = Field(
        "both",
        description="the vectors that take in the state: of texts and photos, or of one of them, the other with K = 0",
    )
    map: Literal["linear", "affine"] = Field(
        "linear", description="W of a hop: without (paper) or with a bias (released)"
    )
    attention: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="a: a softmax over the slots (paper), or a gate for each slot, which counts what matches"
    )
    temperature: PositiveFloat = Field(
        1.0, description="the attention over slots is of cosine / temperature; 1 in the paper"
    )
    start_scale: PositiveFloat = Field(1.0, description="a W that starts as the identity starts as this many times it")
    text_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the text side before training"
    )
    image_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the image side; zero: without effect at first"
    )


class PaperLoss(LossConfig):
    """What is minimised; the defaults are the paper's."""

    state: Literal["mse", "values"] = Field(
        "mse",
        description="the term that draws S' to S: their squared distance (paper), or which of the batch's values each slot has",
    )


class PaperConfig(SemanticConfig):
    """The paper's network; the defaults are the paper's."""

    name: str = Field("semantic", description="this model, by its short name")
    dim: Width = Field(768, description="D_out; with a text checkpoint its width")
    heads: PositiveInt = Field(8, description="attention heads", validate_default=True)
    layers: Depth = Field(3, description="layers of every attention stack")
    inner: Width | None = Field(None, description="inner size of a layer; null: dim")
    dropout: Share = Field(0.1, description="dropout of every attention stack")
    norm: Literal["post", "pre"] = Field(
        "post", description="LayerNorm of attention layers: after each residual sum (paper), or before each branch"
    )
    start: Literal["random", "identity"] = Field(
        "random",
        description="attention layers and positions before training; identity: a layer adds nothing yet to what it reads",
    )
    turn_positions: bool = Field(
        False, description="a trained vector for each place in the context is added to its turn"
    )
    memory: Literal["updated", "input"] = Field(
        "updated",
        description="what self-attention layers after the first attend to: the layer before, or the stack's input (released)",
    )
    pooling: Literal["sum", "leaky_sum", "mean", "attentive"] = Field(
        "sum",
        description="word pieces (photos) of a turn into one vector: sum (paper), LeakyReLU of it (released), others",
    )
    photos: Literal["attention", "sum"] = Field(
        "attention", description="photos of a turn: self-attention then pooling (paper), or pooling alone (released)"
    )
    value_mean: Literal["pieces", "padded_sum"] = Field(
        "pieces",
        description="a slot value: the mean over its pieces (paper), or pad rows included in the sum (released)",
    )
    text: TextConfig = TextConfig()
    image: ImageConfig = ImageConfig()
    state: StateConfig = StateConfig()
    interaction: InteractionConfig = InteractionConfig()
    loss: PaperLoss = PaperLoss()

    @property
    def reads_gold_states(self) -> bool:
        return self.state.ranks_by == "gold"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "released": {
            "model": {
                "pooling": "leaky_sum",
                "photos": "sum",
                "memory": "input",
                "value_mean": "padded_sum",
                "text": {"product_encoder": "separate"},
                "image": {"batch_norm": "train"},
                "interaction": {"map": "affine"},
                "loss": {"divergence": "symmetric_kl", "correlation": "mean", "teacher_first": True},
            },
            "data": {"unannotated": "unset"},
            "training": {"selection": "loss_or_ndcg@5"},
        },
        "tuned": {
            "model": {
                "layers": 1,
                "dropout": 0.3,
                "norm": "pre",
                "start": "identity",
                "pooling": "attentive",
                "turn_positions": True,
                "pointer": True,
                "gate_learning_rate": 2e-2,
                "text": {"table_scale": "unit", "product_encoder": "pooled"},
                "image": {"frozen": True},
                "state": {"evidence": "words", "translates": True, "attention": "shared", "key_weight": 0.3},
                "interaction": {
                    "hops": 1,
                    "attention": "sigmoid",
                    "temperature": 0.1,
                    "text_start": "identity",
                    "image_start": "identity",
                    "start_scale": 0.3,
                },
                "loss": {
                    "ranking": {"kind": "sampled_softmax"},
                    "state": "values",
                    "correlation": "contrastive",
                    "correlation_weight": 0.1,
                },
            },
            "training": {"warmup_ratio": 0.05, "max_grad_norm": 1.0, "shared_negatives": 128},
        },
    }

    @model_validator(mode="after")
    def _values_are_read_off_words(self) -> "PaperConfig":
        if self.loss.state == "values" and self.state.evidence != "words":
            raise ValueError("words (model.state.evidence) for loss.state values")
        if self.state.translates and self.state.evidence != "words":
            raise ValueError("words (model.state.evidence) for state.translates")
        return self

    @field_validator("heads")
    @classmethod
    def _divides_dim(cls, heads: int, info: Any) -> int:
        if info.data.get("dim", heads) % heads:
            raise ValueError(f"a divisor of model.dim ({info.data['dim']})")
        return heads
