"""Batches against a construction from the store by loops: the window, the photos, the candidates, the padding."""

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.datasets.batches.tensors import NONE, Batch, Contexts
from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError

PAD = 7
LENGTHS = {"products": 5, "turns": 11, "values": 3}


def numbered(count: int, length: int, base: int) -> np.ndarray:
    """Pieces that say which text they are of: text i reads base + i, 0 to `length` times."""
    lengths = np.arange(count) % (length + 1)
    return np.where(np.arange(length) < lengths[:, None], base + np.arange(count)[:, None], NONE).astype(np.int32)


@pytest.fixture(scope="module")
def pieces(shop: Store) -> Pieces:
    return Pieces(
        products=numbered(shop.num_products, LENGTHS["products"], 10_000),
        turns=numbered(len(shop.turn_texts), LENGTHS["turns"], 20_000),
        values=numbered(len(shop.state_values), LENGTHS["values"], 30_000),
    )


@pytest.fixture(scope="module")
def features(shop: Store) -> np.ndarray:
    """Row i reads (i, -i), so that a photo says whose it is."""
    row = np.arange(shop.num_products, dtype=np.float32)
    return np.stack([row, -row], axis=1)


@pytest.fixture(scope="module")
def build(shop: Store, pieces: Pieces, features: np.ndarray):
    def builder(context_turns: int = 5, photos_per_turn: int = 5, photos: np.ndarray = features) -> BatchBuilder:
        return BatchBuilder(shop, pieces, photos, context_turns=context_turns, photos_per_turn=photos_per_turn, pad=PAD)

    return builder


def naive_window(store: Store, row: int, context_turns: int) -> list[int]:
    """The turns before the recommendation within its dialogue, oldest first, NONE in front where there are too few."""
    dialogue, target = (int(value) for value in store.example_turns[row])
    first = int(store.dialogue_first_turn[dialogue])
    turns = [turn for turn in range(first, target) if turn >= target - context_turns]
    return [NONE] * (context_turns - len(turns)) + turns


def naive_photos(store: Store, turn: int, photos_per_turn: int) -> list[int]:
    return [int(p) for p in store.turn_images(turn).tolist()[:photos_per_turn] if store.has_photo[p]]


def real(tokens: torch.Tensor, keep: torch.Tensor) -> list[int]:
    return [int(t) for t, k in zip(tokens, keep, strict=True) if k]


def written(row: np.ndarray) -> list[int]:
    return [int(piece) for piece in row if piece != NONE]


def read(contexts: Contexts) -> list[list[tuple[list[int], list[int]] | None]]:
    """Each example's turns as (word pieces, product ids of the photos), by following the batch's own pointers."""
    found: list[list[tuple[list[int], list[int]] | None]] = []
    for turns in contexts.turns.tolist():
        found.append([])
        for turn in turns:
            if turn == NONE:
                found[-1].append(None)
                continue
            shown = [int(contexts.photos[p, 0]) for p in contexts.turn_photos[turn].tolist() if p != NONE]
            found[-1].append((real(contexts.turn_tokens[turn], contexts.turn_keep[turn]), shown))
    return found


@settings(max_examples=30, deadline=None)
@given(data=st.data(), context_turns=st.integers(1, 7), photos_per_turn=st.integers(1, 5))
def test_contexts_are_the_turns_before_the_recommendation(shop, pieces, build, data, context_turns, photos_per_turn):
    examples = st.integers(0, len(shop.example_turns) - 1)
    rows = np.array(data.draw(st.lists(examples, min_size=1, max_size=11)))
    windows = [naive_window(shop, row, context_turns) for row in rows]

    contexts = build(context_turns, photos_per_turn).contexts(rows)

    assert read(contexts) == [
        [None if t == NONE else (written(pieces.turns[t]), naive_photos(shop, t, photos_per_turn)) for t in window]
        for window in windows
    ]
    distinct = {turn for window in windows for turn in window} - {NONE}
    assert len(contexts.turn_tokens) == len(contexts.turn_photos) == len(distinct)  # each turn stands there once
    pictures = [int(photo[0]) for photo in contexts.photos]
    assert len(set(pictures)) == len(pictures)  # and so does each photo
    assert set(pictures) == {p for turn in distinct for p in naive_photos(shop, turn, photos_per_turn)}


