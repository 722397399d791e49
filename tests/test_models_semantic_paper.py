"""The paper's model against a transcription of the equations with loops (oracle.py), and what it refuses."""

import json
from types import SimpleNamespace

import pytest
import torch

from semantic.config.errors import ConfigError
from semantic.config.schema import TrainingConfig
from semantic.dst.state import GoldValues
from semantic.models.interface import ProductRows
from semantic.models.saving import ModelError
from semantic.models.semantic.paper import Semantic
from semantic.training.optimiser import make_optimizer
from tests.oracle import Oracle, jensen_shannon, symmetric_kl
from tests.small_world import FEATURES, VARIANTS, build, collate, formula, small_config, small_world, whole, window

EXACT = {"atol": 1e-10, "rtol": 0}
CHOICES = {
    "paper": ("paper", {}),
    "released": ("released", {}),
    "temperature": ("released", {"interaction": {"hops": 3, "temperature": 0.2}}),
    "no layers on text": ("paper", {"text": {"layers": 0}, "pooling": "mean"}),
}


@pytest.fixture(params=CHOICES)
def subject(request):
    """A model, the world, its batch, and the oracle over the same weights."""
    variant, changes = CHOICES[request.param]
    model, world = build(variant, **changes), small_world()
    return SimpleNamespace(model=model, world=world, batch=collate(world), oracle=Oracle(model), config=model.config)


def used(world):
    return sorted({candidate for example in world.examples for candidate in example.candidates})


def gold(model, contexts):
    """The teacher's state."""
    return model.state.encode(model.words(), GoldValues(contexts.state_tokens, contexts.state_keep))


def matches(model, batch):
    """(teacher's, student's) match of a batch."""
    reading = model.read_contexts(batch.contexts, model.words())
    products = ProductRows.of(model.encode_products(batch.products), batch.candidates)
    inferred = model.state.infer(model.words(), reading.evidence)
    return tuple(model.match(model.query(reading, s), products) for s in (gold(model, batch.contexts), inferred))


def test_product_vectors(subject):
    found = subject.model.encode_products(subject.batch.products)

    for row, item in enumerate(used(subject.world)):
        text, image = subject.oracle.product(subject.world.items[item], subject.world)
        torch.testing.assert_close(found[row, 0], text, **EXACT)
        torch.testing.assert_close(found[row, 1], image, **EXACT)
        assert subject.world.items[item].photo is not None or not found[row, 1].any()


def test_context_vectors(subject):
    found = subject.model.read_contexts(subject.batch.contexts, subject.model.words())

    for row, example in enumerate(subject.world.examples):
        texts, images = (torch.stack(vectors) for vectors in subject.oracle.context(example.turns, subject.world))
        turns = len(example.turns)
        torch.testing.assert_close(found.text[row, -turns:], texts, **EXACT)
        torch.testing.assert_close(found.image[row, -turns:], images, **EXACT)
        torch.testing.assert_close(found.evidence.turns[row, -turns:], texts + images, **EXACT)
        assert found.evidence.keep[row].tolist() == [False] * (3 - turns) + [True] * turns
    assert found.photo_share is None


def test_teacher_and_student_states(subject):
    model, contexts = subject.model, subject.batch.contexts
    teacher = gold(model, contexts)
    student = model.state.infer(model.words(), model.read_contexts(contexts, model.words()).evidence)

    for row, example in enumerate(subject.world.examples):
        expected = torch.stack(subject.oracle.teacher(example.values))
        torch.testing.assert_close(teacher.embeddings[row], expected, **EXACT)
        inferred = subject.oracle.student(*subject.oracle.context(example.turns, subject.world))
        torch.testing.assert_close(student.embeddings[row], torch.stack(inferred), **EXACT)


def oracle_matches(subject):
    """(teacher's, student's) match of every example."""
    for example in subject.world.examples:
        student = subject.oracle.student(*subject.oracle.context(example.turns, subject.world))
        teacher = subject.oracle.teacher(example.values)
        yield (
            tuple(subject.oracle.match(example, subject.world, state) for state in (teacher, student)),
            (teacher, student),
        )


def test_matches_of_teacher_and_student(subject):
    by_state = matches(subject.model, subject.batch)

    for row, (expected_matches, _) in enumerate(oracle_matches(subject)):
        for found, expected in zip(by_state, expected_matches, strict=True):
            count = len(expected.relevance)
            torch.testing.assert_close(found.relevance[row, :count], expected.relevance, **EXACT)
            torch.testing.assert_close(found.context_text[row], expected.context_text, **EXACT)
            torch.testing.assert_close(found.context_image[row], expected.context_image, **EXACT)
            torch.testing.assert_close(found.product_text[row, :count], expected.product_text, **EXACT)
            torch.testing.assert_close(found.product_image[row, :count], expected.product_image, **EXACT)
            torch.testing.assert_close(found.text_image_cosine[row, :count], expected.text_image, **EXACT)
            assert found.logits is None  # a hinge needs none


