"""What is learned of the catalogue alone: planted words are guessed back, and nothing of a dialogue is read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semantic.config.loading import make_config
from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.datasets.store.store import Store, open_store
from semantic.models.building import build_model
from semantic.models.semantic import catalogue
from semantic.models.semantic.catalogue import fit_completion, photo_blocks
from semantic.models.semantic.small_data import SmallDataSemantic
from tests.small_world import build, small_config, small_spec
from tests.worlds import changed_copy

PRODUCTS, FEATURES = 211, 13
COLOURS = (5, 7, 11)
KIND = 3  # a word of every text


def quiet(done, total):
    del done, total


class Catalogue(Store):
    """A store with products alone: no dialogue, positive or state to read."""

    def __init__(self, has_photo):
        self.has_photo = has_photo


def planted(named, *, photos=True, dtype=np.float32):
    """A builder over products whose colour is the largest of their photo's first features; `named` texts say it."""
    rng = np.random.default_rng(17)
    features = rng.normal(size=(PRODUCTS, FEATURES))
    colour = np.arange(PRODUCTS) % len(COLOURS)
    features[np.arange(PRODUCTS), colour] += 5
    texts = np.full((PRODUCTS, 2), -1, dtype=np.int32)
    texts[:, 0] = KIND
    texts[named, 1] = np.array(COLOURS)[colour[named]]
    store = Catalogue(np.full(PRODUCTS, photos))
    pieces = Pieces(products=texts, turns=np.zeros((0, 1), np.int32), values=np.zeros((0, 1), np.int32))
    builder = BatchBuilder(store, pieces, features.astype(dtype), context_turns=3, photos_per_turn=2, pad=0)
    return builder, np.array(COLOURS)[colour]


def small_model(words=(KIND, *COLOURS), epochs=2):
    text = {"completion": True, "completion_epochs": epochs}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return SmallDataSemantic(small_config("small_data", text=text).model, small_spec(catalogue_words=words))


def learned(builder, epochs=300, seed=0):
    model = small_model(epochs=epochs)
    model.fit_catalogue(builder, seed, quiet)
    return model.eval()


def guesses(model, builder):
    """Probability of each completed word for each product."""
    products = builder.products(np.arange(PRODUCTS))
    present = model.completion.present(products.tokens, products.keep)
    return model.completion(present, model.standard_features(model.image_features(products.photos), products.has_photo))


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


HALF = np.arange(PRODUCTS) % 2 == 0


def test_the_word_a_text_leaves_out_is_guessed_from_its_photo():
    builder, colours = planted(HALF)

    found = guesses(learned(builder), builder)

    best = np.array((KIND, *COLOURS))[found[~HALF].argmax(1)]
    assert (best == colours[~HALF]).mean() > 0.95
    assert (found[~HALF].max(1).values > 0.5).double().mean() > 0.95
    named = torch.tensor([(KIND, *COLOURS).index(colour) for colour in colours[HALF]])
    assert not found[HALF].gather(1, named.unsqueeze(1)).any()  # a word that stands there is not guessed


def test_shuffled_photos_teach_nothing():
    builder, colours = planted(HALF)
    builder.photos = np.random.default_rng(5).permutation(builder.photos)

    best = np.array((KIND, *COLOURS))[guesses(learned(builder), builder)[~HALF].argmax(1)]

    assert (best == colours[~HALF]).mean() < 0.6  # a third by chance


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    builder, _ = planted(HALF)
    first, again, other = (learned(builder, 2, seed).state_dict() for seed in (3, 3, 4))

    assert same(first, again)
    assert not same(first, other)


def test_the_callers_random_numbers_are_left_alone():
    builder, _ = planted(HALF)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002

    learned(builder, 2)

    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])  # noqa: NPY002


def test_only_the_completion_and_the_whitening_are_learned():
    builder, _ = planted(HALF)
    before, after = small_model().state_dict(), learned(builder, 2).state_dict()

    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"completion", "image"}
    # A gradient left behind would count in the norm that training clips by, on this process and in this session alone.
    assert all(parameter.grad is None for parameter in learned(builder, 2).parameters())


