"""From a configuration and a store to a model with its tokenizer: checkpoints read, or weights from scratch."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from semantic.batching.features import photo_features
from semantic.batching.pieces import read_pieces
from semantic.config.schema import Config, ModelConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.store import Store
from semantic.dst.schema import UNSET, SlotSchema
from semantic.encoders.text import ContextualWords
from semantic.encoders.vocabulary import pad_id, tokenise, train_wordpiece
from semantic.encoders.words import WordTables
from semantic.models.saving import Sizes
from semantic.models.semantic.paper import Semantic
from semantic.runtime.errors import DataError, UserError
from semantic.runtime.progress import Progress


class CheckpointError(UserError):
    """A text checkpoint that cannot be had or does not fit. The message says where, what was expected and what was found."""


def build_model(
    config: Config, store: Store, say: Callable[[str], None], held_out: np.ndarray | None = None
) -> Semantic:
    """A model ready to train: sizes from the store and the checkpoints, weights from them or drawn from `config.seed`.

    `held_out` are the dialogue rows whose words a vocabulary trained here must not see; None: validation and test.

    Raises:
        CheckpointError, BackboneError: a checkpoint that cannot be read or does not fit the configuration.
        DataError: slots of the configuration that are not the store's, or a features file of another length.
    """
    schema = slot_schema(config, store)
    checkpoint = config.model.text.checkpoint
    if checkpoint is None:
        if config.model.text.encoder == "contextual":
            raise CheckpointError(
                "model.text.encoder: expected a checkpoint in model.text.checkpoint for 'contextual', got none"
            )
        say(
            "No text checkpoint given: a WordPiece vocabulary is trained on this data's own text and word vectors start "
            "from scratch (model.text.checkpoint names a BERT-family checkpoint)."
        )
        texts = _texts(config, store, schema, held_out)
        tokenizer, encoder = train_wordpiece(texts, config.model.text.vocabulary), None
        vocabulary, positions = tokenizer.get_vocab_size(), max(config.data.turn_tokens, config.data.product_tokens)
    else:
        tokenizer, encoder = load_text_checkpoint(checkpoint, config.model.dim)
        vocabulary, positions = encoder.get_input_embeddings().num_embeddings, encoder.config.max_position_embeddings
    features = _features_width(config.model, store)
    keys = tuple(tuple(tokenizer.encode(word, add_special_tokens=False).ids) for word in schema.words)
    contextual = config.model.text.encoder == "contextual"
    words: tuple[int, ...] = ()
    if config.model.text.completion:
        found = np.unique(tokenise(tokenizer, store.product_texts, config.data.product_tokens))
        words = tuple(int(word) for word in found if word >= 0)
    sizes = Sizes(
        vocabulary=vocabulary,
        positions=positions,
        pad=pad_id(tokenizer),
        slots=schema.slots,
        key_tokens=keys,
        image_features=features,
        text_encoder=encoder.config.to_dict() if encoder is not None and contextual else None,
        context_turns=config.data.context_turns,
        photos_per_turn=config.data.photos_per_turn,
        turn_tokens=config.data.turn_tokens,
        product_tokens=config.data.product_tokens,
        value_tokens=config.data.value_tokens,
        unset_tokens=tuple(tokenizer.encode(UNSET, add_special_tokens=False).ids),
        completed_words=words,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = Semantic(config.model, sizes)
    model.tokenizer = tokenizer
    if encoder is not None:
        _load_text(model, encoder, contextual=contextual)
    if config.model.text.table_scale == "unit":
        with torch.no_grad():
            table = model.turn_text.words.words.weight
            table.div_(table.std())
    if model.backbone is not None and config.model.image.weights is not None:
        model.backbone.load(config.model.image.weights)
    return model


def slot_schema(config: Config, store: Store) -> SlotSchema:
    """The schema of `data.slot_words`, else the known schema of the store's slots."""
    if not config.data.slot_words:
        return SlotSchema.for_slots(store.slots)
    schema = SlotSchema.from_mapping("own", config.data.slot_words)
    if schema.slots != store.slots:
        raise DataError(
            f"data.slot_words: expected the slots of {store.path} ({', '.join(store.slots)}), got {', '.join(schema.slots)}"
        )
    return schema


