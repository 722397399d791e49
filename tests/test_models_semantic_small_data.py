"""The model for small data against loops, its choices, and its groups of parameters."""

import math
from dataclasses import replace

import pytest
import torch

from semantic.batching.shards import Counts
from semantic.config.errors import ConfigError
from semantic.dst.state import GoldValues
from semantic.models.interface import ProductRows
from semantic.models.losses import Hinge, SampledSoftmax
from semantic.models.semantic.small_data import SmallDataSemantic
from semantic.training.optimiser import make_optimizer
from tests.oracle import cos, softmax
from tests.small_data_oracle import SmallDataOracle
from tests.small_world import (
    SPECS,
    Item,
    build,
    collate,
    fill,
    small_config,
    small_spec,
    small_world,
    whole,
)

EXACT = {"atol": 1e-10, "rtol": 0}
CONFIG = small_config("small_data")
SPEC = SPECS["small_data"]


@pytest.fixture
def model():
    return build("small_data")


def encoded(model, batch):
    """What the model reads of a batch's contexts, the student's state, and the teacher's."""
    words, contexts = model.words(), batch.contexts
    reading = model.read_contexts(contexts, words)
    gold = model.state.encode(words, GoldValues(contexts.state_tokens, contexts.state_keep))
    return reading, model.state.infer(words, reading.evidence), gold


def match(model, batch, reading, state):
    products = ProductRows.of(model.encode_products(batch.products), batch.candidates)
    return model.match(model.query(reading, state), products)


def test_the_variant_is_the_shipped_experiments():
    config = CONFIG.model
    assert type(build("small_data")) is SmallDataSemantic
    assert config.text.completion
    assert (config.interaction.temperature, config.state_scale, config.gate_learning_rate) == (0.1, 0.3, 0.02)
    assert config.loss.ranking == SampledSoftmax(scale=12)
    assert CONFIG.training.shared_negatives > 0


def test_the_forward_is_the_loop_over_examples_and_candidates(model):
    world = small_world()
    oracle, batch = SmallDataOracle(model, world), collate(world)
    reading, student, teacher = encoded(model, batch)
    scores = model.score(
        model.encode_query(batch.contexts), ProductRows.of(model.encode_products(batch.products), batch.candidates)
    )

    for row, example in enumerate(world.examples):
        inferred, known = oracle.read(example.turns), oracle.gold(example.values)
        for state, (vectors, is_set) in ((student, inferred), (teacher, known)):
            torch.testing.assert_close(state.values.values[row], torch.stack(vectors), **EXACT)
            torch.testing.assert_close(state.values.is_set[row], torch.stack(is_set), **EXACT)
            torch.testing.assert_close(state.embeddings[row], torch.stack(oracle.state(vectors)), **EXACT)
            expected, count = oracle.sums(example, vectors), len(example.candidates)
            found = match(model, batch, reading, state)
            torch.testing.assert_close(found.relevance[row, :count], torch.tanh(expected), **EXACT)
            torch.testing.assert_close(found.logits[row, :count], model.log_scale.exp() * expected, **EXACT)
        student_sums = oracle.sums(example, inferred[0])
        torch.testing.assert_close(scores[row, : len(example.candidates)], torch.tanh(student_sums), **EXACT)


def test_rows_and_readings_are_the_loops(model):
    world = small_world()
    oracle, batch = SmallDataOracle(model, world), collate(world)
    rows, (reading, _, _) = model.encode_products(batch.products), encoded(model, batch)

    for row, item in zip(rows, world.items, strict=True):  # every item is a candidate
        torch.testing.assert_close(row, torch.stack(oracle.product(item)), **EXACT)
    for row, example in enumerate(world.examples):
        text, image, share = oracle.context(example.turns)
        torch.testing.assert_close(reading.text[row], text.unsqueeze(0), **EXACT)
        torch.testing.assert_close(reading.image[row], image.unsqueeze(0), **EXACT)
        torch.testing.assert_close(reading.photo_share[row], share, **EXACT)