def test_scores_and_explanations_are_the_students(subject):
    model, batch = subject.model, subject.batch
    query = model.encode_query(batch.contexts)
    products = ProductRows.of(model.encode_products(batch.products), batch.candidates)

    scores = model.score(query, products)
    (explanation,) = model.explain(query, products)

    assert explanation.labels == ("slot0", "slot1", "slot2")
    for row, ((_, student), _) in enumerate(oracle_matches(subject)):
        count = len(student.relevance)
        torch.testing.assert_close(scores[row, :count], student.relevance, **EXACT)
        torch.testing.assert_close(explanation.query["dialogue text"][row], student.context_text, **EXACT)
        torch.testing.assert_close(explanation.query["dialogue photos"][row], student.context_image, **EXACT)
        torch.testing.assert_close(explanation.products["text"][row, :count], student.product_text, **EXACT)
        torch.testing.assert_close(explanation.products["photo"][row, :count], student.product_image, **EXACT)


def oracle_losses(subject):
    """(joint, student) losses with loops over examples, positives and negatives."""
    config, examples = subject.config.loss, subject.world.examples
    distance = {"jensen_shannon": jensen_shannon, "symmetric_kl": symmetric_kl}[config.divergence]
    ranking, divergence, correlation, mse = ([[], []] for _ in range(4))
    for example, (matches, states) in zip(examples, oracle_matches(subject), strict=True):
        for who, match in enumerate(matches):
            texts = [distance(match.context_text, p) for p in match.product_text]
            images = [distance(match.context_image, p) for p in match.product_image]
            g = [text + image for text, image in zip(texts, images, strict=True)]
            f = match.relevance
            for plus in range(example.positives):
                for minus in range(example.positives, len(example.candidates)):
                    ranking[who].append(torch.relu(1 - f[plus] + f[minus]))
                    divergence[who].append(torch.relu(g[plus] - g[minus]))
            correlation[who] += [torch.relu(1 - c) for c in match.text_image]
        mse[0] += [(s - t).square().mean() for t, s in zip(*states, strict=True)]

    def mean(values):
        return sum(values) / len(values)

    def everything(who):
        over = len(examples) if config.correlation == "sum" else len(correlation[who])
        return mean(ranking[who]) + mean(divergence[who]) + sum(correlation[who]) / over

    teacher, student = 0, 1
    joint = config.alpha * everything(teacher) + (1 - config.alpha) * (mean(ranking[student]) + mean(mse[0]))
    return joint, everything(student)


def test_losses_and_their_gradients(subject):
    losses = [subject.model.loss(whole(subject.batch, labelled=labelled)).total for labelled in (True, False)]
    parameters = dict(subject.model.named_parameters())

    for found, expected in zip(losses, oracle_losses(subject), strict=True):
        torch.testing.assert_close(found, expected, **EXACT)
        ours, theirs = (
            torch.autograd.grad(
                loss, list(parameters.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for loss in (found, expected)
        )
        for name, one, other in zip(parameters, ours, theirs, strict=True):
            pad = name.endswith("words.words.weight") and subject.config.value_mean == "padded_sum"
            torch.testing.assert_close(
                one[pad:], other[pad:], atol=1e-9, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.parametrize("variant", VARIANTS)
def test_single_precision_agrees_with_double(variant):
    model, world = build(variant), small_world()
    batch = collate(world, turns_at_least=window(small_config(variant)))

    def scores():
        return model.score(
            model.encode_query(batch.contexts), ProductRows.of(model.encode_products(batch.products), batch.candidates)
        )

    double = scores()
    model.float()
    single = scores()

    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_modules_share_weights_only_where_the_equations_do(variant):
    names = {}
    for name, parameter in build(variant).named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    shared = {name.removeprefix("turn_text.") for group in names.values() if len(group) > 1 for name in group}

    assert {name for name in shared if not name.startswith("product_text.")} == (
        {"words.words.weight", "words.positions.weight"}
        if variant == "released"
        else {name for name, _ in build(variant).turn_text.named_parameters()}
    )


def test_a_real_backbone_sees_photos_as_the_equations_say():
    photos = (formula((5, 32, 32, 3), 3) * 127.5 + 127.5).to(torch.uint8)
    model = build("paper", {"image_features": None}, image={"backbone": "resnet18"}).float()
    world = small_world(photos)
    oracle, features = Oracle(model), model.backbone(photos)
    in_features = small_world(features)
    assert model.inputs.photos == "pictures"

    products = model.encode_products(collate(world).products)
    context = model.read_contexts(collate(world).contexts, model.words())

    for row, item in enumerate(used(world)):
        _, expected = oracle.product(world.items[item], in_features)
        torch.testing.assert_close(products[row, 1], expected, atol=1e-4, rtol=1e-4)
    for row, example in enumerate(world.examples):
        _, images = oracle.context(example.turns, in_features)
        torch.testing.assert_close(context.image[row, -1], images[-1], atol=1e-4, rtol=1e-4)
    model.train().loss(whole(collate(world))).total.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.backbone.parameters())


def test_a_step_runs_the_backbone_once_over_products_and_contexts():
    """Statistics over processes need as many calls on each of them."""
    model = build("released", {"image_features": None}, image={"backbone": "resnet18"}).float()
    batch = collate(small_world((formula((5, 32, 32, 3), 3) * 127.5 + 127.5).to(torch.uint8)))
    seen = []
    model.backbone.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))

    model.train().loss(whole(batch))

    assert seen == [6 + 5]  # the products' photos, then the pictures of the contexts


