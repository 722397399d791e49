"""A simulated dataset: the files of MMD's layout, what the dialogues obey, and that a seed says it all."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic.datasets.simulator import simulate, split_sizes
from semantic.datasets.simulator.catalogue.catalogue import Catalogue
from semantic.datasets.simulator.catalogue.drawing import draw_catalogue
from semantic.datasets.simulator.catalogue.slots import SLOTS
from semantic.datasets.simulator.catalogue.words import nouns_of, words_of
from semantic.datasets.simulator.dialogue.conversation import Said, converse
from semantic.datasets.simulator.dialogue.phrases import text_of
from semantic.datasets.simulator.dialogue.sentences import INDIFFERENT
from semantic.runtime.errors import DataError

MMD_SLOTS = frozenset(
    {"age", "product_category", "brand", "sizes", "length", "colors", "fit", "styles", "care", "types", "materials"}
    | {"gender", "print", "likes", "dislikes"}
)
DIALOGUES, PRODUCTS, UNLABELLED = 29, 307, 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "mmd"
    counts = simulate(
        out,
        dialogues=DIALOGUES,
        products=PRODUCTS,
        seed=3,
        negatives=31,
        evaluation_negatives=53,
        unlabelled=UNLABELLED,
    )
    (out.parent / "counts.json").write_text(json.dumps(counts))
    return out


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return draw_catalogue(PRODUCTS, seed=3)


def files(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder).glob("*.json"), key=lambda path: int(path.stem))


def dialogues(root: Path, folder: str = "MMD2withDST") -> Iterator[list[dict[str, Any]]]:
    for path in sorted((root / folder).glob("*/*.json")):
        yield json.loads(path.read_text())


def digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def test_the_layout_has_exactly_the_folders_and_files_of_mmd(root: Path) -> None:
    assert {path.name for path in root.iterdir()} == {
        "MMD2withDST", "MMD2woDST", "images", "knowledge", "cleaned_image_id.json", "url2img.txt",
    }  # fmt: skip
    sizes = {split: len(files(root, f"MMD2withDST/{split}")) for split in ("train", "valid", "test")}
    held_out = round(0.14 * DIALOGUES)
    assert sizes == {"train": DIALOGUES - 2 * held_out, "valid": held_out, "test": held_out}
    assert len(files(root, "MMD2woDST/train")) == UNLABELLED
    stems = [path.stem for path in (root / "MMD2withDST").glob("*/*.json")]
    assert len(set(stems)) == DIALOGUES
    assert len(list((root / "images/images").glob("*.jpg"))) == PRODUCTS
    assert len(list((root / "knowledge/products_format").glob("*.json"))) == PRODUCTS
    assert not root.with_name("mmd.partial").exists()


def test_urls_ids_photos_and_texts_name_the_same_products(root: Path) -> None:
    (ids,) = json.loads((root / "cleaned_image_id.json").read_text())
    pairs = [line.split() for line in (root / "url2img.txt").read_text().splitlines()]
    assert {url for url, _ in pairs} == set(ids)
    assert sorted(ids.values()) == list(range(1, PRODUCTS + 1))
    for _, file in pairs:
        with Image.open(root / "images/images" / file) as photo:
            assert photo.size == (96, 96)
        text = json.loads((root / "knowledge/products_format" / f"{Path(file).stem}.json").read_text())
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in text.items())
        assert text["name"]


def test_turns_carry_the_fields_of_mmd_v3(root: Path) -> None:
    (ids,) = json.loads((root / "cleaned_image_id.json").read_text())
    for turns in dialogues(root):
        stated = False
        assert [turn["turn_id"] for turn in turns] == list(range(len(turns)))
        for turn in turns:
            user = turn["speaker"] == "user"
            stated = stated or (user and turn["type"] == "give-part-criteria")
            assert set(turn) == {"speaker", "type", "utterance", "turn_id"} | ({"ds"} if user and stated else set())
            utterance = turn["utterance"]
            shows = bool(utterance["images"])
            fields = {"images", "nlg", "false nlg", "image_desps", "spans"} | ({"false images"} if shows else set())
            assert set(utterance) == fields
            assert "".join(span["text"] for span in utterance["spans"]) == (utterance["nlg"] or "")
            if shows:
                assert not user
                assert len(utterance["images"]) == len(utterance["image_desps"]) <= 5
                assert set(utterance["images"]) | set(utterance["false images"]) <= set(ids.values())
            else:
                assert utterance["images"] is None
                assert utterance["nlg"]


def test_states_use_the_slots_of_mmd_and_urls_of_the_catalogue(root: Path) -> None:
    (ids,) = json.loads((root / "cleaned_image_id.json").read_text())
    hierarchical = set()
    for turns in dialogues(root):
        for turn in turns:
            for entry in turn.get("ds", {}).get("informable", []):
                assert set(entry) == {"slot", "values", "sentiment"}
                (slot,), (_,) = entry["slot"], entry["values"]
                assert slot.split(" >> ")[0] in MMD_SLOTS
                assert entry["sentiment"] in (["Like"], ["Dislike"])
                hierarchical |= {slot} if ">>" in slot else set()
            for entry in turn.get("ds", {}).get("requestable", []):
                assert set(entry) == {"object", "likes", "dislikes"}
                assert entry["object"] in ids
    assert hierarchical


def test_v2_turns_have_no_states(root: Path) -> None:
    for turns in dialogues(root, "MMD2woDST"):
        for turn in turns:
            assert set(turn) == {"speaker", "type", "utterance"}
            assert set(turn["utterance"]) - {"false images"} == {"images", "nlg", "false nlg"}


def test_counts_are_those_of_the_files(root: Path) -> None:
    counts = json.loads((root.parent / "counts.json").read_text())
    turns = [turn for folder in ("MMD2withDST", "MMD2woDST") for each in dialogues(root, folder) for turn in each]
    shown = [turn["utterance"] for turn in turns if turn["utterance"]["images"]]
    assert counts == {
        "products": PRODUCTS,
        **split_sizes(DIALOGUES),
        "unlabelled": UNLABELLED,
        "turns": len(turns),
        "states": sum("ds" in turn for turn in turns),
        "recommendation_turns": len(shown),
        "positives": sum(len(utterance["images"]) for utterance in shown),
        "negatives": sum(len(utterance["false images"]) for utterance in shown),
    }
    most = {"train": 31, "valid": 53, "test": 53}
    for split, limit in most.items():
        for path in files(root, f"MMD2withDST/{split}"):
            drawn = [turn["utterance"].get("false images") for turn in json.loads(path.read_text())]
            assert {len(ids) for ids in drawn if ids} == {limit}


def test_written_positives_satisfy_the_last_written_state_and_negatives_do_not(
    root: Path, catalogue: Catalogue
) -> None:
    (ids,) = json.loads((root / "cleaned_image_id.json").read_text())
    rows = {number: catalogue.names.index(Path(url).stem) for url, number in ids.items()}
    attributes = {slot: name for name, slot in SLOTS.items()} | {"materials >> upper materials (shoes)": "material"}
    checked = 0
    for turns in dialogues(root):
        state: list[dict[str, Any]] = []
        for turn in turns:
            state = turn["ds"]["informable"] if "ds" in turn else state
            for kind, expected in (("images", True), ("false images", False)):
                for number in turn["utterance"].get(kind) or []:
                    row = rows[number]
                    assert _satisfies(catalogue, row, state, attributes) is expected
                    checked += 1
    assert checked > 1000


def _satisfies(catalogue: Catalogue, row: int, state: list[dict[str, Any]], attributes: dict[str, str]) -> bool:
    for entry in state:
        attribute, wanted = attributes[entry["slot"][0]], entry["values"][0]
        value = catalogue.value(row, attribute)
        holds = value == wanted or (attribute == "gender" and value == "unisex")
        if holds is not (entry["sentiment"] == ["Like"]):
            return False
    return True


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), products=st.sampled_from([2, 7, 61]), negatives=st.integers(1, 40))
def test_any_catalogue_gives_dialogues_that_end_and_obey_their_states(seed: int, products: int, negatives: int) -> None:
    catalogue = draw_catalogue(products, seed)
    likes: dict[str, str] = {}
    turns = list(converse(catalogue, np.random.default_rng(seed), negatives))
    assert len(turns) < 150
    assert [turn.act for turn in turns[-2:]] == ["exit-message", "exit-message"]
    attributes = {slot: name for name, slot in SLOTS.items()} | {"materials >> upper materials (shoes)": "material"}
    state: list[dict[str, Any]] = []
    for turn in turns:
        state = turn.state["informable"] if turn.state else state
        likes = {attributes[entry["slot"][0]]: entry["values"][0] for entry in state if entry["sentiment"] == ["Like"]}
        if turn.recommendation is not None:
            shown, others = turn.recommendation.shown.tolist(), turn.recommendation.negatives.tolist()
            assert 1 <= len(shown) <= 5
            assert len(set(shown)) == len(shown)
            assert len(set(others)) == len(others) <= negatives
            assert all(_satisfies(catalogue, row, state, attributes) for row in shown)
            assert not any(_satisfies(catalogue, row, state, attributes) for row in others)
            assert "type" in likes


@pytest.mark.parametrize("seed", range(7))
def test_what_a_state_gains_was_said_or_can_be_read_off_the_photo_pointed_at(seed: int) -> None:
    catalogue = draw_catalogue(211, seed)
    attributes = {slot: name for name, slot in SLOTS.items()} | {"materials >> upper materials (shoes)": "material"}
    before: list[dict[str, Any]] = []
    for turn in _user_turns(catalogue, seed):
        assert turn.state is not None
        if turn.act == "give-part-criteria":
            before = []
        text = text_of(turn.spans or [])
        for entry in turn.state["informable"]:
            if entry in before:
                continue
            attribute, value = attributes[entry["slot"][0]], entry["values"][0]
            side = "likes" if entry["sentiment"] == ["Like"] else "dislikes"
            pointed = [
                reference["object"] for reference in turn.state["requestable"] if entry["slot"][0] in reference[side]
            ]
            seen = any(catalogue.value(row, attribute) == value for row in pointed)
            assert seen or any(word in text for word in _ways_to_say(attribute, value)), (text, entry)
        if turn.act != "switch-synset":
            lost = [entry for entry in before if entry not in turn.state["informable"]]
            assert len(lost) <= 1
        before = turn.state["informable"]


@pytest.mark.parametrize("seed", range(7))
def test_each_kind_of_turn_changes_the_state_as_its_words_say(seed: int) -> None:
    """(likes gained, dislikes gained, criteria lost) by act; an answer without preference changes nothing."""
    catalogue = draw_catalogue(211, seed)
    allowed = {
        "like_n_show_result": {(1, 0, 0)},
        "do_not_like_n_show_result": {(0, 1, 0)},
        "show_similar_to": {(1, 0, 0), (2, 0, 0), (1, 0, 1), (2, 0, 1)},
        "give-criteria": {(1, 0, 0), (1, 0, 1), (0, 0, 1)},
        **{act: {(0, 0, 0)} for act in ("show_result", "ask_attribute", "buy", "exit-message")},
    }
    pointing = {"like_n_show_result", "show_similar_to", "ask_attribute", "buy"}
    before: list[dict[str, Any]] = []
    for turn in _user_turns(catalogue, seed):
        assert turn.state is not None
        state = turn.state["informable"]
        gained = [entry["sentiment"][0] for entry in state if entry not in before]
        change = (gained.count("Like"), gained.count("Dislike"), sum(entry not in state for entry in before))
        before = state
        if turn.act in allowed and text_of(turn.spans or []) not in INDIFFERENT:
            assert change in allowed[turn.act], text_of(turn.spans or [])
            assert turn.act not in pointing or len(turn.state["requestable"]) == 1


def _user_turns(catalogue: Catalogue, seed: int) -> Iterator[Said]:
    for dialogue in range(11):
        for turn in converse(catalogue, np.random.default_rng([seed, dialogue]), 5):
            if turn.speaker == "user" and turn.state is not None:
                yield turn


def _ways_to_say(attribute: str, value: str) -> list[str]:
    if attribute == "type":
        return [noun.many for noun in nouns_of(value)]
    words = words_of(attribute, value)
    return [*words.adjectives, *words.phrases, *(phrase.removeprefix("with ") for phrase in words.phrases)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    arguments = {"dialogues": 5, "products": 23, "unlabelled": 2, "evaluation_negatives": 7}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate(tmp_path / name, seed=seed, **arguments)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    simulate(
        tmp_path / "out", dialogues=3, products=11, seed=0, unlabelled=2,
        progress=lambda what, done, total: seen.setdefault(what, []).append((done, total)),
    )  # fmt: skip
    assert {what: steps[-1] for what, steps in seen.items()} == {
        "products": (11, 11), "dialogues": (3, 3), "dialogues without states": (2, 2),
    }  # fmt: skip


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "dialogues":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "out", dialogues=3, products=11, seed=0, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_replaced_and_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.semantic-building").mkdir()
    (tmp_path / ".out.semantic-building" / "stale").write_text("x")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "mine").write_text("x")
    simulate(tmp_path / "out", dialogues=3, products=11, seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.partial"]
    assert not (tmp_path / "out" / "stale").exists()
    assert (tmp_path / "out.partial" / "mine").read_text() == "x"  # of a name that anybody may give


def test_a_folder_with_files_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(DataError, match="expected a new or an empty folder, found files in it"):
        simulate(tmp_path, dialogues=3, products=11, seed=0)
    assert (tmp_path / "kept").read_text() == "x"


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="expected to write the dataset, found Not a directory"):
        simulate(tmp_path / "file" / "out", dialogues=3, products=11, seed=0)


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("dialogues", 2, "dialogues: expected at least 3, found 2"),
        ("products", 1, "products: expected at least 2, found 1"),
        ("seed", -1, "seed: expected at least 0, found -1"),
        ("negatives", 0, "negatives: expected at least 1, found 0"),
        ("evaluation_negatives", 0, "evaluation_negatives: expected at least 1, found 0"),
        ("unlabelled", -1, "unlabelled: expected at least 0, found -1"),
    ],
)
def test_bad_numbers_are_named(tmp_path: Path, name: str, number: int, message: str) -> None:
    arguments: dict[str, int] = {"dialogues": 3, "products": 11, "seed": 0} | {name: number}
    with pytest.raises(DataError, match=message):
        simulate(tmp_path / "out", **arguments)
