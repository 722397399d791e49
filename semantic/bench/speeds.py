"""The lines of the table that are speeds: training, evaluation, scoring, feature extraction, opening a store."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from semantic.batching.candidates import all_candidates
from semantic.bench.records import Figure, Line
from semantic.bench.steps import (
    Call,
    candidates_a_query,
    direct_query,
    direct_training_step,
    evaluation,
    training_shards,
    training_step,
)
from semantic.bench.subject import Scale, Subject, backbone_of
from semantic.bench.timing import Timing, extrapolate, time_calls
from semantic.datasets.reading.corpus import open_corpus
from semantic.datasets.reading.turns import file_names
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation.product_index import index_products
from semantic.runtime.errors import DataError

AT_ONCE = 4
"""Queries scored at once where scoring alone is measured."""
SQUARE = {"cpu": 2048, "cuda": 8192}
"""Rows of the square matrices whose product says how fast the device multiplies."""


def training(subject: Subject, scale: Scale) -> Iterator[Line]:
    """Samples a second in float32 and under bfloat16 autocast, and how near to matrix products of that precision."""
    shards = training_shards(subject)
    size, candidates = shards[0].batch.positive.shape
    direct, note = _direct_training(subject, scale, size, candidates)
    sample = f"batches of {size}, {candidates} candidates"
    for name, half in (("float32", False), ("bfloat16", True)):
        step = training_step(subject, shards, half=half)
        with FlopCounterMode(display=False) as counter:
            step()
        timing = time_calls(step, scale.seconds)
        what = f"training, {subject.photos}, {name}"
        yield Line("training", what, "samples/s", Figure(size / timing.seconds, sample, timing), direct, note=note)
        product, rows = _matrix_product(subject.device.type, half, scale.seconds / 8)
        yield Line(
            "training",
            f"{what}: arithmetic",
            "GFLOP/s",
            Figure(
                counter.get_total_flops() / timing.seconds / 1e9,
                f"{sample}; matrix products and convolutions counted",
                timing,
            ),
            Figure(2 * rows**3 / product.seconds / 1e9, f"{rows} x {rows} matrices", product),
            beside="one large matrix product",
            says="{} of it",
        )


NO_DIRECT_FORM = "the model has no direct form"


def _direct_training(subject: Subject, scale: Scale, size: int, candidates: int) -> tuple[Figure | None, str]:
    """The direct form's speed, or none and why."""
    form = subject.model.direct_form()
    if form is None:
        return None, NO_DIRECT_FORM
    timing, how = direct_timing(lambda count: direct_training_step(subject, form, size, count), candidates, scale)
    return Figure(size / timing.seconds, f"a batch of {size}, {candidates} candidates, float32", timing, how), ""


def direct_timing(call: Callable[[int], Call], candidates: int, scale: Scale) -> tuple[Timing, str]:
    """Of the direct form with so many candidates, and how it was extrapolated, "" where it was not."""
    if candidates <= scale.many:
        return time_calls(call(candidates), scale.seconds), ""
    return direct_growth(call, [candidates], scale)[0], extrapolation(scale)


def direct_growth(call: Callable[[int], Call], candidates: Sequence[int], scale: Scale) -> list[Timing]:
    """Of the direct form with each number of candidates, from two small ones: its candidates come one after another."""
    few, many = (time_calls(call(count), scale.seconds / 2) for count in (scale.few, scale.many))
    return [extrapolate(few, many, (scale.few, scale.many), count) for count in candidates]


def extrapolation(scale: Scale) -> str:
    return f"a line through {scale.few} and {scale.many} candidates"


@lru_cache
def _matrix_product(device: str, half: bool, seconds: float) -> tuple[Timing, int]:
    """Of two square matrices, and their rows; once a device and precision."""
    rows = SQUARE[device]
    left, right = (torch.ones(rows, rows, device=device, dtype=torch.bfloat16 if half else None) for _ in range(2))
    return time_calls(lambda: left @ right, seconds), rows


def evaluating(subject: Subject, scale: Scale) -> Iterator[Line]:
    """Queries a second with everything included, in float32 and with encoders under bfloat16."""
    rows, candidates = subject.queries, candidates_a_query(subject)
    form, beside, note = subject.model.direct_form(), None, NO_DIRECT_FORM
    if form is not None:
        direct, how = direct_timing(lambda count: direct_query(subject, form, rows[0], count), candidates, scale)
        beside, note = Figure(1 / direct.seconds, f"one query, {candidates:,} candidates, float32", direct, how), ""
    sample = f"{len(rows)} queries, {candidates:,} candidates each of {subject.store.num_products:,} products"
    for name, precision in (("float32", "no"), ("bfloat16", "bf16")):
        timing = time_calls(evaluation(subject, rows, precision), scale.seconds)
        what = f"evaluation, everything included, {subject.photos}, {name}"
        yield Line(
            "evaluation", what, "queries/s", Figure(len(rows) / timing.seconds, sample, timing), beside, note=note
        )


