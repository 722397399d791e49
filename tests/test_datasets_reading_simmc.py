"""The SIMMC layout, hand-made and real."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.errors import DataError

SLOTS = (
    *("customerReview", "brand", "sleeveLength", "availableSizes", "pattern"),
    *("price", "color", "materials", "customerRating", "type"),
)


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def simmc_root(root: Path, dst: Any = None) -> Path:
    write(root / "img_attrs/img_attrs.json", {"b": "type Hat size [M]", "a": "type coat", "c": "", "d": None})
    for name in ("a.jpg", "b.png", "c.jpeg"):
        (root / "images").mkdir(exist_ok=True)
        Image.new("RGB", (5, 7)).save(root / "images" / name)
    user = {"speaker": "user", "type": "ASK", "utterance": {"nlg": "Hi", "images": ["a"]}}
    system = {"speaker": "system", "type": "ASK", "utterance": {"nlg": "See", "images": ["b", "x"]}, "dst": {}}
    write(root / "unlabelled/0.json", [user, system])
    write(root / "train/0.json", [user if dst is None else user | {"dst": dst}, system])
    (root / "valid").mkdir()
    write(root / "notes/readme.txt", "no dialogues here")
    return root


def test_every_folder_with_dialogues_is_a_split_the_usual_ones_first(tmp_path: Path) -> None:
    corpus = SimmcCorpus(simmc_root(tmp_path), SLOTS)
    assert corpus.splits == ("train", "valid", "unlabelled")
    assert list(corpus.dialogues("valid")) == []


def test_products_have_texts_and_photos_of_any_suffix(tmp_path: Path) -> None:
    corpus = SimmcCorpus(simmc_root(tmp_path), SLOTS)
    assert corpus.product_names() == ["b", "a", "c", "d"]
    products = [corpus.product(name) for name in corpus.product_names()]
    assert [product.text for product in products] == ["type hat size m", "type coat", None, None]
    assert [product.photo and product.photo.name for product in products] == ["b.png", "a.jpg", "c.jpeg", None]
    assert corpus.missing_reason("a") is None
    assert corpus.missing_reason("x") == "image name without a product"


def test_states_are_those_of_user_turns(tmp_path: Path) -> None:
    values = {"color": "Red", "brand": "", "availableSizes": "['XL', 'S']", "materials": ["wool", "silk"], "size": "M"}
    faults = Faults()
    corpus = SimmcCorpus(simmc_root(tmp_path, {"slot_values": values}), SLOTS)
    (dialogue,) = corpus.dialogues("train", faults)
    assert dialogue.turns[0].state == {"color": "red", "availableSizes": "xl s", "materials": "wool silk"}
    assert dialogue.turns[1].state is None
    assert faults.counts == {"slot 'size' left out": 1}
    (without,) = corpus.dialogues("unlabelled")
    assert without.turns[0].state is None


def test_a_state_with_nothing_set_is_a_state(tmp_path: Path) -> None:
    (dialogue,) = SimmcCorpus(simmc_root(tmp_path, {"slot_values": None}), SLOTS).dialogues("train")
    assert dialogue.turns[0].state == {}


@pytest.mark.parametrize(
    ("dst", "message"),
    [
        ([], "dst: expected an object, found a list"),
        ("null", "dst: expected an object, found a string"),
        ({"slot_values": ["color"]}, "dst: expected an object under slot_values, found a list"),
        (
            {"slot_values": {"color": {"a": "red"}}},
            "dst: expected a text, a number or a list of these, found an object",
        ),
        ({"slot_values": {"color": float("nan")}}, "dst: expected a finite number, found nan"),
        ({"slot_values": {"color": "\ud800"}}, r"dst: expected text that UTF-8 can hold, found a lone surrogate: .*"),
    ],
)
def test_a_state_of_another_kind_is_a_fault_and_no_state(tmp_path: Path, dst: Any, message: str) -> None:
    corpus, faults = SimmcCorpus(simmc_root(tmp_path, dst), SLOTS), Faults("skip")
    with pytest.raises(DataError, match=rf"^train dialogue '0' turn 0: {message}$"):
        list(corpus.dialogues("train"))
    (dialogue,) = corpus.dialogues("train", faults)
    assert (dialogue.turns[0].text, dialogue.turns[0].state) == ("hi", None)
    assert faults.counts == {"malformed state": 1}


def test_a_product_that_is_malformed_in_the_catalogue_is_a_fault_of_its_own(tmp_path: Path) -> None:
    table = simmc_root(tmp_path) / "img_attrs/img_attrs.json"
    table.write_text(
        '{"a": "type coat", "b": 7, "\\ud800": "x", "a": "type hat", "c": "\\ud800", "d": {"size": NaN, "in": 1}}'
    )
    corpus, faults = SimmcCorpus(tmp_path, SLOTS), Faults("skip")
    assert corpus.product_names() == ["b", "c", "d"]
    corpus.report_malformed_products(faults)
    assert faults.counts == {"malformed product": 2}
    with pytest.raises(DataError, match=r"img_attrs\.json: product 'a': expected each product once, found it twice$"):
        corpus.report_malformed_products(Faults())
    with pytest.raises(DataError, match=r"product 'b': expected a text or an object of texts, found a number$"):
        corpus.product("b")
    with pytest.raises(DataError, match=r"product 'c': expected text that UTF-8 can hold, found a lone surrogate"):
        corpus.product("c")
    assert corpus.product("d").text == "in 1"


def test_a_split_whose_name_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    (simmc_root(tmp_path) / "unlabelled").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(DataError, match=r"expected folders with names in UTF-8, found 'caf\\udce9'"):
        SimmcCorpus(tmp_path, SLOTS)


def test_an_unknown_slot_stops_or_is_ignored(tmp_path: Path) -> None:
    corpus = SimmcCorpus(simmc_root(tmp_path, {"slot_values": {"colour": "red", "type": "hat"}}), SLOTS)
    with pytest.raises(DataError, match=r"train dialogue '0' turn 0: expected a slot of customerReview.*'colour'"):
        list(corpus.dialogues("train"))
    faults = Faults("skip")
    (dialogue,) = corpus.dialogues("train", faults)
    assert dialogue.turns[0].state == {"type": "hat"}
    assert faults.counts == {"unknown slot": 1}


def test_a_folder_of_another_kind_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"img_attrs/img_attrs\.json.*found no such folder"):
        SimmcCorpus(tmp_path / "none", SLOTS)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"found photos$"):
        SimmcCorpus(tmp_path, SLOTS)


def test_a_catalogue_of_another_shape_is_refused(tmp_path: Path) -> None:
    write(simmc_root(tmp_path) / "img_attrs/img_attrs.json", ["a"])
    with pytest.raises(
        DataError, match=r"img_attrs\.json: expected an object of product names and texts, found a list"
    ):
        SimmcCorpus(tmp_path, SLOTS)


@pytest.fixture(scope="session")
def simmc2(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = shared_data / "data/simmc2-fashion"
    if not root.is_dir():
        pytest.skip("simmc2-fashion is not here")
    out = tmp_path_factory.mktemp("simmc2") / "store"
    prepare(SimmcCorpus(root, SLOTS), out)
    return open_store(out)


def test_simmc2_fashion_has_the_counts_of_its_description(simmc2: Store) -> None:
    assert {name: len(simmc2.split(name)) for name in simmc2.splits} == {
        "train": 1751,
        "valid": 234,
        "test": 282,
        "unlabelled": 5156,
    }
    assert simmc2.num_products == 9511
    assert simmc2.has_photo.all()
    counts = simmc2.manifest["splits"]
    assert [counts[name]["dialogues"] for name in simmc2.splits] == [900, 120, 150, 5156]
    assert [counts[name]["dialogues_with_states"] for name in simmc2.splits] == [900, 120, 150, 0]
    assert counts["valid"]["negatives"] == 234 * 1000
    assert counts["unlabelled"]["negatives"] == 5156 * 100
    simmc2.verify()


def test_simmc2_fashion_examples_recommend_after_a_user_turn(simmc2: Store) -> None:
    for dialogue, turn in simmc2.example_turns[::97]:
        assert simmc2.turn_speakers[turn] == "system"
        assert simmc2.turn_speakers[turn - 1] == "user"
        assert turn > simmc2.dialogue_first_turn[dialogue]
        labelled = simmc2.dialogue_split(dialogue) != "unlabelled"
        assert (simmc2.turn_states[turn - 1] >= 0).all() == labelled
