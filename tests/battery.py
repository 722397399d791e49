"""The battery: what every model must pass, written over `semantic.models.interface.Model` alone.

A check takes a `Case`, which says how a model is built on the small world, and a folder to write to. It fails by an
assertion. `test_models_battery.py` names the cases, and shows of every check that it can fail.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from semantic.batching.shards import Shard
from semantic.datasets.batches.tensors import Batch
from semantic.models.interface import Model, ProductRows, query_tensor, some_queries
from semantic.models.saving import ModelError
from tests import planted
from tests.small_world import Padding, collate, small_world, whole

EXACT = 1e-12
"""How far apart float64 numbers may be that stand for the same; also the share of the largest gradient that counts as zero."""

Idle = Callable[[Tensor | None, Tensor], bool]


def unread(gradient: Tensor | None, largest: Tensor) -> bool:
    """No loss reads the parameter."""
    del largest
    return gradient is None


def cancels(gradient: Tensor | None, largest: Tensor) -> bool:
    """The parameter is read, and changes nothing: a key's bias adds one number to all scores under a softmax."""
    return gradient is not None and bool(gradient.abs().max() <= EXACT * largest)


@dataclass(frozen=True)
class Case:
    """A model on the small world, in float64 and evaluation mode, and what is particular to it.

    `turns`: contexts are padded to so many, 0 for as many as a batch needs. `idle`: parameters without an effect on the
    losses, by a part of their name, with what makes them so. `elsewhere`: parts of the names of parameters that are
    trained apart from the dialogues, and belong to no group of the optimiser. `pictures`: the photos' features, those of the small
    world where it is not given. `start`: the model as training starts, where weights by formula would keep it from learning.
    `learns`: the steps that teach it which words go together; 0 where a few do not.
    """

    build: Callable[[], Model]
    turns: int = 0
    idle: Mapping[str, Idle] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    pictures: Tensor | None = None
    start: Callable[[], Model] | None = None
    learns: int = 80

    def batch(self, rows: tuple[int, ...] = (0, 1, 2), padding: Padding | None = None) -> Batch:
        return collate(small_world(self.pictures), rows, padding, turns_at_least=self.turns)


def score(model: Model, batch: Batch) -> Tensor:
    """The scores of a batch's candidates, padding included."""
    with torch.no_grad():
        rows = model.encode_products(batch.products)
        return model.score(model.encode_query(batch.contexts), ProductRows.of(rows, batch.candidates))


def answers(model: Model, batch: Batch) -> dict[str, Tensor]:
    """All that a model says of a batch by name: scores and explanations, those of padded candidates zeroed."""
    with torch.no_grad():
        query = model.encode_query(batch.contexts)
        products = ProductRows.of(model.encode_products(batch.products), batch.candidates)
        found = {"score": model.score(query, products).masked_fill(~batch.keep, 0.0)}
        for explanation in model.explain(query, products):
            for source, weights in explanation.query.items():
                found[f"{explanation.title}, query, {source}"] = weights
            for source, weights in explanation.products.items():
                kept = weights.masked_fill(~batch.keep.unsqueeze(-1), 0.0)
                found[f"{explanation.title}, products, {source}"] = kept
    return found


def close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=EXACT, rtol=EXACT)


def shared(batch: Batch) -> Batch:
    """The batch with every product as a candidate of every example."""
    assert batch.candidates is not None
    positive = torch.zeros(len(batch.positive), len(batch.products.tokens), dtype=torch.bool)
    row, place = batch.positive.nonzero(as_tuple=True)
    positive[row, batch.candidates[row, place]] = True
    return replace(batch, candidates=None, positive=positive)


