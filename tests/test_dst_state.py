"""Slot keys, the teacher's state from gold values with both means, and the student's from the context."""

import pytest
import torch

from semantic.dst.state import (
    AttentionStates,
    GoldValues,
    StudentLearner,
    TeacherEncoder,
    TurnVectors,
    TurnWords,
    ValueState,
    ValueStates,
    WordReader,
)
from semantic.encoders.layers.attention import Attention
from semantic.encoders.words import BatchWords
from tests.small_world import DIM, HEADS, INNER, LAYERS, VOCABULARY, fill, formula, pad

KEYS = ((3,), (5, 7), (11, 13, 2))
VALUES = ((1,), (17, 19), (21, 23, 25))


def attention(seed_layers=LAYERS):
    return Attention(DIM, HEADS, INNER, seed_layers, 0.0)


def table():
    return fill(torch.nn.Embedding(VOCABULARY, DIM)).double()


def mean_of(words, rows, counts=None):
    counts = counts or [len(row) for row in rows]
    return torch.stack([sum(words.weight[t] for t in row) / n for row, n in zip(rows, counts, strict=True)])


def attention_states():
    pair = TeacherEncoder(attention()), StudentLearner(attention(), attention(1))
    return fill(AttentionStates(KEYS, *pair)).double().eval()


@pytest.mark.parametrize("part", [False, True], ids=["whole table", "rows of the batch"])
def test_a_key_is_the_mean_of_its_word_pieces(part):
    words, states = table(), attention_states()
    vocabulary = BatchWords.of(words, states.key_tokens) if part else BatchWords(words.weight)

    torch.testing.assert_close(states.keys(vocabulary), mean_of(words, KEYS), atol=1e-12, rtol=0)


def test_slot_keys_are_no_weights():
    assert not {"key_tokens", "key_keep"} & attention_states().state_dict().keys()


def test_the_papers_pair_encodes_gold_values_and_infers_from_turn_vectors():
    states, words = attention_states(), BatchWords(table().weight)
    tokens, keep = (x.unsqueeze(0) for x in pad(VALUES, 0, 2))
    turns, real = formula((2, 5, DIM), 7), torch.tensor([[False, False, True, True, True], [True] * 5])

    taught, inferred = states.encode(words, GoldValues(tokens, keep)), states.infer(words, TurnVectors(turns, real))

    keys = states.keys(words)
    assert torch.equal(taught.embeddings, states.teacher(keys, words(tokens), keep))
    assert torch.equal(inferred.embeddings, states.student(keys, turns, real))
    assert taught.values is None
    assert inferred.values is None


NONE = (1, 4)  # the word pieces of "none"


def value_states():
    student = WordReader(len(KEYS), DIM, 2)
    return fill(ValueStates(KEYS, ValueState(0.3), student, unset=NONE, pad=0)).double().eval()


def test_the_pair_for_small_data_forms_both_states_from_values_of_slots():
    states, words = value_states(), BatchWords(table().weight)
    tokens, keep = (x.unsqueeze(0) for x in pad((NONE, (17, 19), (21, 23, 25)), 0, 0))
    said, real = torch.tensor([[[6, 8], [10, 29]]]), torch.tensor([[[True, True], [True, False]]])

    taught, inferred = states.encode(words, GoldValues(tokens, keep)), states.infer(words, TurnWords(said, real))

    keys = states.keys(words)
    for state in (taught, inferred):
        expected = 0.3 * (states.teacher.key_weight * keys + state.values.values)
        torch.testing.assert_close(state.embeddings, expected, atol=1e-12, rtol=0)
    read = states.student(keys, words, said, real)
    assert torch.equal(inferred.values.values, read.values)
    assert torch.equal(inferred.values.is_set, read.is_set)
    assert taught.values.is_set.tolist() == [[0, 1, 1]]
    means = mean_of(table(), ((17, 19), (21, 23, 25)))
    torch.testing.assert_close(taught.values.values[0, 1:], means, atol=1e-12, rtol=0)
    assert not taught.values.values[0, 0].any()


@pytest.mark.parametrize(
    ("value", "is_set"),
    [(NONE, 0), (NONE[:1], 1), ((*NONE, 5), 1), (NONE[::-1], 1), ((1,), 1)],
    ids=["none", "its first piece", "none and more", "its pieces turned round", "another word"],
)
def test_a_slot_is_unset_if_its_value_is_none_and_nothing_else(value, is_set):
    tokens, keep = pad((value, (2, 3, 5)), 0, 0)

    found = value_states().gold_values(BatchWords(table().weight), GoldValues(tokens[None, :1], keep[None, :1]))

    assert found.is_set.tolist() == [[is_set]]


def test_none_is_told_where_values_are_cut_shorter_than_it():
    tokens = torch.tensor([[[NONE[0]], [7]]])

    found = value_states().gold_values(BatchWords(table().weight), GoldValues(tokens, torch.ones_like(tokens).bool()))

    assert found.is_set.tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", ["pieces", "padded_sum"])
def test_the_teacher_attends_over_keys_plus_value_means(kind):
    words, teacher = table(), fill(TeacherEncoder(attention(), kind)).double().eval()
    tokens, keep = pad(VALUES, 0, 2)
    width = tokens.shape[1]
    keys = mean_of(words, KEYS)

    state = teacher(keys, words(tokens).unsqueeze(0), keep.unsqueeze(0))

    # The released mean: pad rows in the sum, the number of real pieces below it.
    summed = VALUES if kind == "pieces" else [(*value, *[0] * (width - len(value))) for value in VALUES]
    means = mean_of(words, summed, [len(value) for value in VALUES])
    torch.testing.assert_close(state, teacher.attention((keys + means).unsqueeze(0)), atol=1e-12, rtol=0)


def test_the_two_means_agree_where_no_value_is_padded_and_only_there():
    words, keys = table(), formula((len(KEYS), DIM), 3)
    both = [fill(TeacherEncoder(attention(), kind)).double().eval() for kind in ("pieces", "padded_sum")]
    full, keep = pad(((1, 4), (17, 19), (21, 23)), 0, 0)
    longer, some = pad(VALUES, 0, 0)

    one, other = (teacher(keys, words(full).unsqueeze(0), keep.unsqueeze(0)) for teacher in both)
    torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    one, other = (teacher(keys, words(longer).unsqueeze(0), some.unsqueeze(0)) for teacher in both)
    assert (one - other).abs().max() > 1e-3


def test_the_student_predicts_values_from_the_context_then_attends():
    student = fill(StudentLearner(attention(), attention(1))).double().eval()
    keys, context = formula((3, DIM), 3), formula((2, 5, DIM), 7)
    keep = torch.tensor([[False, False, True, True, True], [True] * 5])

    state = student(keys, context, keep)

    for row in range(2):
        predicted = student.predictor(keys.unsqueeze(0), context[row : row + 1, keep[row]])
        torch.testing.assert_close(state[row : row + 1], student.attention(keys + predicted), atol=1e-12, rtol=0)


def test_an_unknown_value_mean_is_refused():
    with pytest.raises(ValueError, match="value mean: expected one of pieces, padded_sum, got 'median'"):
        TeacherEncoder(attention(), "median")
