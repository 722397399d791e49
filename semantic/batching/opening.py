"""From a store and what a model asks of it to a builder of its batches."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from semantic.batching.features import photo_features, read_features
from semantic.batching.inputs import Inputs, InputSpec
from semantic.batching.pieces import read_pieces
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.store import Store
from semantic.encoders.image import Backbone
from semantic.runtime.errors import DataError, UserError
from semantic.runtime.progress import Progress


def products_digest(store: Store) -> str:
    """A digest of the names of a store's products, in their order."""
    digest = hashlib.sha256()
    for name in store.all_texts("products", "name"):
        digest.update(name.encode() + b"\n")
    return digest.hexdigest()


def open_batches(
    store: Store,
    spec: InputSpec,
    inputs: Inputs,
    tokenizer: Tokenizer | None,
    device: torch.device,
    progress: Progress,
    *,
    dialogues: bool = True,
) -> BatchBuilder:
    """A builder of batches of a store's examples, with the word pieces and photos that `inputs` asks for.

    Without `dialogues` the store's own turns are not read, for a caller who brings turns of another kind. What `spec.hidden`
    names is in no batch, and features of hidden photos are neither computed nor read.

    Raises:
        UserError: there is no tokenizer.
        DataError: the model reads dialogue states and has other slots than the store; features of another width, or of the
            products of another store.
    """
    if tokenizer is None:
        raise UserError("model: expected a tokenizer.json beside its weights to read text with, found none")
    if (inputs.states != "none" or spec.states_appended) and spec.slots != store.slots:
        raise DataError(
            f"{store.path}: expected the model's slots ({', '.join(spec.slots)}), found {', '.join(store.slots)}"
        )
    return BatchBuilder(
        store,
        read_pieces(tokenizer, store, spec, progress, dialogues=dialogues),
        _photos(store, spec, inputs, device, progress),
        context_turns=spec.context_turns,
        photos_per_turn=spec.photos_per_turn,
        pad=spec.pad,
        appended=spec.key_tokens if spec.states_appended else (),
        hidden=spec.hidden,
    )


def _photos(store: Store, spec: InputSpec, inputs: Inputs, device: torch.device, progress: Progress) -> np.ndarray:
    """The array that a product's photo is read from: pictures, or features [product, feature]."""
    source = inputs.photos
    if source is None:
        return np.zeros((store.num_products, 0), dtype=np.float32)
    if "photos" in spec.hidden and source != "pictures":
        width = source.features if isinstance(source, Backbone) else spec.image_features
        return np.zeros((0, width or 0), dtype=np.float32)
    if isinstance(source, Backbone):
        return photo_features(source.to(device), store, device, progress)
    if isinstance(source, Path):
        if spec.products is not None and spec.products != products_digest(store):
            raise DataError(
                f"model.image.features {source}: expected the products that the model was trained on, whose features these are, "
                f"found others, or another order, in {store.path}"
            )
        features = read_features(str(source), store)
        if features.shape[1] != spec.image_features:
            raise DataError(
                f"model.image.features {source}: expected the model's width {spec.image_features}, got {features.shape[1]}"
            )
        return features
    return store.photos
