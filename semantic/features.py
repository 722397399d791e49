"""Features of a frozen backbone, computed once for a store and kept beside it."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from semantic.datasets.errors import DataError
from semantic.datasets.store import Store
from semantic.encoders.image import Backbone


def photo_features(
    backbone: Backbone, store: Store, device: torch.device, progress: Callable[[int, int], None], batch_size: int = 256
) -> np.ndarray:
    """float32 [product, feature], memory-mapped; zeros where a product has no photo.

    The file's name is a digest of the backbone's name and weights and of the store's photos, so any change makes a new
    file, and runs that agree share one. It is written under another name and renamed: a reader never sees half a file.
    """
    folder = store.path / "features"
    file = folder / f"{backbone.name}-{_digest(backbone, store)}.npy"
    if not file.is_file():
        partial = file.with_suffix(f".{os.getpid()}.partial")
        try:
            folder.mkdir(exist_ok=True)
            _extract(backbone, store, device, progress, batch_size, partial)
            os.replace(partial, file)
        except OSError as error:
            raise DataError(
                f"{file}: expected to write the backbone's features, got: {error.strerror or error}"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _digest(backbone: Backbone, store: Store) -> str:
    digest = hashlib.sha256(f"{backbone.name} {store.manifest['checksums']['photos.npy']}".encode())
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update((value.detach().cpu() + 0).numpy().tobytes())  # + 0: minus zero is zero
    return digest.hexdigest()[:16]


@torch.no_grad()
def _extract(
    backbone: Backbone,
    store: Store,
    device: torch.device,
    progress: Callable[[int, int], None],
    batch_size: int,
    file: Path,
) -> None:
    training = backbone.training
    backbone.eval()
    total = store.num_products
    with file.open("w+b") as stream:  # np.save's format, written through a memory map
        header = {"descr": "<f4", "fortran_order": False, "shape": (total, backbone.features)}
        np.lib.format.write_array_header_1_0(stream, header)
        offset = stream.tell()
        stream.truncate(offset + total * backbone.features * 4)
        out = np.memmap(stream, np.float32, "r+", offset, (total, backbone.features))
        for start in range(0, total, batch_size):
            rows = np.arange(start, min(start + batch_size, total))
            rows = rows[store.has_photo[rows]]
            if len(rows):
                out[rows] = backbone(torch.from_numpy(store.photos[rows]).to(device)).float().cpu().numpy()
            progress(min(start + batch_size, total), total)
        out.flush()
    backbone.train(training)
