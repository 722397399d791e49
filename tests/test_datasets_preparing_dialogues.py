"""The examples of a store against candidates named and looked up one by one, on messy files of every layout."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semantic.datasets.preparing import dialogues as preparing_dialogues
from semantic.datasets.preparing import prepare as prepare_module
from semantic.datasets.preparing import products as preparing_products
from semantic.datasets.preparing import workers
from semantic.datasets.preparing.dialogues import Limits
from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.corpus import Corpus, open_corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.merging import merge_turns
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.errors import DataError
from tests.commands import forking

SLOTS = ("brand", "colors")
PRODUCTS, DIALOGUES = 19, 13
BROKEN, TEXTLESS = 4, 6  # products that are dropped
LIMITS = Limits(positives=3, negatives=11)
URL = "http://x/{}".format


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def messy_dialogues(folder: Path, pool: Sequence[Any], state: Callable[[str], dict[str, Any]], seed: int) -> None:
    """Turns in any order of speakers; a list has images of one kind, or of any; some of it repeats."""
    rng = np.random.default_rng(seed)
    kinds = [[image for image in pool if type(image) is kind] or list(pool) for kind in (int, str)] + [list(pool)]

    def images(most: int) -> Any:
        kind = kinds[rng.integers(len(kinds))]
        drawn = [kind[place] for place in rng.integers(len(kind), size=rng.integers(most + 1))]
        return [None, drawn, drawn, drawn + drawn[:2]][rng.integers(4)]

    for number in range(DIALOGUES):
        turns: list[Any] = []
        for _ in range(rng.integers(2, 13)):
            speaker = ("user", "system")[rng.integers(2)]
            shown = images(5)
            negatives = (images(29) or []) + (shown or [])[: rng.integers(3)]
            utterance = {"nlg": f"word {rng.integers(9)}", "images": shown, "false images": negatives}
            turns.append({"speaker": speaker, "type": "act", "utterance": utterance} | state(f"v{rng.integers(5)}"))
        if rng.integers(3) == 0:
            turns.insert(0, None)
        write(folder / f"{number}.json", turns)


def photos(folder: Path) -> None:
    folder.mkdir(parents=True)
    for n in range(PRODUCTS):
        Image.new("RGB", (7, 5), (n, 2 * n, 3 * n)).save(folder / f"p{n}.png")
    (folder / f"p{BROKEN}.png").write_text("no photo")


def mmd_state(value: str) -> dict[str, Any]:
    return {"ds": {"informable": [{"slot": ["brand"], "values": [value], "sentiment": ["Like"]}]}}


def no_state(_: str) -> dict[str, Any]:
    return {}


def mmd_with_ids(root: Path, splits: dict[str, Callable[[str], dict[str, Any]]]) -> Path:
    """Products p0, p1, ... have ids 10, 11, ...; id 90 has a URL and no file, 77 and the rest of the odd ones nothing."""
    write(root / "url2img.txt", "".join(f"{URL(n)} p{n}.png\n" for n in range(PRODUCTS)))
    write(root / "cleaned_image_id.json", [{URL(n): 10 + n for n in range(PRODUCTS)} | {URL("gone"): 90}])
    for n in range(PRODUCTS):
        text = {} if n == TEXTLESS else {"name": f"product {n}"}
        write(root / f"knowledge/products_format/p{n}.json", text)
    photos(root / "images/images")
    ids = [*range(10, 10 + PRODUCTS)] * 3 + [90, 77, -3, 2**31 - 1]
    pool = [*ids, 2**40, 2**70, True, "12", "77", URL(3), URL("lost"), "", None, 1.5]
    for seed, (split, state) in enumerate(splits.items()):
        messy_dialogues(root / split, pool, state, seed)
    return root


def v3(root: Path) -> Path:
    return mmd_with_ids(
        root, {"MMD2withDST/train": mmd_state, "MMD2withDST/valid": mmd_state, "MMD2woDST/train": no_state}
    )


def v2(root: Path) -> Path:
    return mmd_with_ids(root, {"MMD2woDST/train": no_state, "MMD2woDST/fewshot": mmd_state})


def v1(root: Path) -> Path:
    for n in range(PRODUCTS):
        content = {"image_filename": URL(n)} | ({} if n == TEXTLESS else {"Name": f"product {n}"})
        write(root / f"raw_catalog/shop/public_jsons/{n:02}.json", content)
    write(root / "url2img.txt", "".join(f"{URL(n)} p{n}.png\n" for n in range(PRODUCTS)))
    photos(root / "images/images")
    messy_dialogues(root / "train", [*map(URL, range(PRODUCTS)), URL("lost"), URL("gone"), 12, None], no_state, 0)
    return root


def simmc(root: Path) -> Path:
    texts = {f"p{n}": "" if n == TEXTLESS else f"product {n}" for n in range(PRODUCTS)}
    write(root / "img_attrs/img_attrs.json", texts | {"7": "a product with a number for its name"})
    photos(root / "images")
    shutil.copy(root / "images/p7.png", root / "images/7.png")

    def state(value: str) -> dict[str, Any]:
        return {"dst": {"slot_values": {"brand": value}}}

    messy_dialogues(root / "train", [*texts, "lost", "gone", 7, 8, "7", None], state, 0)
    messy_dialogues(root / "test", [*texts, "lost", "elsewhere"], state, 1)
    return root


layouts = pytest.mark.parametrize("layout", [v1, v2, v3, simmc])


@dataclass
class OneByOne:
    """What DESIGN section 2 makes of dialogues whose images were named one by one."""

    corpus: Corpus
    rows: dict[str, int]
    faults: Faults = field(default_factory=Faults)
    shown: list[list[int]] = field(default_factory=list)
    positives: list[list[int]] = field(default_factory=list)
    negatives: list[list[int]] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)

    def read(self) -> "OneByOne":
        for split in self.corpus.splits:
            for dialogue in self.corpus.dialogues(split, self.faults):
                for index, merged in enumerate(merge_turns(dialogue.turns)):
                    turn, place = merged.turn, f"{split} dialogue {dialogue.name!r} merged turn {index}"
                    self.shown.append(self._rows(turn.images, place))
                    if turn.speaker == "system" and turn.images:
                        self._recommendation(turn.negatives, self.shown[-1], index, place)
        return self

    def _recommendation(self, negatives: tuple[str, ...], shown: list[int], index: int, place: str) -> None:
        others = list(dict.fromkeys(self._rows(negatives, place)))
        for _ in set(others) & set(shown):
            self.faults.note("negative that is also a positive", place)
        others = [row for row in others if row not in shown]
        if index == 0:
            self.faults.note("recommendation without context", place)
        elif not negatives:
            self.faults.note("recommendation without negatives", place)
        elif not shown:
            self.faults.note("recommendation without a positive that resolves", place)
        elif not others:
            self.faults.note("recommendation without a negative that resolves", place)
        else:
            self.positives.append(list(dict.fromkeys(shown))[: LIMITS.positives])
            self.negatives.append(others[: LIMITS.negatives])

    def _rows(self, names: tuple[str, ...], place: str) -> list[int]:
        for name in names:
            if name not in self.rows and name not in self.dead:
                self.dead.add(name)
                reason = self.corpus.missing_reason(name)
                if reason is not None:
                    self.faults.note(reason, place, name)
        return [self.rows[name] for name in names if name in self.rows]


def rejected_of_products(manifest: dict[str, Any]) -> tuple[dict[str, int], list[dict[str, str]]]:
    counts = {reason: manifest["rejected"][reason] for reason in ("no product text", "photo does not decode")}
    return counts, manifest["rejected_examples"][: sum(counts.values())]


@layouts
def test_messy_dialogues_give_what_looking_up_one_by_one_gives(layout: Callable[[Path], Path], tmp_path: Path) -> None:
    corpus = open_corpus(layout(tmp_path / "root"), SLOTS)
    manifest = prepare(corpus, tmp_path / "store", limits=LIMITS)
    store = open_store(tmp_path / "store")
    expected = OneByOne(corpus, {name: row for row, name in enumerate(store.product_names)})
    expected.faults.merge(*rejected_of_products(manifest))
    expected.read()
    assert expected.positives
    assert len(expected.faults.counts) > 6
    turns, examples = range(len(store.turn_image_offsets) - 1), range(len(store.example_turns))
    assert [store.turn_images(turn).tolist() for turn in turns] == expected.shown
    assert [store.positives(example).tolist() for example in examples] == expected.positives
    assert [store.negatives(example).tolist() for example in examples] == expected.negatives
    assert manifest["rejected"] == dict(sorted(expected.faults.counts.items()))
    assert manifest["rejected_examples"] == expected.faults.examples
    counts = manifest["splits"].values()
    assert sum(count["positives"] for count in counts) == sum(map(len, expected.positives))
    assert sum(count["negatives"] for count in counts) == sum(map(len, expected.negatives))
    assert sum(count["merged_turns"] for count in counts) == len(expected.shown)


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are worth their while, and there is something for each."""
    monkeypatch.setattr(prepare_module, "WORTH_WORKERS", 0)
    monkeypatch.setattr(preparing_dialogues, "FILES_AT_ONCE", 2)
    monkeypatch.setattr(preparing_products, "BLOCK", 3)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.usefixtures("small_tasks")
