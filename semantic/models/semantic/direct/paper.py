"""The direct form of the paper's method."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.state import DialogueState, WordReader
from semantic.encoders.context import PhotoSelection
from semantic.encoders.layers.masking import masked_mean, masked_sum
from semantic.encoders.text import TextEncoder
from semantic.models.semantic.direct.form import DirectContext, SemanticDirectForm
from semantic.models.semantic.direct.layers import attend, pool, read_values, select_photos
from semantic.models.semantic.direct.layout import FullBatch

if TYPE_CHECKING:
    from semantic.models.semantic.paper import Semantic


class PaperDirectForm(SemanticDirectForm):
    """As `Semantic`, one text, photo and candidate place after another."""

    model: "Semantic"

    def context(self, batch: FullBatch) -> DirectContext:
        model, turns = self.model, range(batch.turn_tokens.shape[1])
        vectors = [self._words(model.turn_text, batch.turn_tokens[:, t], batch.turn_keep[:, t]) for t in turns]
        texts = torch.stack([pool(model.turn_text.pool, vectors[t], batch.turn_keep[:, t]) for t in turns], dim=1)
        if model.turn_position is not None:
            texts = texts + model.turn_position
        c_text = attend(model.context_text, texts, keep=batch.turn_real)
        photos = [self.encoded_photos(batch.turn_photos[:, t], model.image) for t in turns]
        selection, weight = model.context_image, None
        if isinstance(selection, PhotoSelection):
            assert model.photo_gate is not None
            image, share = select_photos(selection, c_text[:, -1], torch.stack(photos, dim=1), batch.photo_keep)
            weight, c_image = model.photo_gate * share, image.unsqueeze(1)
        else:
            images = torch.stack([self._pool_photos(photos[t], batch.photo_keep[:, t]) for t in turns], dim=1)
            c_image = attend(selection, c_text, images, batch.turn_real)
        state = self._student_state(batch, torch.stack(vectors, dim=1), c_text + c_image)
        return DirectContext(c_text[:, -1], c_image[:, -1], state, weight)

    def product(
        self, tokens: Tensor, keep: Tensor, photos: Tensor, has_photo: Tensor
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        model = self.model
        text = self._text(model.product_text, tokens, keep)
        features = model.image_features(photos)
        if model.completion is not None:
            text = self._completed(tokens, keep, text, model.standard_features(features, has_photo))
        photo = model.image(features).unsqueeze(1)
        return text, self._pool_photos(photo, has_photo.unsqueeze(1))

    def _completed(self, tokens: Tensor, keep: Tensor, text: Tensor, features: Tensor) -> Float[Tensor, "batch dim"]:
        model, completion = self.model, self.model.completion
        assert completion is not None
        guessed = completion(completion.present(tokens, keep), features)
        added = (guessed.unsqueeze(-1) * self.words(completion.words)).sum(1)
        if model.config.pooling in ("sum", "leaky_sum"):
            return text + added
        count = keep.sum(1)
        return (count.unsqueeze(1) * text + added) / (count + guessed.sum(1)).clamp(min=1).unsqueeze(1)

    def teacher_state(self, batch: FullBatch) -> DialogueState:
        states, keys = self.model.state, self._keys()
        teacher = states.teacher
        if isinstance(states.student.predictor, WordReader):
            values = self.gold_values(batch)
            return DialogueState(attend(teacher.attention, keys + values.values), values)
        pieces = self.words(batch.state_tokens)
        if teacher.value_mean == "pieces":
            mean = masked_mean(pieces, batch.state_keep)
        else:
            mean = pieces.sum(-2) / batch.state_keep.sum(-1, keepdim=True).clamp(min=1)
        return DialogueState(attend(teacher.attention, keys + mean))

    def _keys(self) -> Float[Tensor, "slot dim"]:
        return self.model.state.key_weight * self.model.state.keys(self.words)

    def _student_state(
        self, batch: FullBatch, vectors: Float[Tensor, "batch turn token dim"], turns: Float[Tensor, "batch turn dim"]
    ) -> DialogueState:
        student = self.model.state.student
        keys = self._keys().expand(len(turns), -1, -1)
        if isinstance(student.predictor, WordReader):
            own, words = self.model.state.keys(self.words), self.words(batch.turn_tokens)
            values = read_values(student.predictor, own, words, vectors, batch.turn_keep)
            return DialogueState(attend(student.attention, keys + values.values), values)
        predicted = attend(student.predictor, keys, turns, batch.turn_real)
        return DialogueState(attend(student.attention, keys + predicted))

    def _text(self, encoder: TextEncoder, tokens: Tensor, keep: Tensor) -> Float[Tensor, "batch dim"]:
        return pool(encoder.pool, self._words(encoder, tokens, keep), keep)

    def _words(self, encoder: TextEncoder, tokens: Tensor, keep: Tensor) -> Float[Tensor, "batch token dim"]:
        return attend(encoder.attention, encoder.words(self.words, tokens, keep), keep=keep)

    def _pool_photos(self, photos: Tensor, keep: Bool[Tensor, "batch photo"]) -> Float[Tensor, "batch dim"]:
        if self.model.photo_attention is not None:
            photos = attend(self.model.photo_attention, photos, keep=keep)
        if self.model.photo_pool is None:
            return masked_sum(photos, keep)
        return pool(self.model.photo_pool, photos, keep)
