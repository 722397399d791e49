"""What both methods' direct forms share: every padded place is computed, and every candidate again for every example.

Photos always go through the backbone; one candidate is encoded after another over the batch, and interacts with a state
that is mapped again each time. The bench sets this package's speed against it, on the same weights, and the tests hold
both to one function.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from semantic.batching.shards import Shard
from semantic.datasets.batches.tensors import Batch
from semantic.dst.state import DialogueState, SlotValues
from semantic.encoders.layers.masking import masked_mean
from semantic.encoders.words import BatchWords
from semantic.models.interface import DirectForm, Loss
from semantic.models.semantic.base import StateAwareModel
from semantic.models.semantic.direct.layers import ShownPlace, cosine, interact, point, recall
from semantic.models.semantic.direct.layout import FullBatch, lay_out
from semantic.models.semantic.joint import joint_loss, student_loss


@dataclass(frozen=True)
class DirectContext:
    """c_T and c_V of each example, the student's state, and the weight of the photo cosine (None: one)."""

    text: Float[Tensor, "batch dim"]
    image: Float[Tensor, "batch dim"]
    state: DialogueState
    photo_weight: Float[Tensor, "batch"] | None = None


@dataclass(frozen=True)
class DirectMatch:
    """As `scoring.Match`, with everything computed."""

    relevance: Float[Tensor, "batch candidate"]
    logits: Float[Tensor, "batch candidate"] | None
    context_text: Float[Tensor, "batch slot"]
    context_image: Float[Tensor, "batch slot"]
    product_text: Float[Tensor, "batch candidate slot"]
    product_image: Float[Tensor, "batch candidate slot"]
    text_image_cosine: Float[Tensor, "batch candidate"]
    text_vectors: Float[Tensor, "batch candidate dim"]
    image_vectors: Float[Tensor, "batch candidate dim"]
    gated: bool


class SemanticDirectForm(DirectForm):
    """A model's function with everything computed again where it is needed; dropout follows the model's mode.

    With BatchNorm in training mode the two forms differ, as its statistics are those of the photos it is given at once.
    """

    def __init__(self, model: StateAwareModel) -> None:
        self.model = model

    @abstractmethod
    def context(self, batch: FullBatch) -> DirectContext:
        """Every context, turn after turn and photo after photo."""

    @abstractmethod
    def product(
        self,
        tokens: Int[Tensor, "batch token"],
        keep: Bool[Tensor, "batch token"],
        photos: Tensor,
        has_photo: Bool[Tensor, "batch"],
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        """p_T and p_V of one product an example, from its text and its photo (or features)."""

    @abstractmethod
    def teacher_state(self, batch: FullBatch) -> DialogueState:
        """S from the gold slot values."""

    def lay_out(self, batch: Batch) -> FullBatch:
        return lay_out(batch, self.model.spec)

    def loss(self, laid_out: FullBatch, shard: Shard) -> Loss:
        config = self.model.config.loss
        context = self.context(laid_out)
        if not shard.labelled:
            (student,) = self.match([context.state], context, laid_out)
            return student_loss(student, shard, config)
        gold = self.teacher_state(laid_out)
        student, teacher = self.match([context.state, gold], context, laid_out)
        return joint_loss(teacher, student, self.model.state_terms(context.state, gold, shard), shard, config)

    def score(self, laid_out: FullBatch) -> Float[Tensor, "query candidate"]:
        context = self.context(laid_out)
        return self.match([context.state], context, laid_out, ranks=True)[0].relevance

    def match(
        self, states: list[DialogueState], context: DirectContext, batch: FullBatch, *, ranks: bool = False
    ) -> list[DirectMatch]:
        """The match by each state; a candidate is encoded once for all of them. A ranking asks the neighbours, a loss does not."""
        model = self.model
        embeddings = [state.embeddings for state in states]
        contexts = [
            (interact(model.text_interaction, context.text, s), interact(model.image_interaction, context.image, s))
            for s in embeddings
        ]
        found: list[list[tuple[Tensor, ...]]] = [[] for _ in states]
        shown = [] if model.pointer is None else self.shown_products(batch)
        for candidate in range(batch.product_tokens.shape[1]):
            text, image = self.product(
                batch.product_tokens[:, candidate],
                batch.product_keep[:, candidate],
                batch.product_photos[:, candidate],
                batch.has_photo[:, candidate],
            )
            pointed = point(model.pointer, context.text, shown, (text, image)) if model.pointer is not None else 0.0
            for state, (own_text, own_image), rows in zip(embeddings, contexts, found, strict=True):
                x_text, a_text = interact(model.text_interaction, text, state)
                x_image, a_image = interact(model.image_interaction, image, state)
                photo = cosine(own_image[0], x_image)
                if context.photo_weight is not None:
                    photo = photo * context.photo_weight
                total = cosine(own_text[0], x_text) + photo + pointed
                if ranks and model.neighbours is not None:
                    total = total + recall(model.neighbours, own_text[0], text)
                rows.append((total, a_text, a_image, cosine(x_text, x_image), text, image))
        return [
            self._match(own_text[1], own_image[1], rows)
            for (own_text, own_image), rows in zip(contexts, found, strict=True)
        ]

    def _match(self, text_attention: Tensor, image_attention: Tensor, rows: list[tuple[Tensor, ...]]) -> DirectMatch:
        cosines, text, image, cross, text_start, image_start = (
            torch.stack(values, dim=1) for values in zip(*rows, strict=True)
        )
        scale = self.model.log_scale
        logits = None if scale is None else scale.exp() * cosines
        gated = self.model.text_interaction.gate is not None
        return DirectMatch(
            torch.tanh(cosines),
            logits,
            text_attention,
            image_attention,
            text,
            image,
            cross,
            text_start,
            image_start,
            gated,
        )

    def shown_products(self, batch: FullBatch) -> list[ShownPlace]:
        """Every place for a photo, one after another, encoded as a product."""
        turns, photos = batch.photo_keep.shape[1:]
        places = []
        for turn in range(turns):
            for photo in range(photos):
                there = batch.photo_keep[:, turn, photo]
                text, image = self.product(
                    batch.shown_tokens[:, turn, photo],
                    batch.shown_keep[:, turn, photo],
                    batch.turn_photos[:, turn, photo],
                    torch.ones_like(there),
                )
                places.append(ShownPlace(text, image, there, turn - turns))
        return places

    def gold_values(self, batch: FullBatch) -> SlotValues:
        """The mean of the words of each slot's gold value, zero for "none"."""
        spec = self.model.spec
        unset = torch.full_like(batch.state_tokens[0, 0], spec.pad)
        said = spec.unset_tokens[: len(unset)]
        unset[: len(said)] = torch.tensor(said, device=unset.device)
        is_set = (batch.state_tokens != unset).any(-1)
        values = masked_mean(self.words(batch.state_tokens), batch.state_keep).masked_fill(~is_set.unsqueeze(-1), 0.0)
        return SlotValues(values, is_set.to(values.dtype))

    def encoded_photos(self, photos: Tensor, encoder: torch.nn.Module) -> Float[Tensor, "batch photo dim"]:
        """One photo place after another, over the batch."""
        model = self.model
        return torch.stack([encoder(model.image_features(photos[:, p])) for p in range(photos.shape[1])], dim=1)

    @property
    def words(self) -> BatchWords:
        """The whole word table: every look-up has a gradient of its size."""
        return self.model.words()