@forking
@pytest.mark.parametrize(("layout", "start"), [(v1, "fork"), (v3, "fork"), (v3, "spawn"), (simmc, "spawn")])
def test_workers_write_the_same_bytes(
    layout: Callable[[Path], Path], start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "START", start)
    corpus = open_corpus(layout(tmp_path / "root"), SLOTS)
    prepare(corpus, tmp_path / "alone", limits=LIMITS)
    prepare(corpus, tmp_path / "together", limits=LIMITS, workers=2)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


class Stop(Exception):
    """Stands for a kill."""


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize(("what", "count"), [("photos", 6), ("dialogues", 5)])
def test_a_preparation_with_workers_is_interrupted_as_one_without(tmp_path: Path, what: str, count: int) -> None:
    def stop(stage: str, done: int, _total: int) -> None:
        if (stage, done) == (what, count):
            raise Stop

    corpus = open_corpus(v3(tmp_path / "root"), SLOTS)
    prepare(corpus, tmp_path / "whole")
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "stopped", workers=2, progress=stop)
    steps: list[tuple[str, int]] = []
    prepare(corpus, tmp_path / "stopped", progress=lambda stage, done, _: steps.append((stage, done)))
    assert ("photos", 3) not in steps
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("processes", [0, 2])
def test_the_first_malformed_file_stops_with_the_same_words(tmp_path: Path, processes: int) -> None:
    root = v3(tmp_path / "root")
    for name in ("3", "7"):  # in the order of names: 0, 1, 10, 11, 12, 2, 3, ...
        write(root / f"MMD2withDST/train/{name}.json", "[")
    corpus = open_corpus(root, SLOTS)
    with pytest.raises(DataError) as stopped:
        prepare(corpus, tmp_path / "store", workers=processes)
    place = root / "MMD2withDST/train/3.json"
    assert str(stopped.value) == f"{place}: expected valid JSON, found at line 1 column 2: Expecting value"
    manifest = prepare(corpus, tmp_path / "store", workers=processes, on_error="skip")
    assert manifest["rejected"]["malformed dialogue file"] == 2


def test_a_number_of_workers_that_cannot_be_is_refused(tmp_path: Path) -> None:
    corpus = open_corpus(simmc(tmp_path / "root"), SLOTS)
    with pytest.raises(DataError, match="workers: expected 0 or more, found -2"):
        prepare(corpus, tmp_path / "store", workers=-2)
    assert not (tmp_path / "store").exists()


def test_a_small_corpus_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a process")

    monkeypatch.setattr(workers, "ProcessPoolExecutor", refuse)
    corpus = open_corpus(simmc(tmp_path / "root"), SLOTS)
    prepare(corpus, tmp_path / "store", workers=2)
    assert isinstance(open_store(tmp_path / "store"), Store)
    monkeypatch.setattr(prepare_module, "WORTH_WORKERS", PRODUCTS)  # with its dialogues, the corpus has more
    with pytest.raises(AssertionError, match="a process"):
        prepare(corpus, tmp_path / "other", workers=2)
