"""MMD's three generations of files, genuine ones and what is found in the wild."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.mmd import MmdCorpus
from semantic.datasets.reading.records import Dialogue, Turn
from semantic.datasets.reading.text import state_value_text
from semantic.datasets.store.store import open_store
from semantic.runtime.errors import DataError

SLOTS = (
    *("age", "product_category", "brand", "sizes", "length", "colors", "fit", "styles"),
    *("care", "types", "materials", "gender", "print", "likes", "dislikes"),
)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def turn(
    speaker: str, text: str | None = "hi", images: Any = None, negatives: Any = None, **more: Any
) -> dict[str, Any]:
    return {
        "speaker": speaker,
        "type": "answer",
        "utterance": {"nlg": text, "images": images, "false images": negatives, "false nlg": "null"},
        **more,
    }


def mmd_root(root: Path, folder: str = "MMD2withDST/train", products: int = 5) -> Path:
    """Products p0, p1, ... with ids 10, 11, ...; id 90 has a URL and no file."""
    write(root / "url2img.txt", "".join(f"http://x/{n} p{n}.jpg\n" for n in range(products)) + "http://x/lonely\n")
    ids = {f"http://x/{n}": 10 + n for n in range(products)} | {"http://x/gone": 90}
    write(root / "cleaned_image_id.json", [ids])
    for n in range(products):
        write(root / f"knowledge/products_format/p{n}.json", {"name": f"product {n}", "color": "unk"})
        photo = root / f"images/images/p{n}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (7, 5), (40 * n, 0, 0)).save(photo)
    write(root / folder / "d1.json", [turn("user"), turn("system", "look", [11, 10], [12, 13])])
    return root


def only(corpus: MmdCorpus, split: str = "train", faults: Faults | None = None) -> Dialogue:
    (dialogue,) = corpus.dialogues(split, faults)
    return dialogue


def test_the_genuine_v3_dialogue_is_read_whole(shared_data: Path, tmp_path: Path) -> None:
    corpus = MmdCorpus(shared_data / "data/mmd-samples/v3", SLOTS)
    faults = Faults()
    dialogue = only(corpus, faults=faults)
    assert (corpus.layout, corpus.splits, dialogue.name, faults.counts) == ("mmd-v3", ("train",), "16_171", {})
    assert len(dialogue.turns) == 52
    assert sum(turn.state is not None for turn in dialogue.turns) == 21
    assert sum(turn.speaker == "system" and len(turn.images) > 0 for turn in dialogue.turns) == 11
    assert max(len(turn.negatives) for turn in dialogue.turns) == 1050
    assert dialogue.turns[22].text == "what do you feel about clean? which one will suit this flipflops?"
    assert dialogue.turns[19].state == {
        "materials": "like foam",
        "gender": "like female",
        "product_category": "like flip flop",
        "fit": "like regular",
        "brand": "dislike patagonia",
        "likes": "types toe",
        "dislikes": "styles",
    }
    assert dialogue.turns[48].state is not None
    assert dialogue.turns[48].state["materials"] == "like foam like synthetic"

    manifest = prepare(corpus, tmp_path / "store")
    assert manifest["rejected"]["URL without file"] == 2090
    assert manifest["splits"]["train"]["turns"] == 52
    assert manifest["splits"]["train"]["states"] == 21
    store = open_store(tmp_path / "store")
    assert len(store.split("train")) == manifest["splits"]["train"]["examples"] > 0
    for example in store.split("train").examples:
        candidates = [*store.positives(example), *store.negatives(example)]
        assert len(store.positives(example)) > 0
        assert len(store.negatives(example)) > 0
        assert store.has_photo[candidates].all()
        assert all(store.product_texts[product] for product in candidates)


def test_the_genuine_v1_dialogues_are_read(shared_data: Path) -> None:
    corpus = MmdCorpus(shared_data / "data/mmd-samples/v1", SLOTS)
    dialogues = list(corpus.dialogues("train"))
    assert corpus.layout == "mmd-v1"
    assert [(dialogue.name, len(dialogue.turns)) for dialogue in dialogues] == [("0", 37), ("1", 36)]
    images = [image for dialogue in dialogues for turn in dialogue.turns for image in turn.images]
    assert images
    assert all(image.startswith("http") for image in images)
    assert {corpus.missing_reason(image) for image in images} == {"URL without file"}


def test_the_genuine_malformed_file_stops_by_name_or_is_counted_by_name(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "data/mmd-samples"
    for path in (*(folder / "v1/train").iterdir(), folder / "malformed/2.json"):
        write(tmp_path / "v1/train" / path.name, path.read_text())
    corpus = MmdCorpus(tmp_path / "v1", SLOTS)
    place = "expected valid JSON, found at line 340 column 5: Expecting ',' delimiter"
    with pytest.raises(DataError, match=f"2.json: {place}"):
        list(corpus.dialogues("train", Faults("stop")))
    faults = Faults("skip")
    assert [dialogue.name for dialogue in corpus.dialogues("train", faults)] == ["0", "1"]
    assert faults.counts["malformed dialogue file"] == 1
    (example,) = (example for example in faults.examples if example["reason"].startswith("malformed"))
    assert example["where"].endswith("2.json")
    assert place in example["reason"]


def test_products_are_photos_in_the_order_of_the_url_table(tmp_path: Path) -> None:
    corpus = MmdCorpus(mmd_root(tmp_path), SLOTS)
    assert corpus.product_names() == [f"p{n}" for n in range(5)]
    product = corpus.product("p3")
    assert (product.text, product.photo) == ("name product 3", tmp_path / "images/images/p3.jpg")
    assert only(corpus).turns[1].images == ("p1", "p0")
    assert only(corpus).turns[1].negatives == ("p2", "p3")


def test_of_photo_files_with_one_stem_the_first_is_the_products(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    with open(root / "url2img.txt", "a") as lines:
        lines.write("http://x/gone p3.png\n")
    corpus = MmdCorpus(root, SLOTS)
    assert corpus.product_names() == [f"p{n}" for n in range(5)]
    assert corpus.product("p3").photo == root / "images/images/p3.jpg"
    assert corpus.image_name(90) == "p3"  # the id of http://x/gone


def test_images_are_ids_in_any_spelling_or_urls_and_empty_names_are_counted(tmp_path: Path) -> None:
    root, faults = mmd_root(tmp_path), Faults()
    shown = ["", "11", 10, True, "http://x/odd"]
    write(root / "MMD2withDST/train/d1.json", [turn("user", images=["12", ""]), turn("system", images=shown)])
    corpus = MmdCorpus(root, SLOTS)
    assert [each.images for each in only(corpus, faults=faults).turns] == [
        ("p2",),
        ("p1", "p0", "http://x/odd"),
    ]
    assert faults.counts == {"turn with images that are neither names nor ids": 2}
    assert faults.examples[1]["reason"].endswith(": 2 of 5")  # a truth value is no id 1
    assert corpus.missing_reason("id 1") == "image id without URL"


def test_v2_splits_alone_and_beside_v3(tmp_path: Path) -> None:
    alone = MmdCorpus(mmd_root(tmp_path / "v2", "MMD2woDST/fewshot"), SLOTS)
    assert (alone.layout, alone.splits) == ("mmd-v2", ("fewshot",))
    mmd_root(tmp_path / "both", "MMD2woDST/train")
    mmd_root(tmp_path / "both", "MMD2woDST/fewshot")
    both = MmdCorpus(mmd_root(tmp_path / "both", "MMD2withDST/train"), SLOTS)
    assert (both.layout, both.splits) == ("mmd-v3+v2", ("train", "v2_train", "v2_fewshot"))
    assert only(both, "v2_train").turns[1].images == only(both).turns[1].images


def test_the_older_name_of_the_id_table_is_read(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    (root / "cleaned_image_id.json").rename(root / "image_id.json")
    assert only(MmdCorpus(root, SLOTS)).turns[1].images == ("p1", "p0")


def test_what_is_found_in_the_wild_is_tolerated_and_counted(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    content = [
        None,
        [turn("user", "a"), turn("user", None, ds={"informable": None})],
        {"type": "answer", "utterance": {"nlg": "x"}},
        {"speaker": "user"},
        7,
        turn("system", "b", [10, None, 90, 77], [11, 90]),
    ]
    write(root / "MMD2withDST/train/d1.json", content)
    write(root / "MMD2withDST/train/empty.json", [])
    write(root / "MMD2withDST/train/.hidden.json", "not JSON")
    faults = Faults()
    corpus = MmdCorpus(root, SLOTS)
    dialogue = only(corpus, faults=faults)
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == [
        ("user", "a"),
        ("user", ""),
        ("user", ""),
        ("system", "b"),
    ]
    assert dialogue.turns[1].state == {}
    assert dialogue.turns[-1].images == ("p0", "id 90", "id 77")
    assert corpus.missing_reason("p0") is None
    assert corpus.missing_reason("id 90") == "URL without file"
    assert corpus.missing_reason("id 77") == "image id without URL"
    assert faults.counts == {
        "null turn": 1,
        "turn that is itself a list": 1,
        "turn without a speaker": 1,
        "turn without an utterance": 1,
        "turn that is no object": 1,
        "turn with images that are neither names nor ids": 1,
        "dialogue without turns": 1,
    }
    assert faults.examples[0] == {"where": "train dialogue 'd1' turn 0", "reason": "null turn"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"a": 1}', "expected a list of turns, found an object"),
        ("[1,", "found at line 1 column 4"),
        ("", "found at line 1 column 1"),
    ],
)
def test_a_file_that_is_no_dialogue_is_a_fault(tmp_path: Path, content: str, found: str) -> None:
    corpus = MmdCorpus(mmd_root(tmp_path), SLOTS)
    write(tmp_path / "MMD2withDST/train/bad.json", content)
    with pytest.raises(DataError, match=rf"bad\.json: .*{found}"):
        list(corpus.dialogues("train"))
    faults = Faults("skip")
    assert len(list(corpus.dialogues("train", faults))) == 1
    assert faults.counts == {"malformed dialogue file": 1}


def test_bytes_that_are_no_text_are_a_fault(tmp_path: Path) -> None:
    corpus = MmdCorpus(mmd_root(tmp_path), SLOTS)
    (tmp_path / "MMD2withDST/train/d1.json").write_bytes(b'["\xff"]')
    with pytest.raises(DataError, match=r"d1\.json: expected UTF-8 text, found at byte 2"):
        list(corpus.dialogues("train"))


def entry(slot: Any, values: Any = ("v",), sentiment: Any = ("Like",)) -> dict[str, Any]:
    return {"slot": slot, "values": list(values), "sentiment": list(sentiment)}


def state_of(root: Path, ds: Any, faults: Faults | None = None) -> Any:
    write(root / "MMD2withDST/train/d1.json", [turn("user", ds=ds), turn("system", ds=ds)])
    user, system = only(MmdCorpus(root, SLOTS), faults=faults).turns
    assert system.state is None  # states belong to user turns
    return user.state


def test_states_join_repeats_and_cut_hierarchies(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    informable = [
        entry(["materials >> upper materials (shoes)"], ["Foam, soft"]),
        entry(["materials"], ["rubber"], ["Dislike"]),
        entry(["brand"], ["Patagonia "], []),
    ]
    requestable = [{"object": "u", "likes": ["types >> toe", "fit"], "dislikes": []}, {"dislikes": ["brand"]}]
    assert state_of(root, {"informable": informable, "requestable": requestable}) == {
        "materials": "like foam soft dislike rubber",
        "brand": "patagonia",
        "likes": "types toe fit",
        "dislikes": "brand",
    }
    assert state_of(root, None) is None
    assert state_of(root, {}) == {}


def test_entries_without_slot_or_value_are_counted(tmp_path: Path) -> None:
    root, faults = mmd_root(tmp_path), Faults()
    informable = [entry([]), entry(None), entry(["none"]), entry(["brand"], []), {"slot": ["fit"]}, None]
    assert state_of(root, {"informable": informable}, faults) == {}
    assert faults.counts == {"state entry without a slot or a value": 6}


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        ([], "ds: expected an object, found a list"),
        ("x", "ds: expected an object, found a string"),
        (True, "ds: expected an object, found a truth value"),
        ({"informable": {"slot": []}}, "ds: expected a list under informable, found an object"),
        ({"informable": ["odd"]}, "ds: expected objects in the list informable, found a string"),
        ({"requestable": 7}, "ds: expected a list under requestable, found a number"),
        ({"informable": [{"slot": [["fit"]], "values": ["v"]}]}, "expected a text as the name of a slot, found a list"),
        ({"informable": [{"slot": 7, "values": ["v"]}]}, "expected a text as the name of a slot, found a number"),
        (
            {"informable": [{"slot": "fit", "values": {"a": 1}}]},
            "expected a text, a number or a list .* found an object",
        ),
        ({"informable": [{"slot": "fit", "values": [float("nan")]}]}, "expected a finite number, found nan"),
        ({"informable": [{"slot": "fit", "values": "\ud800"}]}, r"UTF-8 can hold, found a lone surrogate: '\\ud800'"),
        ({"informable": [{"slot": "\ud800", "values": "v"}]}, r"UTF-8 can hold, found a lone surrogate: '\\ud800'"),
        ({"informable": [{"slot": "fit", "values": "['\\ud800']"}]}, r"found a lone surrogate: '\\ud800'"),
        ({"informable": [{"slot": "fit", "values": f"[0x{'f' * 5000}]"}]}, "found one of thousands of digits"),
    ],
)
def test_a_state_of_another_kind_is_a_fault_and_no_state(tmp_path: Path, ds: Any, message: str) -> None:
    root, faults = mmd_root(tmp_path), Faults("skip")
    with pytest.raises(DataError, match=rf"^train dialogue 'd1' turn 0: .*{message}$"):
        state_of(root, ds)
    assert state_of(root, ds, faults) is None
    assert faults.counts == {"malformed state": 1}


def test_a_state_may_be_absent_in_any_spelling(tmp_path: Path) -> None:
    root, faults = mmd_root(tmp_path), Faults()
    assert state_of(root, "null", faults) is None
    assert state_of(root, {"informable": "null", "requestable": None}, faults) == {}
    assert faults.counts == {}


def deep_list(depth: int) -> Any:
    value: Any = "v"
    for _ in range(depth):
        value = [value]
    return value


def test_nested_values_are_joined_however_deep(tmp_path: Path) -> None:
    value = deep_list(700)
    content = f'[{json.dumps(turn("user"))[:-1]}, "ds": {{"informable": [{{"slot": "fit", "values": '
    content += "[" * 700 + '"v"' + "]" * 700 + "}]}}]"
    write(mmd_root(tmp_path) / "MMD2withDST/train/d1.json", content)
    assert only(MmdCorpus(tmp_path, SLOTS)).turns[0].state == {"fit": "v"}
    assert state_value_text(value) == "v"


def test_an_unknown_slot_stops_with_dialogue_turn_and_slots_or_is_ignored_and_counted(tmp_path: Path) -> None:
    root, ds = mmd_root(tmp_path), {"informable": [entry(["colour >> dark"]), entry(["fit"])]}
    with pytest.raises(DataError, match=r"dialogue 'd1' turn 0: expected a slot of age, product_category.*'colour'"):
        state_of(root, ds)
    faults = Faults("skip")
    assert state_of(root, ds, faults) == {"fit": "like v"}
    assert faults.counts == {"unknown slot": 1}


def test_a_root_without_dialogues_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"looked for MMD2withDST/\{train.*MMD2woDST/\{train,fewshot.*\(v1\)"):
        MmdCorpus(tmp_path / "nothing", SLOTS)


def test_missing_tables_are_named_at_once(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    (root / "cleaned_image_id.json").unlink()
    (root / "url2img.txt").unlink()
    with pytest.raises(DataError, match=r"found no cleaned_image_id.json or image_id.json, no url2img.txt$"):
        MmdCorpus(root, SLOTS)


@pytest.mark.parametrize(
    ("table", "found"), [("[7]", "found a number"), ("[]", "found a list"), ("7", "found a number")]
)
def test_an_id_table_of_another_shape_is_refused(tmp_path: Path, table: str, found: str) -> None:
    write(mmd_root(tmp_path) / "cleaned_image_id.json", table)
    with pytest.raises(DataError, match=rf"cleaned_image_id\.json: expected .*{found}"):
        MmdCorpus(tmp_path, SLOTS)


def reported(corpus: MmdCorpus) -> Faults:
    faults = Faults("skip")
    corpus.report_malformed_products(faults)
    return faults


@pytest.mark.parametrize(
    "number", ["seven", True, None, 1.5, [10], {}, float("nan"), float("inf"), "9" * 5000, "\u00b2"]
)
def test_an_entry_of_the_id_table_that_is_no_id_is_a_fault_and_left_out(tmp_path: Path, number: Any) -> None:
    table = mmd_root(tmp_path) / "cleaned_image_id.json"
    write(table, [{"http://x/0": number, "http://x/1": "11"}])
    corpus = MmdCorpus(tmp_path, SLOTS)
    assert only(corpus).turns[1].images == ("p1", "id 10")
    assert reported(corpus).counts == {"malformed product": 1}
    with pytest.raises(DataError, match=r"cleaned_image_id\.json: URL 'http://x/0': expected a number, found "):
        corpus.report_malformed_products(Faults())


def test_a_url_that_stands_twice_in_the_id_table_is_a_fault_and_left_out(tmp_path: Path) -> None:
    write(mmd_root(tmp_path) / "cleaned_image_id.json", '[{"http://x/0": 10, "http://x/1": 11, "http://x/0": 12}]')
    corpus = MmdCorpus(tmp_path, SLOTS)
    assert only(corpus).turns[1].images == ("p1", "id 10")
    with pytest.raises(DataError, match=r"URL 'http://x/0': expected each URL once, found it twice"):
        corpus.report_malformed_products(Faults())


def test_a_url_with_two_files_and_an_id_with_two_products_are_counted(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    with open(root / "url2img.txt", "a") as lines:
        lines.write("http://x/0 p9.jpg\n")
    write(root / "cleaned_image_id.json", [{"http://x/0": 10, "http://x/1": 11, "http://x/2": 11}])
    faults = reported(MmdCorpus(root, SLOTS))
    assert faults.counts == {"URL with two photo files": 1, "image id of two products": 1}
    assert faults.examples[0] == {
        "where": f"{root}/url2img.txt line 7", "reason": "URL with two photo files: 'p0.jpg', 'p9.jpg'"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"http://x/8 ../../secret.jpg", "a photo file within images/images, found '../../secret.jpg'"),
        (b"http://x/8 a/../../../secret.jpg", "a photo file within images/images, found 'a/../../../secret.jpg'"),
        (b"http://x/8 /etc/secret.jpg", "a photo file within images/images, found '/etc/secret.jpg'"),
        (b"http://x/8 .", "a photo file within images/images, found '.'"),
        (b"http://x/8 ..", "a photo file within images/images, found '..'"),
        (b"http://x/8 caf\xe9.jpg", "a URL and a file name in UTF-8, found "),
        (b"http://x/8 \xed\xa0\x80.jpg", "a URL and a file name in UTF-8, found "),
        (b"http://x/8 a\0.jpg", "a URL and a file name in UTF-8, found "),
        (b"http://x/8 " + b"a" * 251, "a file name of at most 250 bytes, found "),
    ],
)
def test_a_photo_outside_the_dataset_is_a_fault_that_names_the_line(tmp_path: Path, line: bytes, found: str) -> None:
    root = mmd_root(tmp_path / "data")
    Image.new("RGB", (5, 7)).save(tmp_path / "secret.jpg")
    (root / "url2img.txt").write_bytes(line + b"\n" + (root / "url2img.txt").read_bytes())
    corpus = MmdCorpus(root, SLOTS)
    assert corpus.product_names() == [f"p{n}" for n in range(5)]
    assert reported(corpus).counts == {"malformed product": 1}
    with pytest.raises(DataError, match=rf"url2img\.txt line 1: expected {re.escape(found)}"):
        prepare(corpus, tmp_path / "store")


def test_a_byte_order_mark_before_the_table_is_no_part_of_a_url(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    (root / "url2img.txt").write_bytes(b"\xef\xbb\xbf" + (root / "url2img.txt").read_bytes())
    assert MmdCorpus(root, SLOTS).image_name(10) == "p0"


def test_photos_in_folders_of_their_own_and_names_of_any_script_are_fine(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    with open(root / "url2img.txt", "a", encoding="utf-8") as lines:
        lines.write("http://x/8 sub/a b..jpg\nhttp://x/9 p\u00e4\u0161..png\nhttp://x/10 .hidden.jpg\n")
    corpus = MmdCorpus(root, SLOTS)
    assert list(corpus.product_names())[5:] == ["a b.", "p\u00e4\u0161.", ".hidden"]
    assert corpus.product("a b.").photo == root / "images/images/sub/a b..jpg"
    assert reported(corpus).counts == {}


@pytest.mark.parametrize(
    "image", ["id foo", "id ", "id 12 ", "id \u0663", "id " + "9" * 5000, "9" * 5000, 10**4000, -5, "-5", "", "\ud800"]
)
def test_odd_names_of_images_are_dead_references(tmp_path: Path, image: Any) -> None:
    root, faults = mmd_root(tmp_path), Faults("skip")
    write(root / "MMD2withDST/train/d1.json", [turn("user"), turn("system", "", [10, image], [11, image])])
    write(root / "MMD2withDST/train/d2.json", [turn("user"), turn("system", "", [10], [11])])
    corpus = MmdCorpus(root, SLOTS)
    first, _ = corpus.dialogues("train", faults)
    assert first.turns[1].images[0] == "p0"
    assert all(corpus.missing_reason(name) for name in first.turns[1].images[1:])
    assert prepare(corpus, tmp_path / "store", on_error="skip")["splits"]["train"]["examples"] == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nlg", "\ud800", "turn 2: expected text that UTF-8 can hold, found a lone surrogate: '\\ud800'"),
        ("type", "a\udfff", "turn 2: expected text that UTF-8 can hold, found a lone surrogate: 'a\\udfff'"),
        ("images", "NUMBER", "expected numbers of a usual length, found one of thousands of digits"),
        ("images", "DEEP", "found JSON nested too deeply to read"),
    ],
)
def test_a_dialogue_that_cannot_be_kept_is_skipped_alone(tmp_path: Path, key: str, value: str, message: str) -> None:
    root, bad = mmd_root(tmp_path), turn("system")
    (bad if key == "type" else bad["utterance"])[key] = value
    content = json.dumps([turn("user"), turn("system"), bad])
    content = content.replace('"NUMBER"', "9" * 5000).replace('"DEEP"', "[" * 100_000)
    write(root / "MMD2withDST/train/bad.json", content)
    corpus, faults = MmdCorpus(root, SLOTS), Faults("skip")
    with pytest.raises(DataError, match=rf"bad\.json: .*{re.escape(message)}$"):
        list(corpus.dialogues("train"))
    assert [dialogue.name for dialogue in corpus.dialogues("train", faults)] == ["d1"]
    assert faults.counts == {"malformed dialogue file": 1}
    assert prepare(corpus, tmp_path / "store", on_error="skip")["rejected"] == {"malformed dialogue file": 1}


def test_texts_types_and_speakers_of_another_kind_are_counted(tmp_path: Path) -> None:
    root, faults = mmd_root(tmp_path), Faults()
    odd = turn("user", ["no", "text"]) | {"type": {"a": 1}}  # type: ignore[arg-type]
    nobody = [turn(speaker) for speaker in (["user"], True, None, "x" * 10_000)]  # type: ignore[arg-type]
    write(root / "MMD2withDST/train/d1.json", [odd, *nobody])
    assert only(MmdCorpus(root, SLOTS), faults=faults).turns == (Turn("user", "", ""),)
    assert faults.counts == {
        "turn with a type that is no text": 1, "turn with a text that is no text": 1, "turn without a speaker": 4
    }  # fmt: skip
    assert max(len(example["reason"]) for example in faults.examples) < 200


def test_the_same_dialogue_has_the_same_digest_with_and_without_states(tmp_path: Path) -> None:
    root = mmd_root(tmp_path)
    spoken = [turn("user", "Hi"), turn("user", "there"), turn("system", "look", [11, 90, 10], [12])]
    state = {"informable": [entry(["brand"])]}
    write(root / "MMD2withDST/train/d1.json", [spoken[0] | {"ds": state}, *spoken[1:]])
    write(
        root / "MMD2woDST/train/other.json",
        [spoken[0] | {"type": "more"}, spoken[1], turn("system", "look", [11, 90, 10], [13])],
    )
    for name, changed in enumerate(
        [
            [*spoken, turn("user", "Bye")],
            [turn("user", "Hi"), turn("user", "you"), spoken[2]],
            [*spoken[:2], turn("system", "look", [11, 77, 10], [12])],  # another dead reference
            [*spoken[:2], turn("system", "look", [11, 10, 90], [12])],
        ]
    ):
        write(root / f"MMD2woDST/valid/{name}.json", changed)
    prepare(MmdCorpus(root, SLOTS), tmp_path / "store")
    store = open_store(tmp_path / "store")
    digests = dict(zip(store.dialogue_names, store.dialogue_digests.tolist(), strict=True))
    assert digests["d1"] == digests["other"]
    assert len(set(digests.values())) == len(digests) - 1 == 5


def test_a_malformed_product_file_is_named(tmp_path: Path) -> None:
    corpus = MmdCorpus(mmd_root(tmp_path), SLOTS)
    write(tmp_path / "knowledge/products_format/p0.json", "{")
    write(tmp_path / "knowledge/products_format/p1.json", "[]")
    with pytest.raises(DataError, match=r"p0\.json: expected valid JSON, found at line 1 column 2"):
        corpus.product("p0")
    with pytest.raises(DataError, match=r"p1\.json: expected an object of texts, found a list"):
        corpus.product("p1")
    (tmp_path / "knowledge/products_format/p2.json").unlink()
    assert corpus.product("p2").text is None
    (tmp_path / "knowledge/products_format/p2.json").mkdir()
    with pytest.raises(DataError, match=r"p2\.json: expected a file, found a folder"):
        corpus.product("p2")
    write(tmp_path / "knowledge/products_format/p3.json", {"name": "\ud800"})
    with pytest.raises(DataError, match=r"p3\.json: expected text that UTF-8 can hold, found a lone surrogate: "):
        corpus.product("p3")


def v1_root(root: Path) -> Path:
    shop = root / "raw_catalog/shop/public_jsons"
    write(shop / "b.json", {"Name": "Blue Shoe", "image_filename": "http://x/1", "bestSellerRank": "3"})
    write(
        shop / "a.json",
        {"NAME": "Red Hat", "Image_Filename_All": {"front": ["http://x/0", "http://x/00"]}, "image_filename": ""},
    )
    write(root / "train/d.json", [turn("user"), turn("system", "", ["http://x/00", "http://x/9"], ["http://x/1"])])
    return root


def test_v1_without_photos_takes_products_from_the_raw_catalogue(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    corpus = MmdCorpus(v1_root(tmp_path), SLOTS, lambda *step: seen.append(step))
    assert seen == [("raw catalogue", 1, 2), ("raw catalogue", 2, 2)]
    assert corpus.product_names() == ["shop/a", "shop/b"]
    assert [corpus.product(name).text for name in corpus.product_names()] == ["name red hat", "name blue shoe"]
    assert corpus.product("shop/a").photo is None
    assert only(corpus).turns[1].images == ("shop/a", "http://x/9")
    manifest = prepare(corpus, tmp_path / "store", missing_photo="mask")
    assert manifest["splits"]["train"]["examples"] == 1
    assert manifest["products"]["masked_photos"] == 2


def test_v1_with_photos_names_products_by_photo(tmp_path: Path) -> None:
    root = v1_root(tmp_path)
    write(root / "url2img.txt", "http://x/1 p1.jpg\nhttp://x/00 p0.jpg\nhttp://x/8 p8.jpg\n")
    corpus = MmdCorpus(root, SLOTS)
    assert corpus.product_names() == ["p1", "p0", "p8"]
    assert [corpus.product(name).text for name in corpus.product_names()] == ["name blue shoe", "name red hat", None]
    assert only(corpus).turns[1].images == ("p0", "http://x/9")


def test_a_malformed_entry_of_the_raw_catalogue_is_a_fault_when_preparing(tmp_path: Path) -> None:
    root = v1_root(tmp_path / "v1")
    write(root / "raw_catalog/shop/public_jsons/c.json", "{")
    corpus = MmdCorpus(root, SLOTS)
    assert corpus.product_names() == ["shop/a", "shop/b"]
    with pytest.raises(DataError, match=r"c\.json: expected valid JSON"):
        prepare(corpus, tmp_path / "store", missing_photo="mask")
    manifest = prepare(corpus, tmp_path / "store", missing_photo="mask", on_error="skip")
    assert manifest["rejected"]["malformed product file"] == 1
