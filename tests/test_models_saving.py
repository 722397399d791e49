"""A saved model on disk: its mode, where it may come from, and files of it that are damaged or another model's."""

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from semantic.encoders.vocabulary import train_wordpiece
from semantic.models import saving
from semantic.models.hub import is_path
from semantic.models.interface import Model
from semantic.models.saving import ModelError
from tests.small_world import VOCABULARY, build


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    model = build("paper").float()
    model.tokenizer = train_wordpiece(["a red dress"], VOCABULARY)
    folder = tmp_path_factory.mktemp("original") / "model"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    for file in original.iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "model"


def refused(folder: Path | str) -> str:
    with pytest.raises(ModelError) as raised:
        Model.from_pretrained(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def drop(file: Path, *keys: str) -> None:
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key not in keys}))


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_whoever_the_umask_lets_read_can_read_every_file(original, tmp_path, umask):
    before = os.umask(umask)
    try:
        Model.from_pretrained(original).save_pretrained(tmp_path / "again")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "again").iterdir()}
    assert set(modes.values()) == {0o666 & ~umask}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= modes.keys()


def test_a_saved_model_comes_back_with_its_tokenizer(saved):
    loaded = Model.from_pretrained(str(saved))
    assert (
        loaded.tokenizer.encode("a red dress").ids
        == train_wordpiece(["a red dress"], VOCABULARY).encode("a red dress").ids
    )


def test_a_model_without_tokenizer_may_be_given_one(saved):
    (saved / "tokenizer.json").unlink()
    change(saved / "config.json", tokenizer=None)
    assert refused(saved).endswith('changed since; without its "seal" it is taken as it is')
    drop(saved / "config.json", "seal")
    assert Model.from_pretrained(saved).tokenizer is None
    train_wordpiece(["blue"], VOCABULARY).save(str(saved / "tokenizer.json"))
    assert Model.from_pretrained(saved).tokenizer is not None


@pytest.mark.parametrize(
    "name", ["/a/b", "./a", "../a", "~/a", "~", "a/b/c", "a/", "C:\\a", Path("a"), Path("owner/model")]
)
def test_a_path_is_never_asked_of_the_hub(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "snapshot_download", lambda *_, **__: pytest.fail("asked of the hub"))
    assert is_path(name)
    assert refused(name) == f"model {name}: expected a folder, found none there"


def test_a_file_is_no_saved_model(tmp_path):
    (tmp_path / "model").touch()
    assert refused(tmp_path / "model") == f"model {tmp_path}/model: expected a folder, found a file"


@pytest.mark.parametrize("name", ["model", "owner/model", "owner/model.v2"])
def test_a_name_is_asked_of_the_hub(monkeypatch, tmp_path, original, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "snapshot_download", lambda asked, **_: original if asked == name else None)
    assert isinstance(Model.from_pretrained(name), Model)


@pytest.mark.parametrize("error", [OSError("no network\nat all"), ValueError("no name"), Exception()])
def test_what_the_hub_does_not_give_is_one_line(monkeypatch, tmp_path, error):
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "snapshot_download", failing)
    said = refused("owner/model")
    assert said.startswith("model owner/model: expected a folder or a hub name that can be downloaded, got: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected a saved model with its config.json, found no JSON at line 1 column 1"),
        ('{"format": "semantic-model", ', "expected a saved model with its config.json, found no JSON at line 1 column"),
        ("[1]", "config.json: expected the description of a model, found other JSON"),
        ('{"model_type": "bert"}', "config.json: expected the description of a model, found other JSON"),
        ('{"format": "semantic-model"}', "config.json: expected semantic-model version 2, found semantic-model version None"),
        ('{"format": "semantic-model", "version": 2}', "config.json: expected the description of a model, found no model"),
        ("[" * 100_000, "expected a saved model with its config.json, found JSON nested more than 100 levels deep"),
    ],
)  # fmt: skip
def test_a_foreign_description_is_one_line(saved, content, said):
    (saved / "config.json").write_text(content)
    assert said in refused(saved)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("model", "name", "nothing", "config.json: model.name: expected one of semantic"),
        ("model", "dim", "wide", "found at dim: Input should be a valid integer"),
        ("model", "dim", 10**9, "found at dim: Input should be less than or equal to 65536"),
        ("model", "new", 1, "found at new: Extra inputs are not permitted"),
        ("inputs", "vocabulary", "many", "found at vocabulary: Input should be a valid integer"),
        ("inputs", "vocabulary", 10**12, "found at vocabulary: Input should be less than or equal to 1000000"),
        ("inputs", "turn_tokens", -1, "found at turn_tokens: Input should be greater than 0"),
        ("inputs", "slots", 3, "found at slots: Input should be a valid"),
    ],
)
def test_a_value_that_no_model_has_is_one_line(saved, section, key, value, said):
    description = json.loads((saved / "config.json").read_text())
    change(saved / "config.json", **{section: description[section] | {key: value}})
    assert said in refused(saved)


