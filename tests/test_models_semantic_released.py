"""A checkpoint of the released code: weights by formula, and what the released model itself said of them, recorded."""

import pickle
from pathlib import Path

import pytest
import torch

from semantic.datasets.batches.tensors import Batch, Contexts, Products
from semantic.dst.state import GoldValues
from semantic.models.interface import ProductRows
from semantic.models.semantic.paper import Semantic
from semantic.models.semantic.released import ReleasedError, import_released, load_released
from semantic.models.text_checkpoints import CheckpointError
from tests.released import HEADS, POSITIONS, VOCABULARY, released_state
from tests.small_world import formula, whole

BATCH, TURNS, TOKENS, PHOTOS, SLOTS, PIECES, CANDIDATES, SIDE = 3, 5, 7, 2, 15, 6, 5, 32
KEYS = torch.arange(1, 2 * SLOTS, 2)  # of the small vocabulary; the released code keeps them outside the state dict


def texts(seed, *shape):
    """Token ids [*shape] of at least one token a row, 0 beyond its end."""
    ids = ((formula(shape, seed) + 1) * 15).long().clamp(0, 29) + 1
    length = ((formula(shape[:-1], seed + 1) + 1) * shape[-1] / 2).long().clamp(0, shape[-1] - 1) + 1
    return ids.masked_fill(torch.arange(shape[-1]) >= length[..., None], 0)


def photos(seed, *shape):
    return ((formula((*shape, SIDE, SIDE, 3), seed) + 1) * 127.5).to(torch.uint8)


TURN_TEXTS = texts(3, BATCH, TURNS, TOKENS)
TURN_REAL = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]).bool()
TURN_PHOTOS = photos(5, BATCH, TURNS, PHOTOS)
SHOWN = (formula((BATCH, TURNS, PHOTOS), 7) > -0.2) & TURN_REAL[..., None]
VALUES = texts(11, BATCH, SLOTS, PIECES)
PRODUCT_TEXTS = texts(13, BATCH, CANDIDATES, TOKENS)
PRODUCT_PHOTOS = photos(17, BATCH, CANDIDATES)
NEGATIVES = torch.tensor([4, 2, 3])  # after the one positive that stands first
TURN_TEXTS[~TURN_REAL] = 0

# The released model's own words on the above, in evaluation mode (SeMANTIC of KuKuKuKuKuKurisu, CPU, float32).
RELEVANCE = {
    "student": [
        [0.9181674, 0.9175446, 0.9064628, 0.8920918, 0.9203999],
        [0.9174904, 0.9068283, 0.9274542],
        [0.8538029, 0.7911273, 0.8677217, 0.8757315],
    ],
    "teacher": [
        [0.6405424, 0.6569079, 0.549657, 0.7880207, 0.3535736],
        [0.7709143, 0.4994556, 0.8103944],
        [0.5458166, 0.2794956, 0.5872318, 0.6990713],
    ],
}
LOSSES = {"joint": 2.4536536, "teacher only": 1.5424287, "student only": 2.4283259}


def batch():
    turns = torch.arange(BATCH * TURNS).view(BATCH, TURNS).masked_fill(~TURN_REAL, -1)
    shown = torch.arange(BATCH * TURNS * PHOTOS).view(-1, PHOTOS).masked_fill(~SHOWN.view(-1, PHOTOS), -1)
    words, products = TURN_TEXTS.view(-1, TOKENS), PRODUCT_TEXTS.view(-1, TOKENS)
    candidates = torch.arange(BATCH * CANDIDATES).view(BATCH, CANDIDATES)
    candidates = candidates.masked_fill(torch.arange(CANDIDATES) > NEGATIVES[:, None], -1)
    no_text = torch.zeros(shown.numel(), 1, dtype=torch.long), torch.zeros(shown.numel(), 1, dtype=torch.bool)
    return Batch(
        Contexts(words, words != 0, shown, TURN_PHOTOS.flatten(0, 2), *no_text, turns, VALUES, VALUES != 0),
        Products(products, products != 0, PRODUCT_PHOTOS.flatten(0, 1), torch.ones(len(products), dtype=torch.bool)),
        candidates,
        (torch.arange(CANDIDATES) == 0).expand(BATCH, -1),
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    file = tmp_path_factory.mktemp("released") / "checkpoint.pth"
    torch.save({"context_text_encoder": released_state(), "epoch_id": 3}, file)
    return file


@pytest.fixture(scope="module")
def loaded(checkpoint):
    model, config = load_released(checkpoint, heads=HEADS)
    model.state.key_tokens.copy_(KEYS[:, None])
    return model.eval(), config


@torch.no_grad()
def relevances(model):
    """By the student's state and by the teacher's."""
    words, contexts = model.words(), batch().contexts
    reading = model.read_contexts(contexts, words)
    rows = ProductRows.of(model.encode_products(batch().products), batch().candidates)
    teacher = model.state.encode(words, GoldValues(contexts.state_tokens, contexts.state_keep))
    return {
        "student": model.score(model.encode_query(contexts), rows),
        "teacher": model.score(model.query(reading, teacher), rows),
    }


def test_relevance_is_the_released_models(loaded):
    keep = batch().keep
    for who, relevance in relevances(loaded[0]).items():
        for row, kept, expected in zip(relevance, keep, RELEVANCE[who], strict=True):
            assert row[kept].tolist() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_losses_are_the_released_models(loaded):
    model, config = loaded
    assert config.model.loss.teacher_first
    ours = {
        "joint": model.loss(whole(batch())),
        "teacher only": model.loss(whole(batch(), all_labelled=True)),  # in the first epoch of a run without D_P
        "student only": model.loss(whole(batch(), labelled=False)),
    }

    assert {name: loss.total.item() for name, loss in ours.items()} == pytest.approx(LOSSES, abs=1e-5)


def test_sizes_are_read_off_the_tensors(loaded):
    model, config = loaded

    assert config.preset == "released"
    assert (config.model.dim, config.model.layers, config.model.inner, config.model.interaction.hops) == (8, 3, 8, 3)
    assert (model.spec.vocabulary, model.spec.positions, len(model.spec.slots)) == (VOCABULARY, POSITIONS, SLOTS)


def test_every_weight_comes_from_the_checkpoint(loaded):
    theirs = [value.flatten() for value in released_state().values()]

    for name, value in loaded[0].state_dict().items():
        assert any(torch.equal(value.flatten(), other) for other in theirs), name


@pytest.mark.parametrize(("slots", "count"), [("mmd", 15), ("simmc", 10)])
def test_import_writes_a_run_whose_model_reads_back(checkpoint, tmp_path, slots, count):
    parameters = import_released(checkpoint, tmp_path / "run", slots=slots)

    model = Semantic.from_pretrained(tmp_path / "run" / "model")
    assert len(model.spec.slots) == count
    assert parameters == sum(p.numel() for p in model.parameters())
    assert model.config.image.frozen == (slots == "simmc")
    reference, _ = load_released(checkpoint, simmc=slots == "simmc")
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in reference.state_dict().items())
    with pytest.raises(ReleasedError, match="expected a new or an empty folder, found files in it"):
        import_released(checkpoint, tmp_path / "run", slots=slots)


