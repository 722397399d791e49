"""From a configuration and a store to a model with its tokenizer."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from semantic.batching.features import read_features
from semantic.batching.inputs import InputSpec
from semantic.batching.opening import products_digest
from semantic.config.registry import find_model
from semantic.config.schema import Config
from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store
from semantic.dst.schema import UNSET, SlotSchema
from semantic.encoders.vocabulary import pad_id, tokenise, train_wordpiece
from semantic.models.interface import Model
from semantic.models.text_checkpoints import load_tokenizer
from semantic.runtime.errors import DataError


def build_model(config: Config, store: Store, say: Callable[[str], None], held_out: np.ndarray | None = None) -> Model:
    """A model ready to train: sizes from the store and the checkpoints, weights from them or drawn from `config.seed`.

    `held_out` are the dialogue rows whose words a vocabulary trained here must not see; None: validation and test.

    Raises:
        ConfigError: no such model.
        CheckpointError, BackboneError: a checkpoint that cannot be read or does not fit the configuration.
        DataError: slots of the configuration that are not the store's, or a features file of another length.
    """
    checkpoint = config.model.text.checkpoint
    encoder = None if checkpoint is None else find_model(config.model.name).load_text_encoder(checkpoint)
    tokenizer = _tokenizer(config, store, encoder, say, held_out)
    spec = _input_spec(config, store, tokenizer, encoder)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model: Model = find_model(config.model.name)(config.model, spec)
    model.tokenizer = tokenizer
    model.initialise(encoder)
    return model


def _tokenizer(
    config: Config, store: Store, encoder: Any, say: Callable[[str], None], held_out: np.ndarray | None
) -> Tokenizer:
    """The checkpoint's tokenizer, or one trained on the data's text."""
    text = config.model.text
    if text.checkpoint is not None:
        words = [*slot_schema(config, store).words, *itertools.islice(store.all_texts("products", "text"), 1000)]
        return load_tokenizer(text.checkpoint, encoder.get_input_embeddings().num_embeddings, words)
    say(
        "No text checkpoint given: a WordPiece vocabulary is trained on this data's own text and word vectors start "
        "from scratch (model.text.checkpoint names a BERT-family checkpoint)."
    )
    return train_wordpiece(_texts(config, store, slot_schema(config, store), held_out), text.vocabulary)


def _input_spec(config: Config, store: Store, tokenizer: Tokenizer, encoder: Any) -> InputSpec:
    schema, data, model = slot_schema(config, store), config.data, config.model

    def pieces(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    words: tuple[int, ...] = ()
    if model.uses_catalogue_words and "product_text" not in data.hidden:
        found = np.unique(tokenise(tokenizer, store.product_texts, data.product_tokens))
        words = tuple(int(word) for word in found if word >= 0)
    longest_turn = data.turn_tokens
    if data.dialogue_states == "appended":
        longest_turn += sum(len(pieces(word)) + data.value_tokens for word in schema.words)
    return InputSpec(
        vocabulary=tokenizer.get_vocab_size() if encoder is None else encoder.get_input_embeddings().num_embeddings,
        pad=pad_id(tokenizer),
        positions=max(longest_turn, data.product_tokens)
        if encoder is None
        else encoder.config.get_text_config().max_position_embeddings,
        slots=schema.slots,
        key_tokens=tuple(map(pieces, schema.words)),
        unset_tokens=pieces(UNSET),
        catalogue_words=words,
        image_features=None if model.features_file is None else read_features(model.features_file, store).shape[1],
        products=None if model.features_file is None else products_digest(store),
        text_encoder=None if encoder is None else encoder.config.to_dict(),
        word_dim=None if encoder is None else encoder.get_input_embeddings().embedding_dim,
        context_turns=data.context_turns,
        photos_per_turn=data.photos_per_turn,
        turn_tokens=data.turn_tokens,
        product_tokens=data.product_tokens,
        value_tokens=data.value_tokens,
        hidden=data.hidden,
        states_appended=data.dialogue_states == "appended",
    )


def slot_schema(config: Config, store: Store) -> SlotSchema:
    """The schema of `data.slot_words`, else of the store's own words, else the known schema of the store's slots."""
    words = config.data.slot_words or store.slot_words
    if not words:
        return SlotSchema.for_slots(store.slots)
    schema = SlotSchema.from_mapping("own", words)
    if schema.slots != store.slots:
        raise DataError(
            f"data.slot_words: expected the slots of {store.path} ({', '.join(store.slots)}), got {', '.join(schema.slots)}"
        )
    return schema


def _texts(config: Config, store: Store, schema: SlotSchema, held_out: np.ndarray | None) -> Iterator[str]:
    """What a vocabulary is trained on: slot words, product texts, and the turns of dialogues that are not held out.

    Hidden texts are left out. The values of these dialogues' states stand for their turns: states are read all the same.
    """
    yield from (*schema.words, UNSET)
    if "product_text" not in config.data.hidden:
        yield from store.all_texts("products", "text")
    if held_out is None:
        splits = [store.split(name) for name in (config.data.valid, config.data.test)]
        held_out = np.concatenate([store.example_turns[split.start : split.stop, 0] for split in splits])
    read = np.ones(len(store.dialogue_turns), dtype=bool)
    read[held_out] = False
    turns = np.repeat(read, store.dialogue_turns)
    if "dialogue_text" not in config.data.hidden:
        yield from itertools.compress(store.all_texts("turns", "text"), turns.tolist())
    else:
        said = np.unique(store.turn_states[turns])
        yield from (store.state_values[row] for row in said[said != NONE].tolist())
