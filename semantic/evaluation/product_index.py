"""Rows of products, each encoded once for given weights: in memory, or in a memory-mapped file where they are many."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from semantic.batching.cache import cached_rows
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.arrays import GrowingArray
from semantic.models.interface import Model, ProductRows, precise, query_tensor, some_queries
from semantic.runtime.distributed import SINGLE_PROCESS, Processes
from semantic.runtime.progress import Progress

IN_MEMORY = 4 << 30
"""Bytes of rows that an evaluation keeps in memory; more are streamed to a scratch file beside the store."""

BLOCK = 4096
"""Rows whose norms are taken at once."""

COMPARED = 8
"""Products whose kept rows are compared with the model's own before all are trusted."""

ROUNDING = {"no": 1e-2, "bf16": 5e-2}
"""How far apart rows of one function may lie on different devices, as a share of the largest number in them."""

AT_ONCE = {"cpu": 16 << 20, "other": 1 << 30}
"""Bytes of rows scored at once: on a CPU what its caches hold. It bounds memory and changes no score."""


@dataclass(frozen=True)
class ProductIndex:
    """The rows of products; they may lie in a memory-mapped file, and need not be on the model's device.

    Rows stored in half precision are scored in float32.
    """

    rows: Shaped[Tensor, "product *row"]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def squared_norms(self) -> Float[Tensor, "product *rest"] | None:
        """Of each row over its last axis, by one pass over all rows; None for rows that are no real vectors."""
        if not self.rows.is_floating_point():
            return None
        norms = [torch.linalg.vector_norm(precise(block), dim=-1) for block in self.rows.split(BLOCK)]
        return torch.cat(norms).square() if norms else precise(self.rows).new_zeros(0, *self.rows.shape[1:-1])

    def at(self, index: Int[Tensor, "query candidate"], device: torch.device) -> ProductRows:
        """The products that `index` points at, on `device`; negative places (padding) read product 0."""
        index = index.clamp(min=0).to(self.rows.device)
        rows = self.rows.flatten(1).index_select(0, index.flatten()).to(device, non_blocking=True)
        norms = self.squared_norms
        return ProductRows(
            precise(rows).view(*index.shape, *self.rows.shape[1:]),
            None if norms is None else norms[index].to(device, non_blocking=True),
        )

    def block(self, products: slice, device: torch.device) -> ProductRows:
        """Products that follow one another, shared by all queries."""
        norms = self.squared_norms
        return ProductRows(
            precise(self.rows[products].to(device, non_blocking=True)).unsqueeze(0),
            None if norms is None else norms[products].to(device, non_blocking=True).unsqueeze(0),
        )

    def scored_at_once(self, device: torch.device) -> int:
        """How many rows a device scores at once."""
        row = self.rows.element_size() * self.rows[0].numel() if len(self) else 1
        return max(1, AT_ONCE["cpu" if device.type == "cpu" else "other"] // row)


def encoding(device: torch.device, precision: str) -> torch.autocast:
    """The precision of encoders in an evaluation, "no" or "bf16"; scores are float32 whatever it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@torch.no_grad()
def encode_rows(model: Model, builder: BatchBuilder, ids: np.ndarray, precision: str) -> Shaped[Tensor, "product *row"]:
    """The rows of some products, in evaluation mode, on the model's device."""
    training, device = model.training, model.device
    model.eval()
    with encoding(device, precision):
        rows = model.encode_products(builder.products(ids).to(device))
    model.train(training)
    return rows.to(model.product_dtype)


def index_products(
    model: Model,
    builder: BatchBuilder,
    ids: np.ndarray,
    config: EvaluationConfig,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> ProductIndex:
    """The rows of the products `ids`; beyond `IN_MEMORY` bytes in a memory-mapped scratch file.

    Of several processes each encodes a shard of every block, and all get all.
    """
    blocks = range(0, len(ids), config.product_batch_size * processes.world_size)
    shape, dtype = model.product_shape, model.product_dtype

    def encoded(start: int) -> Tensor:
        block = ids[start : start + blocks.step]
        rows = encode_rows(model, builder, processes.shard(block), config.precision)
        if progress:
            progress(start + len(block), len(ids))
        return processes.gather_rows(rows, len(block))

    if len(ids) * row_bytes(model) <= IN_MEMORY:
        none = torch.zeros(0, *shape, dtype=dtype, device=model.device)
        return ProductIndex(torch.cat([none, *(encoded(start) for start in blocks)]))
    # A network drive keeps the folder as long as the file in it is mapped.
    with tempfile.TemporaryDirectory(dir=builder.store.path, prefix="rows-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "scratch.npy"
        array = GrowingArray(file, numpy_dtype(dtype), shape)
        try:
            for start in blocks:
                array.append(encoded(start).cpu().numpy())
            array.close()
        finally:
            array.release()
        return open_index(file)  # a map keeps its file's content when the name is gone


def stored_index(model: Model, builder: BatchBuilder, config: EvaluationConfig, progress: Progress) -> ProductIndex:
    """The rows of a store's whole catalogue, computed once for a model's weights and kept beside the store.

    Kept rows that are not those that the model gives today, as its code has changed, are computed anew.
    """
    store = builder.store
    known = f"{model.config.model_dump_json()} {model.spec} {config.precision}"
    if model.tokenizer is not None:
        known += model.tokenizer.to_str()
    if model.config.features_file is not None:
        stat = Path(model.config.features_file).stat()
        known += f" {stat.st_size} {stat.st_mtime_ns}"  # a user's file of features may be made anew under its name
    digest = hashlib.sha256(known.encode())
    for name in ("products.parquet", "photos.npy", "has_photo.npy"):
        digest.update(store.manifest["checksums"][name].encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    file = store.path / "vectors" / f"{digest.hexdigest()[:16]}.npy"

    def index() -> ProductIndex:
        cached_rows(
            file,
            store.num_products,
            model.product_shape,
            numpy_dtype(model.product_dtype),
            lambda start, stop: encode_rows(model, builder, np.arange(start, stop), config.precision).cpu().numpy(),
            block=config.product_batch_size,
            progress=progress,
            what="product vectors",
        )
        return open_index(file)

    kept, found = file.is_file(), index()
    if kept and not _gives(model, builder, found, config.precision):
        progress.say(f"{file}: expected the product vectors of this model, found others; they are computed anew")
        file.unlink()
        found = index()
    return found


def _gives(model: Model, builder: BatchBuilder, index: ProductIndex, precision: str) -> bool:
    """Whether a few rows spread over a catalogue are what the model gives, but for rounding."""
    ids = np.unique(np.linspace(0, max(0, len(index) - 1), COMPARED).astype(np.int64))[: len(index)]
    kept, rows = index.rows[ids], encode_rows(model, builder, ids, precision).cpu()
    if not rows.is_floating_point():
        return torch.equal(kept, rows)
    kept, rows = precise(kept), precise(rows)
    near = ROUNDING[precision] * rows.abs().max().item() if len(ids) else 0.0
    return torch.allclose(kept, rows, rtol=0, atol=near, equal_nan=True)


def open_index(file: Path) -> ProductIndex:
    """The rows in a .npy file, memory-mapped."""
    return ProductIndex(torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False)))


def numpy_dtype(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).numpy().dtype


def row_bytes(model: Model) -> int:
    """Bytes of one product's row."""
    return torch.empty(model.product_shape, dtype=model.product_dtype, device="meta").nbytes


@torch.no_grad()
def score_candidates(
    model: Model, query: Any, index: ProductIndex, candidates: Int[Tensor, "query candidate"]
) -> Float[Tensor, "query candidate"]:
    """The score of each query's candidates, which point into `index`; where one is negative (padding) it means nothing."""
    like = query_tensor(query)
    device = like.device
    most = index.scored_at_once(device)
    queries = max(1, most // max(1, candidates.shape[1]))
    scores = torch.empty(candidates.shape, device=device, dtype=_score_dtype(like))
    for first in range(0, len(candidates), queries):
        some = some_queries(query, slice(first, first + queries))
        for start in range(0, candidates.shape[1], most):
            block = slice(first, first + queries), slice(start, start + most)
            scores[block] = model.score(some, index.at(candidates[block], device))
    return scores


@torch.no_grad()
def score_catalogue(model: Model, query: Any, index: ProductIndex) -> Float[Tensor, "query product"]:
    """The score of every product for each query, read from one end of `index` to the other."""
    like = query_tensor(query)
    device = like.device
    most = index.scored_at_once(device)
    scores = torch.empty(len(like), len(index), device=device, dtype=_score_dtype(like))
    for start in range(0, len(index), most):
        block = slice(start, start + most)
        scores[:, block] = model.score(query, index.block(block, device))
    return scores


def _score_dtype(query: Tensor) -> torch.dtype:
    return torch.float64 if query.dtype == torch.float64 else torch.float32


def best_products(scores: Float[Tensor, "product"], count: int) -> Int[Tensor, "best"]:
    """The rows of the `count` highest scores, best first, equal scores by row."""
    count = min(count, len(scores))
    least = scores.topk(count).values[-1] if count else scores.new_tensor(0.0)
    kept = (scores >= least).nonzero().squeeze(1)
    return kept[scores[kept].sort(descending=True, stable=True).indices[:count]]