def test_unknown_slots_are_refused(checkpoint, tmp_path):
    with pytest.raises(ReleasedError, match="slots: expected mmd or simmc, got 'own'"):
        import_released(checkpoint, tmp_path / "run", slots="own")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ReleasedError, match=r"none.pth: expected a torch file, found none there"):
        load_released(tmp_path / "none.pth")


class Code:
    """A pickle that runs code where it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (Path(self.target),)


@pytest.mark.parametrize("save", [torch.save, lambda content, file: file.write_bytes(pickle.dumps(content))])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, save):
    save({"context_text_encoder": Code(tmp_path / "ran")}, tmp_path / "evil.pth")

    with pytest.raises(ReleasedError, match=r"evil.pth: expected a torch file of tensors alone, got one that does not"):
        load_released(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_bytes_that_are_no_torch_file_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("not a checkpoint")

    with pytest.raises(ReleasedError, match=r"text.pth: expected a torch file of tensors alone"):
        load_released(tmp_path / "text.pth")


@pytest.mark.parametrize(
    ("content", "found"),
    [({"model": {}, "epoch_id": 3}, "got model, epoch_id"), ([1, 2], "got list"), ({}, "got ")],
)
def test_a_file_without_the_entry_is_refused(tmp_path, content, found):
    torch.save(content, tmp_path / "other.pth")

    with pytest.raises(ReleasedError, match=f"other.pth: expected an entry 'context_text_encoder'.*{found}"):
        load_released(tmp_path / "other.pth")


@pytest.mark.parametrize(
    "name",
    [
        "image_encoder.bias",
        "history_encoder.layer_stack.1.multi_attn.fc.weight",
        "pretrained_image_encoder.7.1.bn2.running_var",
        "word_embeddings.weight",
        "context_text_self_attention.layer_stack.0.pos_ffn.w_1.weight",
    ],
)
def test_a_missing_tensor_is_refused(tmp_path, name):
    state = released_state()
    del state[name]
    torch.save({"context_text_encoder": state}, tmp_path / "less.pth")

    with pytest.raises(ReleasedError, match=r"less.pth: expected .* tensors, got"):
        load_released(tmp_path / "less.pth", heads=HEADS)


def test_a_tensor_of_another_shape_or_name_is_refused(tmp_path):
    state = released_state()
    torch.save({"context_text_encoder": {**state, "image_encoder.weight": torch.ones(3, 5)}}, tmp_path / "shape.pth")
    torch.save({"context_text_encoder": {**state, "decoder.weight": torch.ones(3)}}, tmp_path / "name.pth")

    with pytest.raises(ReleasedError, match=r"got 1 missing or of another shape \(first image.project.weight\)"):
        load_released(tmp_path / "shape.pth", heads=HEADS)
    with pytest.raises(ReleasedError, match=r"expected the tensors of the released model, got 'decoder.weight'"):
        load_released(tmp_path / "name.pth", heads=HEADS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"word_embeddings.weight": [1, 2]},
            "expected names of tensors, got 'word_embeddings.weight' for something else",
        ),
        ({"word_embeddings.weight": torch.ones(3)}, "expected word tables and layers with two axes, got others"),
    ],
)
def test_a_state_of_other_values_is_refused(tmp_path, change, said):
    torch.save({"context_text_encoder": released_state() | change}, tmp_path / "other.pth")
    with pytest.raises(ReleasedError, match=rf"other.pth: {said}"):
        load_released(tmp_path / "other.pth", heads=HEADS)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_part_of_a_checkpoint_is_refused(checkpoint, tmp_path, part):
    content = checkpoint.read_bytes()
    (tmp_path / "part.pth").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ReleasedError, match=r"part.pth: expected a torch file of tensors alone, got one"):
        load_released(tmp_path / "part.pth", heads=HEADS)


def test_a_tokenizer_that_is_not_the_checkpoints_writes_nothing(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match=r"text checkpoint .*/none: expected a folder, found none there"):
        import_released(checkpoint, tmp_path / "run", tokenizer=str(tmp_path / "none"))
    assert not (tmp_path / "run").exists()
