"""The direct form: what `Semantic.forward` computes, in the order of the code published with the paper.

Every turn, photo, token and candidate place is computed, padded or not; photos always go through the backbone; every
candidate is encoded again for every example, one candidate after another over the batch, and interacts with a state that
is mapped again each time. It is what the bench sets this package's speed against, on the same weights, and its tests hold
both to one function.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from semantic.dst.state import SlotValues, TeacherEncoder, ValueState, WordReader
from semantic.encoders.bag import LEAST, BagEncoder, drop_words
from semantic.encoders.context import PooledContext
from semantic.encoders.masking import masked_mean, masked_softmax
from semantic.encoders.text import TextEncoder
from semantic.encoders.words import BatchWords
from semantic.models.semantic.direct_layers import attend, cosine, interact, pool, pooled_context
from semantic.models.semantic.layout import FullBatch
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import Match, Output


@dataclass(frozen=True)
class Context:
    """c_T and c_V of each example, what the student reads its state from, and a pooled context's share on photos."""

    text: Float[Tensor, "batch dim"]
    image: Float[Tensor, "batch dim"]
    student_state: Float[Tensor, "batch slot dim"]
    student_values: SlotValues | None
    photo_share: Float[Tensor, "batch"] | None


class DirectForm:
    """A model's function without any of its economy; call it with a batch that `lay_out` made.

    Dropout follows the model's mode. With BatchNorm in training mode the two forms differ, for its statistics are those of
    the photos it is given at once.
    """

    def __init__(self, model: Semantic) -> None:
        self.model = model

    def __call__(self, batch: FullBatch, *, teacher: bool = False, text_image: bool = False) -> Output:
        """Match each example with its candidates, by the student and, where asked, by the teacher too."""
        context = self.context(batch)
        states, gold = [context.student_state], None
        if teacher:
            state, gold = self.teacher_state(batch)
            states.append(state)
        matches = self.match(states, context, batch, text_image=text_image)
        if not teacher:
            return Output(matches[0], states[0])
        return Output(matches[0], states[0], matches[1], states[1], context.student_values, gold)

    def context(self, batch: FullBatch) -> Context:
        """Turn after turn, photo after photo; then over the turns."""
        model, turns = self.model, range(batch.turn_tokens.shape[1])
        texts = torch.stack(
            [self._text(model.turn_text, batch.turn_tokens[:, t], batch.turn_keep[:, t]) for t in turns], dim=1
        )
        photos = torch.stack([self._photos(batch.turn_photos[:, t]) for t in turns], dim=1)
        if model.config.context == "pooled":
            assert isinstance(model.context, PooledContext)
            text, image, share = pooled_context(model.context, texts, batch.turn_real, photos, batch.photo_keep)
            whole = batch.turn_real.new_ones(len(text), 1)
            return Context(text, image, *self._student(batch, (text + image).unsqueeze(1), whole), share)
        images = torch.stack([self._photo_turn(photos[:, t], batch.photo_keep[:, t]) for t in turns], dim=1)
        c_text = attend(model.context_text, texts, keep=batch.turn_real)
        query, memory = (c_text, images) if model.config.image_query == "text" else (images, c_text)
        c_image = attend(model.context_image, query, memory, batch.turn_real)
        return Context(c_text[:, -1], c_image[:, -1], *self._student(batch, c_text + c_image, batch.turn_real), None)

    def match(
        self, states: list[Float[Tensor, "batch slot dim"]], context: Context, batch: FullBatch, *, text_image: bool
    ) -> list[Match]:
        """The match by each state; a candidate is encoded once for all of them."""
        model = self.model
        contexts = [
            (interact(model.text_interaction, context.text, s), interact(model.image_interaction, context.image, s))
            for s in states
        ]
        found: list[list[tuple[Tensor, ...]]] = [[] for _ in states]
        for candidate in range(batch.product_tokens.shape[1]):
            text, image = self.product(batch, candidate)
            for state, (own_text, own_image), rows in zip(states, contexts, found, strict=True):
                x_text, a_text = interact(model.text_interaction, text, state)
                x_image, a_image = interact(model.image_interaction, image, state)
                photo = cosine(own_image[0], x_image)
                if model.photo_gate is not None and context.photo_share is not None:
                    photo = photo * (model.photo_gate * context.photo_share)
                cross = (cosine(x_text, x_image),) if text_image else ()
                rows.append((cosine(own_text[0], x_text) + photo, a_text, a_image, *cross))
        return [
            self._match((own_text[1], own_image[1]), rows)
            for (own_text, own_image), rows in zip(contexts, found, strict=True)
        ]

    def _match(self, own: tuple[Tensor, Tensor], rows: list[tuple[Tensor, ...]]) -> Match:
        score, text, image, *cross = (torch.stack(part, dim=1) for part in zip(*rows, strict=True))
        scale = self.model.log_scale
        logits = None if scale is None else scale.exp() * score
        return Match(torch.tanh(score), *own, text, image, cross[0] if cross else None, logits)

    def product(
        self, batch: FullBatch, candidate: int
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        """p_T and p_V of every example's candidate number `candidate`."""
        model = self.model
        tokens, keep = batch.product_tokens[:, candidate], batch.product_keep[:, candidate]
        has_photo = batch.has_photo[:, candidate]
        features = model.image_features(batch.product_photos[:, candidate])
        guessed = None
        if model.completion is not None:
            present = model.completion.present(tokens, keep)
            guessed = model.completion(present, model.standard_features(features, has_photo))
        text = model.product_projection(self._text(model.product_text, tokens, keep, guessed))
        return text, self._photo_turn(model.image(features).unsqueeze(1), has_photo.unsqueeze(1))

    def _photos(self, photos: Tensor) -> Float[Tensor, "batch photo dim"]:
        """One photo place after another, over the batch."""
        model = self.model
        return torch.stack([model.image(model.image_features(photos[:, p])) for p in range(photos.shape[1])], dim=1)

    def _photo_turn(self, photos: Tensor, keep: Bool[Tensor, "batch photo"]) -> Float[Tensor, "batch dim"]:
        if self.model.photo_attention is not None:
            photos = attend(self.model.photo_attention, photos, keep=keep)
        return pool(self.model.photo_pool, photos, keep)

    @property
    def _words(self) -> BatchWords:
        """The whole word table: every look-up has a gradient of its size."""
        return BatchWords(self.model.turn_text.words.words.weight, pad=self.model.sizes.pad)

    def _text(
        self, encoder: TextEncoder | BagEncoder, tokens: Tensor, keep: Tensor, guessed: Tensor | None = None
    ) -> Float[Tensor, "batch dim"]:
        if isinstance(encoder, BagEncoder):
            return self._bag(encoder, tokens, keep, guessed)
        words = encoder.words(self._words, tokens, keep)
        return pool(encoder.pool, attend(encoder.attention, words, keep=keep), keep)

    def _bag(
        self, encoder: BagEncoder, tokens: Tensor, keep: Tensor, guessed: Tensor | None
    ) -> Float[Tensor, "batch dim"]:
        keep = drop_words(keep, encoder.word_dropout if encoder.training else 0.0)
        words = self._words(tokens)
        root = math.sqrt(words.shape[-1])
        scores = words @ encoder.query / root
        if guessed is not None and self.model.completion is not None:
            more = self._words(self.model.completion.words).expand(len(tokens), -1, -1)
            scores = torch.cat([scores, more @ encoder.query / root + guessed.clamp(min=LEAST).log()], dim=1)
            words, keep = torch.cat([words, more], dim=1), torch.cat([keep, guessed >= LEAST], dim=1)
        weights = masked_softmax(scores, keep).to(words.dtype)
        return encoder.dropout((weights.unsqueeze(-1) * words).sum(1))

    def _keys(self) -> Float[Tensor, "slot dim"]:
        return masked_mean(self._words(self.model.key_tokens), self.model.key_keep)

    def _student(
        self, batch: FullBatch, turns: Float[Tensor, "batch turn dim"], real: Bool[Tensor, "batch turn"]
    ) -> tuple[Float[Tensor, "batch slot dim"], SlotValues | None]:
        """S' and, where they are read off the words, its values."""
        student, teacher, keys = self.model.student, self.model.teacher, self._keys()
        if isinstance(student, WordReader):
            assert isinstance(teacher, ValueState)
            values = self._read_values(student, batch, keys)
            return teacher(keys, values.values), values
        asked = keys.expand(len(turns), -1, -1)
        return attend(student.attention, asked + attend(student.predictor, asked, turns, real)), None

    def _read_values(self, reader: WordReader, batch: FullBatch, keys: Float[Tensor, "slot dim"]) -> SlotValues:
        words = self._words(batch.turn_tokens)  # [batch, turn, token, dim]
        root = math.sqrt(words.shape[-1])
        scores = words @ (reader.query(keys) / root + reader.extra).T / root + reader.position.T[None, :, None, :]
        scores = scores.flatten(1, 2).mT  # [batch, slot, word]
        kept = batch.turn_keep.flatten(1).unsqueeze(1).expand_as(scores)
        unset = reader.unset.expand(len(words), -1).unsqueeze(-1)
        places = torch.cat([kept, torch.ones_like(unset, dtype=torch.bool)], dim=2)
        weights = masked_softmax(torch.cat([scores, unset], dim=2), places).to(words.dtype)
        return SlotValues(weights[..., :-1] @ words.flatten(1, 2), 1.0 - weights[..., -1])

    def teacher_state(self, batch: FullBatch) -> tuple[Float[Tensor, "batch slot dim"], SlotValues | None]:
        """S from the gold slot values, and, where the state is values, those."""
        teacher, keys, pieces = self.model.teacher, self._keys(), self._words(batch.state_tokens)
        if isinstance(teacher, TeacherEncoder):
            keep = batch.state_keep
            count = keep.sum(-1, keepdim=True).clamp(min=1)
            mean = masked_mean(pieces, keep) if teacher.value_mean == "pieces" else pieces.sum(-2) / count
            return attend(teacher.attention, keys + mean), None
        unset = torch.full_like(batch.state_tokens[0, 0], self.model.sizes.pad)
        said = self.model.sizes.unset_tokens[: len(unset)]
        unset[: len(said)] = torch.tensor(said, device=unset.device)
        is_set = (batch.state_tokens != unset).any(-1)
        values = masked_mean(pieces, batch.state_keep).masked_fill(~is_set.unsqueeze(-1), 0.0)
        assert isinstance(teacher, ValueState)
        return teacher(keys, values), SlotValues(values, is_set.to(values.dtype))
