"""The direct form of the method for small data."""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.state import DialogueState
from semantic.encoders.bag import LEAST, BagEncoder, drop_words
from semantic.encoders.context import PooledContext
from semantic.encoders.layers.masking import masked_softmax
from semantic.models.semantic.direct.form import DirectContext, SemanticDirectForm
from semantic.models.semantic.direct.layers import read_values, select_photos
from semantic.models.semantic.direct.layout import FullBatch

if TYPE_CHECKING:
    from semantic.models.semantic.small_data import SmallDataSemantic


class SmallDataDirectForm(SemanticDirectForm):
    """As `SmallDataSemantic`, one text, photo and candidate place after another, every word looked up where it stands."""

    model: "SmallDataSemantic"

    def context(self, batch: FullBatch) -> DirectContext:
        model, turns = self.model, range(batch.turn_tokens.shape[1])
        texts = torch.stack(
            [self._bag(model.turn_text, batch.turn_tokens[:, t], batch.turn_keep[:, t]) for t in turns], dim=1
        )
        photos = torch.stack([self.encoded_photos(batch.turn_photos[:, t], model.image) for t in turns], dim=1)
        text, image, share = pooled_context(model.context, texts, batch.turn_real, photos, batch.photo_keep)
        keys = model.state.keys(self.words)
        words = self.words(batch.turn_tokens)
        values = read_values(model.state.student, keys, words, words, batch.turn_keep)
        state = DialogueState(model.state.teacher(keys, values.values), values)
        return DirectContext(text, image, state, model.photo_gate * share)

    def product(
        self, tokens: Tensor, keep: Tensor, photos: Tensor, has_photo: Tensor
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        model = self.model
        features = model.image_features(photos)
        guessed = None
        if model.completion is not None:
            guessed = model.completion(
                model.completion.present(tokens, keep), model.standard_features(features, has_photo)
            )
        text = model.product_projection(self._bag(model.product_text, tokens, keep, guessed))
        return text, model.image(features).masked_fill(~has_photo.unsqueeze(1), 0.0)

    def teacher_state(self, batch: FullBatch) -> DialogueState:
        values = self.gold_values(batch)
        return DialogueState(self.model.state.teacher(self.model.state.keys(self.words), values.values), values)

    def _bag(
        self, encoder: BagEncoder, tokens: Tensor, keep: Tensor, guessed: Tensor | None = None
    ) -> Float[Tensor, "batch dim"]:
        keep = drop_words(keep, encoder.word_dropout if encoder.training else 0.0)
        words = self.words(tokens)
        root = math.sqrt(words.shape[-1])
        scores = words @ encoder.query / root
        if guessed is not None and self.model.completion is not None:
            more = self.words(self.model.completion.words).expand(len(tokens), -1, -1)
            scores = torch.cat([scores, more @ encoder.query / root + guessed.clamp(min=LEAST).log()], dim=1)
            words, keep = torch.cat([words, more], dim=1), torch.cat([keep, guessed >= LEAST], dim=1)
        weights = masked_softmax(scores, keep).to(words.dtype)
        return encoder.dropout((weights.unsqueeze(-1) * words).sum(1))


def pooled_context(
    context: PooledContext,
    turns: Float[Tensor, "batch turn dim"],
    keep: Bool[Tensor, "batch turn"],
    photos: Float[Tensor, "batch turn photo dim"],
    photos_keep: Bool[Tensor, "batch turn photo"],
) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, "batch"]]:
    """`PooledContext.forward`: c_T, c_V and the share of attention on photos."""
    root = math.sqrt(turns.shape[-1])
    weights = masked_softmax((turns * context.score).sum(-1) / root + context.position, keep)
    text = context.last(turns[:, -1]) + context.gate * context.mean((weights.unsqueeze(-1) * turns).sum(1))
    return text, *select_photos(context, text, photos, photos_keep)