def test_what_is_read_a_part_at_a_time_is_learned_as_from_the_whole(monkeypatch):
    photos = np.random.default_rng(2).permutation(PRODUCTS) < 150
    builder, _ = planted(HALF)
    builder.store.has_photo = photos
    monkeypatch.setattr(catalogue, "BLOCK", 19)
    monkeypatch.setattr(catalogue, "BATCH", 23)
    assert [len(block) for block in photo_blocks(builder)] == [photos[at : at + 19].sum() for at in range(0, 211, 19)]

    found, whole = learned(builder, 3), small_model(epochs=3)
    whole.image.load_state_dict(found.image.state_dict())
    products = builder.products(np.arange(PRODUCTS))
    present = whole.completion.present(products.tokens, products.keep)
    features = whole.standard_features(whole.image_features(products.photos), products.has_photo)
    fit_completion(whole.train().completion, lambda ids: (present[ids], features[ids]), PRODUCTS, 3, 0, quiet)

    assert same(found.completion.state_dict(), whole.completion.state_dict())
    whole.image.fit([torch.from_numpy(builder.photos[photos])])
    vectors = (image(torch.from_numpy(builder.photos)) for image in (found.image, whole.image))
    torch.testing.assert_close(*(v @ v.T for v in vectors), atol=1e-4, rtol=0)


class Counting(np.ndarray):
    """An array that keeps how many rows it was asked for at once."""

    asked: list[int]

    def __array_finalize__(self, array):
        self.asked = getattr(array, "asked", [])

    def __getitem__(self, index):
        found = super().__getitem__(index)
        self.asked.append(len(found) if found.ndim else 1)
        return found


def test_memory_does_not_grow_with_the_catalogue(monkeypatch):
    builder, _ = planted(HALF)
    photos, texts = (array.view(Counting) for array in (builder.photos, builder.pieces.products))
    builder.photos, builder.pieces = photos, replace(builder.pieces, products=texts)
    monkeypatch.setattr(catalogue, "BLOCK", 19)
    monkeypatch.setattr(catalogue, "BATCH", 23)

    learned(builder, 2)

    assert max(photos.asked) == 23
    assert sum(photos.asked) == 3 * PRODUCTS  # once to whiten, once an epoch
    assert max(texts.asked) == 23


def test_progress_counts_the_epochs():
    steps = []

    small_model(epochs=3).fit_catalogue(planted(HALF)[0], 0, lambda done, total: steps.append((done, total)))

    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_no_epoch_whitens_photos_and_leaves_the_network_as_it_was():
    before, after = small_model().state_dict(), learned(planted(HALF)[0], 0).state_dict()

    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"image.weight", "image.mean", "image.deviation"}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_features_of_another_precision_are_read_as_well(dtype):
    builder, _ = planted(HALF, dtype=dtype)

    found = guesses(learned(builder, 2), builder)

    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_a_catalogue_without_photos_is_learned_from_its_words():
    builder, _ = planted(HALF, photos=False)

    model = learned(builder, 2)

    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert guesses(model, builder).isfinite().all()


def test_a_catalogue_without_words_has_nothing_to_complete():
    model = small_model(words=())

    assert model.completion is None
    model.fit_catalogue(planted(np.zeros(PRODUCTS, bool))[0], 0, quiet)
    products = planted(HALF)[0].products(np.arange(2))
    assert model.eval().encode_products(products).isfinite().all()


def test_no_dialogue_positive_or_state_of_a_store_is_read(shop, shop_features, tmp_path):
    text = {"completion": True, "completion_epochs": 2, "vocabulary": 300}
    image = {"features": str(shop_features)}
    config = make_config({"model": {"name": "semantic_small_data", "dim": 16, "text": text, "image": image}})
    rng = np.random.default_rng(1)
    corrupted = changed_copy(
        shop.path, tmp_path / "store",
        turn_states=np.zeros_like(shop.turn_states),
        example_turns=np.asarray(shop.example_turns)[::-1],
        turn_images=rng.permutation(np.asarray(shop.turn_image_values)),
        positives=rng.permutation(np.asarray(shop.positive_values)),
        negatives=rng.permutation(np.asarray(shop.negative_values)),
    )  # fmt: skip

    found = []
    for store in (shop, open_store(corrupted)):
        model = build_model(config, shop, quiet_words)
        model.fit_catalogue(model.open_batches(store), 0, quiet)
        found.append(model.state_dict())

    assert same(*found)
    assert not same(found[0], build_model(config, shop, quiet_words).state_dict())  # something was learned


def test_the_papers_model_learns_nothing_of_the_catalogue():
    model = build("paper").float()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    steps = []

    model.fit_catalogue(planted(HALF)[0], 0, lambda done, total: steps.append((done, total)))

    assert steps == []
    assert same(before, model.state_dict())


def quiet_words(text):
    del text
