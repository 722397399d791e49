"""The model for small data against loops, and what its shared negatives and groups of parameters promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semantic.batching.steps import TrainingSteps
from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.datasets.batches.builder import BatchBuilder, Pieces
from semantic.dst.state import GoldValues
from semantic.models.interface import ProductRows
from semantic.models.losses import Hinge, SampledSoftmax
from semantic.models.semantic.small_data import SmallDataSemantic
from semantic.training.ema import MovingAverage
from semantic.training.optimiser import make_optimizer
from tests.oracle import add, cos, interact, softmax
from tests.small_world import (
    DIM,
    SPECS,
    VARIANTS,
    Example,
    Item,
    build,
    collate,
    fill,
    formula,
    small_config,
    small_spec,
    small_world,
    whole,
)

EXACT = {"atol": 1e-10, "rtol": 0}
CONFIG = small_config("small_data")
SPEC = SPECS["small_data"]


class SmallDataOracle:
    """The model's own weights under the equations of its modules, an example at a time; no padding exists here."""

    def __init__(self, model, world):
        self.model, self.world = model, world
        self.table = model.turn_text.words.words.weight

    def bag(self, query, words):
        """Words with their shares: one for a word that is there, its probability for one guessed."""
        terms = [share * (query @ self.table[word] / DIM**0.5).exp() for word, share in words]
        return add([t / sum(terms) * self.table[w] for t, (w, _) in zip(terms, words, strict=True)], DIM, self.table)

    def photo(self, picture):
        image = self.model.image
        return image.weight @ ((self.world.pictures[picture] - image.mean) / image.deviation)

    def guesses(self, item):
        """(word, probability) of the catalogue's words that the item's text lacks."""
        words, image, network = SPEC["catalogue_words"], self.model.image, self.model.completion.network
        features = torch.zeros_like(image.mean)
        if item.photo is not None:
            features = (self.world.pictures[item.photo] - image.mean) / image.deviation
        present = torch.tensor([float(word in item.tokens) for word in words]).double()
        hidden = network[0].weight @ torch.cat([features, present]) + network[0].bias
        gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        shares = 1 / (1 + (-(network[3].weight @ gelu + network[3].bias) - 3.0).exp())
        found = [(w, share.detach()) for w, share in zip(words, shares, strict=True) if share > 0.3]
        return [(word, share) for word, share in found if word not in item.tokens]

    def product(self, item: Item):
        words = [(word, 1.0) for word in item.tokens] + self.guesses(item)
        text = self.model.product_projection.weight @ self.bag(self.model.product_text.query, words)
        return text, self.table.new_zeros(DIM) if item.photo is None else self.photo(item.photo)

    def context(self, turns):
        """c_T, c_V and the share of attention on photos."""
        c, texts = (
            self.model.context,
            [self.bag(self.model.turn_text.query, [(w, 1.0) for w in t.tokens]) for t in turns],
        )
        places = range(SPEC["context_turns"] - len(turns), SPEC["context_turns"])
        weights = softmax([c.score @ u / DIM**0.5 + c.position[p] for u, p in zip(texts, places, strict=True)])
        mean = add([w * u for w, u in zip(weights, texts, strict=True)], DIM, self.table)
        text = c.last.weight @ texts[-1] + c.gate * (c.mean.weight @ mean)
        shown = [(place, self.photo(v)) for place, turn in zip(places, turns, strict=True) for v in turn.photos]
        asked = c.query.weight @ text
        scores = [10.0 * cos(asked, photo) + c.photo_position[place] for place, photo in shown]
        *attention, _ = softmax([*scores, c.sink + text @ c.sink_query / DIM**0.5])
        image = add([a * v / v.norm() for a, (_, v) in zip(attention, shown, strict=True)], DIM, self.table)
        return text, image, sum(attention, self.table.new_zeros(()))

    def keys(self):
        tokens = self.model.spec.key_tokens
        return [add([self.table[t] for t in key], DIM, self.table) / len(key) for key in tokens]

    def gold(self, values):
        """Value embeddings, zero where unset, and which slots are set."""
        unset = [value == self.model.spec.unset_tokens for value in values]
        means = [add([self.table[t] for t in value], DIM, self.table) / len(value) for value in values]
        return [m * (not u) for m, u in zip(means, unset, strict=True)], [
            self.table.new_tensor(float(not u)) for u in unset
        ]

    def read(self, turns):
        """The student's value embeddings, and how far each slot is set."""
        student, first = self.model.state.student, SPEC["context_turns"] - len(turns)
        words = [(first + i, word) for i, turn in enumerate(turns) for word in turn.tokens]
        values, is_set = [], []
        for slot, key in enumerate(self.keys()):
            query = student.query.weight @ key / DIM**0.5 + student.extra[slot]
            scores = [query @ self.table[w] / DIM**0.5 + student.position[slot, place] for place, w in words]
            *shares, unset = softmax([*scores, student.unset[slot]])
            values.append(add([a * self.table[w] for a, (_, w) in zip(shares, words, strict=True)], DIM, self.table))
            is_set.append(1 - unset)
        return values, is_set

    def state(self, values):
        teacher = self.model.state.teacher
        return [0.3 * (teacher.key_weight * key + value) for key, value in zip(self.keys(), values, strict=True)]

    def sums(self, example: Example, values):
        """cos(x_CT, x_PT) + gate share cos(x_CV, x_PV) of every candidate."""
        state, found = self.state(values), []
        maps = [[(layer.weight, None) for layer in interaction.maps]
                for interaction in (self.model.text_interaction, self.model.image_interaction)]  # fmt: skip
        c_text, c_image, share = self.context(example.turns)
        for candidate in example.candidates:
            text, image = (
                cos(interact(c, state, m, 0.1)[0], interact(p, state, m, 0.1)[0])
                for c, p, m in zip((c_text, c_image), self.product(self.world.items[candidate]), maps, strict=True)
            )
            found.append(text + self.model.photo_gate * share * image)
        return torch.stack(found)


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


