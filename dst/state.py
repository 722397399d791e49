"""Dialogue state encoders, in pairs: a teacher encodes gold slot values, a student infers the state from the context."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from semantic.encoders.bag import weighted_words, word_scores
from semantic.encoders.context import identity_linear
from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.masking import masked_mean, masked_softmax
from semantic.encoders.words import BatchWords

VALUE_MEANS = ("pieces", "padded_sum")
LEAST_SET = 1e-6
"""How far a slot counts as set at least where its value is divided by that."""


@dataclass(frozen=True)
class SlotValues:
    """What a state says of each slot: value embeddings, zero where unset, and how far each slot is set, in [0, 1]."""

    values: Float[Tensor, "batch slot dim"]
    is_set: Float[Tensor, "batch slot"]

    def told_apart(self) -> Float[Tensor, "batch slot dim_and_one"]:
        """The direction of each value, zero where the slot is more unset than set, and 1 there in one more place: so near to
        another is a state by the cosines of its values, and an unset slot is as far from a value as two unrelated values are.
        """
        is_set = (self.is_set > 0.5).to(self.values.dtype).unsqueeze(-1)
        return torch.cat([is_set * F.normalize(self.values, dim=-1), 1 - is_set], dim=-1)


@dataclass(frozen=True)
class DialogueState:
    """S or S', and, of encoders that go by slot values, these values."""

    embeddings: Float[Tensor, "batch slot dim"]
    values: SlotValues | None = None


@dataclass(frozen=True)
class GoldValues:
    """The gold slot values of a batch as word pieces; a slot that nothing was said about has the words of "none"."""

    tokens: Int[Tensor, "batch slot piece"]
    keep: Bool[Tensor, "batch slot piece"]


@dataclass(frozen=True)
class TurnVectors:
    """A context as vectors of its turns, C_T + C_V."""

    turns: Float[Tensor, "batch turn dim"]
    keep: Bool[Tensor, "batch turn"]


@dataclass(frozen=True)
class TurnWords:
    """A context as the words of its turns, and where they were encoded in their turns, these vectors."""

    tokens: Int[Tensor, "batch turn token"]
    keep: Bool[Tensor, "batch turn token"]
    vectors: Float[Tensor, "batch turn token dim"] | None = None


class StateEncoders(nn.Module, ABC):
    """A teacher and its student. Both give embeddings S [batch, slot, dim], from the slot keys K and what they read.

    `key_tokens` are the word pieces of each slot's key, `unset` those of "none", `pad` fills a value's row behind them.
    """

    key_tokens: Tensor
    key_keep: Tensor

    def __init__(self, key_tokens: Sequence[Sequence[int]], *, unset: tuple[int, ...] = (), pad: int = 0) -> None:
        super().__init__()
        self.unset = unset
        self.pad = pad
        width = max(map(len, key_tokens))
        keys = torch.tensor([[*key, *[-1] * (width - len(key))] for key in key_tokens])
        self.register_buffer("key_tokens", keys.clamp(min=0), persistent=False)
        self.register_buffer("key_keep", keys >= 0, persistent=False)

    def keys(self, words: BatchWords) -> Float[Tensor, "slot dim"]:
        """K: the mean of each slot key's word embeddings."""
        return masked_mean(words(self.key_tokens), self.key_keep)

    def gold_values(self, words: BatchWords, gold: GoldValues) -> SlotValues:
        """The gold value of each slot, the mean of its words, and which slots have one."""
        unset = torch.full_like(gold.tokens[0, 0], self.pad)
        unset[: len(self.unset)] = torch.tensor(self.unset[: len(unset)], device=unset.device)
        is_set = (gold.tokens != unset).any(-1)
        values = masked_mean(words(gold.tokens), gold.keep)
        return SlotValues(values.masked_fill(~is_set.unsqueeze(-1), 0.0), is_set.to(values.dtype))

    @abstractmethod
    def encode(self, words: BatchWords, gold: GoldValues) -> DialogueState:
        """The teacher's S, from gold slot values."""

    @abstractmethod
    def infer(self, words: BatchWords, context: TurnVectors | TurnWords) -> DialogueState:
        """The student's S', from the context."""


