"""Word tables from checkpoints and from files of vectors in GloVe's format."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.encoders.vocabulary import train_wordpiece
from semantic.models.text_checkpoints import CheckpointError
from semantic.models.word_vectors import WordSource, WordVectorsError, load_vectors, load_words

TOKENIZER = train_wordpiece(["red dress blue dress red shirt"], 60)


def table(width=3):
    return nn.Embedding(TOKENIZER.get_vocab_size(), width)


def test_words_that_are_one_piece_get_their_vectors(tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text("red 1 2 3\nunheard 4 5 6\ndress -.5 0 1e-2\n")
    words = table()
    before = words.weight.clone()

    assert load_vectors(words, str(file), TOKENIZER) == 2

    places = TOKENIZER.get_vocab()
    assert words.weight[places["red"]].tolist() == [1, 2, 3]
    torch.testing.assert_close(words.weight[places["dress"]], torch.tensor([-0.5, 0, 0.01]))
    others = [place for word, place in places.items() if word not in ("red", "dress")]
    assert torch.equal(words.weight[others], before[others])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a file of word vectors, found none there"),
        ("red 1 2\n", "line 1: expected a word and 3 numbers (model.text.dim), found 2 after 'red'"),
        ("400000 3\nred 1 2 3\n", "line 1: expected a word and 3 numbers (model.text.dim), found 1 after '400000'"),
        ("blue 1 2 3\nred 1 x 3\n", "line 2: expected numbers after 'red', found could not convert"),
        ("unheard 1 2 3\n", "expected words of the data's vocabulary, found none"),
        ("red nan 2 3\n", "line 1: expected numbers after 'red', found nan"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path, content, message):
    file = tmp_path / "vectors.txt"
    if content is not None:
        file.write_text(content)

    with pytest.raises(WordVectorsError, match=re.escape(message)):
        load_vectors(table(), str(file), TOKENIZER)


def test_words_with_spaces_are_passed_over(tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text("red 1 2 3\nat name@domain.com 4 5 6\n")

    assert load_vectors(table(), str(file), TOKENIZER) == 1


def test_a_checkpoint_gives_its_word_table():
    encoder = SimpleNamespace(
        get_input_embeddings=lambda: nn.Embedding(len(TOKENIZER.get_vocab()), 3),
        config=SimpleNamespace(name_or_path="here"),
    )
    weight = encoder.get_input_embeddings().weight
    encoder.get_input_embeddings = lambda: SimpleNamespace(weight=weight)
    words = table()

    load_words(words, WordSource(checkpoint="here", dim=3), encoder, None)

    assert torch.equal(words.weight, weight)
    with pytest.raises(
        CheckpointError, match=r"here: expected width 4 \(model.text.dim\), got 3; set model.text.dim=null"
    ):
        load_words(table(4), WordSource(checkpoint="here", dim=4), encoder, None)


def test_a_checkpoint_and_a_file_exclude_each_other():
    with pytest.raises(ConfigError, match=r"expected model\.text\.checkpoint or vectors, got both"):
        make_config({"model": {"name": "mhred", "text": {"checkpoint": "a", "vectors": "b"}}})
