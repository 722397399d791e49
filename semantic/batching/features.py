"""Features that stand for photos: of a frozen backbone, computed once for a store and kept beside it, or from a user's file."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from semantic.batching.cache import cached_rows
from semantic.datasets.store.store import Store
from semantic.encoders.image import Backbone
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress
from semantic.runtime.reading import check_readable

BATCH = 256


def photo_features(backbone: Backbone, store: Store, device: torch.device, progress: Progress) -> np.ndarray:
    """float32 [product, feature], memory-mapped; zeros where a product has no photo.

    The file's name is a digest of the backbone's name and weights and of the store's photos, so any change makes a new
    file, and folds, seeds and variants that agree share one.
    """
    training = backbone.training
    backbone.eval()

    @torch.no_grad()
    def extract(start: int, stop: int) -> np.ndarray:
        out = np.zeros((stop - start, backbone.features), dtype=np.float32)
        held = np.asarray(store.has_photo[start:stop])
        if held.any():
            photos = torch.from_numpy(store.photos[start:stop][held]).to(device)
            out[held] = backbone(photos).float().cpu().numpy()
        return out

    file = store.path / "features" / f"{backbone.name}-{_digest(backbone, store)}.npy"
    shape = (backbone.features,)
    try:
        return cached_rows(
            file, store.num_products, shape, np.float32, extract, block=BATCH, progress=progress, what="photo features"
        )
    finally:
        backbone.train(training)


def read_features(path: str, store: Store) -> np.ndarray:
    """A features file, memory-mapped: float [product, feature] in the store's order of products."""
    try:
        check_readable(Path(path))
        features = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy fails in many ways at the header of another file
        said = " ".join(str(error).split())[:200]
        raise DataError(f"model.image.features {path}: expected a .npy array, got: {said}") from error
    if features.ndim != 2 or len(features) != store.num_products or features.dtype.kind != "f" or not features.size:
        shape = " x ".join(map(str, features.shape))
        raise DataError(
            f"model.image.features {path}: expected floats [{store.num_products} products, feature], got {features.dtype} [{shape}]"
        )
    return features


def _digest(backbone: Backbone, store: Store) -> str:
    """Of all that features depend on; how photos are scaled is part of the backbone's code."""
    known = f"{backbone.name} {backbone.SCALING} {store.manifest['checksums']['photos.npy']}"
    digest = hashlib.sha256(known.encode())
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update((value.detach().cpu() + 0).numpy().tobytes())  # + 0: minus zero is zero
    return digest.hexdigest()[:16]
