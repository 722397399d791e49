"""Readers over damaged datasets: whatever a file holds, they skip it, or stop with one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.corpus import Corpus, open_corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.records import Dialogue
from semantic.runtime.errors import DataError
from tests.mutations import mutated_bytes, mutated_json

SLOTS = ("brand", "likes", "size")
PRODUCTS = 5
KEPT = "d2"  # the dialogue whose file nobody damages


def turns(shown: list[Any], hidden: list[Any], state: dict[str, Any]) -> list[Any]:
    user = {"speaker": "user", "type": "ask", "utterance": {"nlg": "Hi", "images": None}} | state
    system = {
        "speaker": "system",
        "type": "show",
        "utterance": {"nlg": "See", "images": shown, "false images": hidden},
    }
    return [user, system, None, [user], system]


def mmd_files(generation: str) -> dict[str, Any]:
    """Path -> content: JSON, or text."""
    state = {
        "ds": {
            "informable": [{"slot": ["brand >> x"], "values": ["Wide"], "sentiment": ["Like"]}],
            "requestable": [{"object": "http://x/0", "likes": ["brand"], "dislikes": []}],
        }
    }
    url, lines = "http://x/{}".format, "".join(f"http://x/{n} p{n}.png\n" for n in range(PRODUCTS))
    if generation == "v1":
        dialogue = turns([url(0), url(9)], [url(1), "2"], {})
        files: dict[str, Any] = {
            f"raw_catalog/shop/public_jsons/{n}.json": {"Name": f"hat {n}", "image_filename_all": {"front": [url(n)]}}
            for n in range(PRODUCTS)
        }
        return files | {"url2img.txt": lines, "train/d1.json": dialogue, f"train/{KEPT}.json": dialogue}
    dialogue = turns([10, 11, 90], [12, "13", 14, 77], state)
    files = {f"knowledge/products_format/p{n}.json": {"name": f"hat {n}", "sizes": ["S", 7]} for n in range(PRODUCTS)}
    return files | {
        "url2img.txt": lines,
        "cleaned_image_id.json": [{url(n): 10 + n for n in range(PRODUCTS)} | {"http://x/gone": 90}],
        "MMD2withDST/train/d1.json": dialogue,
        f"MMD2withDST/train/{KEPT}.json": dialogue,
    }


def simmc_files() -> dict[str, Any]:
    dialogue = turns(["p0", "lost"], ["p1", 7], {"dst": {"slot_values": {"brand": "['A', 'B']", "size": 4.5}}})
    texts: dict[str, Any] = {f"p{n}": f"hat {n}" for n in range(PRODUCTS)} | {"p4": {"name": "hat 4"}}
    return {"img_attrs/img_attrs.json": texts, "train/d1.json": dialogue, f"train/{KEPT}.json": dialogue}


LAYOUTS: dict[str, dict[str, Any]] = {"v1": mmd_files("v1"), "v3": mmd_files("v3"), "simmc": simmc_files()}
TABLES = ("url2img.txt", "cleaned_image_id.json", "img_attrs/img_attrs.json")
"""Files that everything depends on: where one is no table at all, opening stops under either policy."""

CASES = [
    pytest.param(layout, name, id=f"{layout}-{name.rsplit('/', 1)[-1]}")
    for layout, files in LAYOUTS.items()
    for name in dict.fromkeys(
        (*(t for t in TABLES if t in files), next(iter(files)), next(n for n in files if "d1" in n))
    )
]


def encoded(content: Any) -> bytes:
    return (content if isinstance(content, str) else json.dumps(content)).encode()


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_roots(tmp_path_factory.mktemp("roots"))


def make_roots(folder: Path) -> dict[str, Path]:
    """A dataset of each layout."""
    roots = {}
    for layout, files in LAYOUTS.items():
        root = roots[layout] = folder / layout
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encoded(content))
        photos = root / ("images" if layout == "simmc" else "images/images")
        photos.mkdir(parents=True)
        for n in range(PRODUCTS):
            Image.new("RGB", (7, 5), (n, 0, 0)).save(photos / f"p{n}.png")
    return roots


def read_all(corpus: Corpus, faults: Faults) -> list[Dialogue]:
    """Everything that preparing reads; all of it can be stored."""
    corpus.report_malformed_products(faults)
    for name in corpus.product_names():
        name.encode()
        assert corpus.missing_reason(name) is None
        try:
            product = corpus.product(name)
        except DataError as error:
            faults.fault("malformed product file", f"product {name!r}", str(error))
        else:
            (product.text or "").encode()
            assert product.photo is None or corpus.root in product.photo.parents
            assert product.photo is None or ".." not in product.photo.parts
    dialogues = [dialogue for split in corpus.splits for dialogue in corpus.dialogues(split, faults)]
    for text in texts(dialogues):
        text.encode()
    for dialogue in dialogues:
        for turn in dialogue.turns:
            assert all(map(corpus.missing_reason, set(turn.images) - set(corpus.product_names())))
    return dialogues


def texts(dialogues: list[Dialogue]) -> Iterator[str]:
    for dialogue in dialogues:
        yield dialogue.name
        for turn in dialogue.turns:
            yield from (turn.speaker, turn.act, turn.text, *turn.images, *turn.negatives)
            for slot, value in (turn.state or {}).items():
                assert slot in SLOTS
                yield value


def assert_one_line(error: DataError, name: str) -> None:
    """The message is a line that names the damaged file: by its path, or a dialogue or product by its name."""
    message = str(error)
    assert "\n" not in message
    assert Path(name).stem in message


def mutated(layout: str, name: str) -> st.SearchStrategy[bytes]:
    """Contents of a damaged file of a layout."""
    content = LAYOUTS[layout][name]
    values = st.nothing() if isinstance(content, str) else mutated_json(content).map(str.encode)
    return mutated_bytes(encoded(content)) | values


def check(root: Path, name: str, content: bytes) -> bool:
    """Whether a corpus with this content in place of a file's is read; where it is not, one line says why."""
    file, read = root / name, True
    whole = file.read_bytes()
    try:
        file.write_bytes(content)
        for policy in ("skip", "stop"):
            try:
                corpus = open_corpus(root, SLOTS)
            except DataError as error:  # the table is none
                assert name in TABLES
                assert_one_line(error, name)
                read = False
                continue
            faults = Faults(policy)
            try:
                dialogues = read_all(corpus, faults)
            except DataError as error:
                assert policy == "stop"
                assert_one_line(error, name)
            else:
                assert KEPT in [dialogue.name for dialogue in dialogues]
                json.dumps(faults.examples, ensure_ascii=False).encode()
                assert not any("\n" in text for example in faults.examples for text in example.values())
    finally:
        file.write_bytes(whole)
    return read


