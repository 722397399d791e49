"""The floors as models: words that are shared, popularity, chance, a sentence encoder, a bag of words."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from transformers import BertConfig

from semantic.config.loading import make_config
from semantic.config.registry import find_model
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.batches.tensors import Products
from semantic.models.floors.popularity import product_numbers, text_numbers
from semantic.models.floors.sentences import Sentences
from semantic.models.interface import ProductRows
from tests.battery import score
from tests.small_world import DIM, VOCABULARY, collate, fill, small_spec, small_world

WORLD = small_world()
TEXTS = [
    (4, 6, 8, 4),
    (10, 12, 3),
    (14, 16, 20, 22, 22),
    (28,),
    (9, 4, 5),
    (),
]  # of words that the dialogues have too, and others
SAID = [[token for turn in example.turns for token in turn.tokens] for example in WORLD.examples]


class Catalogue(BatchBuilder):
    """A builder of the small world's products."""

    def __init__(self):
        pass

    class store:
        num_products = len(TEXTS)
        positives = staticmethod(lambda row: np.array(WORLD.examples[row].candidates[: WORLD.examples[row].positives]))

    def products(self, ids):
        width = max(len(text) for text in TEXTS)
        tokens = torch.zeros(len(ids), width, dtype=torch.int64)
        keep = torch.zeros(len(ids), width, dtype=torch.bool)
        for row, one in enumerate(ids):
            tokens[row, : len(TEXTS[one])] = torch.tensor(TEXTS[one], dtype=torch.int64)
            keep[row, : len(TEXTS[one])] = True
        return Products(tokens, keep, torch.zeros(len(ids), 1), torch.ones(len(ids), dtype=torch.bool))


def floor(name, **model):
    config = make_config({"model": {"name": name, **model}}).model
    made = find_model(name)(config, small_spec()).eval()
    made.fit_catalogue(Catalogue(), 0, lambda *_: None)
    made.remember(Catalogue(), np.arange(len(WORLD.examples)))
    return made


def everything(model):
    """The score of each example and each item of the small world."""
    with torch.no_grad():
        rows = model.encode_products(Catalogue().products(range(len(TEXTS))))
        return model.score(model.encode_query(collate(WORLD, (0, 1, 2)).contexts), ProductRows.of(rows, None))


def counts(texts):
    return np.array([[Counter(text)[word] for word in range(VOCABULARY)] for text in texts])


def test_tfidf_is_scikit_learns():
    transformer = TfidfTransformer().fit(counts(TEXTS))
    expected = (transformer.transform(counts(SAID)) @ transformer.transform(counts(TEXTS)).T).toarray()

    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(everything(floor("tfidf")).numpy(), expected, atol=1e-6)


