"""How cost grows: with the candidates of a query, the products of a catalogue, the dialogues of a store."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from semantic.batching.steps import TrainingSteps
from semantic.bench.alone import alone
from semantic.bench.enlarging import dialogue_bytes, enlarge
from semantic.bench.records import Growth, Point
from semantic.bench.steps import Call
from semantic.bench.subject import SavedSubject, Scale, Subject
from semantic.bench.timing import time_calls
from semantic.datasets.store.arrays import GrowingArray
from semantic.datasets.store.store import open_store
from semantic.evaluation.product_index import (
    ProductIndex,
    best_products,
    numpy_dtype,
    open_index,
    row_bytes,
    score_candidates,
    score_catalogue,
)
from semantic.models.interface import Model
from semantic.runtime.memory import watch_private

RESERVE = 1 << 30
"""Bytes of the disk left free."""
BLOCK = 16_384
TOP = 10

Advance = Callable[[int, int], None]


def with_candidates(saved: SavedSubject, scale: Scale, advance: Advance) -> Growth:
    """One query over so many candidates, drawn from as many products whose rows are in memory."""
    points = [
        alone("growth with candidates", torch.get_num_threads(), _candidates, saved, size, scale.seconds / 4)
        for size in _watched(scale.candidates, advance)
    ]
    return Growth("scoring one query", "candidates", tuple(points))


def with_catalogue(saved: SavedSubject, scale: Scale, folder: Path, model: Model, advance: Advance) -> Growth:
    """One query, from its dialogue to the best ten, over so many products whose rows are memory-mapped."""
    row = row_bytes(model)
    free = shutil.disk_usage(folder).free
    sizes = [size for size in scale.catalogue if size * row + RESERVE <= free]
    note = ""
    if len(sizes) < len(scale.catalogue):
        left = ", ".join(f"{size:,}" for size in scale.catalogue if size not in sizes)
        note = (
            f"left out for want of disk: {left} products ({free / 1e9:.1f} GB free, {RESERVE / 1e9:.1f} GB of it kept)"
        )
    file, points = folder / "rows.npy", []
    if sizes:
        _write_rows(file, sizes[-1], model)
        for size in _watched(sizes, advance):
            points.append(
                alone(
                    "growth with the catalogue", torch.get_num_threads(), _catalogue, saved, file, size, scale.seconds
                )
            )
        file.unlink()
    return Growth("one query over the catalogue, vectors memory-mapped", "products", tuple(points), note)


class _Opened(NamedTuple):
    opening: Point
    batch: Point


def with_dialogues(
    subject: Subject, saved: SavedSubject, scale: Scale, folder: Path, advance: Advance
) -> tuple[Growth, Growth]:
    """Opening a store of so many dialogues, and building a training batch from it; the subject's own, repeated."""
    split = subject.config.data.train
    counts = subject.store.manifest["splits"][split]["dialogues"]
    repeats = sorted({max(1, round(size / counts)) for size in scale.dialogue_counts})
    free = shutil.disk_usage(folder).free
    fitting = [n for n in repeats if n * dialogue_bytes(subject.store, split) * 1.5 + RESERVE <= free]
    note = ""
    if len(fitting) < len(repeats):
        left = ", ".join(f"{n * counts:,}" for n in repeats if n not in fitting)
        note = f"left out for want of disk: {left} dialogues ({free / 1e9:.1f} GB free)"
    found: list[_Opened] = []
    for n in _watched(fitting, advance):
        store = enlarge(subject.store, folder / f"store-{n}", split, n)
        subject.model.open_batches(store)  # word pieces are read once, and kept
        what = "growth with dialogues"
        found.append(alone(what, torch.get_num_threads(), _dialogues, saved, store.path, n * counts, scale.seconds / 4))
        shutil.rmtree(store.path)
    batch = subject.config.training.batch_size
    return (
        Growth("opening a store", "dialogues", tuple(one.opening for one in found), note),
        Growth(f"building a training batch of {batch}", "dialogues", tuple(one.batch for one in found), note),
    )


def _watched(sizes: Sequence[int], advance: Advance) -> Iterator[int]:
    """The sizes, telling `advance` when each is done."""
    for done, size in enumerate(sizes, 1):
        yield size
        advance(done, len(sizes))


def _weighed(size: int, call: Call, seconds: float) -> Point:
    """Time a call, and watch what memory it takes beside what was held."""
    call()  # what the first call alone takes is no growth
    with watch_private() as memory:
        timing = time_calls(call, seconds)
    return Point(size, timing, memory.added)


@torch.no_grad()
def _query(subject: Subject) -> Any:
    return subject.model.eval().encode_query(subject.builder.contexts(subject.queries[:1]).to(subject.device))


def _candidates(saved: SavedSubject, size: int, seconds: float) -> Point:
    subject = saved.open()
    query = _query(subject)
    generator = torch.Generator().manual_seed(subject.config.seed)
    rows = torch.randn(size, *subject.model.product_shape, generator=generator).to(subject.model.product_dtype)
    index = ProductIndex(rows.to(subject.device))
    candidates = torch.randperm(size, generator=generator).unsqueeze(0).to(subject.device)
    return _weighed(size, lambda: score_candidates(subject.model, query, index, candidates), seconds)


def _catalogue(saved: SavedSubject, file: Path, size: int, seconds: float) -> Point:
    subject = saved.open()
    mapped = ProductIndex(open_index(file).rows[:size])
    return _weighed(
        size, lambda: best_products(score_catalogue(subject.model, _query(subject), mapped)[0], TOP).tolist(), seconds
    )


def _write_rows(file: Path, products: int, model: Model) -> None:
    """Random rows, the same block again and again."""
    dtype = numpy_dtype(model.product_dtype)
    block = np.random.default_rng(0).standard_normal((min(BLOCK, products), *model.product_shape)).astype(dtype)
    array = GrowingArray(file, dtype, model.product_shape)
    try:
        for start in range(0, products, BLOCK):
            array.append(block[: min(BLOCK, products - start)])
        array.close()
    finally:
        array.release()


def _dialogues(saved: SavedSubject, path: Path, size: int, seconds: float) -> _Opened:
    """Memory is what the store and its batches hold beside mapped files."""
    config, subject = saved.config, saved.open()
    with watch_private() as opened:
        store = open_store(path)
    opening = time_calls(lambda: open_store(path), seconds)
    with watch_private() as built:
        builder = subject.model.open_batches(store)
        rows = np.asarray(store.split(config.data.train).examples)
        steps = TrainingSteps(builder, rows, config.training, config.seed)
        numbers = itertools.cycle(range(max(1, len(rows) // config.training.batch_size)))
        batch = time_calls(lambda: steps[next(numbers)], seconds)
    return _Opened(Point(size, opening, opened.added), Point(size, batch, built.added))
