"""Base vectors of a catalogue: each product encoded once, whatever the blocks, kept in memory, streamed or stored."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semantic.config.loading import make_config
from semantic.config.schema import EvaluationConfig
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.store.store import Store, open_store
from semantic.evaluation import catalogue as vectors
from semantic.evaluation.catalogue import BaseVectors, encode_catalogue, encode_rows, stored_vectors
from semantic.models.building import batch_builder, build_model
from semantic.models.semantic.paper import Semantic
from semantic.runtime.distributed import Processes
from semantic.runtime.progress import Progress
from tests.small_world import small_config
from tests.worlds import changed_copy, tiny_values

CPU = torch.device("cpu")
CLOSE = {"atol": 1e-5, "rtol": 0}

MODELS: dict[str, tuple[str, ...]] = {
    "features": (),
    "frozen backbone": ("model.image.features=null", "model.image.backbone=test_resnet", "model.image.frozen=true"),
    "trained backbone": ("model.image.features=null", "model.image.backbone=test_resnet"),
    "released": ("preset=released",),
}


@pytest.fixture(scope="module")
def own_store(shop: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return copied(shop, tmp_path_factory.mktemp("vectors"))


def copied(shop: Store, folder: Path) -> Store:
    """A copy without what other tests left in the store."""
    path = changed_copy(shop.path, folder / "store")
    shutil.rmtree(path / "vectors", ignore_errors=True)
    return open_store(path)


@pytest.fixture(scope="module", params=MODELS)
def catalogue(request, own_store: Store, shop_features: Path) -> tuple[Semantic, BatchBuilder]:
    return made(own_store, shop_features, *MODELS[request.param])


def made(store: Store, features: Path, *overrides: str) -> tuple[Semantic, BatchBuilder]:
    model = build_model(make_config(tiny_values(store.path, features), overrides), store, lambda _: None).eval()
    return model, batch_builder(model, store, CPU, Progress())


def at_once(model: Semantic, builder: BatchBuilder, ids: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        found = model.encode_products(builder.products(ids))
    return torch.stack([found.text, found.image], dim=1)


def sizes(product_batch_size: int, precision: str = "no") -> EvaluationConfig:
    return EvaluationConfig(product_batch_size=product_batch_size, precision=precision)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The products of every call of the encoder."""
    calls: list[list[int]] = []
    whole = vectors.encode_rows

    def spy(model: Semantic, builder: BatchBuilder, ids: np.ndarray, *rest: Any) -> torch.Tensor:
        calls.append(ids.tolist())
        return whole(model, builder, ids, *rest)

    monkeypatch.setattr(vectors, "encode_rows", spy)
    return calls


@pytest.mark.parametrize("batch_size", [1, 7, 1009])
def test_a_catalogue_is_what_the_model_makes_of_its_products(catalogue, encoded, batch_size):
    model, builder = catalogue
    ids = np.arange(builder.store.num_products)[::-1][2:]  # not all, and in an order of their own
    progress: list[tuple[int, int]] = []

    found = encode_catalogue(model, builder, ids, sizes(batch_size), lambda *at: progress.append(at))

    assert len(found) == len(ids)
    assert found.rows.dtype == torch.float32
    torch.testing.assert_close(found.rows, at_once(model, builder, ids), **CLOSE)
    assert [product for call in encoded for product in call] == ids.tolist()  # each once
    assert max(map(len, encoded)) == min(batch_size, len(ids))
    assert progress == [(min(done + batch_size, len(ids)), len(ids)) for done in range(0, len(ids), batch_size)]


def test_dropout_has_no_part_and_the_mode_is_left_as_it_was(catalogue):
    model, builder = catalogue
    ids = np.arange(7)
    expected = at_once(model, builder, ids)
    for mode in (True, False):
        model.train(mode)
        rows = encode_catalogue(model, builder, ids, sizes(5)).rows
        assert model.training is mode
        assert not rows.requires_grad
        torch.testing.assert_close(rows, expected, **CLOSE)
    model.eval()


def test_no_products_have_no_rows(catalogue):
    none = np.zeros(0, dtype=np.int64)
    assert encode_rows(*catalogue, none, "no").shape == encode_catalogue(*catalogue, none, sizes(7)).rows.shape
    assert encode_rows(*catalogue, none, "no").shape == (0, 2, 16)


