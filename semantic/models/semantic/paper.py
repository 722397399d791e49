"""SeMANTIC as the paper defines it; where the code published with it differs, a field of the configuration says so.

Read `Semantic` from top to bottom: what it is made of, then how products and contexts become vectors. Scoring and the
joint loss are in `base`, the state encoders in `semantic.dst.state`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from transformers import PretrainedConfig

from semantic.batching.inputs import InputSpec
from semantic.batching.shards import Shard
from semantic.config.schema import Depth, PositiveFloat, PositiveInt, Section, Share, Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.dst.interaction import DialogueStateInteraction
from semantic.dst.state import AttentionStates, DialogueState, StudentLearner, TeacherEncoder, TurnVectors
from semantic.encoders.attention import Attention
from semantic.encoders.image import Backbone, ImageEncoder
from semantic.encoders.packing import by_length
from semantic.encoders.pooling import Pool
from semantic.encoders.text import ContextualWords, TextEncoder
from semantic.encoders.words import BatchWords, WordTables
from semantic.models.interface import DirectForm
from semantic.models.losses import log_scale
from semantic.models.semantic.base import (
    ContextReading,
    PhotoSource,
    SemanticConfig,
    StateAwareModel,
    TableSource,
    context_turns,
)
from semantic.models.semantic.joint import LossConfig
from semantic.models.semantic.losses import state_loss
from semantic.models.text_checkpoints import load_contextual, load_tables


class TextConfig(TableSource):
    """Word vectors, and the layers over them."""

    encoder: Literal["tables", "contextual"] = Field(
        "tables", description="BERT's word and position tables (paper), or the checkpoint's whole encoder"
    )
    layers: Depth | None = Field(None, description="attention layers over word pieces; null: model.layers")
    product_encoder: Literal["shared", "separate"] = Field(
        "shared", description="product texts: the turns' encoder (paper), or weights of their own (released)"
    )

    @model_validator(mode="after")
    def _contextual_has_a_checkpoint(self) -> "TextConfig":
        if self.encoder == "contextual" and self.checkpoint is None:
            raise ValueError("a checkpoint (model.text.checkpoint) for encoder contextual")
        if self.encoder == "contextual" and self.table_scale == "unit":
            raise ValueError("encoder tables for table_scale unit")
        return self


class ImageConfig(PhotoSource):
    """The backbone, and how it is trained."""

    frozen: bool = Field(False, description="no gradient into the backbone")
    batch_norm: Literal["train", "eval"] = Field(
        "eval", description="BatchNorm in training: by running statistics, or by the batch's (released)"
    )


class InteractionConfig(Section):
    """Dialogue State Interaction."""

    hops: Depth = Field(3, description="K")
    map: Literal["linear", "affine"] = Field(
        "linear", description="W of a hop: without (paper) or with a bias (released)"
    )
    temperature: PositiveFloat = Field(
        1.0, description="the softmax over slots is of cosine / temperature; 1 in the paper"
    )
    text_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the text side before training"
    )
    image_start: Literal["random", "identity", "zero"] = Field(
        "random", description="W of the image side; zero: without effect at first"
    )


class PaperConfig(SemanticConfig):
    """The paper's network; the defaults are the paper's."""

    name: str = Field("semantic", description="this model, by its short name")
    dim: Width = Field(768, description="D_out; with a text checkpoint its width")
    heads: PositiveInt = Field(8, description="attention heads", validate_default=True)
    layers: Depth = Field(3, description="layers of every attention stack")
    inner: Width | None = Field(None, description="inner size of a layer; null: dim")
    dropout: Share = Field(0.1, description="dropout of every attention stack")
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
    interaction: InteractionConfig = InteractionConfig()
    loss: LossConfig = LossConfig()

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
    }

    @field_validator("heads")
    @classmethod
    def _divides_dim(cls, heads: int, info: Any) -> int:
        if info.data.get("dim", heads) % heads:
            raise ValueError(f"a divisor of model.dim ({info.data['dim']})")
        return heads


class Semantic(StateAwareModel):
    """The network of section 3 of the paper.

    text turn     u_t = Pool(Attn(W_emb[w] + PE))           image turn    v_t = Pool(Attn(Linear(backbone(photo))))
    context       C_T = Attn(U), C_V = CrossAttn(query C_T, keys and values V); the last turn of each
    product       p_T and p_V like a turn's
    state         S = Attn(K + values);  S' = Attn(K + Z), Z = CrossAttn(query K, keys and values C_T + C_V)
    """

    Config = PaperConfig
    config: PaperConfig
    state: AttentionStates

    def __init__(self, config: PaperConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = dim = config.dim
        words: WordTables | ContextualWords
        if config.text.encoder == "contextual":
            assert spec.text_encoder is not None
            words = ContextualWords(PretrainedConfig.from_dict(spec.text_encoder))
        else:
            words = WordTables(spec.vocabulary, spec.positions, dim, spec.pad)
        self.turn_text = TextEncoder(words, self._attention(config.text.layers), Pool(config.pooling, dim))
        self.product_text = self.turn_text
        if config.text.product_encoder == "separate":
            self.product_text = TextEncoder(words, self._attention(config.text.layers), Pool(config.pooling, dim))

        features, image = spec.image_features, config.image
        self.backbone: Backbone | None = None
        if features is None:
            self.backbone = Backbone(image.backbone, frozen=image.frozen, batch_norm=image.batch_norm)
            features = self.backbone.features
        self.image = ImageEncoder(features, dim)
        self.photo_attention = self._attention() if config.photos == "attention" else None
        self.photo_pool = Pool(config.pooling, dim)

        self.context_text = self._attention()
        self.context_image = self._attention()
        teacher = TeacherEncoder(self._attention(), config.value_mean)
        self.state = AttentionStates(spec.key_tokens, teacher, StudentLearner(self._attention(), self._attention()))
        self.text_interaction = self._interaction(config.interaction.text_start)
        self.image_interaction = self._interaction(config.interaction.image_start)
        self.log_scale = log_scale(config.loss.ranking)

    def _attention(self, layers: int | None = None) -> Attention:
        c = self.config
        layers = c.layers if layers is None else layers
        return Attention(c.dim, c.heads, c.inner or c.dim, layers, c.dropout, c.memory)

    def _interaction(self, start: str) -> DialogueStateInteraction:
        c = self.config.interaction
        return DialogueStateInteraction(
            self.dim, c.hops, affine=c.map == "affine", temperature=c.temperature, start=start
        )

    def load_text(self, encoder: nn.Module) -> None:
        words = self.turn_text.words
        if isinstance(words, ContextualWords):
            load_contextual(words, encoder, self.dim)
        else:
            load_tables(words, encoder, self.dim)

    @property
    def word_table(self) -> nn.Embedding:
        return self.turn_text.words.words

    def read_products(self, products: Products, words: BatchWords) -> Float[Tensor, "product 2 dim"]:
        features = self.image_features(products.photos)
        text = self.product_text(words, products.tokens, products.keep)
        image = self._pool_photos(self.image(features).unsqueeze(1), products.has_photo.unsqueeze(1))
        return torch.stack([text, image], dim=1)

    def read_contexts(self, contexts: Contexts, words: BatchWords) -> ContextReading:
        texts, keep = context_turns(contexts, self.turn_text(words, contexts.turn_tokens, contexts.turn_keep))
        images, _ = context_turns(contexts, self._pool_photos(*self.shown_photos(contexts, self.image)))
        c_text = self.context_text(texts, keep=keep)
        c_image = self.context_image(c_text, images, keep)
        return ContextReading(c_text, c_image, TurnVectors(c_text + c_image, keep))

    def _pool_photos(
        self, photos: Float[Tensor, "set photo dim"], keep: Bool[Tensor, "set photo"]
    ) -> Float[Tensor, "set dim"]:
        """v of sets of photos; a set without any gives zeros."""
        attention = self.photo_attention
        if attention is None:
            return self.photo_pool(photos, keep)
        return by_length(lambda p, k: self.photo_pool(attention(p, keep=k), k), photos, keep, photos)

    def state_terms(self, student: DialogueState, teacher: DialogueState, shard: Shard) -> dict[str, Tensor]:
        """MSE(S', S)."""
        weight = self.config.loss.state_weight
        if not weight:
            return {}
        return {"state_mse": weight * state_loss(student.embeddings, teacher.embeddings, shard.counts)}

    def direct_form(self) -> DirectForm:
        # The bench alone needs it.
        from semantic.models.semantic.direct.paper import PaperDirectForm

        return PaperDirectForm(self)
