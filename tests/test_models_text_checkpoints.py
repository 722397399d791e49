"""Text checkpoints that are damaged, foreign, hold code, or whose tokenizer is not theirs: one line, and nothing is run."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

from semantic.encoders.vocabulary import train_wordpiece
from semantic.models.building import build_model
from semantic.models.text_checkpoints import CheckpointError, load_encoder, load_tokenizer

VOCABULARY, WORDS = 211, ["a red dress", "blue jeans"]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "bert"
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 13}
    BertModel(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=31, **sizes)).save_pretrained(folder)
    train_wordpiece(WORDS, VOCABULARY).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def checkpoint(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bert"))


def refused(read, *arguments: object) -> str:
    with pytest.raises(CheckpointError) as raised:
        read(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_whole_checkpoint_is_read(checkpoint):
    assert load_encoder(str(checkpoint)).get_input_embeddings().num_embeddings == VOCABULARY
    assert load_tokenizer(str(checkpoint), VOCABULARY, WORDS).encode("red", add_special_tokens=False).tokens == ["red"]


def test_a_checkpoint_without_tokenizer_files_is_refused(checkpoint, shop, tiny):
    """transformers makes a tokenizer that calls every word [UNK]."""
    (checkpoint / "tokenizer.json").unlink()
    assert (
        "expected a tokenizer that knows the data's words, found 0 of 5 word pieces known; are tokenizer.json"
        in refused(load_tokenizer, str(checkpoint), VOCABULARY, WORDS)
    )
    with pytest.raises(CheckpointError, match=r"bert: expected a tokenizer that knows the data's words, found 0 of "):
        build_model(tiny(f"model.text.checkpoint={checkpoint}"), shop, lambda _: None)


def test_a_tokenizer_of_another_language_is_refused(checkpoint):
    train_wordpiece(["\u4e2d \u6587"], VOCABULARY).save(str(checkpoint / "tokenizer.json"))
    assert "found 0 of 5 word pieces known" in refused(load_tokenizer, str(checkpoint), VOCABULARY, WORDS)


def test_a_tokenizer_beyond_the_word_table_is_refused(checkpoint):
    large = train_wordpiece([f"word{i} red dress" for i in range(400)], 400)
    large.save(str(checkpoint / "tokenizer.json"))
    assert refused(load_tokenizer, str(checkpoint), VOCABULARY, WORDS).endswith(
        f"expected a tokenizer of the encoder's {VOCABULARY} word pieces, found piece {large.get_vocab_size() - 1}"
    )


@pytest.mark.parametrize("name", ["/nowhere/bert", "./bert", "~/bert", "models/text/bert"])
def test_a_path_is_never_asked_of_the_hub(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transformers.AutoModel.from_pretrained", lambda *_, **__: pytest.fail("asked of the hub"))
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: pytest.fail("asked of the hub"))
    said = f"text checkpoint {name}: expected a folder, found none there"
    assert refused(load_encoder, name) == said
    assert refused(load_tokenizer, name, VOCABULARY, WORDS) == said


def test_code_of_a_checkpoint_is_never_run_and_nobody_is_asked(checkpoint, monkeypatch):
    (checkpoint / "own.py").write_text("raise SystemExit('the code ran')")
    classes = {"AutoModel": "own.M", "AutoConfig": "own.C", "AutoTokenizer": ["own.T", None]}
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    change(checkpoint / "config.json", auto_map=classes)  # of a kind that transformers knows: its own class is taken
    assert type(load_encoder(str(checkpoint))) is BertModel

    change(checkpoint / "config.json", model_type="strange")
    assert refused(load_encoder, str(checkpoint)).endswith(
        "got: one with code of its own (auto_map in its config.json), which is never run"
    )


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", [cut, lambda f: f.write_bytes(b""), lambda f: f.write_bytes(b"[]"), Path.unlink])
def test_a_damaged_encoder_is_one_line(checkpoint, name, damage):
    damage(checkpoint / name)
    assert refused(load_encoder, str(checkpoint)).startswith(
        f"text checkpoint {checkpoint}: expected a folder with a BERT-family checkpoint, got: "
    )


@pytest.mark.parametrize("damage", [cut, lambda f: f.write_bytes(b""), lambda f: f.write_bytes(b"[]")])
def test_a_damaged_tokenizer_is_one_line(checkpoint, damage):
    damage(checkpoint / "tokenizer.json")
    said = refused(load_tokenizer, str(checkpoint), VOCABULARY, WORDS)
    assert said.startswith(f"text checkpoint {checkpoint}: expected a folder with a BERT-family checkpoint, got: ")


@pytest.mark.parametrize("values", [{"hidden_size": "x"}, {"hidden_size": 32}, {"num_attention_heads": 3}])
def test_a_configuration_that_does_not_fit_the_weights_is_one_line(checkpoint, values, capsys):
    change(checkpoint / "config.json", **values)
    assert "expected a folder with a BERT-family checkpoint, got: " in refused(load_encoder, str(checkpoint))
    assert capsys.readouterr() == ("", "")  # transformers would print a table


def test_weights_that_are_missing_are_not_drawn_at_random(checkpoint):
    state = load_file(checkpoint / "model.safetensors")
    kept = {name: value for name, value in state.items() if "word_embeddings" not in name}
    save_file(kept, checkpoint / "model.safetensors", metadata={"format": "pt"})
    assert refused(load_encoder, str(checkpoint)).endswith(
        "expected all weights of its encoder, found 1 missing (first embeddings.word_embeddings.weight)"
    )
    kept = {name: value for name, value in state.items() if "pooler" not in name}  # which nothing here reads
    save_file(kept, checkpoint / "model.safetensors", metadata={"format": "pt"})
    load_encoder(str(checkpoint))


def test_an_encoder_of_another_family_is_refused(tmp_path):
    GPT2Model(GPT2Config(vocab_size=31, n_positions=7, n_embd=8, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt")
    assert refused(load_encoder, str(tmp_path / "gpt")).endswith(
        "expected a BERT-family encoder, with word and position tables, found a GPT2Model"
    )
