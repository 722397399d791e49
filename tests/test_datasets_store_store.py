"""Reading a prepared store back."""

import errno
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.store import store as store_module
from semantic.datasets.store.store import FILES, MANIFEST, VERIFIED, Store, open_store
from semantic.runtime.errors import DataError
from tests.worlds import reseal

SLOTS = ("color", "type")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    for folder in ("images", "img_attrs", "train", "valid"):
        (root / folder).mkdir()
    for shade in range(3):
        Image.new("RGB", (5, 7), (100 + shade, 0, 0)).save(root / f"images/p{shade}.png")
    (root / "img_attrs/img_attrs.json").write_text(json.dumps({f"p{n}": f"product {n}" for n in range(3)}))
    turns = [
        {"speaker": "user", "type": "ask", "utterance": {"nlg": "Red"}, "dst": {"slot_values": {"color": "Red"}}},
        {"speaker": "user", "type": "more", "utterance": {"nlg": "hat", "images": ["p2", "p2"]}},
        {"speaker": "system", "type": "show", "utterance": {"images": ["p1", "p0"], "false images": ["p2"]}},
        {"speaker": "user", "type": "bye", "utterance": {"nlg": "Bye"}, "dst": {"slot_values": {}}},
    ]
    (root / "train/d.json").write_text(json.dumps(turns))
    (root / "valid/e.json").write_text(json.dumps(turns[:3]))
    prepare(SimmcCorpus(root, SLOTS), root / "store")
    return root / "store"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copied"))


def test_what_was_written_is_read_back(made: Path) -> None:
    store = open_store(made)
    assert (store.slots, store.splits, store.num_products) == (SLOTS, ("train", "valid"), 3)
    assert store.product_names == ["p0", "p1", "p2"]
    assert store.product_texts == ["product 0", "product 1", "product 2"]
    assert store.photos.shape == (3, 64, 64, 3)
    assert store.photos[:, 5, 5, 0].tolist() == [100, 101, 102]
    assert store.has_photo.all()
    assert store.dialogue_names == ["d", "e"]
    assert store.dialogue_first_turn.tolist() == [0, 3]
    assert store.dialogue_turns.tolist() == [3, 2]
    assert [store.dialogue_split(row) for row in (0, 1)] == ["train", "valid"]
    assert store.turn_speakers == ["user", "system", "user", "user", "system"]
    assert store.turn_acts == ["more", "show", "bye", "more", "show"]
    assert store.turn_texts == ["red hat", "", "bye", "red hat", ""]
    assert store.turn_merged.tolist() == [2, 1, 1, 2, 1]
    assert [store.turn_images(turn).tolist() for turn in range(5)] == [[2, 2], [1, 0], [], [2, 2], [1, 0]]
    assert store.state_values == ["none", "red"]
    assert store.turn_states.tolist() == [[1, 0], [-1, -1], [0, 0], [1, 0], [-1, -1]]
    assert store.example_turns.tolist() == [[0, 1], [1, 4]]
    assert [store.positives(example).tolist() for example in (0, 1)] == [[1, 0], [1, 0]]
    assert [store.negatives(example).tolist() for example in (0, 1)] == [[2], [2]]
    assert [(split.start, split.stop, len(split)) for split in map(store.split, store.splits)] == [(0, 1, 1), (1, 2, 1)]
    store.verify()


def test_arrays_are_memory_mapped_and_of_the_promised_kinds(made: Path) -> None:
    store = open_store(made)
    kinds = {
        "photos": np.uint8,
        "has_photo": np.bool_,
        "turn_states": np.int32,
        "turn_image_values": np.int32,
        "turn_image_offsets": np.int64,
        "example_turns": np.int64,
        "positive_values": np.int32,
        "positive_offsets": np.int64,
        "negative_values": np.int32,
        "negative_offsets": np.int64,
    }
    for name, kind in kinds.items():
        assert isinstance(getattr(store, name), np.memmap)
        assert getattr(store, name).dtype == kind


def test_another_process_gets_the_path_and_not_the_pixels(made: Path) -> None:
    store = open_store(made)
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent).photos, store.photos)


def test_an_unknown_split_names_those_there_are(made: Path) -> None:
    with pytest.raises(DataError, match="expected a split of train, valid, found 'dev'"):
        open_store(made).split("dev")


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a prepared store .* found a folder without one"):
        open_store(tmp_path)
    with pytest.raises(DataError, match=r"expected a prepared store .* found nothing$"):
        open_store(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, r"manifest\.json: expected store version 2, found 1; prepare it again"),
        ({"slots": ["color"]}, r"manifest\.json: expected the manifest that was written, found one changed since"),
        ({"seal": None}, r"manifest\.json: expected the manifest that was written, found one changed since"),
        ({"format": "other"}, "expected format 'semantic-store', found another kind of file"),
    ],
)
def test_a_store_of_another_version_or_kind(copied: Path, change: dict[str, object], message: str) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(DataError, match=message):
        open_store(copied)


