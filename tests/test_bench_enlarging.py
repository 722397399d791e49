"""A store made larger is a valid store, and every repetition of a dialogue is that dialogue."""

import numpy as np
import pytest
import torch

from semantic.bench.enlarging import dialogue_bytes, enlarge
from semantic.bench.subject import view_store
from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.datasets.store.store import FILES, open_store

REPEATS = 3


@pytest.fixture(scope="module", params=["train", "valid"])
def pair(request, shop, tmp_path_factory):
    """The shop and one whose only split holds the dialogues of one of its splits three times."""
    return request.param, shop, enlarge(shop, tmp_path_factory.mktemp("large") / "store", request.param, REPEATS)


def rows_of(store, split):
    return np.flatnonzero(np.array([store.dialogue_split(row) == split for row in range(len(store.dialogue_names))]))


def test_it_is_a_whole_store(pair):
    split, shop, large = pair
    opened = open_store(large.path)
    opened.verify()

    counts = shop.manifest["splits"][split]
    assert opened.splits == (split,)
    assert opened.manifest["splits"][split] == {name: REPEATS * count for name, count in counts.items()}
    assert len(opened.dialogue_names) == REPEATS * counts["dialogues"]
    assert len(opened.example_turns) == REPEATS * counts["examples"] == len(opened.split(split))
    assert opened.num_products == shop.num_products
    assert opened.product_texts == shop.product_texts
    assert opened.state_values == shop.state_values


def test_every_repetition_says_and_shows_the_same(pair):
    split, shop, large = pair
    dialogues = rows_of(shop, split)
    for repeat in range(REPEATS):
        for place, row in enumerate(dialogues):
            copy = repeat * len(dialogues) + place
            assert large.dialogue_names[copy] == shop.dialogue_names[row]
            assert large.dialogue_turns[copy] == shop.dialogue_turns[row]
            for step in range(shop.dialogue_turns[row]):
                old, new = shop.dialogue_first_turn[row] + step, large.dialogue_first_turn[copy] + step
                assert large.turn_texts[new] == shop.turn_texts[old]
                assert large.turn_speakers[new] == shop.turn_speakers[old]
                assert np.array_equal(large.turn_images(new), shop.turn_images(old))
                assert np.array_equal(large.turn_states[new], shop.turn_states[old])


def test_every_example_points_into_its_own_repetition(pair):
    split, shop, large = pair
    old = np.asarray(shop.split(split).examples)
    for row in range(len(large.example_turns)):
        first = old[row % len(old)]
        dialogue, turn = large.example_turns[row]
        source, target = shop.example_turns[first]
        assert large.dialogue_names[dialogue] == shop.dialogue_names[source]
        assert turn - large.dialogue_first_turn[dialogue] == target - shop.dialogue_first_turn[source]
        assert np.array_equal(large.positives(row), shop.positives(first))
        assert np.array_equal(large.negatives(row), shop.negatives(first))


def test_a_batch_of_it_is_a_batch_of_the_store_it_was_made_of(pair):
    split, shop, large = pair

    def contexts(store, rows):
        numbers = {text: number for number, text in enumerate(sorted(set(shop.turn_texts)))}
        turns = np.array([[numbers[text]] for text in store.turn_texts], dtype=np.int32)
        pieces = Pieces(
            np.zeros((store.num_products, 1), np.int32), turns, np.zeros((len(store.state_values), 1), np.int32)
        )
        builder = BatchBuilder(store, pieces, store.photos, context_turns=5, photos_per_turn=5, pad=0)
        found = builder.contexts(rows)
        return found.turn_tokens[found.turns.clamp(min=0)].masked_fill((found.turns < 0)[..., None], -1)

    rows = np.asarray(shop.split(split).examples)[:5]
    copies = np.asarray(large.split(split).examples)[len(shop.split(split)) :][:5]

    assert torch.equal(contexts(shop, rows), contexts(large, copies))


def test_the_estimate_of_its_size_is_near(pair):
    split, shop, large = pair
    written = sum((large.path / name).stat().st_size for name in FILES if not (large.path / name).is_symlink())

    assert written / 3 < REPEATS * dialogue_bytes(shop, split) < 3 * written


def test_a_view_reads_a_store_and_writes_beside_itself(shop, tmp_path):
    (tmp_path / "kept").mkdir()
    seen = view_store(shop, tmp_path / "view")
    (seen.path / "features").mkdir(exist_ok=True)
    (seen.path / "features" / "new.npy").write_bytes(b"")

    assert seen.turn_texts == shop.turn_texts
    assert not (shop.path / "features" / "new.npy").exists()
