"""The direct form of the method for small data."""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.state import DialogueState, SlotValues
from semantic.encoders.bag import LEAST, BagEncoder, drop_words
from semantic.encoders.context import PooledContext
from semantic.encoders.masking import masked_mean, masked_softmax
from semantic.models.semantic.direct.form import DirectContext, SemanticDirectForm
from semantic.models.semantic.direct.layers import cosine
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
        values = self._read_values(batch, keys)
        state = DialogueState(model.state.teacher(keys, values.values), values)
        return DirectContext(text, image, state, model.photo_gate * share)

    def product(
        self, batch: FullBatch, candidate: int
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        model = self.model
        tokens, keep = batch.product_tokens[:, candidate], batch.product_keep[:, candidate]
        has_photo = batch.has_photo[:, candidate]
        features = model.image_features(batch.product_photos[:, candidate])
        guessed = None
        if model.completion is not None:
            guessed = model.completion(
                model.completion.present(tokens, keep), model.standard_features(features, has_photo)
            )
        text = model.product_projection(self._bag(model.product_text, tokens, keep, guessed))
        return text, model.image(features).masked_fill(~has_photo.unsqueeze(1), 0.0)

    def teacher_state(self, batch: FullBatch) -> DialogueState:
        model = self.model
        unset = torch.full_like(batch.state_tokens[0, 0], model.spec.pad)
        said = model.spec.unset_tokens[: len(unset)]
        unset[: len(said)] = torch.tensor(said, device=unset.device)
        is_set = (batch.state_tokens != unset).any(-1)
        values = masked_mean(self.words(batch.state_tokens), batch.state_keep).masked_fill(~is_set.unsqueeze(-1), 0.0)
        embeddings = model.state.teacher(model.state.keys(self.words), values)
        return DialogueState(embeddings, SlotValues(values, is_set.to(values.dtype)))

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

    def _read_values(self, batch: FullBatch, keys: Float[Tensor, "slot dim"]) -> SlotValues:
        reader, words = self.model.state.student, self.words(batch.turn_tokens)  # [batch, turn, token, dim]
        root = math.sqrt(words.shape[-1])
        scores = words @ (reader.query(keys) / root + reader.extra).T / root + reader.position.T[None, :, None, :]
        scores = scores.flatten(1, 2).mT  # [batch, slot, word]
        kept = batch.turn_keep.flatten(1).unsqueeze(1).expand_as(scores)
        unset = reader.unset.expand(len(words), -1).unsqueeze(-1)
        places = torch.cat([kept, torch.ones_like(unset, dtype=torch.bool)], dim=2)
        weights = masked_softmax(torch.cat([scores, unset], dim=2), places).to(words.dtype)
        return SlotValues(weights[..., :-1] @ words.flatten(1, 2), 1.0 - weights[..., -1])


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
    photos = F.normalize(photos.flatten(1, 2), dim=-1)
    near = context.SHARPNESS * cosine(photos, context.query(text).unsqueeze(1))
    near = near + context.photo_position.repeat_interleave(photos_keep.shape[2])
    sink = (context.sink + (text * context.sink_query).sum(-1) / root).unsqueeze(1)
    places = torch.cat([photos_keep.flatten(1), torch.ones_like(sink, dtype=torch.bool)], dim=1)
    shares = masked_softmax(torch.cat([near, sink], dim=1), places)[:, :-1]
    return text, (shares.unsqueeze(-1) * photos).sum(1), shares.sum(1)
