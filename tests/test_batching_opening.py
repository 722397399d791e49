"""What a builder is made of: what the model asks for, and a fault where the store does not hold it."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer

from semantic.batching.features import photo_features, read_features
from semantic.batching.inputs import Inputs, InputSpec
from semantic.batching.opening import open_batches, products_digest
from semantic.batching.pieces import read_pieces
from semantic.config.loading import make_config
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.store import Store, open_store
from semantic.encoders.image import Backbone
from semantic.encoders.vocabulary import train_wordpiece
from semantic.models.building import build_model
from semantic.runtime.errors import DataError, UserError
from semantic.runtime.progress import Progress
from tests.worlds import TWO_TOWER, changed_copy, reseal, tiny_values

CPU = torch.device("cpu")
COLOURS = 48  # the width of `shop_features`


@pytest.fixture(scope="module")
def tokenizer(shop: Store) -> Tokenizer:
    return train_wordpiece(shop.product_texts, 300)


def spec(slots: tuple[str, ...], image_features: int | None = None) -> InputSpec:
    return InputSpec(
        vocabulary=300, pad=7, positions=13, slots=slots, key_tokens=(), image_features=image_features,
        context_turns=3, photos_per_turn=2, product_tokens=13, turn_tokens=11, value_tokens=5,
    )  # fmt: skip


@pytest.fixture
def opened(shop: Store, tokenizer: Tokenizer):
    def open_with(inputs: Inputs, *, slots: tuple[str, ...] | None = None, **spec_or_more) -> BatchBuilder:
        more = {"dialogues": spec_or_more.pop("dialogues")} if "dialogues" in spec_or_more else {}
        described = spec(shop.slots if slots is None else slots, **spec_or_more)
        return open_batches(shop, described, inputs, tokenizer, CPU, Progress(), **more)

    return open_with


def test_a_builder_has_the_windows_and_the_pieces_of_the_models_sizes(opened, shop, tokenizer):
    builder = opened(Inputs())

    assert (builder.context_turns, builder.photos_per_turn, builder.pad) == (3, 2, 7)
    expected = read_pieces(tokenizer, shop, spec(shop.slots), Progress(), dialogues=True)
    for name, array in vars(expected).items():
        np.testing.assert_array_equal(getattr(builder.pieces, name), array)
    assert len(builder.pieces.turns) == len(shop.turn_texts)
    assert opened(Inputs(), dialogues=False).pieces.turns.shape == (0, 11)


def test_photos_are_what_the_model_asks_for(opened, shop, shop_features):
    none = opened(Inputs(photos=None)).photos
    assert none.shape == (shop.num_products, 0)
    assert none.dtype == np.float32
    assert opened(Inputs(photos="pictures")).photos is shop.photos
    given = opened(Inputs(photos=shop_features), image_features=COLOURS).photos
    np.testing.assert_array_equal(given, np.load(shop_features))


def test_a_model_without_photos_has_batches_all_the_same(opened, shop):
    batch = opened(Inputs(photos=None)).batch(np.array([0, 2]), np.array([[3, 1], [5, -1]]), np.eye(2, dtype=bool))

    assert batch.products.photos.shape == (3, 0)
    assert batch.contexts.photos.shape[1] == 0
    assert batch.products.has_photo.tolist() == shop.has_photo[[1, 3, 5]].tolist()


@pytest.mark.slow
def test_the_features_of_a_backbone_stand_for_pictures(opened, shop):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        backbone = Backbone("test_resnet", frozen=True, batch_norm="eval")
    found = opened(Inputs(photos=backbone)).photos
    np.testing.assert_array_equal(found, photo_features(copy.deepcopy(backbone), shop, CPU, Progress()))


def test_features_of_another_width_are_refused(opened, shop_features):
    message = rf"model.image.features {re.escape(str(shop_features))}: expected the model's width 47, got {COLOURS}"
    with pytest.raises(DataError, match=message):
        opened(Inputs(photos=shop_features), image_features=47)


@pytest.mark.parametrize("states", ["own", "whole batch"])
def test_slots_of_another_store_are_refused_by_a_model_that_reads_states(opened, states):
    with pytest.raises(DataError, match=r"store: expected the model's slots \(hue, cut\), found "):
        opened(Inputs(states=states), slots=("hue", "cut"))


def test_slots_do_not_matter_to_a_model_that_reads_no_states(opened):
    assert opened(Inputs(states="none"), slots=("hue", "cut")) is not None


def test_a_model_without_tokenizer_is_refused(shop):
    with pytest.raises(UserError, match=r"^model: expected a tokenizer.json beside its weights .*, found none$"):
        open_batches(shop, spec(shop.slots), Inputs(), None, CPU, Progress())


def test_features_of_a_store_of_other_products_are_refused(shop, shop_features, tokenizer, tmp_path):
    """As many products in another order: the length of the file tells nothing."""
    copy_of = changed_copy(shop.path, tmp_path / "store")
    table = pq.read_table(copy_of / "products.parquet")
    pq.write_table(table.take([1, 0, *range(2, len(table))]), copy_of / "products.parquet")
    reseal(copy_of)
    other = open_store(copy_of)
    trained = replace(spec(shop.slots, COLOURS), products=products_digest(shop))
    message = (
        f"model.image.features {shop_features}: expected the products that the model was trained on, whose features these are, "
        f"found others, or another order, in {other.path}"
    )

    def open_on(store: Store, described: InputSpec) -> BatchBuilder:
        return open_batches(store, described, Inputs(photos=shop_features), tokenizer, CPU, Progress())

    with pytest.raises(DataError, match=re.escape(message)):
        open_on(other, trained)
    assert len(open_on(shop, trained).photos) == shop.num_products
    before_this_was_kept = replace(trained, products=None)
    assert len(open_on(other, before_this_was_kept).photos) == shop.num_products
    changed = pa.array([f"{text} again" for text in table["text"].to_pylist()])
    pq.write_table(table.set_column(table.column_names.index("text"), "text", changed), copy_of / "products.parquet")
    reseal(copy_of)
    assert len(open_on(open_store(copy_of), trained).photos) == shop.num_products  # their photos are the same


def test_a_model_knows_the_products_that_its_features_file_is_of(shop, shop_features):
    with_file = build_model(make_config(tiny_values(shop.path, shop_features)), shop, lambda _: None)
    without = build_model(make_config(tiny_values(shop.path, model=TWO_TOWER)), shop, lambda _: None)

    assert with_file.spec.products == products_digest(shop)
    assert without.spec.products is None


def other_length(features: np.ndarray) -> np.ndarray:
    return features[1:]


def flat(features: np.ndarray) -> np.ndarray:
    return features.ravel()


def whole_numbers(features: np.ndarray) -> np.ndarray:
    return features.astype(np.int64)


@pytest.mark.parametrize(
    ("change", "found"),
    [(other_length, r"float32 \[39 x 48\]"), (flat, r"float32 \[1920\]"), (whole_numbers, r"int64 \[40 x 48\]")],
)
def test_a_file_that_holds_no_features_of_this_store_is_refused(shop, shop_features, tmp_path: Path, change, found):
    np.save(tmp_path / "other.npy", change(np.load(shop_features)))
    with pytest.raises(DataError, match=rf"other.npy: expected floats \[40 products, feature\], got {found}$"):
        read_features(str(tmp_path / "other.npy"), shop)


def test_a_features_file_that_does_not_read_is_refused(shop, tmp_path: Path):
    with pytest.raises(DataError, match=r"absent.npy: expected a .npy array, got: none there"):
        read_features(str(tmp_path / "absent.npy"), shop)
    (tmp_path / "words.npy").write_text("no array")
    with pytest.raises(DataError, match=r"words.npy: expected a .npy array, got: "):
        read_features(str(tmp_path / "words.npy"), shop)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x04\x00{{{\n", b"\x93NUMPY\x03\x00\xff\xff\xff\x7f", b"PK\x03\x04"],
)
def test_a_features_file_that_is_empty_cut_or_foreign_is_one_line(shop, tmp_path: Path, content: bytes):
    """numpy raises EOFError of an empty one, which a terminal's reader would take for the end of its input."""
    (tmp_path / "cut.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"model.image.features .*cut.npy: expected a .npy array, got: ") as raised:
        read_features(str(tmp_path / "cut.npy"), shop)
    assert "\n" not in str(raised.value)


def test_an_archive_and_a_folder_are_no_features_file(shop, tmp_path: Path):
    with (tmp_path / "several.npy").open("wb") as stream:
        np.savez(stream, np.zeros(3))
    with pytest.raises(DataError, match=r"several.npy: expected a .npy array, got: "):
        read_features(str(tmp_path / "several.npy"), shop)
    with pytest.raises(DataError, match=r": expected a .npy array, got: a folder"):
        read_features(str(tmp_path), shop)
