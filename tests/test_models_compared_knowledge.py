"""Style tips and celebrities' tastes: their files, and which facts a product's text asks for."""

import json
import re

import pytest
import torch

from semantic.encoders.vocabulary import train_wordpiece
from semantic.models.compared.facts import Fact, read_celebrities, read_style_tips
from semantic.models.compared.knowledge import Facts
from semantic.runtime.errors import DataError
from tests.test_models_battery import of_maps

TIPS = "jeans , t shirt , 0.5\n\ndress , heels , 2\n"
WORN = {"ann_lee": {"dress.n.01": 0.75, "t_shirt.n.01": 0.25}, "bo": {}}


def test_a_style_tip_is_a_fact_each_way(tmp_path):
    (tmp_path / "tips.txt").write_text(TIPS)

    assert [*read_style_tips(str(tmp_path / "tips.txt"))] == [
        Fact("jeans", "jeans", "t shirt", 0.5),
        Fact("t shirt", "t shirt", "jeans", 0.5),
        Fact("dress", "dress", "heels", 2.0),
        Fact("heels", "heels", "dress", 2.0),
    ]


def test_what_a_celebrity_wears_is_a_fact(tmp_path):
    (tmp_path / "worn.json").write_text(json.dumps(WORN))

    assert [*read_celebrities(str(tmp_path / "worn.json"))] == [
        Fact("dress", "dress", "ann lee", 0.75),
        Fact("t shirt", "t shirt", "ann lee", 0.25),
    ]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_style_tips, None, "model.knowledge.style_tips FILE: expected a file, found none there"),
        (read_style_tips, "a , b , 1\na,b,1\n", "FILE, line 2: expected `a , b , score`, found 'a,b,1'"),
        (read_style_tips, "a , b , many\n", "line 1: expected `a , b , score`, found 'a , b , many'"),
        (read_style_tips, "a , b , nan\n", "line 1: expected `a , b , score`, found 'a , b , nan'"),
        (read_celebrities, "{", "model.knowledge.celebrities FILE: expected JSON, found no JSON at line 1 column 2"),
        (read_celebrities, "[]", "expected {celebrity: {what they wear: probability}}, found list"),
        (read_celebrities, '{"ann": ["dress"]}', "found [\"dress\"] for 'ann'"),
        (read_celebrities, '{"ann": {"dress": true}}', "found true for 'ann', 'dress'"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path, read, content, message):
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)

    with pytest.raises(DataError, match=re.escape(message.replace("FILE", str(file)))):
        list(read(str(file)))


def test_facts_of_a_product_are_those_its_text_names_the_highest_score_first():
    tokenizer = train_wordpiece(["jeans t shirt dress heels ann lee"], 80)
    facts = Facts()
    facts.take(
        [
            Fact("t shirt", "t shirt", "jeans", 0.5),
            Fact("dress", "dress", "heels", 2.0),
            Fact("jeans", "a", "b", 1.0),
            Fact("", "a", "b", 3.0),
        ],
        tokenizer,
    )

    def tokens(text):
        return torch.tensor([tokenizer.encode(text).ids])

    def asked(text, most=2):
        found, held = facts.of(tokens(text), torch.ones_like(tokens(text)) > 0, most, tokenizer.get_vocab_size())
        return [tokenizer.decode(facts.value[i][facts.value[i] >= 0].tolist()) for i in found[held]]

    assert asked("red dress t shirt") == ["heels", "jeans"]
    assert asked("red dress t shirt", most=1) == ["heels"]
    assert asked("shirt t") == ["jeans"]  # its words, in any order
    assert asked("shirt") == []


def test_facts_are_saved_with_the_weights(tmp_path):
    model = of_maps("larch", facts=True, layers=1, heads=2, head_dim=3).build().float()
    model.save_pretrained(tmp_path / "saved")

    loaded = type(model).from_pretrained(tmp_path / "saved")

    for name in Facts.held:
        assert torch.equal(getattr(loaded.facts, name), getattr(model.facts, name))


def test_a_file_without_facts_is_told(tmp_path):
    (tmp_path / "tips.txt").write_text("\n")
    model = of_maps("magic", hidden=5, context_hidden=3, knowledge={"style_tips": str(tmp_path / "tips.txt")}).build()
    model.tokenizer = train_wordpiece(["a word"], 20)

    with pytest.raises(DataError, match=r"model\.knowledge .*tips\.txt: expected facts, found none"):
        model.initialise(None)


def test_facts_that_are_loaded_stay_on_their_device():
    facts, others = Facts(), Facts()
    for name in Facts.held:
        setattr(facts, name, torch.zeros(3, 4, dtype=torch.int64, device="meta"))  # which stands for a GPU
        setattr(others, name, torch.ones(5, 4, dtype=torch.int64))

    with pytest.warns(UserWarning, match="no-op"):  # meta tensors have no content to copy into
        facts.load_state_dict(others.state_dict())

    assert {getattr(facts, name).device.type for name in Facts.held} == {"meta"}
    assert facts.about.shape == (5, 4)
