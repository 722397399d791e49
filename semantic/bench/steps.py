"""What is timed and weighed: a training step and an evaluation query of either form, as calls without arguments."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch

from semantic.batching.steps import TrainingSteps, all_candidates, draw_candidates
from semantic.bench.subject import Subject
from semantic.datasets.batches.tensors import Batch
from semantic.evaluation.ranking import evaluate_examples
from semantic.metrics.ranking import count_ranks, released, standard
from semantic.models.semantic.direct import DirectForm
from semantic.models.semantic.layout import lay_out
from semantic.models.semantic.objective import joint_loss, student_loss
from semantic.models.semantic.vectors import Output
from semantic.training.optimiser import make_optimizer

Call = Callable[[], object]
BATCHES = 4
"""Batches a training measurement goes round: their shapes differ."""


def training_batches(subject: Subject, most: int = BATCHES) -> list[Batch]:
    """Whole batches of the configuration, as training draws them, on the device; one of what there is if that is less."""
    steps = TrainingSteps(subject.builder, subject.training_rows, subject.config.training, subject.config.seed)
    whole = len(subject.training_rows) // subject.config.training.batch_size
    return [steps[i].to(subject.device) for i in range(max(1, min(most, whole)))]


def training_step(subject: Subject, batches: Sequence[Batch], *, half: bool = False) -> Call:
    """Forward, joint loss, backward and optimiser step on the next of the batches."""
    own = subject.model

    def network(batch: Batch, **asked: bool) -> Output:
        return own(batch, **asked)

    return _step(subject, [(batch, batch) for batch in batches], network, half=half)


def direct_training_step(subject: Subject, size: int, candidates: int) -> Call:
    """The same of the direct form, on one batch of `size` examples with so many candidates each."""
    positives = min(subject.config.training.positives, candidates - 1)
    rows = np.resize(subject.training_rows, size)
    ids, positive = draw_candidates(
        subject.store, rows, positives, candidates - positives, np.random.default_rng(subject.config.seed)
    )
    batch = subject.pictures.batch(rows, ids, positive).to(subject.device)
    return _step(subject, [(lay_out(batch, subject.model.sizes), batch)], DirectForm(subject.model))


def _step(subject: Subject, batches: Sequence[tuple], network: Callable[..., Output], *, half: bool = False) -> Call:
    config, model = subject.config, subject.model
    optimizer = make_optimizer(model, config.training)
    following = itertools.cycle(batches)
    labelled = subject.has_states
    objective = joint_loss if labelled else student_loss

    def step() -> None:
        given, batch = next(following)
        model.train()
        with torch.autocast(subject.device.type, torch.bfloat16, enabled=half):
            output = network(given, teacher=labelled, text_image=config.loss.correlation_weight > 0)
        loss, _ = objective(output, batch, config.loss)
        optimizer.zero_grad()
        loss.backward()
        if config.training.clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip)
        optimizer.step()

    return step


def evaluation(subject: Subject, rows: np.ndarray, precision: str = "no") -> Call:
    """Evaluate examples with all their candidates, everything included."""
    config = subject.config.evaluation.model_copy(update={"precision": precision})
    return lambda: evaluate_examples(subject.model, subject.builder, rows, config)


def direct_query(subject: Subject, row: int, candidates: int) -> Call:
    """The first so many candidates of one query by the direct form, from the store's arrays to the metrics."""
    rows = np.array([row])
    form = DirectForm(subject.model)

    @torch.no_grad()
    def query() -> None:
        subject.model.eval()
        ids, positive = all_candidates(subject.store, rows)
        ids, positive = np.resize(ids, (1, candidates)), np.resize(positive, (1, candidates))
        batch = subject.pictures.batch(rows, ids, positive).to(subject.device)
        match = form(lay_out(batch, subject.model.sizes)).student
        ranks = count_ranks(match.relevance, batch.positive, batch.keep)
        standard(ranks), released(ranks)

    return query


def candidates_a_query(subject: Subject) -> int:
    """Candidates of an evaluation query, on average."""
    store = subject.store
    offsets = (store.positive_offsets, store.negative_offsets)
    return round(float(np.mean([sum(o[row + 1] - o[row] for o in offsets) for row in subject.queries])))