def part_of(model: Model, shard: Shard, own: slice) -> Shard:
    """A process's share of a shard, with the whole batch's counts and, where the model asks for them, its states."""
    batch = shard.batch
    said = {name: getattr(batch.contexts, name)[own] for name in ("turns", "state_tokens", "state_keep")}
    candidates = None if batch.candidates is None else batch.candidates[own]
    states = batch.contexts if model.inputs.states == "whole batch" and shard.labelled else None
    share = Batch(replace(batch.contexts, **said), batch.products, candidates, batch.positive[own])
    return replace(shard, batch=share, own=own, states=states)


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor | None]:
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True) if trained else ()
    return {name: None for name, _ in model.named_parameters()} | dict(zip(trained, found, strict=True))


def padding_changes_nothing(case: Case, folder: Path) -> None:
    del folder
    model = case.build()
    plain = answers(model, case.batch())
    paddings = [Padding(tokens=3), Padding(photos=5), Padding(candidates=7), Padding(2, 0, 5, 7)]
    for padding in paddings + ([] if case.turns else [Padding(turns=2), Padding(2, 3, 5, 7)]):
        padded = answers(model, case.batch(padding=padding))
        for name, one in plain.items():
            same = padded[name][:, : one.shape[1]]
            assert close(one, same), f"{padding} moves {name} by {(one - same).abs().max()}"


def batch_of_one_is_batch_of_many(case: Case, folder: Path) -> None:
    del folder
    model = case.build()
    many = answers(model, case.batch())
    for row in range(len(many["score"])):
        for name, alone in answers(model, case.batch((row,))).items():
            together = many[name][row, : alone.shape[1]]
            assert close(together, alone[0]), f"{name} of example {row} depends on its batch"


