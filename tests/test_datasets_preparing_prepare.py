"""Preparing a store: what is kept, what is counted, and every way to be interrupted."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semantic.datasets.preparing import products as preparing_products
from semantic.datasets.preparing.dialogues import Limits
from semantic.datasets.preparing.prepare import PARTIAL, prepare
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.store.arrays import GrowingArray, GrowingTable
from semantic.datasets.store.store import FILES, MANIFEST, open_store
from semantic.runtime.claims import BusyError
from semantic.runtime.errors import DataError

SLOTS = ("color", "type", "brand")
PRODUCTS = 13


def turn(speaker: str, images: Any = (), negatives: Any = (), state: dict[str, str] | None = None) -> dict[str, Any]:
    utterance = {"nlg": f"{speaker} says", "images": list(images), "false images": list(negatives)}
    more = {} if state is None else {"dst": {"slot_values": state}}
    return {"speaker": speaker, "type": "act", "utterance": utterance, **more}


def simmc_root(root: Path) -> Path:
    """Products p0 ... p12: p3 has no photo, p4 a broken one, p5 no text."""
    names = [f"p{n}" for n in range(PRODUCTS)]
    (root / "images").mkdir(parents=True)
    (root / "img_attrs").mkdir()
    texts = {name: "" if name == "p5" else f"type {name}" for name in names}
    (root / "img_attrs/img_attrs.json").write_text(json.dumps(texts))
    for shade, name in enumerate(names):
        Image.new("RGB", (6, 8), (shade, 2 * shade, 3 * shade)).save(root / f"images/{name}.png")
    (root / "images/p3.png").unlink()
    (root / "images/p4.png").write_bytes(b"no photo")
    dialogues = {
        "train/a": [
            turn("user", state={"color": "red"}),
            turn("user"),
            turn("system", ["p1", "p0", "p1"], ["p2", "p1", "p6", "p2", "gone"]),
            turn("user", ["p1"], state={}),
            turn("system", ["p3"], ["p7", "gone"]),
        ],
        "train/b": [turn("system", ["p0"], ["p1"]), turn("user"), turn("system", ["p8"], ["p4", "p5"])],
        "valid/a": [turn("user"), turn("system", ["p9"], []), turn("user"), turn("system", ["p9"], ["p10"])],
    }
    for name, turns in dialogues.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.json").write_text(json.dumps(turns))
    (root / "test").mkdir()
    return root


@pytest.fixture
def corpus(tmp_path: Path) -> SimmcCorpus:
    return SimmcCorpus(simmc_root(tmp_path / "root"), SLOTS)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_products_without_text_or_photo_are_dropped_and_counted(corpus: SimmcCorpus, tmp_path: Path) -> None:
    manifest = prepare(corpus, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert store.product_names == [f"p{n}" for n in range(PRODUCTS) if n not in (3, 4, 5)]
    assert store.product_texts[3] == "type p6"
    assert store.photos[3, 0, 0].tolist() == [6, 12, 18]
    assert manifest["products"] == {
        "catalogue": 13,
        "total": 10,
        "with_text": 10,
        "with_photo": 10,
        "masked_photos": 0,
    }
    assert manifest["rejected"] == {
        "image name without a product": 1,  # "gone", named twice
        "negative that is also a positive": 1,
        "no photo file": 1,
        "no product text": 1,
        "photo does not decode": 1,
        "recommendation without a negative that resolves": 1,
        "recommendation without a positive that resolves": 1,
        "recommendation without context": 1,
        "recommendation without negatives": 1,
    }
    assert {"where": "train dialogue 'b' merged turn 0", "reason": "recommendation without context"} in manifest[
        "rejected_examples"
    ]


def test_examples_are_the_candidates_that_resolve(corpus: SimmcCorpus, tmp_path: Path) -> None:
    manifest = prepare(corpus, tmp_path / "store")
    store = open_store(tmp_path / "store")
    names = np.array(store.product_names)
    assert [len(store.split(split)) for split in store.splits] == [1, 1, 0]
    assert store.example_turns.tolist() == [[0, 1], [2, 10]]
    assert names[store.positives(0)].tolist() == ["p1", "p0"]
    assert names[store.negatives(0)].tolist() == ["p2", "p6"]
    assert names[store.positives(1)].tolist() == ["p9"]
    assert names[store.negatives(1)].tolist() == ["p10"]
    assert manifest["splits"]["train"] == {
        "dialogues": 2,
        "dialogues_with_states": 1,
        "turns": 8,
        "merged_turns": 7,
        "states": 2,
        "recommendation_turns": 4,
        "examples": 1,
        "positives": 2,
        "negatives": 2,
    }
    assert set(manifest["splits"]["test"].values()) == {0}


def test_masking_keeps_products_whose_photo_cannot_be_read(corpus: SimmcCorpus, tmp_path: Path) -> None:
    manifest = prepare(corpus, tmp_path / "store", missing_photo="mask")
    store = open_store(tmp_path / "store")
    assert store.product_names == [f"p{n}" for n in range(PRODUCTS) if n != 5]
    assert np.flatnonzero(~store.has_photo).tolist() == [3, 4]
    assert not store.photos[[3, 4]].any()
    assert store.photos[4 + 1].any()
    assert manifest["products"]["masked_photos"] == 2
    assert manifest["splits"]["train"]["examples"] == 3


def test_limits_cut_after_resolving(corpus: SimmcCorpus, tmp_path: Path) -> None:
    turns = [turn("user"), turn("system", ["p3", "p0", "p1", "p2"], ["gone", "p2", "p6", "p7", "p8"])]
    (corpus.root / "train/a.json").write_text(json.dumps(turns))
    prepare(corpus, tmp_path / "store", limits=Limits(positives=2, negatives=2))
    store = open_store(tmp_path / "store")
    names = np.array(store.product_names)
    assert names[store.positives(0)].tolist() == ["p0", "p1"]
    assert names[store.negatives(0)].tolist() == ["p6", "p7"]  # p2 is a positive, though one cut off


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing_products, "BLOCK", 3)


class Stop(Exception):
    """Stands for a kill."""


def stop_at(what: str, count: int) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, _total: int) -> None:
        if (stage, done) == (what, count):
            raise Stop

    return progress


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("missing_photo", ["drop", "mask"])
@pytest.mark.parametrize(
    ("what", "count"), [("photos", 3), ("photos", 9), ("photos", 13), ("dialogues", 2), ("checksums", 5)]
)
def test_an_interrupted_preparation_ends_as_one_never_stopped(
    corpus: SimmcCorpus, tmp_path: Path, what: str, count: int, missing_photo: str
) -> None:
    prepare(corpus, tmp_path / "whole", missing_photo=missing_photo)
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "stopped", missing_photo=missing_photo, progress=stop_at(what, count))
    with pytest.raises(DataError, match="found an unfinished store without one"):
        open_store(tmp_path / "stopped")
    steps: list[tuple[str, int, int]] = []
    prepare(corpus, tmp_path / "stopped", missing_photo=missing_photo, progress=lambda *step: steps.append(step))
    photos_done = [done for stage, done, _ in steps if stage == "photos"]
    first = count if what == "photos" else PRODUCTS
    assert photos_done == [*range(first + 3, PRODUCTS, 3), PRODUCTS][: len(photos_done)]
    assert bool(photos_done) == (first < PRODUCTS)  # finished blocks are not read again
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("line", [b'{"read": 9', b"\0\0\0\n"])
def test_a_kill_within_a_block_loses_that_block_only(corpus: SimmcCorpus, tmp_path: Path, line: bytes) -> None:
    prepare(corpus, tmp_path / "whole")
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "killed", progress=stop_at("photos", 6))
    partial = tmp_path / "killed" / PARTIAL
    for name, rubbish in (
        ("photos.npy", b"half a photo"),
        ("products.jsonl", b'["p'),
        ("journal.jsonl", line),
    ):
        with open(partial / name, "ab") as file:
            file.write(rubbish)
    prepare(corpus, tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_blocks")
def test_a_journal_ahead_of_its_data_is_believed_as_far_as_the_data_goes(corpus: SimmcCorpus, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "whole")
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "cut", progress=stop_at("photos", 9))
    photos = tmp_path / "cut" / PARTIAL / "photos.npy"
    with open(photos, "r+b") as file:
        file.truncate(128 + 4 * 64 * 64 * 3)  # two blocks hold 3 + 1 photos: the second is just whole, the third is not
    prepare(corpus, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("moved", range(0, len(FILES) + 1, 2))
def test_a_kill_while_files_move_to_their_place_is_made_good(
    corpus: SimmcCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    prepare(corpus, tmp_path / "whole")
    replace, left = Path.replace, [moved]

    def failing(self: Path, target: Path) -> Path:
        if self.name in (*FILES, MANIFEST) and self.parent.name == PARTIAL:
            left[0] -= 1
            if left[0] < 0:
                raise Stop
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(Stop):
            prepare(corpus, tmp_path / "killed")
    with pytest.raises(DataError, match="found an unfinished store without one; the same `prepare` goes on"):
        open_store(tmp_path / "killed")  # the manifest comes last: till then the folder is no store
    steps: list[str] = []
    prepare(corpus, tmp_path / "killed", progress=lambda step, *_: steps.append(step))
    assert steps == ["already prepared"]  # it only moved what was complete
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not (tmp_path / "killed" / PARTIAL).exists()


def test_a_finished_store_of_the_same_source_is_left_alone(corpus: SimmcCorpus, tmp_path: Path) -> None:
    first = prepare(corpus, tmp_path / "store")
    steps: list[tuple[str, int, int]] = []
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    assert prepare(corpus, tmp_path / "store", progress=lambda *step: steps.append(step)) == first
    assert steps == [("already prepared", 1, 1)]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}


def test_a_finished_store_of_something_else_is_kept_unless_overwritten(corpus: SimmcCorpus, tmp_path: Path) -> None:
    out = tmp_path / "store"
    prepare(corpus, out)
    with pytest.raises(DataError, match=r"differs in missing_photo; choose another folder or pass --overwrite"):
        prepare(corpus, out, missing_photo="mask")
    with pytest.raises(DataError, match="differs in limits"):
        prepare(corpus, out, limits=Limits(negatives=7))
    (corpus.root / "train/b.json").write_text("[]")
    with pytest.raises(DataError, match="differs in source"):
        prepare(corpus, out)
    assert prepare(corpus, out, missing_photo="mask", overwrite=True)["missing_photo"] == "mask"
    assert open_store(out).num_products == 12


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("train/a.json", lambda content, _: content.replace(b"says", b"said")),
        ("img_attrs/img_attrs.json", lambda content, _: content.replace(b"type p1", b"tape p1")),
        ("images/p1.png", lambda _, root: (root / "images/p2.png").read_bytes()),
    ],
)
def test_an_edit_of_the_same_length_is_another_source_and_new_times_alone_are_none(
    corpus: SimmcCorpus, tmp_path: Path, name: str, edit: Callable[[bytes, Path], bytes]
) -> None:
    out, file = tmp_path / "store", corpus.root / name
    prepare(corpus, out)
    stat, content = file.stat(), file.read_bytes()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    steps: list[str] = []
    prepare(corpus, out, progress=lambda step, *_: steps.append(step))
    assert steps[-2:] == ["checksums", "already prepared"]  # a store was made, to compare
    assert not (out / PARTIAL).exists()
    steps.clear()
    prepare(corpus, out, progress=lambda step, *_: steps.append(step))
    assert steps == ["already prepared"]  # the new times are known now

    changed = edit(content, corpus.root)
    assert changed != content
    assert len(changed) == len(content)
    file.write_bytes(changed)
    before = contents(out)
    with pytest.raises(DataError, match="differs in source"):
        prepare(SimmcCorpus(corpus.root, SLOTS), out)
    assert contents(out) == before
    steps.clear()
    prepare(SimmcCorpus(corpus.root, SLOTS), out, overwrite=True, progress=lambda step, *_: steps.append(step))
    assert "photos" not in steps  # they were read to compare


def test_a_copy_of_the_dataset_elsewhere_is_the_same_source(corpus: SimmcCorpus, tmp_path: Path) -> None:
    first = prepare(corpus, tmp_path / "store")
    moved = SimmcCorpus(shutil.copytree(corpus.root, tmp_path / "moved", copy_function=shutil.copy), SLOTS)
    assert prepare(moved, tmp_path / "store")["identity"] == first["identity"]
    assert prepare(moved, tmp_path / "other")["identity"] == first["identity"]


def test_a_dataset_that_changes_while_it_is_read_makes_no_store(corpus: SimmcCorpus, tmp_path: Path) -> None:
    def meddle(stage: str, *_: int) -> None:
        if stage == "dialogues":
            (corpus.root / "train/a.json").write_text("[]")

    with pytest.raises(DataError, match="root: expected files that stand still, found some changed meanwhile"):
        prepare(corpus, tmp_path / "store", progress=meddle)
    assert not (tmp_path / "store" / MANIFEST).exists()


@pytest.mark.parametrize("fault", ["malformed dialogue", "stopped"])
def test_a_good_store_stays_until_the_one_that_replaces_it_is_whole(
    corpus: SimmcCorpus, tmp_path: Path, fault: str
) -> None:
    out = tmp_path / "store"
    prepare(corpus, out)
    (out / "notes.txt").write_text("mine")
    before = contents(out)
    if fault == "malformed dialogue":
        (corpus.root / "train/bad.json").write_text("[")
    with pytest.raises((DataError, Stop)):
        prepare(corpus, out, missing_photo="mask", overwrite=True, progress=stop_at("checksums", 5))
    open_store(out).verify()
    assert contents(out) == before
    if fault == "malformed dialogue":
        (corpus.root / "train/bad.json").unlink()
    steps: list[str] = []
    prepare(corpus, out, missing_photo="mask", overwrite=True, progress=lambda step, *_: steps.append(step))
    assert "photos" not in steps  # those of the stopped preparation were taken
    assert open_store(out).num_products == 12
    assert (out / "notes.txt").read_text() == "mine"


def test_two_preparations_of_one_store_do_not_mix(corpus: SimmcCorpus, tmp_path: Path) -> None:
    said: list[str] = []

    def second(stage: str, *_: int) -> None:
        if stage == "dialogues" and not said:
            with pytest.raises(BusyError) as caught:
                prepare(corpus, tmp_path / "store")
            said.append(str(caught.value))

    prepare(corpus, tmp_path / "store", progress=second)
    assert said[0].startswith(
        f"{tmp_path}/store: expected no other process at work there, found process {os.getpid()} on "
    )
    open_store(tmp_path / "store").verify()
    assert not list(tmp_path.glob(".*"))  # the lock is gone


def test_unfinished_photos_of_something_else_are_kept_unless_overwritten(corpus: SimmcCorpus, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "store", progress=stop_at("photos", PRODUCTS))
    with pytest.raises(DataError, match=r"expected an unfinished store of the same .* differs in missing_photo"):
        prepare(corpus, tmp_path / "store", missing_photo="mask")
    prepare(corpus, tmp_path / "store", missing_photo="mask", overwrite=True)
    assert not (tmp_path / "store" / PARTIAL).exists()


def test_a_folder_with_other_files_is_not_written_into(corpus: SimmcCorpus, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"expected an empty folder or a store, found chapter\.txt"):
            prepare(corpus, tmp_path / "thesis", overwrite=overwrite)
    (tmp_path / "book" / PARTIAL).mkdir(parents=True)
    (tmp_path / "book" / PARTIAL / "chapter.txt").write_text("x")
    with pytest.raises(DataError, match=r"partial: expected an empty folder or a store, found chapter\.txt"):
        prepare(corpus, tmp_path / "book")
    with pytest.raises(DataError, match="expected a folder, found a file"):
        prepare(corpus, tmp_path / "thesis/chapter.txt")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("writer", "calls"), [(GrowingArray, 5), (GrowingTable, 11)])
def test_a_full_disk_is_one_clear_message_and_loses_nothing(
    corpus: SimmcCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: type, calls: int
) -> None:
    append, left = writer.append, [calls]  # type: ignore[attr-defined]

    def full(self: Any, *row: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, *row)

    prepare(corpus, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", full)
        with pytest.raises(DataError, match="found the disk full; what was written is kept"):
            prepare(corpus, tmp_path / "store")
    assert (tmp_path / "store" / PARTIAL / "journal.jsonl").read_text().count("\n") > 1
    prepare(corpus, tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_too_little_disk_is_said_before_anything_is_written(
    corpus: SimmcCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    with pytest.raises(DataError, match=r"store: expected 0\.00 GB free to prepare, found 0\.00 GB"):
        prepare(corpus, tmp_path / "store")
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_other_faults_of_the_disk_are_not_called_full(
    corpus: SimmcCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(GrowingArray, "append", broken)
    with pytest.raises(OSError, match="Input/output error"):
        prepare(corpus, tmp_path / "store")


def test_a_malformed_dialogue_stops_or_is_skipped_and_photos_are_not_read_again(
    corpus: SimmcCorpus, tmp_path: Path
) -> None:
    (corpus.root / "train/bad.json").write_text("[")
    with pytest.raises(DataError, match=r"bad\.json: expected valid JSON, found at line 1 column 2"):
        prepare(corpus, tmp_path / "store")
    manifest = prepare(corpus, tmp_path / "store", on_error="skip", progress=stop_at("photos", PRODUCTS))
    assert manifest["rejected"]["malformed dialogue file"] == 1
    assert manifest["splits"]["train"]["dialogues"] == 2


def test_no_example_in_any_split_says_why(corpus: SimmcCorpus, tmp_path: Path) -> None:
    for file in (corpus.root / "train").iterdir():
        file.unlink()
    (corpus.root / "valid/a.json").write_text(json.dumps([turn("user"), turn("system", ["p1"], ["gone"])]))
    with pytest.raises(DataError) as caught:
        prepare(corpus, tmp_path / "store")
    for part in (
        "no example in any split: train 0 dialogues, valid 1 dialogues, test 0 dialogues",
        "10 of 13 products kept",
        "recommendation without a negative that resolves 1",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"missing_photo": "keep"}, "missing_photo: expected drop or mask, found 'keep'"),
        ({"on_error": "ignore"}, "on_error: expected one of stop, skip, found 'ignore'"),
        ({"photo_size": 73, "photo_resize": 72}, "photo_size: expected 1 to photo_resize"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    corpus: SimmcCorpus, tmp_path: Path, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare(corpus, tmp_path / "store", **setting)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["positives", "negatives"])
def test_limits_below_one_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"limits\.{name}: expected at least 1, found 0"):
        Limits(**{name: 0})
