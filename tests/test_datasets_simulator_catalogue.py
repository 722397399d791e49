"""The catalogue shoppers search: drawn ones, their photos, and a user's own folder."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semantic.datasets.simulator import simulate
from semantic.datasets.simulator.catalogue.catalogue import Catalogue, encode
from semantic.datasets.simulator.catalogue.drawing import draw_catalogue
from semantic.datasets.simulator.catalogue.folder import read_catalogue
from semantic.datasets.simulator.catalogue.garments import BRANDS, GARMENTS, MISSING_TEXT
from semantic.datasets.simulator.catalogue.photos import COLOURS, Photographer
from semantic.datasets.simulator.catalogue.shapes import SHAPES
from semantic.datasets.simulator.catalogue.slots import CRITERIA, slot_of
from semantic.datasets.simulator.catalogue.words import NOUNS, WORDS
from semantic.runtime.errors import DataError

ROWS = [
    {"name": "one", "type": "Dress", "colour": "red", "rating": "4"},
    {"name": "two", "type": "dress", "colour": "teal", "rating": "5"},
    {"name": "three", "type": "poncho", "colour": "", "rating": "1"},
    {"name": "four", "type": "poncho", "colour": "red", "rating": "2"},
    {"name": "five", "type": "", "colour": "unk", "rating": "3"},
]


def write_folder(folder: Path, rows: list[dict[str, str]], photos: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "catalogue.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for photo in photos:
        Image.new("RGB", (19, 23), (200, 30, 30)).save(folder / photo)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "own", ROWS, ["one.jpg", "two.png", "three.jpeg", "four.jpg", "five.jpg"])


def test_the_tables_speak_of_the_same_garments_attributes_and_values() -> None:
    assert set(GARMENTS) == set(NOUNS) == set(SHAPES)
    assert set(MISSING_TEXT) == set(CRITERIA)
    for garment in GARMENTS.values():
        for attribute, weights in garment.options.items():
            assert attribute in CRITERIA
            assert set(weights) <= set(WORDS[attribute])
    assert set(COLOURS) == set(WORDS["colour"])
    assert len(GARMENTS) >= 12
    assert len(COLOURS) >= 12
    assert len(BRANDS) >= 10


def test_no_two_values_of_an_attribute_share_a_word() -> None:
    for values in WORDS.values():
        said = Counter(word for words in values.values() for word in {*words.adjectives, *words.phrases})
        assert max(said.values()) == 1


def test_a_drawn_product_has_the_attributes_of_its_garment_and_no_other() -> None:
    catalogue = draw_catalogue(401, seed=5)
    always = {"type", "gender", "brand"}
    for row in range(len(catalogue)):
        item = catalogue.item(row)
        assert set(item) - {"age"} == always | set(GARMENTS[item["type"]].options)
    assert len(set(catalogue.names)) == 401


def test_texts_miss_values_at_the_rates_of_the_table_and_never_betray_a_missing_type() -> None:
    products = 4000
    catalogue = draw_catalogue(products, seed=1)
    keys = {"colour": "color", "pattern": "print", "neckline": "neck"}
    for attribute, rate in MISSING_TEXT.items():
        told = [
            text[keys.get(attribute, attribute)] for text in catalogue.texts if keys.get(attribute, attribute) in text
        ]
        missing = sum(word in ("unk", "", " ") for word in told) / len(told)
        assert abs(missing - rate) < 4 * np.sqrt(rate * (1 - rate) / len(told))
    names = {noun.one for nouns in NOUNS.values() for noun in nouns}
    for text in catalogue.texts:
        if text["type"] in ("unk", "", " "):
            assert not names & set(" ".join(text.values()).split())


def test_has_and_satisfying_on_a_catalogue_written_out() -> None:
    columns: dict[str, list[str | None]] = {
        "type": ["hat", "hat", "bag", None, "hat"],
        "gender": ["women", "men", "unisex", "women", "unisex"],
        "colour": ["red", None, "red", "blue", "blue"],
    }
    values, codes = encode(columns)
    catalogue = Catalogue(list("abcde"), [{}] * 5, values, codes)
    assert catalogue.has("type", "hat").tolist() == [True, True, False, False, True]
    assert catalogue.has("type", "sock").tolist() == [False] * 5
    assert catalogue.has("gender", "women").tolist() == [True, False, True, True, True]
    assert catalogue.has("gender", "unisex").tolist() == [False, False, True, False, True]
    assert catalogue.satisfying({"type": "hat"}, {"colour": ["red"]}).tolist() == [False, True, False, False, True]
    assert catalogue.satisfying({}, {}).all()
    assert catalogue.value(1, "colour") is None
    assert catalogue.item(3) == {"gender": "women", "colour": "blue"}


def test_the_upper_of_a_shoe_has_a_slot_of_its_own() -> None:
    for kind in ("boots", "sneakers"):
        assert slot_of("material", kind) == "materials >> upper materials (shoes)"
        assert slot_of("colour", kind) == "colors"
    assert slot_of("material", "hat") == slot_of("material", None) == "materials"


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("colour", ["red", "navy", "white"])
def test_the_colour_of_a_garment_is_what_its_photo_shows_in_the_middle(kind: str, colour: str) -> None:
    """Of the pixels that are not background, the most frequent colour is the nearest in the table."""
    item = {"type": kind, "colour": colour, "pattern": "plain"}
    picture = np.asarray(Photographer(0).picture(item, np.random.default_rng(3)), dtype=float)
    background = picture[:4].reshape(-1, 3).mean(0)
    cloth = picture[np.abs(picture - background).max(-1) > 25]
    assert len(cloth) > 0.06 * 96 * 96
    table = np.array(list(COLOURS.values()), dtype=float)
    nearest = np.abs(cloth[:, None] - table).sum(-1).argmin(-1)
    assert list(COLOURS)[np.bincount(nearest).argmax()] == colour


@pytest.mark.parametrize("pattern", ["striped", "checked", "dotted", "floral", "zigzag", "leopard"])
def test_a_pattern_shows_and_leaves_the_colour_in_the_majority(pattern: str) -> None:
    rng = np.random.default_rng
    photographer = Photographer(0)
    plain, printed = (
        np.asarray(photographer.picture({"type": "t-shirt", "colour": "red", "pattern": name}, rng(2)), dtype=float)
        for name in ("plain", pattern)
    )
    red = (plain[..., 0] > 150) & (plain[..., 1] < 80)
    changed = (printed[..., 1] > 120)[red].mean()
    assert 0.08 < changed < 0.5


def test_garments_stay_inside_the_crop_a_reader_takes() -> None:
    """Resize to 72 and crop 64 in the centre takes off 4 / 72 on each side."""
    photographer = Photographer(0)
    for kind in SHAPES:
        for seed in range(5):
            item = {"type": kind, "colour": "navy", "fit": "loose", "length": "maxi", "sleeve": "long sleeve"}
            picture = np.asarray(photographer.picture(item, np.random.default_rng(seed)), dtype=float)
            edge = round(96 * 4 / 72)
            border = np.ones((96, 96), dtype=bool)
            border[edge:-edge, edge:-edge] = False
            assert picture[border].min() > 150, kind


def test_photos_differ_by_seed_and_agree_for_the_same_one() -> None:
    item = {"type": "coat", "colour": "brown", "pattern": "checked"}
    first, again, other = (Photographer(1).jpeg(item, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_an_own_catalogue_is_spoken_about_by_its_own_attributes(folder: Path, tmp_path: Path) -> None:
    counts = simulate(tmp_path / "out", dialogues=7, seed=1, catalogue=folder)
    assert counts["products"] == 5
    slots, kinds = set(), set()
    for path in (tmp_path / "out" / "MMD2withDST").glob("*/*.json"):
        for turn in json.loads(path.read_text()):
            for entry in turn.get("ds", {}).get("informable", []):
                slots |= set(entry["slot"])
                kinds |= set(entry["values"]) if entry["slot"] == ["product_category"] else set()
    assert slots <= {"product_category", "colors"}
    assert kinds == {"dress", "poncho"}
    images = tmp_path / "out" / "images" / "images"
    assert {path.name for path in images.iterdir()} == {"one.jpg", "two.png", "three.jpeg", "four.jpg", "five.jpg"}
    assert (images / "two.png").read_bytes() == (folder / "two.png").read_bytes()
    text = json.loads((tmp_path / "out/knowledge/products_format/two.json").read_text())
    assert text == {"name": "two", "type": "dress", "colour": "teal", "rating": "5"}


def test_own_photos_by_path_spaces_and_a_part_of_the_table(tmp_path: Path) -> None:
    rows = [
        {"File": f"photos/my {n}.jpg", "Category": kind, "Color": "red"} for n, kind in enumerate(["hat", "bag"] * 3)
    ]
    (tmp_path / "own" / "photos").mkdir(parents=True)
    own = write_folder(tmp_path / "own", rows, [row["File"] for row in rows])
    catalogue = read_catalogue(own, None, seed=0)
    assert catalogue.names == [f"my_{n}" for n in range(6)]
    assert catalogue.attributes == ("type", "colour")
    part = read_catalogue(own, 3, seed=0)
    assert len(part) == 3
    assert set(part.names) < set(catalogue.names)
    simulate(tmp_path / "out", dialogues=3, seed=0, catalogue=own)
    lines = (tmp_path / "out" / "url2img.txt").read_text().splitlines()
    assert all(len(line.split(" ")) == 2 for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "catalogue.csv: expected a header and at least one product, found an empty file"),
        ("name,type\n", "catalogue.csv: expected a header and at least one product, found no product"),
        (
            "name,colour\none,red\n",
            "catalogue.csv: expected the column type and one of name and file, found name, colour",
        ),
        (
            "type,colour\nhat,red\n",
            "catalogue.csv: expected the column type and one of name and file, found type, colour",
        ),
        ("name,type\none,hat,red\n", "catalogue.csv line 2: expected 2 cells, found 3"),
        ("name,type\nnowhere,hat\n", "catalogue.csv line 2: expected a photo 'nowhere' ending in .jpg, .jpeg, .png in"),
        (
            "file,type\nnowhere.jpg,hat\n",
            r"catalogue.csv line 2: expected a photo 'nowhere.jpg' in \S+, found no such file",
        ),
        (
            "file,type\none.gif,hat\n",
            "catalogue.csv line 2: expected a photo ending in .jpg, .jpeg, .png, found 'one.gif'",
        ),
        ("name,type\n,hat\n", "catalogue.csv line 2: expected a name or a file, found neither"),
        (
            "name,type\none,hat\none,bag\n",
            "catalogue.csv line 3: expected a photo of its own, found 'one' of line 2 again",
        ),
        ("name,type\none,unk\n", "catalogue.csv: expected a type for at least one product, found none"),
        ("name,type,color,colour\none,hat,a,b\n", "catalogue.csv: expected each column once, found colour twice"),
    ],
)
def test_a_bad_table_is_one_clear_error(folder: Path, tmp_path: Path, text: str, message: str) -> None:
    (folder / "catalogue.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        simulate(tmp_path / "out", dialogues=3, catalogue=folder)
    assert not (tmp_path / "out").exists()


def test_a_table_in_another_encoding_and_a_folder_without_one(folder: Path, tmp_path: Path) -> None:
    (folder / "catalogue.csv").write_bytes("name,type\none,h\xfct\n".encode("latin-1"))
    with pytest.raises(DataError, match="expected a CSV file in UTF-8"):
        read_catalogue(folder, None, seed=0)
    with pytest.raises(DataError, match=r"expected a catalogue with a file catalogue\.csv, found none"):
        read_catalogue(tmp_path, None, seed=0)