def oracle_losses(oracle, examples):
    """(joint, student) losses by loops over examples, positives and slots."""
    scale, batch = oracle.model.log_scale.exp(), len(examples)
    ranking, state, gold = [0.0, 0.0], 0.0, [oracle.gold(example.values) for example in examples]
    for example, known in zip(examples, gold, strict=True):
        inferred = oracle.read(example.turns)
        for who, (values, _) in enumerate((known, inferred)):
            logits = scale * oracle.sums(example, values)
            for plus in range(example.positives):
                share = softmax([logits[plus], *logits[example.positives :]])[0]
                ranking[who] = ranking[who] - share.log() / example.positives / batch
        for slot, value in enumerate(example.values):
            is_set = inferred[1][slot].clamp(1e-4, 1 - 1e-4)
            state = state - (is_set if known[1][slot] else 1 - is_set).log() / batch
            if known[1][slot]:
                distinct = {e.values[slot]: g[0][slot].detach() for e, g in zip(examples, gold, strict=True)
                            if g[1][slot]}  # fmt: skip
                shares = softmax([20.0 * cos(inferred[0][slot], vector) for vector in distinct.values()])
                state = state - shares[list(distinct).index(value)].log() / batch
    alpha, weight = CONFIG.model.loss.alpha, CONFIG.model.loss.state_weight
    return alpha * ranking[0] + (1 - alpha) * (ranking[1] + weight * state), ranking[1]


def test_the_losses_and_their_gradients_are_the_loops(model):
    world = small_world()
    batch, parameters = collate(world), dict(model.named_parameters())
    losses = [model.loss(whole(batch, labelled=labelled)).total for labelled in (True, False)]

    for found, expected in zip(losses, oracle_losses(SmallDataOracle(model, world), world.examples), strict=True):
        torch.testing.assert_close(found, expected, **EXACT)
        ours, theirs = (
            torch.autograd.grad(
                loss, list(parameters.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for loss in (found, expected)
        )
        for name, one, other in zip(parameters, ours, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-9, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_a_shard_with_the_whole_batchs_states_has_the_loops_share_of_them(model):
    """Each of two processes tells its examples' values from those of both: together they have the whole's loss."""
    batch = collate(small_world())
    expected = model.loss(whole(batch)).terms["state_values"]

    def of(own, states):
        contexts = batch.contexts
        said = {name: getattr(contexts, name)[own] for name in ("turns", "state_tokens", "state_keep")}
        part = replace(
            batch, contexts=replace(contexts, **said), candidates=batch.candidates[own], positive=batch.positive[own]
        )
        shard = replace(whole(batch), batch=part, own=own, states=contexts if states else None)
        return model.loss(shard).terms["state_values"]

    parts = (slice(0, 2), slice(2, 3))
    torch.testing.assert_close(sum(of(own, True) for own in parts), expected, **EXACT)
    assert (sum(of(own, False) for own in parts) - expected).abs() > 1e-3  # without them it is another loss


def test_without_photos_relevance_is_of_texts_alone(model):
    world = small_world()
    blind = replace(world, examples=tuple(
        replace(e, turns=tuple(replace(turn, photos=()) for turn in e.turns)) for e in world.examples
    ))  # fmt: skip
    batch = collate(blind)

    reading, student, _ = encoded(model, batch)
    model.loss(whole(batch)).total.backward()

    assert not reading.photo_share.any()
    assert not reading.image.any()
    before = match(model, batch, reading, student).relevance
    with torch.no_grad():
        model.photo_gate.fill_(1e6)
    assert torch.equal(match(model, batch, reading, student).relevance, before)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_photos_of_no_product_and_texts_of_none_have_finite_gradients(model):
    world = small_world()
    bare = replace(world, items=tuple(Item((), None) for _ in world.items), examples=tuple(
        replace(e, turns=tuple(replace(turn, tokens=()) for turn in e.turns)) for e in world.examples
    ))  # fmt: skip
    batch = collate(bare)

    loss = model.loss(whole(batch)).total
    loss.backward()

    assert loss.isfinite()
    assert not encoded(model, batch)[1].values.is_set.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_candidates_of_none_are_all_products_of_every_example(model):
    batch = collate(small_world())
    products, rows = len(batch.products.tokens), len(batch.positive)
    positive = torch.zeros(rows, products, dtype=torch.bool)
    positive[:, 1] = True
    shared = replace(batch, candidates=None, positive=positive)
    listed = replace(batch, candidates=torch.arange(products).expand(rows, -1), positive=positive)

    assert shared.keep.all()
    for state in (1, 2):  # the student's, the teacher's
        one, other = (match(model, b, encoded(model, b)[0], encoded(model, b)[state]) for b in (shared, listed))
        torch.testing.assert_close(one.logits, other.logits, atol=1e-12, rtol=0)
        torch.testing.assert_close(one.relevance, other.relevance, atol=1e-12, rtol=0)
    losses = [model.loss(whole(b)).total for b in (shared, listed)]
    gradients = [torch.autograd.grad(loss, list(model.parameters()), allow_unused=True) for loss in losses]
    for a, b in zip(*gradients, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-12, rtol=0)


def test_half_precision_of_the_encoders_keeps_losses_single():
    model = fill(SmallDataSemantic(CONFIG.model, small_spec(**SPEC))).eval()
    batch = collate(replace(small_world(), pictures=small_world().pictures.float()))
    single = model.loss(whole(batch)).total

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.loss(whole(batch))

    found.total.backward()
    assert {term.dtype for term in (found.total, *found.terms.values())} == {torch.float32}
    assert abs(found.total.item() - single.item()) < 0.1 * abs(single.item())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("heads", 2), ("layers", 1), ("inner", 11), ("memory", "input"), ("pooling", "mean"), ("photos", "sum"),
        ("value_mean", "pieces"), ("context", "pooled"), ("state", "values"), ("photo_weight", "attention"),
        ("text", {"encoder": "bag"}), ("text", {"layers": 1}), ("image", {"projection": "whitened"}),
        ("image", {"frozen": True}), ("interaction", {"map": "affine"}), ("interaction", {"text_start": "zero"}),
    ],
)  # fmt: skip
def test_choices_of_the_papers_model_and_those_that_are_made_are_no_keys(key, value):
    path = f"{key}.{next(iter(value))}" if isinstance(value, dict) else key
    with pytest.raises(ConfigError, match=f"1 fault\n  model.{path}: "):
        small_config("small_data", **{key: value})


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        ({}, SampledSoftmax(scale=20)),
        ({"scale": 5}, SampledSoftmax(scale=5)),
        ({"kind": "hinge", "margin": 0.5}, Hinge(margin=0.5)),
    ],
)
def test_a_ranking_without_its_kind_is_the_softmax_here(ranking, expected):
    model = build("small_data", loss={"ranking": ranking})

    assert model.config.loss.ranking == expected
    assert (model.log_scale is None) == isinstance(expected, Hinge)


