"""The direct form of the paper's method."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.state import DialogueState
from semantic.encoders.masking import masked_mean
from semantic.encoders.text import TextEncoder
from semantic.models.semantic.direct.form import DirectContext, SemanticDirectForm
from semantic.models.semantic.direct.layers import attend, pool
from semantic.models.semantic.direct.layout import FullBatch

if TYPE_CHECKING:
    from semantic.models.semantic.paper import Semantic


class PaperDirectForm(SemanticDirectForm):
    """As `Semantic`, one text, photo and candidate place after another."""

    model: "Semantic"

    def context(self, batch: FullBatch) -> DirectContext:
        model, turns = self.model, range(batch.turn_tokens.shape[1])
        texts = torch.stack(
            [self._text(model.turn_text, batch.turn_tokens[:, t], batch.turn_keep[:, t]) for t in turns], dim=1
        )
        photos = [self.encoded_photos(batch.turn_photos[:, t], model.image) for t in turns]
        images = torch.stack([self._pool_photos(photos[t], batch.photo_keep[:, t]) for t in turns], dim=1)
        c_text = attend(model.context_text, texts, keep=batch.turn_real)
        c_image = attend(model.context_image, c_text, images, batch.turn_real)
        state = self._student_state(c_text + c_image, batch.turn_real)
        return DirectContext(c_text[:, -1], c_image[:, -1], state)

    def product(
        self, batch: FullBatch, candidate: int
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        model = self.model
        text = self._text(model.product_text, batch.product_tokens[:, candidate], batch.product_keep[:, candidate])
        photo = model.image(model.image_features(batch.product_photos[:, candidate])).unsqueeze(1)
        return text, self._pool_photos(photo, batch.has_photo[:, candidate].unsqueeze(1))

    def teacher_state(self, batch: FullBatch) -> DialogueState:
        states = self.model.state
        teacher = states.teacher
        pieces = self.words(batch.state_tokens)
        if teacher.value_mean == "pieces":
            mean = masked_mean(pieces, batch.state_keep)
        else:
            mean = pieces.sum(-2) / batch.state_keep.sum(-1, keepdim=True).clamp(min=1)
        return DialogueState(attend(teacher.attention, states.keys(self.words) + mean))

    def _student_state(self, turns: Float[Tensor, "batch turn dim"], real: Bool[Tensor, "batch turn"]) -> DialogueState:
        states = self.model.state
        student, keys = states.student, states.keys(self.words).expand(len(turns), -1, -1)
        return DialogueState(attend(student.attention, keys + attend(student.predictor, keys, turns, real)))

    def _text(self, encoder: TextEncoder, tokens: Tensor, keep: Tensor) -> Float[Tensor, "batch dim"]:
        words = encoder.words(self.words, tokens, keep)
        return pool(encoder.pool, attend(encoder.attention, words, keep=keep), keep)

    def _pool_photos(self, photos: Tensor, keep: Bool[Tensor, "batch photo"]) -> Float[Tensor, "batch dim"]:
        if self.model.photo_attention is not None:
            photos = attend(self.model.photo_attention, photos, keep=keep)
        return pool(self.model.photo_pool, photos, keep)
