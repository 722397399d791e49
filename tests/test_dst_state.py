"""Slot keys, the teacher's state from gold values with both means, and the student's from the context."""

import pytest
import torch

from semantic.dst.state import StudentLearner, TeacherEncoder, embed_keys
from semantic.encoders.attention import Attention
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


def test_a_key_is_the_mean_of_its_word_pieces():
    words = table()

    torch.testing.assert_close(embed_keys(words, *pad(KEYS, 29, 2)), mean_of(words, KEYS), atol=1e-12, rtol=0)


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