def test_no_photo_in_a_batch_is_no_fault():
    model, world = build("paper"), small_world()
    batch = collate(world, [1])
    assert not (batch.contexts.turn_photos >= 0).any()

    alone, among_others = (matches(model, b)[1].relevance for b in (batch, collate(world)))

    torch.testing.assert_close(alone[0], among_others[1, :2], atol=1e-12, rtol=0)


def test_features_of_another_width_and_pictures_without_a_backbone_are_refused():
    model = build("paper")
    with pytest.raises(ValueError, match=f"image features: expected width {FEATURES}, got 3"):
        model.encode_products(collate(small_world(formula((5, 3), 1))).products)
    with pytest.raises(ValueError, match=r"photos: expected features \[photo, feature\].*, got pictures"):
        model.encode_products(collate(small_world(torch.zeros(5, 8, 8, 3, dtype=torch.uint8))).products)


def test_the_first_epoch_is_the_teachers_alone_only_if_asked_and_without_d_p():
    batch = collate(small_world())
    asked, plain = build("paper", loss={"teacher_first": True}), build("paper")

    def terms(model, **facts):
        return set(model.loss(whole(batch, **facts)).terms)

    teacher = {"teacher_ranking", "teacher_divergence", "teacher_correlation"}
    assert terms(asked, all_labelled=True) == teacher
    everything = teacher | {"student_ranking", "state_mse"}
    assert terms(asked, all_labelled=True, epoch=1) == terms(asked) == terms(plain, all_labelled=True) == everything


def test_the_state_weight_multiplies_the_term_of_the_states():
    shard = whole(collate(small_world()))
    plain, heavy = (build("paper", loss={"state_weight": weight}).loss(shard).terms["state_mse"] for weight in (1, 7))

    assert plain > 1e-3
    torch.testing.assert_close(heavy, 7 * plain, **EXACT)


def test_a_term_of_weight_zero_is_not_computed():
    off = build("paper", loss={"divergence_weight": 0, "correlation_weight": 0, "state_weight": 0})
    loss = off.loss(whole(collate(small_world())))

    assert set(loss.terms) == {"teacher_ranking", "student_ranking"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"encoder": "contextual"}, r"a checkpoint \(model.text.checkpoint\) for encoder contextual"),
        ({"encoder": "contextual", "checkpoint": "bert", "table_scale": "unit"}, "encoder tables for table_scale unit"),
    ],
)
def test_a_contextual_encoder_needs_a_checkpoint_and_has_no_table_to_scale(text, message):
    with pytest.raises(ConfigError, match=message):
        small_config("paper", text=text)


def test_heads_must_divide_dim():
    with pytest.raises(ConfigError, match=r"model.heads: expected a divisor of model.dim \(14\), got 3"):
        small_config("paper", heads=3)


@pytest.mark.parametrize(
    "key",
    ["context", "state", "state_scale", "photo_weight", "image_query", "pool", "score_scale", "gate_learning_rate"],
)
def test_what_belongs_to_the_other_model_or_to_none_is_no_key_of_this_one(key):
    with pytest.raises(ConfigError, match=f"1 fault\n  model.{key}: "):
        small_config("paper", **{key: "text"})


def test_a_saved_model_holds_no_pickle(tmp_path):
    build("paper").float().save_pretrained(tmp_path / "saved")

    assert {file.suffix for file in (tmp_path / "saved").iterdir()} <= {".json", ".safetensors", ".md"}


@pytest.fixture
def saved(tmp_path):
    build("paper").float().save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("content", ["the same", "another"])
def test_a_saved_model_of_another_version_is_refused(saved, content):
    change(saved / "config.json", version=99)
    if content == "another":
        description = json.loads((saved / "config.json").read_text())
        change(saved / "config.json", **{key: {"new": 1} for key in description.keys() - {"format", "version"}})
    with pytest.raises(
        ModelError, match=r"config.json: expected semantic-model version 2, found semantic-model version 99"
    ):
        Semantic.from_pretrained(saved)


def test_a_saved_model_of_other_dimensions_is_refused(saved):
    model = json.loads((saved / "config.json").read_text())["model"]
    change(saved / "config.json", model={**model, "layers": 1})
    with pytest.raises(
        ModelError, match=r"model.safetensors: expected the weights that config.json beside it describes"
    ):
        Semantic.from_pretrained(saved)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_weights_that_do_not_read_are_refused(saved, damage):
    file = saved / "model.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[:1000])
    with pytest.raises(ModelError, match=r"model.safetensors: expected the weights"):
        Semantic.from_pretrained(saved)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"expected a saved model with its config.json, found none"):
        Semantic.from_pretrained(tmp_path)


def test_the_papers_model_has_no_gates():
    model = build("paper")

    (group,) = make_optimizer(model, TrainingConfig()).param_groups

    assert len(group["params"]) == len(list(model.parameters()))
