"""What a model reads: the sizes of its inputs, fixed when it is built, and what it asks of every batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from semantic.config.schema import Hidden
from semantic.encoders.image import Backbone


@dataclass(frozen=True)
class InputSpec:
    """Sizes of a model's inputs and facts of the data and the checkpoint it was built on; saved beside its weights.

    Word pieces are numbers in the model's vocabulary.
    """

    vocabulary: int
    pad: int
    positions: int  # word pieces of a text that the checkpoint has places for; of none, the longest text
    slots: tuple[str, ...]  # of the store's dialogue states
    key_tokens: tuple[tuple[int, ...], ...]  # word pieces of each slot's key
    unset_tokens: tuple[int, ...] = ()  # word pieces of "none", a slot's value where nothing was said
    catalogue_words: tuple[int, ...] = ()  # word pieces in the catalogue's texts, where the model asked for them
    image_features: int | None = None  # width of features read from a file; None: a backbone makes them
    products: str | None = None  # whose features such a file holds: the `products_digest` of the store trained on
    text_encoder: dict[str, Any] | None = None  # configuration of the checkpoint's encoder
    word_dim: int | None = None  # width of its word table
    context_turns: int = 5
    photos_per_turn: int = 5
    turn_tokens: int = 30
    product_tokens: int = 30
    value_tokens: int = 6
    hidden: tuple[Hidden, ...] = ()  # what batches hold nothing of: `data.hidden` of the run
    states_appended: bool = False  # last turns end in the gold state: `data.dialogue_states` of the run


@dataclass(frozen=True)
class Inputs:
    """What a model asks of its batches beside word pieces.

    `photos`: "pictures" [64, 64, 3]; a frozen backbone, whose features are computed once and stand for pictures; a .npy
    file of features [product, feature]; or None for no photos. `states`: whether batches hold gold dialogue states, and
    whether each shard holds those of the whole batch.
    """

    photos: Literal["pictures"] | Backbone | Path | None = None
    states: Literal["none", "own", "whole batch"] = "none"
