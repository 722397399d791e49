"""The model against a transcription of the equations with loops (oracle.py), and the battery for every variant."""

import json
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig

from semantic.models.saving import ModelError
from semantic.models.semantic.objective import joint_loss, student_loss
from semantic.models.semantic.paper import Semantic
from tests.battery import BATTERY
from tests.oracle import Oracle, jensen_shannon, symmetric_kl
from tests.small_world import (
    DIM,
    FEATURES,
    VARIANTS,
    build,
    collate,
    fill,
    formula,
    small_config,
    small_sizes,
    small_world,
)

EXACT = {"atol": 1e-10, "rtol": 0}
CHOICES = {
    "paper": ("paper", {}),
    "released": ("released", {}),
    "query is the image": ("paper", {"image_query": "image"}),
    "temperature": ("released", {"interaction": {"hops": 3, "temperature": 0.2}}),
    "no layers on text": ("paper", {"text": {"layers": 0}, "pool": "mean"}),
}


@pytest.fixture(params=CHOICES)
def subject(request):
    """A model, the world, its batch, and the oracle over the same weights."""
    variant, changes = CHOICES[request.param]
    model, world = build(variant, **changes), small_world()
    return SimpleNamespace(
        model=model, world=world, batch=collate(world), oracle=Oracle(model), config=small_config(variant, **changes)
    )


def used(world):
    return sorted({candidate for example in world.examples for candidate in example.candidates})


def test_product_vectors(subject):
    found = subject.model.encode_products(subject.batch.products)

    for row, item in enumerate(used(subject.world)):
        text, image = subject.oracle.product(subject.world.items[item], subject.world)
        torch.testing.assert_close(found.text[row], text, **EXACT)
        torch.testing.assert_close(found.image[row], image, **EXACT)
        assert subject.world.items[item].photo is not None or not found.image[row].any()


def test_context_vectors(subject):
    found = subject.model.encode_contexts(subject.batch.contexts)

    for row, example in enumerate(subject.world.examples):
        texts, images = subject.oracle.context(example.turns, subject.world)
        assert found.keep[row].sum() == len(example.turns)
        torch.testing.assert_close(found.text[row, -len(texts) :], torch.stack(texts), **EXACT)
        torch.testing.assert_close(found.image[row, -len(images) :], torch.stack(images), **EXACT)


def test_teacher_and_student_states(subject):
    teacher = subject.model.teacher_state(subject.batch.contexts)
    student = subject.model.student_state(subject.model.encode_contexts(subject.batch.contexts))

    for row, example in enumerate(subject.world.examples):
        torch.testing.assert_close(teacher[row], torch.stack(subject.oracle.teacher(example.values)), **EXACT)
        inferred = subject.oracle.student(*subject.oracle.context(example.turns, subject.world))
        torch.testing.assert_close(student[row], torch.stack(inferred), **EXACT)


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
    output = subject.model(subject.batch, teacher=True, text_image=True)

    for row, (matches, _) in enumerate(oracle_matches(subject)):
        for found, expected in zip((output.teacher, output.student), matches, strict=True):
            count = len(expected.relevance)
            torch.testing.assert_close(found.relevance[row, :count], expected.relevance, **EXACT)
            torch.testing.assert_close(found.context_text[row], expected.context_text, **EXACT)
            torch.testing.assert_close(found.context_image[row], expected.context_image, **EXACT)
            torch.testing.assert_close(found.product_text[row, :count], expected.product_text, **EXACT)
            torch.testing.assert_close(found.product_image[row, :count], expected.product_image, **EXACT)
            torch.testing.assert_close(found.text_image_cosine[row, :count], expected.text_image, **EXACT)


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
    output = subject.model(subject.batch, teacher=True, text_image=True)
    losses = [loss(output, subject.batch, subject.config.loss)[0] for loss in (joint_loss, student_loss)]
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
            pad = name.endswith("words.words.weight") and subject.config.model.value_mean == "padded_sum"
            torch.testing.assert_close(
                one[pad:], other[pad:], atol=1e-9, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.parametrize("variant", VARIANTS)
def test_single_precision_agrees_with_double(variant):
    model, world = build(variant), small_world()
    double = model(collate(world), teacher=True).student.relevance

    single = model.float()(collate(world), teacher=True).student.relevance

    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=0)