def gathered_candidates_score_as_shared_ones(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    assert batch.candidates is not None
    every = score(model, replace(batch, candidates=None))
    assert every.shape == (len(batch.positive), len(batch.products.tokens))
    gathered, picked = score(model, batch), every.gather(1, batch.candidates.clamp(min=0))
    assert close(gathered[batch.keep], picked[batch.keep]), "scores depend on how candidates are laid out"


def known_norms_change_no_score(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    with torch.no_grad():
        query, products = model.encode_query(batch.contexts), model.encode_products(batch.products)
        rows = ProductRows.of(products, batch.candidates).rows
        known = ProductRows(rows, torch.linalg.vector_norm(rows, dim=-1).square())
        one, other = (model.score(query, p)[batch.keep] for p in (ProductRows(rows), known))
    assert close(one, other), "squared norms of the rows' last axis move a score"


def rows_are_as_declared(case: Case, folder: Path) -> None:
    """A row depends on its product alone, and has the declared shape and, in single precision, dtype."""
    del folder
    model, products = case.build(), case.batch().products
    with torch.no_grad():
        rows = model.encode_products(products)
        for i in range(len(rows)):
            one = type(products)(*(getattr(products, name)[i : i + 1] for name in products.__dataclass_fields__))
            assert close(model.encode_products(one)[0], rows[i]), f"the row of product {i} depends on the others"
        single = model.float().encode_products(products)
    assert single.shape == (len(products.tokens), *model.product_shape)
    assert single.dtype == model.product_dtype


def queries_can_be_sliced(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    with torch.no_grad():
        query = model.encode_query(batch.contexts)
        products = ProductRows.of(model.encode_products(batch.products), None)
        every = model.score(query, products)
        assert len(query_tensor(query)) == len(every)
        for part in (slice(0, 1), slice(1, 3)):
            some = model.score(some_queries(query, part), products)
            assert close(some, every[part]), f"queries {part} score differently when they are sliced out"


def every_explanation_has_a_weight_for_each_label(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    with torch.no_grad():
        query = model.encode_query(batch.contexts)
        products = ProductRows.of(model.encode_products(batch.products), batch.candidates)
        for explanation in model.explain(query, products):
            labels = len(explanation.labels)
            assert labels == len(set(explanation.labels)) > 0
            assert {w.shape for w in explanation.query.values()} <= {(len(batch.positive), labels)}
            assert {w.shape for w in explanation.products.values()} <= {(*batch.positive.shape, labels)}


def every_parameter_is_saved_and_trained(case: Case, folder: Path) -> None:
    """Each gets a finite gradient other than zero from the losses together, or is idle for the reason that is named."""
    del folder
    model, batch = case.build(), case.batch()
    names = [name for name, _ in model.named_parameters()]
    assert set(names) <= model.state_dict().keys(), "a parameter is not saved"
    assert all(any(part in name for name in names) for part in case.idle), "an idle parameter is named that is none"
    losses = [model.loss(whole(batch, labelled=labelled)).total for labelled in (True, False)]
    assert all(loss.shape == () and loss.isfinite() for loss in losses)
    found = gradients(model, torch.stack(losses).sum())
    read = [gradient.abs().max() for gradient in found.values() if gradient is not None]
    largest = torch.stack(read).max() if read else torch.tensor(0.0)
    for name, gradient in found.items():
        reasons = [reason for part, reason in case.idle.items() if part in name]
        for reason in reasons:
            assert reason(gradient, largest), f"{name} is not idle: {reason.__doc__}"
        if not reasons:
            assert gradient is not None, f"{name} gets no gradient"
            assert bool(gradient.isfinite().all()), f"{name} gets a gradient that is not finite"
            assert float(gradient.abs().max()) > EXACT * float(largest), f"{name} gets a gradient of zeros"
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            table = found.get(f"{name}.weight")
            assert table is None or not table[module.padding_idx].any(), f"the pad row of {name} is trained"


def parameter_groups_hold_each_trained_parameter_once(case: Case, folder: Path) -> None:
    del folder
    model = case.build()
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    apart = {name for name in names.values() if any(part in name for part in case.elsewhere)}
    assert all(any(part in name for name in apart) for part in case.elsewhere), "nothing is trained elsewhere"
    groups = model.parameter_groups()
    held = [names[id(parameter)] for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held)), "a parameter is in two groups"
    assert set(held) == set(names.values()) - apart
    if groups:
        torch.optim.SGD(groups, lr=1.0)  # they have torch's form


def parts_of_a_batch_add_up_to_the_whole(case: Case, folder: Path) -> None:
    """In their losses, terms and gradients, when each part is told the whole batch's counts."""
    del folder
    model = case.build()
    for batch in (case.batch(), shared(case.batch())):
        for labelled in (True, False):
            shard = whole(batch, labelled=labelled)
            expected = model.loss(shard)
            parts = [model.loss(part_of(model, shard, own)) for own in (slice(0, 1), slice(1, 3))]
            together = torch.stack([part.total for part in parts]).sum()
            assert close(together, expected.total), f"losses add up to {together}, not {expected.total}"
            assert all(part.terms.keys() == expected.terms.keys() for part in parts)
            for name, term in expected.terms.items():
                assert close(sum(part.terms[name] for part in parts), term), f"the parts' {name} is not the whole's"
            ours, whole_ones = gradients(model, together), gradients(model, expected.total)
            for name, gradient in whole_ones.items():
                assert (gradient is None) == (ours[name] is None), name
                assert gradient is None or torch.allclose(ours[name], gradient, atol=1e-10, rtol=1e-10), (
                    f"the parts' gradient of {name} is {(ours[name] - gradient).abs().max()} off"
                )


def evaluation_is_deterministic(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    assert not model.training
    first, loss = answers(model, batch), model.loss(whole(batch)).total
    torch.rand(5)
    again = answers(model, batch)
    assert first.keys() == again.keys()
    assert all(torch.equal(one, again[name]) for name, one in first.items())
    assert torch.equal(loss, model.loss(whole(batch)).total)


def the_gold_state_is_not_read_to_rank(case: Case, folder: Path) -> None:
    """Neither by scores nor by the loss of examples without a label."""
    del folder
    model, batch = case.build(), case.batch()
    tokens, keep = batch.contexts.state_tokens, batch.contexts.state_keep
    other = replace(batch, contexts=replace(batch.contexts, state_tokens=tokens.roll(1, 0), state_keep=~keep))
    plain, changed = answers(model, batch), answers(model, other)
    assert all(torch.equal(one, changed[name]) for name, one in plain.items()), "a gold state moves a score"
    one, another = (model.loss(whole(b, labelled=False)).total for b in (batch, other))
    assert torch.equal(one, another), "a gold state moves the loss of an example without a label"


class Foreign(Model):
    """A model that nobody saved."""


def save_load_is_bit_identical(case: Case, folder: Path) -> None:
    model, batch = case.build().float(), case.batch()
    model.save_pretrained(folder / "saved")
    for read_as in (Model, type(model)):
        loaded = read_as.from_pretrained(folder / "saved")
        assert type(loaded) is type(model)
        assert not loaded.training
        assert type(loaded.config) is type(model.config)
        assert loaded.config == model.config
        assert replace(loaded.spec, text_encoder=None) == replace(model.spec, text_encoder=None)
        assert json.dumps(loaded.spec.text_encoder) == json.dumps(model.spec.text_encoder)  # numbers as keys are words
        before, after = model.state_dict(), loaded.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        said = answers(loaded, batch)
        assert all(torch.equal(one, said[name]) for name, one in answers(model, batch).items())
    with pytest.raises(ModelError, match=rf"saved: expected a Foreign, found a {type(model).__name__}$"):
        Foreign.from_pretrained(folder / "saved")


def candidate_order_changes_nothing(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    assert batch.candidates is not None
    plain, places = score(model, batch), batch.candidates.shape[1]
    for shift in range(1, places):
        order = torch.arange(places).roll(shift)
        moved = score(model, replace(batch, candidates=batch.candidates[:, order]))
        kept = batch.keep[:, order]
        assert close(moved[kept], plain[:, order][kept]), "the order of candidates moves a score"


def duplicated_candidate_scores_alike(case: Case, folder: Path) -> None:
    del folder
    model, batch = case.build(), case.batch()
    assert batch.candidates is not None
    twice = replace(batch, candidates=batch.candidates.repeat(1, 2), positive=batch.positive.repeat(1, 2))
    one, other = score(model, twice).chunk(2, dim=1)
    assert torch.equal(one, other)
    assert close(one[batch.keep], score(model, batch)[batch.keep]), "a duplicate moves the other candidates' scores"


def accuracy(case: Case, *, shuffled: bool) -> float:
    """How often the right one of six products comes first after training (tests/planted.py), in contexts that are new."""
    pictures = small_world(case.pictures).pictures
    return planted.accuracy(
        (case.start or case.build)(),
        pictures,
        case.turns,
        shuffled=shuffled,
        steps=min(case.learns, 30) if shuffled else case.learns,
    )


def learns_a_planted_signal(case: Case, folder: Path) -> None:
    del folder
    if case.learns and case.build().parameter_groups():
        found = accuracy(case, shuffled=False)
        assert found > 0.8, f"it finds {found:.2f} of what it was taught"


def stays_at_chance_on_shuffled_labels(case: Case, folder: Path) -> None:
    """One in six, give or take four standard deviations: more would be read off something else than what is said."""
    del folder
    found = accuracy(case, shuffled=True)
    assert found < 1 / 6 + 4 * (1 / 6 * 5 / 6 / 120) ** 0.5, f"it finds {found:.2f} where nothing is to be learnt"


Check = Callable[[Case, Path], None]
BATTERY: tuple[Check, ...] = (
    padding_changes_nothing,
    batch_of_one_is_batch_of_many,
    gathered_candidates_score_as_shared_ones,
    known_norms_change_no_score,
    rows_are_as_declared,
    queries_can_be_sliced,
    every_explanation_has_a_weight_for_each_label,
    every_parameter_is_saved_and_trained,
    parameter_groups_hold_each_trained_parameter_once,
    parts_of_a_batch_add_up_to_the_whole,
    evaluation_is_deterministic,
    the_gold_state_is_not_read_to_rank,
    save_load_is_bit_identical,
    candidate_order_changes_nothing,
    duplicated_candidate_scores_alike,
    learns_a_planted_signal,
    stays_at_chance_on_shuffled_labels,
)