# Training.


@pytest.mark.parametrize("rate", [None, 0.25])
def test_every_trained_parameter_is_in_one_group_and_gates_in_their_own(rate):
    model = build("small_data", gate_learning_rate=rate)
    training = CONFIG.training.model_copy(update={"learning_rate": 0.125})
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    groups = make_optimizer(model, training).param_groups

    held = [[names[id(parameter)] for parameter in group["params"]] for group in groups]
    together = [name for group in held for name in group]
    assert len(together) == len(set(together))
    assert set(together) == {name for name in names.values() if not name.startswith("completion.")}
    gates = {"photo_gate", "context.photo_position", "context.sink", "state.student.position", "state.student.unset"}
    assert set(held[1]) == gates
    assert [group["lr"] for group in groups] == [0.125, rate or 0.125]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ranking_loss_of_saturated_scores_is_finite(model, dtype):
    scores = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 0.3]], dtype=dtype)  # tanh of 10 is 1 in float32
    positive = torch.tensor([[True, False, False], [True, False, False]])
    keep = torch.tensor([[True, True, True], [True, True, False]])

    found = model.to(dtype).ranking_loss(scores, positive, keep, Counts.of(positive, keep))

    farthest = 2 * math.atanh(1 - torch.finfo(dtype).eps) * model.log_scale.exp().item()
    # Level with one negative: log 2. As far below one as there is room: that distance.
    assert found.item() == pytest.approx((math.log(2) + farthest) / 2, rel=1e-4)