class AttentionStates(StateEncoders):
    """The paper's pair: S = Attn(K + V) and S' = Attn(K + Z).

    Z is predicted from turn vectors, or read off the words of the context (`WordReader`); then an unset slot's V is zero, as
    an unset slot's Z is, and not the words of "none". `key_weight` weighs K; 1 in the paper.
    """

    teacher: "TeacherEncoder"
    student: "StudentLearner"

    def __init__(
        self,
        key_tokens: Sequence[Sequence[int]],
        teacher: "TeacherEncoder",
        student: "StudentLearner",
        *,
        unset: tuple[int, ...] = (),
        pad: int = 0,
        key_weight: float = 1.0,
    ) -> None:
        super().__init__(key_tokens, unset=unset, pad=pad)
        self.teacher = teacher
        self.student = student
        self.key_weight = key_weight

    def encode(self, words: BatchWords, gold: GoldValues) -> DialogueState:
        keys = self.key_weight * self.keys(words)
        if not isinstance(self.student.predictor, WordReader):
            return DialogueState(self.teacher(keys, words(gold.tokens), gold.keep))
        values = self.gold_values(words, gold)
        return DialogueState(self.teacher.attention(keys + values.values), values)

    def infer(self, words: BatchWords, context: TurnVectors | TurnWords) -> DialogueState:
        keys, predictor = self.keys(words), self.student.predictor
        if isinstance(context, TurnVectors):
            return DialogueState(self.student(self.key_weight * keys, context.turns, context.keep))
        assert isinstance(predictor, WordReader)
        values = predictor(keys, words, context.tokens, context.keep, context.vectors)
        return DialogueState(self.student.attention(self.key_weight * keys + values.values), values)


class ValueStates(StateEncoders):
    """The pair for small data: slot values are means of words, the gold ones for the teacher, those of the context that
    the student attends to; both states are S = scale (weight K + V).
    """

    teacher: "ValueState"
    student: "WordReader"

    def __init__(
        self,
        key_tokens: Sequence[Sequence[int]],
        teacher: "ValueState",
        student: "WordReader",
        *,
        unset: tuple[int, ...],
        pad: int,
    ) -> None:
        super().__init__(key_tokens, unset=unset, pad=pad)
        self.teacher = teacher
        self.student = student

    def encode(self, words: BatchWords, gold: GoldValues) -> DialogueState:
        values = self.gold_values(words, gold)
        return DialogueState(self.teacher(self.keys(words), values.values), values)

    def infer(self, words: BatchWords, context: TurnVectors | TurnWords) -> DialogueState:
        assert isinstance(context, TurnWords)
        values = self.student(self.keys(words), words, context.tokens, context.keep)
        return DialogueState(self.teacher(self.keys(words), values.values), values)


class TeacherEncoder(nn.Module):
    """S = Attn(K + V), where V_i is the mean of the word embeddings of slot i's gold value.

    value_mean="padded_sum" is the released code's mean: the sum runs over pad rows too and is divided by the number of
    real pieces.
    """

    def __init__(self, attention: Attention, value_mean: str = "pieces") -> None:
        super().__init__()
        if value_mean not in VALUE_MEANS:
            raise ValueError(f"value mean: expected one of {', '.join(VALUE_MEANS)}, got {value_mean!r}")
        self.attention = attention
        self.value_mean = value_mean

    def forward(
        self,
        keys: Float[Tensor, "slot dim"],
        values: Float[Tensor, "batch slot piece dim"],
        keep: Bool[Tensor, "batch slot piece"],
    ) -> Float[Tensor, "batch slot dim"]:
        mean = (
            masked_mean(values, keep)
            if self.value_mean == "pieces"
            else values.sum(-2) / keep.sum(-1, keepdim=True).clamp(min=1)
        )
        return self.attention(keys + mean)


class StudentLearner(nn.Module):
    """S' = Attn(K + Z) with the predicted values Z = CrossAttn(query K, keys and values C_T + C_V).

    Where the predictor is a `WordReader`, `AttentionStates` gives it the words.
    """

    def __init__(self, predictor: "Attention | WordReader", attention: Attention) -> None:
        super().__init__()
        self.predictor = predictor
        self.attention = attention

    def forward(
        self,
        keys: Float[Tensor, "slot dim"],
        context: Float[Tensor, "batch turn dim"],
        keep: Bool[Tensor, "batch turn"],
    ) -> Float[Tensor, "batch slot dim"]:
        keys = keys.expand(len(context), -1, -1)
        return self.attention(keys + self.predictor(keys, context, keep))