@pytest.mark.parametrize("section", ["model", "inputs"])
@pytest.mark.parametrize("value", [None, 3, [], "x", {}])
def test_a_section_that_is_none_is_one_line(saved, section, value):
    change(saved / "config.json", **{section: value})
    assert "expected" in refused(saved)


def test_a_file_that_may_not_be_read_is_not_called_missing(saved, monkeypatch):
    opened = Path.open

    def denied(self: Path, *arguments: object, **options: object) -> object:
        if self.name == "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    assert refused(saved).endswith("describes, got: one that cannot be read (Permission denied)")


def other_weights(folder: Path) -> None:
    build("released").float().save_pretrained(folder / "other")
    (folder / "other" / "model.safetensors").replace(folder / "model.safetensors")


def flip_last(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_of_the_weights_is_refused(saved):
    flip_last(saved / "model.safetensors")
    assert refused(saved) == (
        f"{saved}/model.safetensors: expected the weights that were saved with config.json beside it, found others or "
        "damaged ones"
    )
    drop(saved / "config.json", "seal", "weights")  # as models from elsewhere are
    assert isinstance(Model.from_pretrained(saved), Model)


def test_weights_of_the_same_shapes_are_refused_too(saved, original):
    other = Model.from_pretrained(original)
    next(other.parameters()).data.add_(1)
    other.save_pretrained(saved / "other")
    (saved / "other" / "model.safetensors").replace(saved / "model.safetensors")
    assert "expected the weights that were saved with config.json beside it" in refused(saved)


def cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "damage",
    [other_weights, cut_weights, lambda f: (f / "model.safetensors").write_bytes(b""), lambda f: (f / "model.safetensors").unlink()],
)  # fmt: skip
def test_weights_of_another_model_or_part_of_them_are_one_line(saved, damage):
    damage(saved)
    assert "model.safetensors: expected the weights that config.json beside it describes, got: " in refused(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": "1.0", "model": {}}'])
def test_a_foreign_tokenizer_is_one_line(saved, content):
    (saved / "tokenizer.json").write_bytes(content)
    assert "tokenizer.json: expected the " in refused(saved)
    change(saved / "config.json", tokenizer=None)  # as an earlier version saved it
    assert "tokenizer.json: expected " in refused(saved)


def test_a_tokenizer_of_another_model_is_refused(saved):
    train_wordpiece(["a red dress"], VOCABULARY - 1).save(str(saved / "tokenizer.json"))
    train_wordpiece(["blue jeans"], VOCABULARY).save(str(saved / "tokenizer.json"))
    assert refused(saved).endswith(
        "expected the tokenizer that the model was saved with, found another one or a damaged one"
    )


def test_a_tokenizer_that_is_gone_is_named(saved):
    (saved / "tokenizer.json").unlink()
    assert refused(saved).endswith("tokenizer.json: expected the model's tokenizer, found none there")


def test_a_tokenizer_beyond_the_word_table_is_refused(saved):
    large = train_wordpiece(["the quick brown fox jumps over lazy dogs", "a red dress"], 1000)
    assert large.get_vocab_size() > VOCABULARY
    large.save(str(saved / "tokenizer.json"))
    change(saved / "config.json", tokenizer=None)
    last = large.get_vocab_size() - 1
    assert refused(saved).endswith(f"expected the {VOCABULARY} word pieces of the model's weights, found piece {last}")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_byte_of_a_saved_model_may_be_wrong(original, tmp_path_factory, data):
    """It loads, the same as before, or is refused in one line."""
    folder = tmp_path_factory.mktemp("any")
    for file in original.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    file = folder / data.draw(st.sampled_from(["config.json", "tokenizer.json", "model.safetensors"]))
    content = bytearray(file.read_bytes())
    start = data.draw(st.integers(0, min(len(content), 6000)))
    content[start : start + data.draw(st.sampled_from([0, 1, 9, 10**6]))] = data.draw(st.binary(max_size=4))
    file.write_bytes(content)
    try:
        found, expected = Model.from_pretrained(folder), Model.from_pretrained(original)
        assert isinstance(found.tokenizer, Tokenizer)
        assert found.config == expected.config
        assert found.spec == expected.spec
        assert all(torch.equal(value, expected.state_dict()[name]) for name, value in found.state_dict().items())
    except ModelError as error:
        said = str(error)
        assert said.startswith(str(folder))
        assert "\n" not in said
