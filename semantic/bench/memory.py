"""The table's lines about memory; each figure is measured in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import torch

from semantic.bench.alone import alone
from semantic.bench.records import DIRECT_FORM, Figure, Line
from semantic.bench.speeds import NO_DIRECT_FORM, parse, sample_of
from semantic.bench.steps import (
    Call,
    candidates_a_query,
    direct_query,
    direct_training_step,
    evaluation,
    training_shards,
    training_step,
)
from semantic.bench.subject import SavedSubject, Scale, Subject
from semantic.datasets.store.store import open_store
from semantic.models.interface import DirectForm
from semantic.runtime.memory import peak_bytes, resident_bytes

MIB = 1 << 20


def training_memory(subject: Subject, saved: SavedSubject, scale: Scale) -> Iterator[Line]:
    """Peak of a training step of either form, on batches of the same size."""
    size, candidates = training_shards(subject, 1)[0].batch.positive.shape
    threads = torch.get_num_threads()
    before, peak = alone("memory of training", threads, _training, saved, None)
    few, beside = min(candidates, scale.many), None
    if subject.model.direct_form() is not None:
        _, direct = alone("memory of the direct form", threads, _training, saved, (size, few))
        how = f"{few} of the {candidates:,} candidates: a lower bound" if few < candidates else ""
        beside = Figure(direct / MIB, f"a batch of {size}", extrapolated=how)
    yield _memory_line(
        f"peak memory of training, {subject.photos}",
        Figure(peak / MIB, f"a batch of {size}; {before / MIB:,.0f} MiB before the first step"),
        beside,
        note="" if beside else NO_DIRECT_FORM,
    )


def evaluation_memory(subject: Subject, saved: SavedSubject, scale: Scale) -> Iterator[Line]:
    """The peak memory of evaluating all queries, and of the direct form on one, which holds one candidate at a time."""
    threads = torch.get_num_threads()
    before, peak = alone("memory of evaluation", threads, _evaluation, saved, None)
    few, beside = min(scale.many, candidates_a_query(subject)), None
    if subject.model.direct_form() is not None:
        _, direct = alone("memory of the direct form", threads, _evaluation, saved, few)
        beside = Figure(direct / MIB, f"one query, {few} candidates one after another")
    yield _memory_line(
        f"peak memory of evaluation, {subject.photos}",
        Figure(peak / MIB, f"{len(subject.queries)} queries; {before / MIB:,.0f} MiB before the first"),
        beside,
        note="" if beside else NO_DIRECT_FORM,
    )


def opening_memory(store: Path, files: list[Path], scale: Scale) -> Iterator[Line]:
    """The memory an open store holds, and what its dialogue files would hold once parsed."""
    held = alone("memory of a store", 1, _opened, store)
    some = sample_of(files, scale.files) if files else []
    parsed = alone("memory of dialogue files", 1, _parsed, some) if some else None
    other = None
    if parsed is not None:
        how = "" if len(some) == len(files) else f"from {len(some)} files to {len(files):,}"
        other = Figure(parsed * len(files) / len(some) / MIB, f"{len(files):,} files", extrapolated=how)
    yield _memory_line(
        "memory of the open store",
        Figure(held / MIB, "resident, added by opening it"),
        other,
        beside="its dialogue files parsed",
        note="" if other else "the dialogue files are not there",
    )


def _memory_line(what: str, ours: Figure, other: Figure | None, beside: str = DIRECT_FORM, note: str = "") -> Line:
    return Line("memory", what, "MiB", ours, other, beside, says="{} of it", note=note)


def _training(saved: SavedSubject, direct: tuple[int, int] | None) -> tuple[int, int]:
    """Peak bytes before and after two training steps; the first creates the optimiser's state."""
    subject = saved.open()
    if direct is not None:
        return _peaks(subject, direct_training_step(subject, _form(subject), *direct), 2)
    return _peaks(subject, training_step(subject, training_shards(subject, 1)), 2)


def _evaluation(saved: SavedSubject, direct: int | None) -> tuple[int, int]:
    """Peak bytes before and after an evaluation; of one query over `direct` candidates where that is given."""
    subject = saved.open()
    if direct is None:
        return _peaks(subject, evaluation(subject, subject.queries), 1)
    return _peaks(subject, direct_query(subject, _form(subject), subject.queries[0], direct), 1)


def _form(subject: Subject) -> DirectForm:
    form = subject.model.direct_form()
    assert form is not None
    return form


def _peaks(subject: Subject, call: Call, times: int) -> tuple[int, int]:
    """Peak bytes before and after `times` calls; of the GPU's memory where the subject is on one."""
    own = torch.cuda.max_memory_allocated if subject.device.type == "cuda" else peak_bytes
    before = own()
    for _ in range(times):
        call()
    return before, own()


def _opened(store: Path) -> int:
    """Resident bytes that opening a store adds; at least 1, for ratios are taken of it."""
    before = resident_bytes()
    opened = open_store(store)
    after = resident_bytes()
    del opened
    return max(1, after - before)


def _parsed(files: list[Path]) -> int:
    """Resident bytes that parsing dialogue files adds, while their content is kept; at least 1."""
    before = resident_bytes()
    content = parse(files)
    after = resident_bytes()
    del content
    return max(1, after - before)