@pytest.mark.parametrize("check", BATTERY, ids=lambda check: check.__name__)
@pytest.mark.parametrize("variant", VARIANTS)
def test_battery(variant, check, tmp_path):
    check(build(variant), small_config(variant), tmp_path)


@pytest.mark.parametrize("check", BATTERY, ids=lambda check: check.__name__)
def test_battery_with_a_contextual_text_encoder(check, tmp_path):
    bert = BertConfig(vocab_size=31, hidden_size=DIM, num_hidden_layers=1, num_attention_heads=2, intermediate_size=11)
    config = small_config("paper", text={"encoder": "contextual"})
    model = Semantic(config.model, small_sizes(text_encoder=bert.to_dict()))

    check(fill(model).double().eval(), config, tmp_path)


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


def test_all_products_are_the_default_candidates():
    model, batch = build("paper"), collate(small_world())
    context, products = model.encode_contexts(batch.contexts), model.encode_products(batch.products)
    state = model.student_state(context)
    every = torch.arange(len(products.text)).expand(len(state), -1)

    found, expected = model.match(state, context, products), model.match(state, context, products, every)

    torch.testing.assert_close(found.relevance, expected.relevance, atol=1e-12, rtol=0)
    assert found.text_image_cosine is None


def test_the_student_never_sees_the_gold_state():
    model, batch = build("paper"), collate(small_world())
    plain = model(batch)
    batch.contexts.state_tokens.fill_(7)

    assert torch.equal(model(batch).student.relevance, plain.student.relevance)
    assert plain.teacher is None
    assert plain.teacher_state is None


def test_a_real_backbone_sees_photos_as_the_equations_say():
    photos = (formula((5, 32, 32, 3), 3) * 127.5 + 127.5).to(torch.uint8)
    config = small_config("paper")
    model = fill(Semantic(config.model, small_sizes(image_features=None))).eval()
    world = small_world(photos)
    oracle, features = Oracle(model), model.backbone(photos)
    in_features = small_world(features)

    products, context = model.encode_products(collate(world).products), model.encode_contexts(collate(world).contexts)

    for row, item in enumerate(used(world)):
        _, expected = oracle.product(world.items[item], in_features)
        torch.testing.assert_close(products.image[row], expected, atol=1e-4, rtol=1e-4)
    for row, example in enumerate(world.examples):
        _, images = oracle.context(example.turns, in_features)
        torch.testing.assert_close(context.image[row, -1], images[-1], atol=1e-4, rtol=1e-4)
    output = model.train()(collate(world), teacher=True, text_image=True)
    joint_loss(output, collate(world), config.loss)[0].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.backbone.parameters())


def test_no_photo_in_a_batch_is_no_fault():
    model, world = build("paper"), small_world()
    batch = collate(world, [1])
    assert not (batch.contexts.turn_photos >= 0).any()
    torch.testing.assert_close(
        model(batch).student.relevance[0], model(collate(world)).student.relevance[1, :2], atol=1e-12, rtol=0
    )


def test_features_of_another_width_and_pictures_without_a_backbone_are_refused():
    model = build("paper")
    with pytest.raises(ValueError, match=f"image features: expected width {FEATURES}, got 3"):
        model(collate(small_world(formula((5, 3), 1))))
    with pytest.raises(ValueError, match=r"photos: expected features \[photo, feature\].*, got pictures"):
        model(collate(small_world(torch.zeros(5, 8, 8, 3, dtype=torch.uint8))))


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
        ModelError, match=r"config.json: expected semantic-model version 1, found semantic-model version 99"
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
