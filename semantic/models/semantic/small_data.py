"""SeMANTIC for small data: few layers, and those that there are start from what words and photos match already.

The paper's recipe starves on a few hundred dialogues. Here teacher, student, interaction and cosines of text and photo
vectors are the paper's, and what surrounds them is not:

    text        u = sum_i a_i W_emb[w_i], a weighted bag of words; words that a product's text lacks are guessed from its photo
    photo       v = the catalogue's PCA whitening of frozen features: a photo is nearest to itself
    context     c_T: the last turn plus a weighted mean of all; c_V: the shown photo that the words point at, or none
    state       S = scale (weight K + V); the student reads the values V off the words of the context
    relevance   f = tanh(cos(x_CT, x_PT) + w cos(x_CV, x_PV)), w a learned gate times the attention on photos
    loss        softmax over many shared negatives; which of the batch's values each slot has, in place of the MSE
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from semantic.batching.inputs import Inputs, InputSpec
from semantic.batching.shards import Shard
from semantic.config.schema import Depth, NaturalFloat, PositiveFloat, Section, Share, Width
from semantic.datasets.batches.tensors import Contexts, Products
from semantic.dst.interaction import DialogueStateInteraction
from semantic.dst.state import DialogueState, TurnWords, ValueState, ValueStates, WordReader
from semantic.encoders.bag import BagEncoder
from semantic.encoders.completion import TextCompletion
from semantic.encoders.context import PooledContext, identity_linear
from semantic.encoders.image import Backbone, WhitenedImageEncoder
from semantic.encoders.words import BatchWords, WordTables
from semantic.models.interface import DirectForm
from semantic.models.losses import Ranking, SampledSoftmax, log_scale
from semantic.models.photos import PhotoSource
from semantic.models.semantic.base import (
    ContextReading,
    SemanticConfig,
    StateAwareModel,
    TableSource,
)
from semantic.models.semantic.joint import LossConfig
from semantic.models.semantic.neighbours import Neighbours
from semantic.models.semantic.pointing import ShownProducts
from semantic.models.text_checkpoints import load_tables


class BagConfig(TableSource):
    """The word table, and texts as bags of its words."""

    table_scale: Literal["checkpoint", "unit"] = Field(
        "unit", description="the word table as it is, or scaled to deviation 1"
    )
    word_dropout: Share = Field(0.1, description="share of a turn's words that are left out in training")


class InteractionConfig(Section):
    """Dialogue State Interaction; W starts as the identity on the text side and as zero, without effect, on the image side."""

    hops: Depth = Field(1, description="K")
    temperature: PositiveFloat = Field(0.1, description="the softmax over slots is of cosine / temperature")


class SmallDataLoss(LossConfig):
    """What is minimised; divergence and correlation are off."""

    ranking: Ranking = SampledSoftmax()
    divergence_weight: NaturalFloat = Field(0.0, description="0 switches the term off")
    correlation_weight: NaturalFloat = Field(0.0, description="0 switches the term off")
    state_weight: NaturalFloat = Field(
        0.1, description="of which of the batch's values each slot has; 0 switches it off"
    )


class SmallDataConfig(SemanticConfig):
    """The choices of the method for small data."""

    name: str = Field("semantic_small_data", description="this model, by its short name")
    dim: Width = Field(384, description="D_out; with a text checkpoint its width")
    dropout: Share = Field(0.1, description="of a text's vector")
    state_scale: PositiveFloat = Field(0.3, description="S = state_scale (key weight K + V)")
    text: BagConfig = BagConfig()
    image: PhotoSource = PhotoSource()
    interaction: InteractionConfig = InteractionConfig()
    loss: SmallDataLoss = SmallDataLoss()


class SmallDataSemantic(StateAwareModel):
    """The method for small data; the backbone is frozen, so that its features are computed once."""

    Config = SmallDataConfig
    config: SmallDataConfig
    gates = ("photo_gate",)
    state: ValueStates

    def __init__(self, config: SmallDataConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = dim = config.dim
        words = WordTables(spec.vocabulary, spec.positions, dim, spec.pad)
        self.turn_text = BagEncoder(words, config.text.word_dropout, config.dropout)
        self.product_text = BagEncoder(words, 0.0, config.dropout)
        self.product_projection = identity_linear(dim)

        features = spec.image_features
        self.backbone: Backbone | None = None
        if features is None:
            self.backbone = Backbone(config.image.backbone, frozen=True, batch_norm="eval")
            features = self.backbone.features
        self.image = WhitenedImageEncoder(features, dim)
        self.completion: TextCompletion | None = None
        if config.text.completion and spec.catalogue_words:
            self.completion = TextCompletion(spec.catalogue_words, spec.vocabulary, features)

        self.context = PooledContext(dim, spec.context_turns)
        student = WordReader(len(spec.slots), dim, spec.context_turns)
        self.state = ValueStates(
            spec.key_tokens, ValueState(config.state_scale), student, unset=spec.unset_tokens, pad=spec.pad
        )
        self.text_interaction = self._interaction("identity")
        self.image_interaction = self._interaction("zero")
        self.photo_gate = nn.Parameter(torch.tensor(2.0))
        self.log_scale = log_scale(config.loss.ranking)
        self.pointer = ShownProducts(dim, spec.context_turns) if config.pointer else None
        self.neighbours = Neighbours(config.neighbours) if config.neighbours.weight else None

    def _interaction(self, start: str) -> DialogueStateInteraction:
        c = self.config.interaction
        return DialogueStateInteraction(self.dim, c.hops, affine=False, temperature=c.temperature, start=start)

    @property
    def inputs(self) -> Inputs:
        return replace(super().inputs, states="whole batch")

    def load_text(self, encoder: nn.Module) -> None:
        load_tables(self.turn_text.words, encoder, self.dim)

    @property
    def whitening(self) -> WhitenedImageEncoder:
        return self.image

    @property
    def word_table(self) -> nn.Embedding:
        return self.turn_text.words.words

    def read_products(self, products: Products, words: BatchWords) -> Float[Tensor, "product 2 dim"]:
        features = self.image_features(products.photos)
        guessed, guessed_words = self.guessed_words(products, features) or (None, None)
        text = self.product_text(words, products.tokens, products.keep, guessed, guessed_words)
        image = self.image(features).masked_fill(~products.has_photo.unsqueeze(1), 0.0)
        return torch.stack([self.product_projection(text), image], dim=1)

    def read_contexts(self, contexts: Contexts, words: BatchWords) -> ContextReading:
        texts, keep = contexts.each_turn(self.turn_text(words, contexts.turn_tokens, contexts.turn_keep))
        photos, shown = self.turn_photos(contexts, self.image(self.image_features(contexts.photos)))
        at = contexts.turns.clamp(min=0)
        text, image, share = self.context(texts, keep, photos[at], shown[at] & keep.unsqueeze(-1))
        said = TurnWords(contexts.turn_tokens[at], contexts.turn_keep[at] & keep.unsqueeze(-1))
        return ContextReading(
            text.unsqueeze(1), image.unsqueeze(1), said, share, self.read_shown(text, contexts, words)
        )

    def photo_weight(self, reading: ContextReading) -> Float[Tensor, "batch"]:
        assert reading.photo_share is not None
        return self.photo_gate * reading.photo_share

    def state_terms(self, student: DialogueState, teacher: DialogueState, shard: Shard) -> dict[str, Tensor]:
        """Which of the whole batch's values each slot has, and whether it has one."""
        weight = self.config.loss.state_weight
        return {"state_values": weight * self.value_term(student, teacher, shard)} if weight else {}

    def direct_form(self) -> DirectForm:
        # The bench alone needs it.
        from semantic.models.semantic.direct.small_data import SmallDataDirectForm

        return SmallDataDirectForm(self)
