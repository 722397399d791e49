"""Word pieces kept on disk: those of tokenising every text at once, for this tokenizer, these lengths and these texts."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from semantic.batching import pieces
from semantic.batching.inputs import InputSpec
from semantic.batching.pieces import read_pieces
from semantic.datasets.batches.builder import Pieces
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store, open_store
from semantic.encoders.vocabulary import UNKNOWN, tokenise, train_wordpiece
from semantic.runtime.progress import Progress
from tests.worlds import changed_copy, with_turn_texts

SPEC = InputSpec(
    vocabulary=300, pad=0, positions=13, slots=(), key_tokens=(), product_tokens=13, turn_tokens=11, value_tokens=3
)
TABLES = ("products", "turns", "values")


@pytest.fixture(scope="module")
def tokenizer(shop: Store) -> Tokenizer:
    return train_wordpiece([*shop.product_texts, *shop.turn_texts], 300)


@pytest.fixture
def store(shop: Store, tmp_path: Path) -> Store:
    path = changed_copy(shop.path, tmp_path / "store")
    shutil.rmtree(path / "pieces", ignore_errors=True)  # what other tests left there
    return open_store(path)


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of texts of every call of the tokenizer."""
    calls: list[int] = []

    def counting(tokenizer: Tokenizer, texts: list[str], length: int) -> np.ndarray:
        calls.append(len(texts))
        return tokenise(tokenizer, texts, length)

    monkeypatch.setattr(pieces, "tokenise", counting)
    return calls


def of_words(store: Store, size: int) -> Tokenizer:
    """A vocabulary of `size` whole words; those of the store have the highest numbers."""
    words = sorted({word for text in store.product_texts for word in text.split()})
    fillers = [f"filler{i}" for i in range(size - len(words) - 1)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate([UNKNOWN, *fillers, *words])}, UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def made(tokenizer: Tokenizer, store: Store, spec: InputSpec = SPEC, *, dialogues: bool = True) -> Pieces:
    return read_pieces(tokenizer, store, spec, Progress(), dialogues=dialogues)


def at_once(tokenizer: Tokenizer, store: Store, spec: InputSpec = SPEC) -> Pieces:
    return Pieces(
        tokenise(tokenizer, store.product_texts, spec.product_tokens),
        tokenise(tokenizer, store.turn_texts, spec.turn_tokens),
        tokenise(tokenizer, store.state_values, spec.value_tokens),
    )


def assert_same(found: Pieces, expected: Pieces) -> None:
    for table in TABLES:
        np.testing.assert_array_equal(getattr(found, table), getattr(expected, table), err_msg=table)


def files(store: Store) -> set[str]:
    return {path.name for path in (store.path / "pieces").glob("*.npy")}


def new_files(store: Store, before: set[str]) -> list[str]:
    """The tables of the files that are there beyond those there were."""
    return sorted(name.rsplit("-", 1)[0] for name in files(store) - before)


@pytest.mark.parametrize("block", [1, 7, pieces.BLOCK])
def test_pieces_are_those_of_tokenising_every_text_at_once(tokenizer, store, tokenised, monkeypatch, block):
    monkeypatch.setattr(pieces, "BLOCK", block)

    found = made(tokenizer, store)

    assert_same(found, at_once(tokenizer, store))
    assert (found.products[:, -1] != NONE).any()  # texts longer than is read,
    assert (found.turns == NONE).any()  # and shorter ones
    assert max(tokenised) <= block
    assert sum(tokenised) == store.num_products + len(store.turn_texts) + len(store.state_values)


def test_a_second_call_tokenises_nothing_and_maps_the_files(tokenizer, store, tokenised):
    first = made(tokenizer, store)
    tokenised.clear()

    second = made(tokenizer, store)

    assert_same(second, first)
    assert tokenised == []
    assert all(isinstance(getattr(second, table), np.memmap) for table in TABLES)
    assert len(files(store)) == len(TABLES)


def test_the_same_tokenizer_from_elsewhere_shares_the_files(tokenizer, store, tokenised):
    made(tokenizer, store)
    tokenised.clear()

    made(Tokenizer.from_str(tokenizer.to_str(pretty=True)), store)  # as a saved model has it

    assert tokenised == []


@pytest.mark.parametrize(("size", "dtype"), [(1_009, np.int16), (32_767, np.int16), (40_009, np.int32)])
def test_numbers_are_as_small_as_the_vocabulary_allows(store, size, dtype):
    tokenizer = of_words(store, size)

    found = made(tokenizer, store)

    assert {getattr(found, table).dtype for table in TABLES} == {np.dtype(dtype)}
    assert_same(found, at_once(tokenizer, store))
    assert found.products.max() > size - 1_000  # the highest numbers do occur
    assert found.products.min() >= NONE


def test_a_vocabulary_whose_numbers_have_gaps(store):
    tokenizer = Tokenizer(models.WordLevel({UNKNOWN: 40_009}, UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()

    assert made(tokenizer, store).products.max() == 40_009


def test_another_tokenizer_makes_other_files(tokenizer, store):
    made(tokenizer, store)
    before, other = files(store), train_wordpiece(store.product_texts, 200)

    found = made(other, store)

    assert_same(found, at_once(other, store))
    assert new_files(store, before) == ["products", "state_values", "turns"]
    assert_same(made(tokenizer, store), at_once(tokenizer, store))  # the first are still there


@pytest.mark.parametrize(
    ("length", "table"),
    [("product_tokens", "products"), ("turn_tokens", "turns"), ("value_tokens", "state_values")],
)
def test_another_length_makes_another_file_of_its_table(tokenizer, store, length, table):
    made(tokenizer, store)
    before, spec = files(store), replace(SPEC, **{length: 5})

    assert_same(made(tokenizer, store, spec), at_once(tokenizer, store, spec))
    assert new_files(store, before) == [table]


def test_other_texts_make_another_file_of_their_table(tokenizer, store):
    whole = made(tokenizer, store)
    before = files(store)
    with_turn_texts(store.path, [text[::-1] for text in store.turn_texts])
    changed = open_store(store.path)

    found = made(tokenizer, changed)

    assert_same(found, at_once(tokenizer, changed))
    assert not np.array_equal(found.turns, whole.turns)
    assert new_files(store, before) == ["turns"]


def test_without_dialogues_no_turn_is_read(tokenizer, store, tokenised):
    found = made(tokenizer, store, dialogues=False)

    assert found.turns.shape == (0, SPEC.turn_tokens)
    assert found.turns.dtype == found.products.dtype
    assert new_files(store, set()) == ["products", "state_values"]
    assert sum(tokenised) == store.num_products + len(store.state_values)
    np.testing.assert_array_equal(found.products, at_once(tokenizer, store).products)
    assert_same(made(tokenizer, store), at_once(tokenizer, store))  # and they may follow