def test_beside_each_photo_stands_the_text_of_its_product(shop, pieces, build):
    contexts = build().contexts(np.arange(len(shop.example_turns)))
    pictures = [int(photo[0]) for photo in contexts.photos]

    assert len(pictures) > 1
    assert [real(*pair) for pair in zip(contexts.photo_tokens, contexts.photo_keep, strict=True)] == [
        written(pieces.products[product]) for product in pictures
    ]


def test_no_context_holds_the_recommendation_or_what_follows(shop, build):
    rows = np.arange(len(shop.example_turns))
    for row, turns in zip(rows, read(build(7).contexts(rows)), strict=True):
        target = int(shop.example_turns[row, 1])
        said = {piece - 20_000 for turn in turns if turn for piece in turn[0]}
        assert said
        assert max(said) < target


def test_a_recommendation_early_in_its_dialogue_is_padded_on_the_left(shop, build):
    second, context_turns = int(np.flatnonzero(np.diff(shop.example_turns[:, 0]))[0]) + 1, 101
    dialogue, target = shop.example_turns[second]
    before = int(target - shop.dialogue_first_turn[dialogue])
    assert dialogue > 0  # there are turns of another dialogue in front

    (turns,) = build(context_turns).contexts(np.array([second])).turns.tolist()

    assert turns[: context_turns - before] == [NONE] * (context_turns - before)
    assert turns[context_turns - before :] == list(range(before))


def test_the_gold_state_is_that_of_the_last_turn_and_none_where_there_is_none(shop, pieces, build):
    rows = np.arange(len(shop.example_turns))
    last = shop.example_turns[:, 1] - 1
    contexts = build().contexts(rows)

    for b, turn in enumerate(last.tolist()):
        values = [max(0, value) for value in shop.turn_states[turn].tolist()]  # -1: no state; 0 is "none"
        found = [real(*pair) for pair in zip(contexts.state_tokens[b], contexts.state_keep[b], strict=True)]
        assert found == [written(pieces.values[value]) for value in values]
    assert shop.state_values[0] == "none"
    assert (shop.turn_states[last] > 0).any()
    assert (shop.turn_states[last] == NONE).any()  # both cases are there


def test_a_photo_that_is_missing_is_left_out_of_a_turn(shop, build):
    masked = set(np.flatnonzero(~shop.has_photo).tolist())
    assert masked
    turn = next(t for t in range(len(shop.turn_texts)) if masked & set(shop.turn_images(t).tolist()))
    shown = np.full((1, 5), NONE)
    images = shop.turn_images(turn)[:5]
    shown[0, : len(images)] = images

    contexts = build().assemble(
        np.array([[1]]), shown, np.array([[0]]), np.full((1, len(shop.slots)), NONE, dtype=np.int32)
    )

    assert read(contexts) == [[([1], [p for p in images.tolist() if p not in masked])]]


@pytest.mark.parametrize("what", ["photos", "product_text", "dialogue_text"])
def test_what_is_hidden_is_in_no_batch_and_all_else_is_as_before(shop, pieces, features, build, what):
    whole = build()
    builder = BatchBuilder(shop, pieces, features, context_turns=5, photos_per_turn=5, pad=PAD, hidden=(what,))
    builder = pickle.loads(pickle.dumps(builder))  # as a worker process gets it
    rows, candidates = np.arange(5), np.arange(15).reshape(5, 3)
    expected, batch = (one.batch(rows, candidates, candidates % 3 == 0) for one in (whole, builder))

    def has_turns(batch: Batch) -> bool:
        return bool(batch.contexts.turn_keep.any())

    def has_photos(batch: Batch) -> bool:
        shown = bool((batch.contexts.turn_photos != NONE).any()), bool(len(batch.contexts.photos))
        products = bool(batch.products.has_photo.any()), bool(batch.products.photos.any())
        assert len({*shown, *products}) == 1
        return shown[0]

    def has_words(batch: Batch) -> bool:
        if len(batch.contexts.photos):  # hidden texts are those of shown products too
            assert batch.contexts.photo_keep.any() == batch.products.keep.any()
        return bool(batch.products.keep.any())

    parts = {"photos": has_photos, "product_text": has_words, "dialogue_text": has_turns}
    assert all(held(expected) for held in parts.values())
    assert {name for name, held in parts.items() if not held(batch)} == {what}
    assert torch.equal(batch.contexts.turns, expected.contexts.turns)
    assert torch.equal(batch.contexts.state_tokens, expected.contexts.state_tokens)
    assert torch.equal(batch.candidates, expected.candidates)
    assert batch.products.photos.shape == expected.products.photos.shape
    assert batch.products.photos.dtype == expected.products.photos.dtype
    assert len(batch.products.tokens) == len(expected.products.tokens)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_candidates_point_at_their_products(shop, pieces, build, data):
    count, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 7))
    ids = st.integers(NONE, shop.num_products - 1)
    candidates = np.array(data.draw(st.lists(st.lists(ids, min_size=width, max_size=width), min_size=count,
                                             max_size=count)))  # fmt: skip
    candidates[:, 0] = np.maximum(candidates[:, 0], 0)
    positive = np.arange(width) % 2 == np.zeros((count, 1))

    batch = build().batch(np.arange(count), candidates, positive)

    index = batch.candidates.numpy()
    products = batch.products.photos[:, 0].numpy()
    assert len(set(products.tolist())) == len(products)
    assert np.array_equal(np.where(index == NONE, NONE, products[index]), candidates)
    assert np.array_equal(batch.keep.numpy(), candidates != NONE)
    assert np.array_equal(batch.positive.numpy(), positive & (candidates != NONE))
    for place, product in enumerate(products.astype(int)):
        assert real(batch.products.tokens[place], batch.products.keep[place]) == written(pieces.products[product])
        assert bool(batch.products.has_photo[place]) == bool(shop.has_photo[product])