@torch.no_grad()
def scoring(subject: Subject, scale: Scale) -> Iterator[Line]:
    """The scores of given rows, beside one pass over them: a copy of the same bytes."""
    model, device = subject.model.eval(), subject.device
    rows = np.resize(subject.queries, AT_ONCE)
    ids = np.maximum(all_candidates(subject.store, rows)[0], 0)
    offered, place = np.unique(ids, return_inverse=True)
    index = index_products(model, subject.builder, offered, subject.config.evaluation)
    products = index.at(torch.from_numpy(place.reshape(ids.shape)), device)
    query = model.encode_query(subject.builder.contexts(rows).to(device))
    sample = f"{AT_ONCE} queries, {ids.shape[1]:,} candidates each"
    ours = time_calls(lambda: model.score(query, products), scale.seconds / 4)
    copied = time_calls(products.rows.clone, scale.seconds / 4)
    yield Line(
        "evaluation",
        "scoring alone",
        "ms",
        Figure(1000 * ours.seconds, sample, ours),
        Figure(1000 * copied.seconds, f"{sample}: their rows copied once", copied),
        beside="one copy of the rows",
        says="{}x its time",
    )


def features(subject: Subject, cached: Subject | None, scale: Scale) -> Iterator[Line]:
    """Photos a second through the backbone and from the cache; `cached` is a subject whose features are."""
    backbone, store = backbone_of(subject.model), subject.store
    if backbone is None or subject.photos == "no photos":
        return
    backbone.eval()
    rows = np.resize(np.flatnonzero(store.has_photo), scale.photos)

    @torch.no_grad()
    def extract(some: np.ndarray) -> None:
        backbone(torch.from_numpy(store.photos[some]).to(subject.device)).float().cpu()

    batch = time_calls(lambda: extract(rows), scale.seconds / 2)
    single = time_calls(lambda: extract(rows[:1]), scale.seconds / 4)
    through = Figure(scale.photos / batch.seconds, f"batches of {scale.photos}", batch)
    yield Line(
        "features",
        f"feature extraction, {backbone.name}",
        "photos/s",
        through,
        Figure(1 / single.seconds, "one photo", single),
        beside="one photo at a time",
    )
    if cached is not None:
        kept = cached.builder.photos
        read = time_calls(
            lambda: torch.from_numpy(np.ascontiguousarray(kept[rows])).to(subject.device), scale.seconds / 8
        )
        yield Line(
            "features",
            "cached features read",
            "photos/s",
            Figure(scale.photos / read.seconds, f"{scale.photos} rows of a memory-mapped file", read),
            through,
            beside="the backbone",
        )


def dialogue_files(store: Store) -> list[Path]:
    """The files that a store's dialogues came from; none where they are not there any more."""
    source = store.manifest["source"]
    try:
        corpus = open_corpus(Path(source["root"]), store.slots)
    except DataError:
        return []
    return [folder / name for folder in corpus.folders.values() for name in file_names(folder)]


def sample_of(files: list[Path], count: int) -> list[Path]:
    """At most `count` of the files, evenly spread."""
    return [files[int(place)] for place in np.linspace(0, len(files) - 1, min(count, len(files)))]


def parse(files: list[Path]) -> list[object]:
    return [json.loads(file.read_bytes()) for file in files]


def opening(store: Store, files: list[Path], scale: Scale) -> Iterator[Line]:
    """Milliseconds until a store is open, beside parsing the dialogue files it came from."""
    ours = time_calls(lambda: open_store(store.path), scale.seconds / 8)
    other, note = None, f"the files in {store.manifest['source']['root']} are not there"
    if files:
        some = sample_of(files, scale.files)
        timing = time_calls(lambda: parse(some), scale.seconds / 4)
        how = "" if len(some) == len(files) else f"from {len(some)} files to {len(files):,}"
        other, note = Figure(1000 * timing.seconds * len(files) / len(some), f"{len(files):,} files", timing, how), ""
    yield Line(
        "store",
        "opening the store",
        "ms",
        Figure(
            1000 * ours.seconds, f"{sum(c['dialogues'] for c in store.manifest['splits'].values()):,} dialogues", ours
        ),
        other,
        beside="parsing its dialogue files",
        inverted=True,
        note=note,
    )