# Shared negatives.


@pytest.fixture(scope="module")
def drawing(shop):
    pieces = Pieces(*(np.full((n, 1), 3, np.int32) for n in (shop.num_products, len(shop.turn_texts),
                                                             len(shop.state_values))))  # fmt: skip
    features = np.arange(shop.num_products, dtype=np.float32)[:, None]  # a product's feature is its number
    return BatchBuilder(shop, pieces, features, context_turns=3, photos_per_turn=2, pad=0)


@pytest.mark.parametrize("pool", [[], [0, 7, 7, 13]])
def test_a_pool_and_all_positives_are_everyones_candidates(shop, drawing, pool):
    rows = np.array([5, 2, 3])

    batch = drawing.shared_batch(rows, np.array(pool, dtype=np.int64))

    products = batch.products.photos[:, 0].int().tolist()
    shown = [{int(product) for product in shop.positives(row)} for row in rows]
    assert products == sorted({*pool}.union(*shown))
    assert batch.candidates is None
    for positive, expected in zip(batch.positive, shown, strict=True):
        assert {product for product, plus in zip(products, positive, strict=True) if plus} == expected
    assert torch.equal(batch.contexts.turn_tokens, drawing.contexts(rows).turn_tokens)


def test_a_batchs_pool_is_drawn_by_its_seed_epoch_and_step(shop, drawing):
    training = make_config(VARIANTS["small_data"], ["training.shared_negatives=11", "training.batch_size=5"]).training
    steps = TrainingSteps(drawing, np.arange(10), training, seed=3)

    def drawn(steps, step):
        return steps[step].products.photos[:, 0].int().tolist()

    assert drawn(steps, 0) == drawn(steps, 0)
    others = [
        drawn(steps, 1),
        drawn(steps.at(1), 0),
        drawn(replace(steps, seed=4), 0),
        drawn(replace(steps, labelled=False), 0),
    ]
    assert drawn(steps, 0) not in others
    assert all(batch.candidates is None and batch.positive.any(1).all() for batch in steps)
    assert {p for step in range(2) for p in drawn(steps, step)} <= set(range(shop.num_products))


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


def test_the_papers_model_has_no_gates():
    model = build("paper")

    (group,) = make_optimizer(model, CONFIG.training).param_groups

    assert len(group["params"]) == len(list(model.parameters()))


def test_the_moving_average_warms_up_to_its_decay():
    for steps, decay in ((0, 0), (1, 2 / 11), (8, 9 / 18), (100_000, 0.9)):
        start, now = formula((3, 5), 1), formula((3, 5), 2)
        model = torch.nn.ParameterList([start.clone()])
        average = MovingAverage(model, 0.9)
        with torch.no_grad():
            model[0].copy_(now)
        average.update(model, steps)
        torch.testing.assert_close(average.model[0].data, decay * start + (1 - decay) * now, atol=1e-12, rtol=0)
