"""A WordPiece vocabulary trained on text, and texts as rows of pieces."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from semantic.encoders.vocabulary import pad_id, tokenise, train_wordpiece

TEXTS = ["red dress", "a Red coat", "the blue dress", "coats"] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, 60)


def words(tokenizer, row):
    return [tokenizer.id_to_token(int(piece)) for piece in row if piece >= 0]


def test_frequent_words_are_pieces_and_case_is_ignored(tokenizer):
    rows = tokenise(tokenizer, ["RED dress", "red dress"], 3)

    assert words(tokenizer, rows[0]) == ["red", "dress"]
    assert rows[0].tolist() == rows[1].tolist()
    assert rows.dtype == np.int32


def test_rows_are_cut_and_filled_to_one_length(tokenizer):
    rows = tokenise(tokenizer, ["the blue dress", "dress", ""], 2)

    assert words(tokenizer, rows[0]) == ["the", "blue"]
    assert rows[1, 1] == -1
    assert rows[2].tolist() == [-1, -1]


def test_no_texts_give_no_rows(tokenizer):
    assert tokenise(tokenizer, [], 5).shape == (0, 5)


def test_a_word_in_pieces_continues_with_hashes(tokenizer):
    pieces = words(tokenizer, tokenise(tokenizer, ["coats"], 7)[0])

    assert len(pieces) > 1 or pieces == ["coats"]
    assert "".join(piece.removeprefix("##") for piece in pieces) == "coats"


def test_a_letter_never_seen_is_unknown(tokenizer):
    assert words(tokenizer, tokenise(tokenizer, ["ж"], 3)[0]) == ["[UNK]"]


def test_the_vocabulary_is_at_most_as_large_as_asked_and_the_same_each_time():
    small = train_wordpiece(TEXTS, 25)

    assert small.get_vocab_size() <= 25
    assert small.get_vocab() == train_wordpiece(TEXTS, 25).get_vocab()


def test_pad_is_the_tokenizers_own_else_zero(tokenizer):
    assert tokenizer.id_to_token(pad_id(tokenizer)) == "[PAD]"
    roberta = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "<unk>": 2}, unk_token="<unk>"))
    assert pad_id(roberta) == 1
    assert pad_id(Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))) == 0