def test_a_manifest_that_is_none(copied: Path) -> None:
    (copied / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="expected the manifest of a store, found no valid JSON"):
        open_store(copied)
    (copied / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(DataError, match="expected the manifest of a store, found no valid JSON"):
        open_store(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_or_missing_is_named(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-1])
    with pytest.raises(DataError, match=rf"{name}: expected {len(content)} bytes, found {len(content) - 1} bytes"):
        open_store(copied)
    (copied / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: expected {len(content)} bytes, found no such file"):
        open_store(copied)


@pytest.mark.parametrize("name", FILES)
def test_verifying_finds_a_changed_byte(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    store = open_store(copied)
    (copied / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"expected the content that was prepared, found {name} changed; prepare"):
        store.verify()


def test_a_machine_verifies_a_store_once_until_a_file_is_touched(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copied / VERIFIED)
    read: list[str] = []
    monkeypatch.setattr(
        store_module, "file_digest", lambda file, whole=store_module.file_digest: read.append(file.name) or whole(file)
    )
    open_store(copied).verify_once()
    assert sorted(read) == sorted(FILES)
    open_store(copied).verify_once()
    assert len(read) == len(FILES)
    monkeypatch.setattr(store_module.platform, "node", lambda: "another machine")
    open_store(copied).verify_once()
    assert len(read) == 2 * len(FILES)
    content = bytearray((copied / "positives.npy").read_bytes())
    content[-1] ^= 1
    (copied / "positives.npy").write_bytes(content)
    for _ in range(2):
        with pytest.raises(DataError, match=r"found positives\.npy changed"):
            open_store(copied).verify_once()


def test_a_store_that_cannot_be_written_to_is_verified_each_time(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copied / VERIFIED)

    def read_only(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store_module, "write_shared", read_only)
    open_store(copied).verify_once()
    assert not (copied / VERIFIED).exists()


def test_the_same_content_has_the_same_identity_wherever_it_lies(made: Path, copied: Path) -> None:
    assert open_store(made).identity == open_store(copied).identity
    np.save(copied / "positives.npy", np.load(copied / "positives.npy")[::-1])
    reseal(copied)
    assert open_store(made).identity != open_store(copied).identity


def test_a_store_that_was_replaced_is_not_read_on(copied: Path) -> None:
    store = open_store(copied)
    sent = pickle.dumps(store)
    np.save(copied / "positives.npy", np.load(copied / "positives.npy")[::-1])
    reseal(copied)
    with pytest.raises(DataError, match="expected the store that was opened, found that it was replaced meanwhile"):
        _ = store.product_names
    with pytest.raises(DataError, match="expected the store that was there before, found another in its place"):
        pickle.loads(sent)


@pytest.mark.parametrize("name", ["positives.npy", "turns.parquet"])
def test_a_file_of_the_right_size_that_does_not_read_is_named(copied: Path, name: str) -> None:
    (copied / name).write_bytes(bytes((copied / name).stat().st_size))
    with pytest.raises(DataError, match=rf"{name}: expected .*; prepare the store again"):
        _ = open_store(copied).turn_texts


TEXTS = ["red hat", None, "", "blue hat", "a 3rd", "hat", None, "green hat", "no", "bye", "hat"]


@pytest.fixture(scope="module")
def grouped(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store with eleven products in row groups of three: p0, p1, ... and the texts above."""
    path = tmp_path_factory.mktemp("grouped")
    for name in (*FILES, MANIFEST):
        (path / name).write_bytes((made / name).read_bytes())
    table = pa.table({"name": [f"p{row}" for row in range(len(TEXTS))], "text": TEXTS})
    pq.write_table(table, path / "products.parquet", row_group_size=3)
    reseal(path)
    return open_store(path)


def test_rows_are_those_of_the_tables(made: Path, grouped: Store) -> None:
    store = open_store(made)
    assert [store.rows(table) for table in ("products", "dialogues", "turns", "state_values")] == [3, 2, 5, 2]
    assert grouped.rows("products") == len(TEXTS)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, len(TEXTS)), length=st.integers(0, len(TEXTS) + 3))
def test_texts_are_a_part_of_their_column_over_the_borders_of_groups(grouped: Store, start: int, length: int) -> None:
    whole = [text or "" for text in TEXTS]
    assert grouped.texts("products", "text", start, start + length) == whole[start : start + length]


@pytest.mark.parametrize(
    ("start", "stop", "groups"),
    [(0, 3, [0]), (2, 4, [0, 1]), (3, 6, [1]), (5, 10, [1, 2, 3]), (9, 99, [3]), (12, 99, [])],
)
def test_only_the_groups_of_the_asked_texts_are_read(
    grouped: Store, monkeypatch: pytest.MonkeyPatch, start: int, stop: int, groups: list[int]
) -> None:
    read, whole = [], pq.ParquetFile.read_row_group

    def spy(file: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
        read.append((group, columns))
        return whole(file, group, columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    grouped.texts("products", "text", start, stop)
    assert read == [(group, ["text"]) for group in groups]


@pytest.mark.parametrize("block", [1, 2, 3, 5, 11, 12])
def test_all_texts_come_in_order_whatever_the_blocks(
    grouped: Store, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(store_module, "BLOCK", block)
    assert list(grouped.all_texts("products", "text")) == [text or "" for text in TEXTS]
    assert list(grouped.all_texts("state_values", "value")) == ["none", "red"]


def test_a_column_of_some_products_stands_in_the_order_asked_for(grouped: Store) -> None:
    assert grouped.product_column("name", [10, 0, 4, 4]) == ["p10", "p0", "p4", "p4"]
    assert grouped.product_column("text", [7, 1, 2, 0]) == ["green hat", "", "", "red hat"]
    assert grouped.product_column("name", []) == []


def test_names_are_found_and_those_of_no_product_left_out(grouped: Store) -> None:
    assert grouped.product_rows(["p10", "p2", "hat", "p2", "", "P3"]) == {"p10": 10, "p2": 2}
    assert grouped.product_rows(name for name in ("p0", "p8")) == {"p0": 0, "p8": 8}
    assert grouped.product_rows([]) == {}