def left_in(store: Store) -> list[Path]:
    return sorted(store.path.rglob("*"))


def test_many_products_are_streamed_to_a_file_that_leaves_nothing_behind(catalogue, monkeypatch):
    (model, builder), ids = catalogue, np.arange(37)
    in_memory, before = encode_catalogue(model, builder, ids, sizes(7)), left_in(builder.store)
    appended: list[int] = []

    class Spy(vectors.GrowingArray):
        def append(self, rows: np.ndarray) -> None:
            assert self._file.name.startswith(str(builder.store.path))  # beside the store, not in a small /tmp
            appended.append(len(rows))
            super().append(rows)

    monkeypatch.setattr(vectors, "GrowingArray", Spy)
    bytes_of_all = 37 * 2 * 16 * 4
    monkeypatch.setattr(vectors, "IN_MEMORY", bytes_of_all)
    encode_catalogue(model, builder, ids, sizes(7))
    assert appended == []
    monkeypatch.setattr(vectors, "IN_MEMORY", bytes_of_all - 1)

    streamed = encode_catalogue(model, builder, ids, sizes(7))

    assert appended == [7, 7, 7, 7, 7, 2]
    assert left_in(builder.store) == before
    assert torch.equal(streamed.rows, in_memory.rows)
    order = torch.tensor([[30, 2, 2], [0, 36, 5]])
    assert torch.equal(streamed.at(order, CPU).image, in_memory.rows[order][:, :, 1])


def test_an_interruption_of_the_stream_leaves_nothing_behind(catalogue, monkeypatch):
    model, builder = catalogue
    before = left_in(builder.store)
    monkeypatch.setattr(vectors, "IN_MEMORY", 0)

    def interrupt(done: int, total: int) -> None:
        assert left_in(builder.store) != before
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_catalogue(model, builder, np.arange(40), sizes(7), interrupt)
    assert left_in(builder.store) == before