once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("layout", "name"), [case for case in CASES if "url2img" not in str(case.id)])
@once
@given(data=st.data())
def test_any_value_in_any_place(roots: dict[str, Path], layout: str, name: str, data: st.DataObject) -> None:
    check(roots[layout], name, data.draw(mutated_json(LAYOUTS[layout][name])).encode())


@pytest.mark.parametrize(("layout", "name"), CASES)
@once
@given(data=st.data())
def test_any_bytes(roots: dict[str, Path], layout: str, name: str, data: st.DataObject) -> None:
    check(roots[layout], name, data.draw(mutated_bytes(encoded(LAYOUTS[layout][name]))))


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "name"), CASES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_preparing_skips_or_says_why_it_cannot(
    roots: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    layout: str,
    name: str,
    data: st.DataObject,
) -> None:
    root, whole = roots[layout], encoded(LAYOUTS[layout][name])
    try:
        (root / name).write_bytes(data.draw(mutated(layout, name)))
        outcome = prepared(root, tmp_path_factory.mktemp("store"))
    finally:
        (root / name).write_bytes(whole)
    if isinstance(outcome, DataError):
        assert name in TABLES or "expected a recommendation with a positive" in str(outcome)
        assert "\n" not in str(outcome)
    else:
        assert outcome["splits"]["train"]["examples"] > 0


def prepared(root: Path, out: Path) -> dict[str, Any] | DataError:
    try:
        return prepare(open_corpus(root, SLOTS), out, on_error="skip")
    except DataError as error:
        return error