def _texts(config: Config, store: Store, schema: SlotSchema, held_out: np.ndarray | None) -> Iterator[str]:
    """What a vocabulary is trained on: slot words, product texts, and the turns of dialogues that are not held out."""
    yield from (*schema.words, UNSET)
    yield from store.all_texts("products", "text")
    if held_out is None:
        splits = [store.split(name) for name in (config.data.valid, config.data.test)]
        held_out = np.concatenate([store.example_turns[split.start : split.stop, 0] for split in splits])
    read = np.ones(len(store.dialogue_turns), dtype=bool)
    read[held_out] = False
    yield from itertools.compress(store.all_texts("turns", "text"), np.repeat(read, store.dialogue_turns).tolist())


def load_tokenizer(checkpoint: str) -> Tokenizer:
    """The checkpoint's tokenizer, neither truncating nor padding."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer
    except (OSError, ValueError) as error:
        raise _unreadable(checkpoint, error) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_text_checkpoint(checkpoint: str, dim: int) -> tuple[Tokenizer, Any]:
    """Tokenizer and encoder of a BERT-family checkpoint, a hub name or a folder, whose width must be `dim`."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # its bar would break into this program's own
    tokenizer = load_tokenizer(checkpoint)
    try:
        encoder = AutoModel.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise _unreadable(checkpoint, error) from None
    width = encoder.get_input_embeddings().embedding_dim
    if width != dim:
        raise CheckpointError(
            f"text checkpoint {checkpoint}: expected width {dim} (model.dim), got {width}; set model.dim={width}"
        )
    return tokenizer, encoder


def _unreadable(checkpoint: str, error: Exception) -> CheckpointError:
    kind = "folder" if Path(checkpoint).is_dir() else "hub name or folder"
    first = str(error).strip().splitlines()[0]
    return CheckpointError(
        f"text checkpoint {checkpoint}: expected a {kind} with a BERT-family checkpoint, got: {first}"
    )


def _load_text(model: Semantic, encoder: Any, *, contextual: bool) -> None:
    words = model.turn_text.words
    if contextual:
        assert isinstance(words, ContextualWords)
        words.encoder.load_state_dict(encoder.state_dict())
        return
    assert isinstance(words, WordTables)
    with torch.no_grad():
        words.words.weight.copy_(encoder.get_input_embeddings().weight)
        words.positions.weight.copy_(encoder.embeddings.position_embeddings.weight)


def _features_width(config: ModelConfig, store: Store) -> int | None:
    if config.image.features is None:
        return None
    return read_features(config.image.features, store).shape[1]


def read_features(path: str, store: Store) -> np.ndarray:
    """A features file, memory-mapped: float [product, feature] in the store's order of products."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"model.image.features {path}: expected a .npy array, got: {error}") from None
    if features.ndim != 2 or len(features) != store.num_products or features.dtype.kind != "f":
        shape = " x ".join(map(str, features.shape))
        raise DataError(
            f"model.image.features {path}: expected floats [{store.num_products} products, feature], got {features.dtype} [{shape}]"
        )
    return features


def batch_builder(
    model: Semantic, store: Store, device: torch.device, progress: Progress, *, dialogues: bool = True
) -> BatchBuilder:
    """Batches for this model: its word pieces, and photos or, where the backbone is frozen, features of them.

    Without `dialogues` the store's own turns are left unread, for a caller who brings turns of another kind.
    """
    sizes = model.sizes
    if model.tokenizer is None:
        raise CheckpointError("model: expected a tokenizer.json beside its weights to read text with, found none")
    if sizes.slots != store.slots:
        raise DataError(
            f"{store.path}: expected the model's slots ({', '.join(sizes.slots)}), found {', '.join(store.slots)}"
        )
    pieces = read_pieces(model.tokenizer, store, sizes, progress, dialogues=dialogues)
    photos: np.ndarray = store.photos
    if model.config.image.features is not None:
        photos = read_features(model.config.image.features, store)
        if photos.shape[1] != sizes.image_features:
            raise DataError(
                f"model.image.features {model.config.image.features}: expected the model's width "
                f"{sizes.image_features}, got {photos.shape[1]}"
            )
    elif model.backbone is not None and model.backbone.cacheable:
        photos = photo_features(model.backbone.to(device), store, device, progress)
    return BatchBuilder(
        store, pieces, photos, context_turns=sizes.context_turns, photos_per_turn=sizes.photos_per_turn, pad=sizes.pad
    )
