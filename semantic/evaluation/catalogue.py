"""Base vectors of products, each encoded once a checkpoint: in memory, or in a memory-mapped file where they are many."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semantic.batching.cache import cached_rows
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.arrays import GrowingArray
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.vectors import ProductVectors, Query
from semantic.runtime.distributed import ALONE, Processes
from semantic.runtime.progress import Progress

IN_MEMORY = 4 << 30
"""Bytes of base vectors that an evaluation keeps in memory; more are streamed to a scratch file beside the store."""

BLOCK = 4096
"""Products whose norms are taken at once."""

AT_ONCE = {"cpu": 16 << 20, "other": 1 << 30}
"""Bytes of base vectors scored at once: on a CPU what its caches hold. It bounds memory and changes no score."""


@dataclass(frozen=True)
class BaseVectors:
    """p_T and p_V side by side, float32; `rows` may lie in a memory-mapped file, and need not be on the model's device."""

    rows: Float[Tensor, "product 2 dim"]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def squared(self) -> Float[Tensor, "product 2"]:
        """|p_T|^2 and |p_V|^2, which take one pass over all rows."""
        norms = [torch.linalg.vector_norm(part, dim=2) for part in self.rows.split(BLOCK)]
        return torch.cat(norms).square() if norms else self.rows.new_zeros(0, 2)

    def pairs(self, index: Int[Tensor, "*shape"], device: torch.device) -> Float[Tensor, "*shape 2 dim"]:
        """The rows that `index` points at."""
        rows = self.rows.flatten(1).index_select(0, index.flatten().to(self.rows.device))
        return rows.to(device, non_blocking=True).view(*index.shape, *self.rows.shape[1:])

    def at(self, index: Int[Tensor, "*shape"], device: torch.device) -> ProductVectors:
        """The products that `index` points at, as [*shape, dim]."""
        both = self.pairs(index, device)
        return ProductVectors(both[..., 0, :], both[..., 1, :])

    def rows_at_once(self, device: torch.device) -> int:
        """How many of them a device scores at once."""
        row = self.rows.element_size() * self.rows[0].numel() if len(self) else 1
        return max(1, AT_ONCE["cpu" if device.type == "cpu" else "other"] // row)


def encoding(device: torch.device, precision: str) -> torch.autocast:
    """The precision of encoders in an evaluation, "no" or "bf16"; scores are float32 whatever it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@torch.no_grad()
def encode_rows(
    model: Semantic, builder: BatchBuilder, ids: np.ndarray, precision: str
) -> Float[Tensor, "product 2 dim"]:
    """Base vectors of some products, in evaluation mode, on the model's device."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    with encoding(device, precision):
        vectors = model.encode_products(builder.products(ids).to(device))
    model.train(training)
    return torch.stack([vectors.text.float(), vectors.image.float()], dim=1)


def encode_catalogue(
    model: Semantic,
    builder: BatchBuilder,
    ids: np.ndarray,
    config: EvaluationConfig,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
) -> BaseVectors:
    """Base vectors of the products `ids`, each encoded once; streamed to a scratch file where memory is too dear.

    Of several processes each encodes a part of every block, and all get all.
    """
    blocks = range(0, len(ids), config.product_batch_size * processes.size)

    def encoded(start: int) -> Tensor:
        block = ids[start : start + blocks.step]
        rows = encode_rows(model, builder, processes.shard(block), config.precision)
        if progress:
            progress(start + len(block), len(ids))
        return processes.join(rows, len(block))

    if len(ids) * 2 * model.config.dim * 4 <= IN_MEMORY:
        none = torch.zeros(0, 2, model.config.dim, device=next(model.parameters()).device)
        return BaseVectors(torch.cat([none, *(encoded(start) for start in blocks)]))
    # A network drive keeps the folder as long as the file in it is mapped.
    with tempfile.TemporaryDirectory(dir=builder.store.path, prefix="vectors-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "scratch.npy"
        array = GrowingArray(file, np.float32, (2, model.config.dim))
        try:
            for start in blocks:
                array.append(encoded(start).cpu().numpy())
            array.close()
        finally:
            array.release()
        return _mapped(file)  # a map keeps its file's content when the name is gone


def stored_vectors(model: Semantic, builder: BatchBuilder, config: EvaluationConfig, progress: Progress) -> BaseVectors:
    """Base vectors of a store's whole catalogue, computed once for a model's weights and kept beside the store."""
    store = builder.store
    known = f"{model.config.model_dump_json()} {model.sizes} {config.precision}"
    if model.tokenizer is not None:
        known += model.tokenizer.to_str()
    if model.config.image.features is not None:
        stat = Path(model.config.image.features).stat()
        known += f" {stat.st_size} {stat.st_mtime_ns}"  # an own file of features may be made anew under its name
    digest = hashlib.sha256(known.encode())
    for name in ("products.parquet", "photos.npy", "has_photo.npy"):
        digest.update(store.manifest["checksums"][name].encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    file = store.path / "vectors" / f"{digest.hexdigest()[:16]}.npy"
    cached_rows(
        file,
        store.num_products,
        (2, model.config.dim),
        np.float32,
        lambda start, stop: encode_rows(model, builder, np.arange(start, stop), config.precision).cpu().numpy(),
        block=config.product_batch_size,
        progress=progress,
        what="base vectors",
    )
    return _mapped(file)


def _mapped(file: Path) -> BaseVectors:
    return BaseVectors(torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False)))


@torch.no_grad()
def score_candidates(
    model: Semantic, query: Query, vectors: BaseVectors, candidates: Int[Tensor, "batch candidate"]
) -> Float[Tensor, "batch candidate"]:
    """f of each query's candidates, which point into `vectors`; where one is negative (padding) the score means nothing."""
    device = query.text.vector.device
    most = vectors.rows_at_once(device)
    queries = max(1, most // max(1, candidates.shape[1]))
    index = candidates.clamp(min=0)
    scores = torch.empty(candidates.shape, device=device, dtype=query.text.vector.dtype)
    for first in range(0, len(index), queries):
        some = query[first : first + queries]
        for start in range(0, index.shape[1], most):
            part = index[first : first + queries, start : start + most]
            squared = vectors.squared[part.to(vectors.rows.device)].to(device, non_blocking=True)
            found = model.relevance(some, vectors.pairs(part, device), squared)
            scores[first : first + queries, start : start + most] = found
    return scores


@torch.no_grad()
def score_catalogue(model: Semantic, query: Query, vectors: BaseVectors) -> Float[Tensor, "batch product"]:
    """f of every product for each query, read from one end of `vectors` to the other."""
    device = query.text.vector.device
    most = vectors.rows_at_once(device)
    scores = torch.empty(len(query), len(vectors), device=device, dtype=query.text.vector.dtype)
    for start in range(0, len(vectors), most):
        part = slice(start, start + most)
        rows, squared = (all_of[part].to(device, non_blocking=True) for all_of in (vectors.rows, vectors.squared))
        scores[:, part] = model.relevance(query, rows.unsqueeze(0), squared.unsqueeze(0))
    return scores


def best_products(scores: Float[Tensor, "product"], count: int) -> Int[Tensor, "best"]:
    """The rows of the `count` highest scores, best first, equal scores by row."""
    count = min(count, len(scores))
    least = scores.topk(count).values[-1] if count else scores.new_tensor(0.0)
    kept = (scores >= least).nonzero().squeeze(1)
    return kept[scores[kept].sort(descending=True, stable=True).indices[:count]]
