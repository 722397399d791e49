"""The bag of words against loops over texts and words, and what a table cut to a batch must not change."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.encoders.bag import BagEncoder, drop_words, word_scores
from semantic.encoders.words import BatchWords, WordTables
from tests.oracle import add
from tests.small_world import FILLER, fill, formula, pad

DIM, VOCABULARY = 7, 31
EXACT = {"atol": 1e-12, "rtol": 0}
TEXTS = ((4, 6, 8, 4), (), (10,), (12, 14, 16, 18, 20))
TOKENS, KEEP = pad(TEXTS, FILLER, 2)
GUESSED_WORDS = torch.tensor([5, 6, 11])
GUESSED = torch.tensor([[0.5, 0.0, 0.25], [0.0, 0.75, 0.0], [0.0, 0.0, 0.0], [1.0, 0.5, 0.3]]).double()


def bag(word_dropout=0.0, dropout=0.0):
    return fill(BagEncoder(WordTables(VOCABULARY, 11, DIM), word_dropout, dropout)).double()


def whole(encoder):
    return BatchWords(encoder.words.words.weight, pad=0)


def naive(encoder, guessed=None):
    """u of each text: present words once an occurrence, a guessed word with its probability, then one softmax."""
    table, vectors = encoder.words.words.weight, []
    for row, text in enumerate(TEXTS):
        words = [(word, 1.0) for word in text]
        if guessed is not None:
            words += [(int(word), guessed[row, i]) for i, word in enumerate(GUESSED_WORDS) if guessed[row, i]]
        terms = [share * (encoder.query @ table[word] / math.sqrt(DIM)).exp() for word, share in words]
        vectors.append(
            add([term / sum(terms) * table[word] for term, (word, _) in zip(terms, words, strict=True)], DIM, table)
        )
    return torch.stack(vectors)


def gradients(loss, encoder):
    return torch.autograd.grad(loss, [encoder.query, encoder.words.words.weight])


def weigh(vectors):
    """A number that every entry of `vectors` moves."""
    return (vectors * formula(vectors.shape, 3)).sum()


@pytest.mark.parametrize("guessed", [None, GUESSED], ids=["present words", "with guessed words"])
def test_a_text_is_the_softmax_of_word_scores_over_its_words(guessed):
    encoder = bag()
    words = None if guessed is None else GUESSED_WORDS
    found, expected = encoder(whole(encoder), TOKENS, KEEP, guessed, words), naive(encoder, guessed)

    torch.testing.assert_close(found, expected, **EXACT)
    for one, other in zip(gradients(weigh(found), encoder), gradients(weigh(expected), encoder), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_a_bag_starts_as_the_mean_of_its_words():
    encoder = BagEncoder(WordTables(VOCABULARY, 11, DIM), 0.0, 0.0)
    table = encoder.words.words.weight

    found = encoder(whole(encoder), TOKENS, KEEP)

    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(found[row], add([table[word] for word in text], DIM, table) / max(1, len(text)))


@pytest.mark.parametrize("guessed", [None, torch.zeros(2, 3).double()], ids=["present words", "with guessed words"])
def test_an_empty_text_gives_zeros_and_a_finite_gradient(guessed):
    encoder = bag()
    words = None if guessed is None else GUESSED_WORDS

    found = encoder(whole(encoder), torch.full((2, 5), FILLER), torch.zeros(2, 5, dtype=torch.bool), guessed, words)

    assert not found.any()
    assert all(not gradient.any() for gradient in gradients(weigh(found), encoder))  # not NaN either


def test_a_text_of_guesses_alone_is_made_of_them():
    encoder = bag()
    guessed = torch.tensor([[0.0, 0.4, 0.0]]).double()

    found = encoder(whole(encoder), TOKENS[1:2], KEEP[1:2], guessed, GUESSED_WORDS)

    torch.testing.assert_close(found[0], encoder.words.words.weight[6], **EXACT)


def test_certain_guesses_are_words_of_the_text():
    encoder = bag()
    tokens, keep = pad([(4, 8), (10,)], FILLER, 0)
    fuller, kept = pad([(4, 8, 5), (10, 5, 11)], FILLER, 0)
    guessed = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]]).double()

    torch.testing.assert_close(
        encoder(whole(encoder), tokens, keep, guessed, GUESSED_WORDS), encoder(whole(encoder), fuller, kept), **EXACT
    )


@pytest.mark.parametrize("guessed", [None, GUESSED], ids=["present words", "with guessed words"])
def test_the_rows_of_a_batch_give_what_the_whole_table_gives(guessed):
    encoder = bag()
    words = None if guessed is None else GUESSED_WORDS
    batch = BatchWords.of(encoder.words.words, TOKENS, *([] if words is None else [words]))
    found, expected = (encoder(table, TOKENS, KEEP, guessed, words) for table in (batch, whole(encoder)))

    assert len(batch.table) < VOCABULARY
    torch.testing.assert_close(found, expected, **EXACT)
    for one, other in zip(gradients(weigh(found), encoder), gradients(weigh(expected), encoder), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_words_are_looked_up_alike_and_pad_gets_no_gradient():
    encoder, tokens = bag(), torch.tensor([[0, 3, 5], [5, 5, 0]])
    table = encoder.words.words

    for words in (BatchWords.of(table, tokens, torch.tensor([17])), whole(encoder)):
        found = words(tokens)
        assert torch.equal(found, table.weight[tokens])
        (gradient,) = torch.autograd.grad(found.sum(), [table.weight])
        expected = torch.zeros(VOCABULARY, DIM).double()
        expected[3], expected[5] = 1, 3  # as often as they stand there
        assert torch.equal(gradient, expected)


@pytest.mark.parametrize("queries", [1, 3, None])
def test_word_scores_are_scaled_products(queries):
    table = formula((5, DIM), 1)
    query = formula((DIM,) if queries is None else (queries, DIM), 2)
    rows = query if queries else [query]

    found = word_scores(table, query).reshape(5, -1)

    expected = [[sum(w * q for w, q in zip(word, row, strict=True)) / DIM**0.5 for row in rows] for word in table]
    torch.testing.assert_close(found, torch.tensor(expected).double(), **EXACT)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=7), st.floats(0, 1), st.integers(0, 2**16))
def test_word_dropout_takes_words_and_never_a_whole_text(lengths, share, seed):
    keep = torch.tensor([[place < length for place in range(5)] for length in lengths])
    torch.manual_seed(seed)

    left = drop_words(keep, share)

    assert not (left & ~keep).any()
    assert torch.equal(left.any(1), keep.any(1))


def test_word_dropout_leaves_out_its_share():
    torch.manual_seed(0)
    words = 20_011
    deviation = math.sqrt(0.3 * 0.7 / words)

    left = drop_words(torch.ones(1, words, dtype=torch.bool), 0.3).double().mean()

    assert abs(left - 0.7) < 4 * deviation


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5)])
def test_word_dropout_and_dropout_are_off_in_evaluation(rates):
    torch.manual_seed(0)
    encoder = bag(*rates)
    plain = bag().eval()(whole(encoder), TOKENS, KEEP)

    assert torch.equal(encoder.eval()(whole(encoder), TOKENS, KEEP), plain)
    assert not torch.equal(encoder.train()(whole(encoder), TOKENS, KEEP), plain)