@dataclass(frozen=True)
class Threads(Processes):
    """Processes of one program, which gather through a list."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))
    shared: list[Any] = field(default_factory=list)

    def gather(self, mine: Any) -> list[Any]:
        self.shared[self.rank] = mine
        self.barrier.wait(60)
        everyone = list(self.shared)
        self.barrier.wait(60)  # nobody writes the next before all have read
        return everyone

    def join(self, mine: torch.Tensor, total: int) -> torch.Tensor:
        whole = torch.cat(self.gather(mine))
        assert len(whole) == total
        return whole


def in_threads(count: int, work: Callable[[Processes], Any]) -> list[Any]:
    """What `work` gives on each of `count` processes."""
    barrier, shared = threading.Barrier(count), [None] * count
    results: list[Any] = [None] * count

    def run(rank: int) -> None:
        try:
            results[rank] = work(Threads(rank, count, barrier=barrier, shared=shared))
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("in_memory", [vectors.IN_MEMORY, 0])
def test_several_processes_encode_each_product_once_and_all_get_all(catalogue, encoded, monkeypatch, in_memory):
    model, builder = catalogue
    ids = np.arange(40)[::-1]
    alone, before = encode_catalogue(model, builder, ids, sizes(13)).rows, left_in(builder.store)
    encoded.clear()
    monkeypatch.setattr(vectors, "IN_MEMORY", in_memory)

    found = in_threads(3, lambda ranks: encode_catalogue(model, builder, ids, sizes(13), processes=ranks))

    for rows in (each.rows for each in found):
        torch.testing.assert_close(rows, alone, **CLOSE)
        assert torch.equal(rows, found[0].rows)
    assert sorted(product for call in encoded for product in call) == list(range(40))
    assert sorted(map(len, encoded)) == [0, 0, 1, 13, 13, 13]  # a block of 39, then one product for three
    assert left_in(builder.store) == before


def files(store: Store) -> set[str]:
    return {path.name for path in (store.path / "vectors").glob("*.npy")}


@pytest.fixture
def store(shop: Store, tmp_path: Path) -> Store:
    return copied(shop, tmp_path)


@pytest.fixture
def model_and_builder(store: Store, shop_features: Path) -> tuple[Semantic, BatchBuilder]:
    return made(store, shop_features)


def stored(model: Semantic, builder: BatchBuilder, batch_size: int = 7, precision: str = "no") -> BaseVectors:
    return stored_vectors(model, builder, sizes(batch_size, precision), Progress())


def test_stored_vectors_are_those_of_the_whole_catalogue_computed_once(model_and_builder, store, encoded):
    model, builder = model_and_builder
    model.train()

    found = stored(model, builder)

    assert model.training
    model.eval()
    torch.testing.assert_close(found.rows, at_once(model, builder, np.arange(40)), **CLOSE)
    assert [product for call in encoded for product in call] == list(range(40))
    encoded.clear()
    assert torch.equal(stored(model, builder, batch_size=1009).rows, found.rows)
    assert encoded == []
    assert len(files(store)) == 1


def test_a_saved_model_finds_the_vectors_of_its_weights(model_and_builder, store, encoded, tmp_path):
    model, builder = model_and_builder
    first = stored(model, builder)
    model.save_pretrained(tmp_path / "saved")
    encoded.clear()
    loaded = Semantic.from_pretrained(tmp_path / "saved")

    again = stored(loaded, batch_builder(loaded, store, CPU, Progress(), dialogues=False))

    assert encoded == []
    assert torch.equal(again.rows, first.rows)


def other_weights(model: Semantic, store: Store) -> None:
    del store
    with torch.no_grad():
        model.turn_text.words.words.weight[-1, -1] += 1e-6


def other_statistics(model: Semantic, store: Store) -> None:
    del store
    model.register_buffer("mean", torch.ones(3))


def other_configuration(model: Semantic, store: Store) -> None:
    del store
    model.config = small_config("paper", dim=16, pool="mean").model


def other_texts(model: Semantic, store: Store) -> None:
    del model
    store.manifest["checksums"]["products.parquet"] = "of other texts"


def other_photos(model: Semantic, store: Store) -> None:
    del model
    store.manifest["checksums"]["photos.npy"] = "of other photos"


def other_masks(model: Semantic, store: Store) -> None:
    del model
    store.manifest["checksums"]["has_photo.npy"] = "of other masks"


@pytest.mark.parametrize(
    "change", [other_weights, other_statistics, other_configuration, other_texts, other_photos, other_masks]
)
def test_whatever_vectors_depend_on_makes_a_file_of_its_own(model_and_builder, store, encoded, change):
    model, builder = model_and_builder
    stored(model, builder)
    encoded.clear()
    change(model, store)

    found = stored(model, builder)

    assert sum(map(len, encoded)) == 40
    assert len(files(store)) == 2
    torch.testing.assert_close(found.rows, at_once(model, builder, np.arange(40)), **CLOSE)


def test_vectors_of_shorter_texts_are_others(model_and_builder, store):
    model, builder = model_and_builder
    stored(model, builder)
    model.sizes = replace(model.sizes, product_tokens=5)
    shorter = batch_builder(model, store, CPU, Progress())

    torch.testing.assert_close(stored(model, shorter).rows, at_once(model, shorter, np.arange(40)), **CLOSE)


def test_features_made_anew_under_their_old_name_are_read(store, shop_features, tmp_path):
    features, file = np.load(shop_features), tmp_path / "features.npy"
    np.save(file, features)
    stored(*made(store, file))
    np.save(file, features[::-1])
    os.utime(file, (1, 1))
    model, builder = made(store, file)

    torch.testing.assert_close(stored(model, builder).rows, at_once(model, builder, np.arange(40)), **CLOSE)


def test_half_precision_has_a_file_of_its_own_in_single_precision(model_and_builder, store):
    whole, half = (stored(*model_and_builder, precision=precision).rows for precision in ("no", "bf16"))

    assert len(files(store)) == 2
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    cosines = torch.cosine_similarity(half, whole, dim=-1)[whole.any(-1)]
    assert cosines.min() > 1 - 2**-8  # bfloat16 holds eight bits


def test_an_interruption_goes_on_where_it_was(model_and_builder, encoded, monkeypatch):
    model, builder = model_and_builder
    spy = vectors.encode_rows

    def interrupted(model: Semantic, builder: BatchBuilder, ids: np.ndarray, *rest: Any) -> torch.Tensor:
        if 21 in ids:
            raise KeyboardInterrupt
        return spy(model, builder, ids, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(vectors, "encode_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stored(model, builder)
    stored(model, builder)

    assert [product for call in encoded for product in call] == list(range(40))  # none twice