class ValueState(nn.Module):
    """S = scale (weight K + V): keys and values as they stand in the word table, unset slots with the key alone.

    `scale` sets how much the interaction adds to a base vector; K's weight is learned. Departs from the paper, whose state
    goes through attention layers that must first learn to keep what the word table knows.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.key_weight = nn.Parameter(torch.tensor(0.3))

    def forward(
        self, keys: Float[Tensor, "slot dim"], values: Float[Tensor, "batch slot dim"]
    ) -> Float[Tensor, "batch slot dim"]:
        return self.scale * (self.key_weight * keys + values)


class WordReader(nn.Module):
    """The student's slot values: each slot attends to the words of the context, and to a place that means unset.

        V_i = sum_j a_ij W_emb[w_j]     a_i = softmax over words and the place of
                                        q_i . W_emb[w_j] / sqrt(dim) + position_i,turn(j),   unset_i
        q_i = Q k_i / sqrt(dim) + e_i   Q starts as the identity: a slot first looks for words like its key

    The words' own embeddings are the values, so an inferred value lies where the teacher's gold value does. Where words were
    encoded in their turns, these vectors stand in the scores in place of W_emb[w_j]. `translates`: what was read goes through
    a `ValueTranslation`, as people say "ladies" where a state says "women".
    """

    UNSET_START = math.log(10.0)
    gates = ("position", "unset")  # few numbers with far to go: a learning rate of their own helps them

    def __init__(self, slots: int, dim: int, turns: int, *, translates: bool = False) -> None:
        super().__init__()
        self.translation = ValueTranslation(slots, dim) if translates else None
        self.query = identity_linear(dim)
        self.extra = nn.Parameter(torch.zeros(slots, dim))
        self.position = nn.Parameter(torch.zeros(slots, turns))
        self.unset = nn.Parameter(torch.full((slots,), self.UNSET_START))

    def forward(
        self,
        keys: Float[Tensor, "slot dim"],
        vocabulary: BatchWords,
        tokens: Int[Tensor, "batch turn token"],
        keep: Bool[Tensor, "batch turn token"],
        vectors: Float[Tensor, "batch turn token dim"] | None = None,
    ) -> SlotValues:
        tokens, table = vocabulary.at(tokens), vocabulary.table
        queries = self.query(keys) / math.sqrt(keys.shape[-1]) + self.extra
        scores = word_scores(table, queries)[tokens] if vectors is None else word_scores(vectors, queries)
        scores = scores + self.position.T[None, -tokens.shape[1] :, None, :]  # [batch, turn, token, slot]
        scores = scores.flatten(1, 2).transpose(1, 2)
        kept = keep.flatten(1).unsqueeze(1).expand_as(scores)
        unset = self.unset.expand(len(tokens), -1).unsqueeze(-1)
        weights = masked_softmax(
            torch.cat([scores, unset], dim=2), torch.cat([kept, torch.ones_like(unset, dtype=torch.bool)], dim=2)
        )
        words = tokens.flatten(1).unsqueeze(1).expand_as(scores)
        values, is_set = weighted_words(table, words, weights[..., :-1]), 1.0 - weights[..., -1].to(table.dtype)
        return SlotValues(values if self.translation is None else self.translation(values, is_set), is_set)


class ValueTranslation(nn.Module):
    """s (v + B ReLU(A v + e_i)) of what slot i read, `values` = s v: s is how far the slot is set, v the mean of the words read.

    B starts at zero, so that a value starts as the words that were read. Departs from the paper.
    """

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, dim, bias=False)
        self.slot = nn.Parameter(torch.zeros(slots, dim))
        self.contract = nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.contract.weight)

    def forward(
        self, values: Float[Tensor, "batch slot dim"], is_set: Float[Tensor, "batch slot"]
    ) -> Float[Tensor, "batch slot dim"]:
        share = is_set.unsqueeze(-1)
        said = values / share.clamp(min=LEAST_SET)
        return values + share * self.contract(torch.relu(self.expand(said) + self.slot))