def test_padding_is_as_wide_as_the_longest_text_and_no_wider(shop, pieces, build):
    short = [i for i in range(shop.num_products) if 0 < len(written(pieces.products[i])) <= 3]
    products = build().products(np.array(short))

    assert products.tokens.shape == products.keep.shape == (len(short), 3)
    assert (products.tokens[~products.keep] == PAD).all()
    assert products.tokens.min() >= 0  # an index that no table refuses

    empty = next(i for i in range(shop.num_products) if not written(pieces.products[i]))
    assert build().products(np.array([empty])).tokens.tolist() == [[PAD]]


def test_photos_are_the_stores_pixels(shop, build):
    ids = np.array([2, 5, 3])
    products = build(photos=shop.photos).products(ids)

    assert products.photos.dtype == torch.uint8
    assert np.array_equal(products.photos.numpy(), shop.photos[ids])


def test_a_batch_moves_as_a_whole(build):
    batch = build().batch(np.array([0, 1]), np.array([[0, 1], [2, NONE]]), np.array([[True, False]] * 2))

    moved = batch.to(torch.device("meta"))

    assert type(moved) is Batch
    tensors = [*vars(moved.contexts).values(), *vars(moved.products).values(), moved.candidates, moved.positive]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {tensor.device.type for tensor in vars(batch.contexts).values()} == {"cpu"}
    assert [tuple(t.shape) for t in vars(moved.contexts).values()] == [
        tuple(t.shape) for t in vars(batch.contexts).values()
    ]


