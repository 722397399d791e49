"""A WordPiece vocabulary trained on text, and texts as rows of pieces."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from semantic.encoders.vocabulary import SPECIAL, pad_id, tokenise, train_wordpiece

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
    first, *others = words(tokenizer, tokenise(tokenizer, ["coatred"], 7)[0])

    assert first == "coat"
    assert others
    assert all(piece.startswith("##") for piece in others)
    assert "".join(piece.removeprefix("##") for piece in others) == "red"


def test_a_letter_never_seen_is_unknown(tokenizer):
    assert words(tokenizer, tokenise(tokenizer, ["ж"], 3)[0]) == ["[UNK]"]


def test_the_vocabulary_is_at_most_as_large_as_asked(tokenizer):
    assert 25 < tokenizer.get_vocab_size() <= 60
    letters = train_wordpiece(TEXTS, 1).get_vocab()
    assert all(len(piece.removeprefix("##")) == 1 or piece in SPECIAL for piece in letters)


def test_the_same_texts_give_the_same_ids():
    texts = [f"{a}{b}{a} {b}{a}" for a in ("bo", "ur", "el") for b in ("na", "ti", "so")]
    first = train_wordpiece(texts, 50).to_str()

    assert all(train_wordpiece(texts, 50).to_str() == first for _ in range(7))


def test_special_tokens_come_first_and_a_hash_sign_is_text(tokenizer):
    assert [tokenizer.token_to_id(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert words(tokenizer, tokenise(tokenizer, ["##d"], 3)[0])[0] == "[UNK]"
    assert tokenizer.decode(tokenise(tokenizer, ["Blue coats"], 9)[0].clip(0)) == "blue coats"


def test_pad_is_the_tokenizers_own_else_zero(tokenizer):
    assert tokenizer.id_to_token(pad_id(tokenizer)) == "[PAD]"
    roberta = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "<unk>": 2}, unk_token="<unk>"))
    assert pad_id(roberta) == 1
    assert pad_id(Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))) == 0