def test_bm25_is_its_formula():
    k1, b, mean = 1.5, 0.6, sum(map(len, TEXTS)) / len(TEXTS)
    frequency = Counter(word for text in TEXTS for word in set(text))

    def bm25(said, text):
        found, held = 0.0, Counter(text)
        for word in said:
            idf = math.log(1 + (len(TEXTS) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            found += idf * held[word] * (k1 + 1) / (held[word] + k1 * (1 - b + b * len(text) / mean))
        return found

    found = everything(floor("bm25", k1=k1, b=b)).numpy()

    np.testing.assert_allclose(found, [[bm25(said, text) for text in TEXTS] for said in SAID], rtol=1e-5)


def test_a_word_that_stands_twice_in_a_product_counts_twice_and_is_held_once():
    model = floor("bm25")
    twice = Products(
        torch.tensor([[4, 9, 4]]), torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 1), torch.ones(1) > 0
    )

    pieces, weights = model.encode_products(twice)[0]

    assert pieces[:3].tolist() == [4, 9, 4]
    assert weights[0] > 0
    assert weights[2:].tolist() == [0] * (len(weights) - 2)


def test_turns_limit_what_is_read():
    last = floor("tfidf", turns=1)
    only_last = [list(example.turns[-1].tokens) for example in WORLD.examples]
    transformer = TfidfTransformer().fit(counts(TEXTS))
    expected = (transformer.transform(counts(only_last)) @ transformer.transform(counts(TEXTS)).T).toarray()

    np.testing.assert_allclose(everything(last).numpy(), expected, atol=1e-6)


def test_popularity_counts_recommendations_of_a_product():
    expected = Counter(item for example in WORLD.examples for item in example.candidates[: example.positives])

    found = everything(floor("popularity"))

    assert found.tolist() == [[expected[item] for item in range(len(TEXTS))]] * 3
    assert max(expected.values()) > min(expected[item] for item in range(len(TEXTS)))


def test_a_product_is_known_by_its_text_and_its_photo():
    tokens, keep = torch.tensor([[3, 5], [3, 5], [3, 5], [3, 7]]), torch.ones(4, 2) > 0
    has_photo = torch.tensor([True, True, False, True])
    photos = torch.tensor([[1, 2], [1, 3], [9, 9], [1, 2]], dtype=torch.uint8).view(4, 1, 2, 1).repeat(1, 1, 1, 3)
    other = photos.clone()
    other[2] = 4  # it has none

    numbers = product_numbers(Products(tokens, keep, photos, has_photo))

    assert len({*numbers.tolist()}) == 4
    assert torch.equal(numbers, product_numbers(Products(tokens, keep, other, has_photo)))


def test_chance_is_spread_over_its_range_and_differs_by_draw():
    model, other = floor("random"), floor("random", draw=1)
    tokens = torch.arange(2000).view(-1, 1)
    products = Products(tokens, torch.ones_like(tokens) > 0, torch.zeros(2000, 1), torch.ones(2000) > 0)
    query = model.encode_query(collate(WORLD, (0, 1, 2)).contexts)

    found = model.score(query, ProductRows.of(model.encode_products(products), None))

    assert 0 <= float(found.min()) < 0.01
    assert 0.99 < float(found.max()) < 1
    assert float(found.mean()) == pytest.approx(0.5, abs=0.03)
    assert abs(float(torch.corrcoef(found)[0, 1])) < 0.1
    assert not torch.equal(found, other.score(query, ProductRows.of(other.encode_products(products), None)))


def test_a_text_has_one_number_however_it_is_padded():
    tokens, keep = torch.tensor([[3, 5, 7], [3, 5, 29], [3, 5, 1]]), torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 0]]) > 0

    numbers = text_numbers(tokens, keep).tolist()

    assert numbers[1] == numbers[2] == int(text_numbers(tokens[1:2, :2], keep[1:2, :2]))
    assert len({*numbers}) == 2


@pytest.mark.parametrize("marked", [False, True])
def test_a_sentence_is_the_mean_of_its_last_hidden_states(marked):
    bert = BertConfig(
        vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11
    )
    config = make_config({"model": {"name": "sentences", "text": {"checkpoint": "bert"}}}).model
    model = fill(Sentences(config, small_spec(text_encoder=bert.to_dict()))).eval()
    if marked:
        model.marks = torch.tensor([1, 2])
    tokens, keep = torch.tensor([[3, 5, 7], [9, 0, 0], [0, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]) > 0

    found = model.read(tokens, keep)

    for row, pieces in enumerate([[3, 5, 7], [9]]):
        pieces = [1, *pieces, 2] if marked else pieces
        with torch.no_grad():
            states = model.words.encoder(torch.tensor([pieces])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(found[row], torch.nn.functional.normalize(states, dim=0))
    assert not found[2].any()


def test_a_bag_is_the_cosine_of_mean_word_vectors():
    config = make_config({"model": {"name": "bag", "text": {"dim": 7}}}).model
    model = fill(find_model("bag")(config, small_spec(context_turns=3))).double().eval()
    batch = collate(WORLD, (0,), turns_at_least=3)
    table, example = model.words.weight, WORLD.examples[0]

    turns = torch.stack([table[list(t.tokens)].mean(0) if t.tokens else torch.zeros(7).double() for t in example.turns])
    context = torch.softmax(model.turns, 0) @ turns
    expected = [
        torch.cosine_similarity(context, table[list(WORLD.items[item].tokens)].mean(0), dim=0).item()
        for item in example.candidates
    ]

    assert score(model, batch)[0].tolist() == pytest.approx(expected)
