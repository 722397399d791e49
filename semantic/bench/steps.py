"""What is timed and weighed: a training step and an evaluation query of either form, as calls without arguments."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch

from semantic.batching.candidates import all_candidates, draw_candidates
from semantic.batching.shards import Counts, Shard
from semantic.batching.steps import TrainingSteps
from semantic.bench.subject import Subject
from semantic.evaluation.ranking import evaluate_examples
from semantic.metrics.ranking import count_ranks, released, standard
from semantic.models.interface import DirectForm, Loss
from semantic.training.optimiser import make_optimizer

Call = Callable[[], object]
BATCHES = 4
"""Batches a training measurement goes round: their shapes differ."""


def training_shards(subject: Subject, most: int = BATCHES) -> list[Shard]:
    """Whole batches of the configuration, as training draws them, on the device; one of what there is if that is less."""
    config = subject.config
    steps = TrainingSteps(
        subject.builder, subject.training_rows, config.training, config.seed, labelled=subject.has_states
    )
    whole = len(subject.training_rows) // config.training.batch_size
    return [steps.shard(i).to(subject.device) for i in range(max(1, min(most, whole)))]


def training_step(subject: Subject, shards: Sequence[Shard], *, half: bool = False) -> Call:
    """Forward, loss, backward and optimiser step on the next of the shards."""
    following = itertools.cycle(shards)
    return _step(subject, lambda: subject.model.loss(next(following)), half=half)


def direct_training_step(subject: Subject, form: DirectForm, size: int, candidates: int) -> Call:
    """The same of the direct form, on one batch of `size` examples with so many candidates each."""
    positives = min(subject.config.training.positives, candidates - 1)
    rows = np.resize(subject.training_rows, size)
    ids, positive = draw_candidates(
        subject.store, rows, positives, candidates - positives, np.random.default_rng(subject.config.seed)
    )
    batch = subject.pictures.batch(rows, ids, positive).to(subject.device)
    shard = Shard(batch, Counts.of(batch.positive, batch.keep), subject.has_states)
    laid_out = form.lay_out(batch)
    return _step(subject, lambda: form.loss(laid_out, shard))


def _step(subject: Subject, loss_of_next: Callable[[], Loss], *, half: bool = False) -> Call:
    training, model = subject.config.training, subject.model
    optimizer = make_optimizer(model, training)

    def step() -> None:
        model.train()
        with torch.autocast(subject.device.type, torch.bfloat16, enabled=half):
            loss = loss_of_next().total
        optimizer.zero_grad()
        loss.backward()
        if training.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
        optimizer.step()

    return step


def evaluation(subject: Subject, rows: np.ndarray, precision: str = "no") -> Call:
    """Evaluate examples with all their candidates, everything included."""
    config = subject.config.evaluation.model_copy(update={"precision": precision})
    return lambda: evaluate_examples(subject.model, subject.builder, rows, config)


def direct_query(subject: Subject, form: DirectForm, row: int, candidates: int) -> Call:
    """The first so many candidates of one query by the direct form, from the store's arrays to the metrics."""
    rows = np.array([row])

    @torch.no_grad()
    def query() -> None:
        subject.model.eval()
        ids, positive = all_candidates(subject.store, rows)
        ids, positive = np.resize(ids, (1, candidates)), np.resize(positive, (1, candidates))
        batch = subject.pictures.batch(rows, ids, positive).to(subject.device)
        ranks = count_ranks(form.score(form.lay_out(batch)), batch.positive, batch.keep)
        standard(ranks), released(ranks)

    return query


def candidates_a_query(subject: Subject) -> int:
    """Candidates of an evaluation query, on average."""
    store = subject.store
    offsets = (store.positive_offsets, store.negative_offsets)
    return round(float(np.mean([sum(o[row + 1] - o[row] for o in offsets) for row in subject.queries])))