@pytest.fixture(scope="module")
def mapped(pieces: Pieces, tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    """The pieces as files, memory-mapped, of a width that makes them large."""
    folder, found = tmp_path_factory.mktemp("mapped"), {}
    for name, array in vars(pieces).items():
        wide = np.pad(array, ((0, 0), (0, 1009)), constant_values=NONE)
        np.save(folder / f"{name}.npy", wide)
        found[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return Pieces(**found)


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [*vars(batch.contexts).values(), *vars(batch.products).values(), batch.candidates, batch.positive]


def assert_same_batches(one: BatchBuilder, other: BatchBuilder) -> None:
    rows, candidates = np.array([0, 5, 2]), np.array([[0, 7], [3, NONE], [7, 1]])
    left, right = (tensors(each.batch(rows, candidates, candidates == 7)) for each in (one, other))
    assert [t.dtype for t in left] == [t.dtype for t in right]
    assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_a_worker_gets_the_names_of_mapped_files_and_not_their_content(shop, mapped, tmp_path, monkeypatch):
    builder = BatchBuilder(shop, mapped, shop.photos, context_turns=3, photos_per_turn=2, pad=PAD)
    in_files = [builder.photos, *vars(mapped).values()]
    assert sum(array.nbytes for array in in_files) > 500_000

    sent = pickle.dumps(builder)

    assert len(sent) < 5_000
    monkeypatch.chdir(tmp_path)  # wherever the worker is
    received = pickle.loads(sent)
    arrays = [received.photos, *vars(received.pieces).values()]
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in arrays)
    assert [Path(array.filename) for array in arrays] == [Path(array.filename) for array in in_files]
    assert (received.context_turns, received.photos_per_turn, received.pad) == (3, 2, PAD)
    assert_same_batches(received, builder)
    assert builder.photos is shop.photos  # the sender's own stays as it was
    assert builder.pieces is mapped


def test_arrays_in_memory_are_sent_whole(shop, pieces, mapped, features):
    for some in (pieces, replace(mapped, turns=pieces.turns), replace(mapped, products=np.array(mapped.products))):
        builder = BatchBuilder(shop, some, features, context_turns=5, photos_per_turn=5, pad=PAD)
        received = pickle.loads(pickle.dumps(builder))
        assert np.array_equal(received.photos, features)
        assert_same_batches(received, builder)


def test_a_part_of_a_mapped_file_is_sent_as_that_part(shop, mapped, features, tmp_path):
    np.save(tmp_path / "features.npy", np.concatenate([features[:1], features]))
    part = np.load(tmp_path / "features.npy", mmap_mode="r")[1:]
    builder = BatchBuilder(shop, mapped, part, context_turns=5, photos_per_turn=5, pad=PAD)

    assert_same_batches(pickle.loads(pickle.dumps(builder)), builder)


def test_a_builder_without_turns_can_be_sent(shop, mapped):
    none = np.zeros((0, 11), dtype=np.int16)
    builder = BatchBuilder(shop, replace(mapped, turns=none), shop.photos, context_turns=5, photos_per_turn=5, pad=PAD)

    received = pickle.loads(pickle.dumps(builder))

    assert received.pieces.turns.shape == (0, 11)
    assert received.pieces.turns.dtype == np.int16
    assert torch.equal(received.products(np.arange(3)).tokens, builder.products(np.arange(3)).tokens)


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, np.float32), (-np.inf, np.float16), (1e300, np.float64)])
def test_a_feature_that_is_no_number_names_its_file_and_its_product(shop, build, tmp_path, value, dtype):
    product = int(shop.turn_images(int(np.flatnonzero(np.diff(shop.turn_image_offsets))[0]))[0])
    assert shop.has_photo[product]
    array = np.ones((shop.num_products, 3), dtype)
    array[product, 1] = value
    np.save(tmp_path / "features.npy", array)
    builder = build(photos=np.load(tmp_path / "features.npy", mmap_mode="r"))
    others = np.delete(np.arange(shop.num_products), product)

    assert len(builder.products(others).photos) == len(others)
    message = (
        f"{tmp_path / 'features.npy'} row {product} (product {shop.product_names[product]!r}): "
        f"expected finite numbers, found {value}"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        builder.products(np.array([others[0], product]))
    with pytest.raises(DataError, match=re.escape(message)):
        builder.contexts(np.arange(len(shop.example_turns)))


def test_appended_states_stand_at_the_end_of_last_turns_alone(shop, pieces, features):
    keys = [[40_000 + slot] * (1 + slot % 2) for slot in range(len(shop.slots))]
    plain, told = (
        BatchBuilder(shop, pieces, features, context_turns=5, photos_per_turn=5, pad=PAD, appended=appended)
        for appended in ((), keys)
    )
    rows = np.arange(len(shop.example_turns))

    one, other = plain.contexts(rows), told.contexts(rows)

    assert len({*other.turns[:, -1].tolist()}) == len(rows)  # each last turn is its context's own
    assert not {*other.turns[:, -1].tolist()} & {*other.turns[:, :-1].flatten().tolist()}
    found = 0
    for row in rows:
        for place in range(5):
            turn, same = int(one.turns[row, place]), int(other.turns[row, place])
            assert (turn == NONE) == (same == NONE)
            if turn == NONE:
                continue
            said = one.turn_tokens[turn][one.turn_keep[turn]].tolist()
            if place == 4:
                states = shop.turn_states[naive_window(shop, row, 5)[-1]]
                for slot, value in enumerate(states):
                    if value > 0:
                        said += [*keys[slot], *pieces.values[value][pieces.values[value] != NONE].tolist()]
                        found += 1
            assert other.turn_tokens[same][other.turn_keep[same]].tolist() == said
            shown = [one.photos[p].tolist() for p in one.turn_photos[turn] if p >= 0]
            assert [other.photos[p].tolist() for p in other.turn_photos[same] if p >= 0] == shown
    assert found > len(rows)
    assert torch.equal(one.state_tokens, other.state_tokens)
