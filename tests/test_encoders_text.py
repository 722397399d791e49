"""Tables, contextual words, and a text's vector."""

import json

import pytest
import torch
from transformers import AutoModel, BertConfig

from semantic.encoders.layers.attention import Attention
from semantic.encoders.layers.pooling import Pool
from semantic.encoders.text import ContextualWords, TextEncoder
from semantic.encoders.words import BatchWords, WordTables
from tests.small_world import DIM, FILLER, HEADS, INNER, LAYERS, POSITIONS, VOCABULARY, fill, pad

TEXTS = ((4, 6, 8, 10, 12), (14, 16, 18), (20,))


def tables():
    return fill(WordTables(VOCABULARY, POSITIONS, DIM, pad=0)).double()


def whole(module):
    """The whole word table of words or of an encoder over them."""
    return BatchWords((module.words.words if isinstance(module, TextEncoder) else module.words).weight, pad=0)


def bert():
    return BertConfig(
        vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=INNER, max_position_embeddings=POSITIONS,
    )  # fmt: skip


def encoder(words, pool="sum"):
    attention = Attention(DIM, HEADS, INNER, LAYERS, 0.0)
    encoder = TextEncoder(words, attention, Pool(pool, DIM))
    fill(encoder.attention)
    return encoder.double().eval()


WORDS = {"tables": tables, "contextual": lambda: fill(ContextualWords(bert().to_dict())).double()}


def test_tables_add_the_word_and_its_position():
    words, (tokens, keep) = tables(), pad(TEXTS, 0, 0)

    looked_up = words(whole(words), tokens, keep)

    for row, text in enumerate(TEXTS):
        for place, token in enumerate(text):
            assert torch.equal(looked_up[row, place], words.words.weight[token] + words.positions.weight[place])


def test_the_pad_row_is_not_trained():
    words, (tokens, keep) = tables(), pad(TEXTS, 0, 0)

    words(whole(words), tokens, keep).sum().backward()

    assert not words.words.weight.grad[0].any()
    assert words.words.weight.grad[4].all()


def test_more_tokens_than_positions_are_refused():
    words, (tokens, keep) = tables(), pad([(3,) * (POSITIONS + 1)], 0, 0)

    with pytest.raises(ValueError, match=f"expected at most {POSITIONS} positions, got {POSITIONS + 1} tokens"):
        words(whole(words), tokens, keep)


def test_contextual_words_are_the_encoders_last_hidden_states():
    words, (tokens, keep) = ContextualWords(bert().to_dict()).eval(), pad(TEXTS, FILLER, 0)
    reference = AutoModel.from_config(bert()).eval()
    reference.load_state_dict(words.encoder.state_dict())

    found = words(whole(words), tokens, keep)

    for row, text in enumerate(TEXTS):
        alone = reference(input_ids=torch.tensor([text])).last_hidden_state[0]
        torch.testing.assert_close(found[row, : len(text)], alone, atol=1e-5, rtol=0)
    assert words.words is words.encoder.get_input_embeddings()


def test_contextual_words_build_from_a_configuration_that_was_json():
    words = ContextualWords(json.loads(json.dumps(bert().to_dict())))

    assert type(words.encoder) is type(AutoModel.from_config(bert()))
    assert words.words.weight.shape == (VOCABULARY, DIM)


@pytest.mark.parametrize("pool", ["sum", "leaky_sum"])
@pytest.mark.parametrize("kind", WORDS)
def test_padding_and_company_change_no_text(kind, pool):
    text = encoder(WORDS[kind](), pool)
    together = text(whole(text), *pad(TEXTS, FILLER, 3))

    for row, tokens in enumerate(TEXTS):
        alone = text(whole(text), *pad([tokens], FILLER, 0))
        torch.testing.assert_close(together[row], alone[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", WORDS)
def test_the_rows_of_a_batch_give_what_the_whole_table_gives(kind):
    text, (tokens, keep) = encoder(WORDS[kind]()), pad(TEXTS, FILLER, 3)
    part = BatchWords.of(text.words.words, tokens)

    found, expected = (text(table, tokens, keep) for table in (part, whole(text)))

    assert len(part.table) < VOCABULARY
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    weights = [p for p in text.parameters() if p.requires_grad]
    gradients = (torch.autograd.grad((y**2).sum(), weights, allow_unused=True) for y in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", WORDS)
def test_an_empty_text_is_a_zero_vector_among_others(kind):
    text, seen = encoder(WORDS[kind]()), []
    text.attention.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    among = text(whole(text), *pad((TEXTS[0], (), *TEXTS[1:]), FILLER, 0))
    among.sum().backward()

    assert seen == [3]  # the empty one costs nothing
    assert not among[1].any()
    torch.testing.assert_close(among[[0, 2, 3]], text(whole(text), *pad(TEXTS, FILLER, 0)), atol=1e-12, rtol=0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in text.parameters())


def test_empty_texts_alone_are_zeros_in_the_models_precision():
    text, (tokens, keep) = encoder(tables()), pad([(), ()], FILLER, 2)

    encoded = text(whole(text), tokens, keep)

    assert encoded.shape == (2, DIM)
    assert encoded.dtype == torch.float64
    assert not encoded.any()
