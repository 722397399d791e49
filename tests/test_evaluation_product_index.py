"""Rows of products: each encoded once, whatever the blocks, kept in memory, streamed or stored."""

import math
import os
import shutil
import threading
from collections.abc import Callable, Mapping
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
from semantic.encoders.vocabulary import train_wordpiece
from semantic.evaluation import product_index
from semantic.evaluation.product_index import ProductIndex, encode_rows, index_products, row_bytes, stored_index
from semantic.models.building import build_model
from semantic.models.interface import Model
from semantic.runtime.distributed import Processes
from semantic.runtime.progress import Progress
from tests.worlds import SMALL_DATA, TWO_TOWER, Listener, changed_copy, tiny_values

CPU = torch.device("cpu")
CLOSE = {"atol": 1e-5, "rtol": 0}

BACKBONE = ("model.image.features=null", "model.image.backbone=test_resnet")
MODELS: dict[str, tuple[Mapping[str, Any] | None, tuple[str, ...]]] = {
    "features": (None, ()),
    "frozen backbone": (None, (*BACKBONE, "model.image.frozen=true")),
    "trained backbone": (None, BACKBONE),
    "released": (None, ("preset=released",)),
    "small data": (SMALL_DATA, ()),
    "two-tower": (TWO_TOWER, ()),
}
"""Name -> the model's section (None: the paper's) and overrides."""


@pytest.fixture(scope="module")
def own_store(shop: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return copied(shop, tmp_path_factory.mktemp("rows"))


def copied(shop: Store, folder: Path) -> Store:
    """A copy without what other tests left in the store."""
    path = changed_copy(shop.path, folder / "store")
    shutil.rmtree(path / "vectors", ignore_errors=True)
    return open_store(path)


@pytest.fixture(scope="module", params=MODELS)
def catalogue(request, own_store: Store, shop_features: Path) -> tuple[Model, BatchBuilder]:
    section, overrides = MODELS[request.param]
    return made(own_store, None if section is TWO_TOWER else shop_features, *overrides, model=section)


def made(
    store: Store, features: Path | None, *overrides: str, model: Mapping[str, Any] | None = None
) -> tuple[Model, BatchBuilder]:
    config = make_config(tiny_values(store.path, features, model=model), overrides)
    built = build_model(config, store, lambda _: None)
    builder = built.open_batches(store)
    built.fit_catalogue(builder, config.seed, lambda *_: None)
    return built.eval(), builder


def at_once(model: Model, builder: BatchBuilder, ids: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return model.encode_products(builder.products(ids))


def sizes(product_batch_size: int, precision: str = "no") -> EvaluationConfig:
    return EvaluationConfig(product_batch_size=product_batch_size, precision=precision)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The products of every call of the encoder."""
    calls: list[list[int]] = []
    whole = product_index.encode_rows

    def spy(model: Model, builder: BatchBuilder, ids: np.ndarray, *rest: Any) -> torch.Tensor:
        calls.append(ids.tolist())
        return whole(model, builder, ids, *rest)

    monkeypatch.setattr(product_index, "encode_rows", spy)
    return calls


@pytest.mark.parametrize("batch_size", [1, 7, 1009])
def test_a_catalogue_is_what_the_model_makes_of_its_products(catalogue, encoded, batch_size):
    model, builder = catalogue
    ids = np.arange(builder.store.num_products)[::-1][2:]  # not all, and in an order of their own
    progress: list[tuple[int, int]] = []

    found = index_products(model, builder, ids, sizes(batch_size), lambda *at: progress.append(at))

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
        rows = index_products(model, builder, ids, sizes(5)).rows
        assert model.training is mode
        assert not rows.requires_grad
        torch.testing.assert_close(rows, expected, **CLOSE)
    model.eval()


def test_no_products_have_no_rows(catalogue):
    none = np.zeros(0, dtype=np.int64)
    assert encode_rows(*catalogue, none, "no").shape == index_products(*catalogue, none, sizes(7)).rows.shape
    assert encode_rows(*catalogue, none, "no").shape == (0, *catalogue[0].product_shape)


def left_in(store: Store) -> list[Path]:
    return sorted(store.path.rglob("*"))


def test_many_products_are_streamed_to_a_file_that_leaves_nothing_behind(catalogue, monkeypatch):
    (model, builder), ids = catalogue, np.arange(37)
    in_memory, before = index_products(model, builder, ids, sizes(7)), left_in(builder.store)
    appended: list[int] = []

    class Spy(product_index.GrowingArray):
        def append(self, rows: np.ndarray) -> None:
            assert self._file.name.startswith(str(builder.store.path))  # beside the store, not in a small /tmp
            appended.append(len(rows))
            super().append(rows)

    monkeypatch.setattr(product_index, "GrowingArray", Spy)
    assert row_bytes(model) == math.prod(model.product_shape) * 4  # of float32
    bytes_of_all = 37 * row_bytes(model)
    monkeypatch.setattr(product_index, "IN_MEMORY", bytes_of_all)
    index_products(model, builder, ids, sizes(7))
    assert appended == []
    monkeypatch.setattr(product_index, "IN_MEMORY", bytes_of_all - 1)

    streamed = index_products(model, builder, ids, sizes(7))

    assert appended == [7, 7, 7, 7, 7, 2]
    assert left_in(builder.store) == before
    assert torch.equal(streamed.rows, in_memory.rows)
    order = torch.tensor([[30, 2, 2], [0, 36, 5]])
    assert torch.equal(streamed.at(order, CPU).rows, in_memory.rows[order])


def test_an_interruption_of_the_stream_leaves_nothing_behind(catalogue, monkeypatch):
    model, builder = catalogue
    before = left_in(builder.store)
    monkeypatch.setattr(product_index, "IN_MEMORY", 0)

    def interrupt(done: int, total: int) -> None:
        assert left_in(builder.store) != before
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_products(model, builder, np.arange(40), sizes(7), interrupt)
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

    def gather_rows(self, mine: torch.Tensor, total: int) -> torch.Tensor:
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


@pytest.mark.parametrize("in_memory", [product_index.IN_MEMORY, 0])
def test_several_processes_encode_each_product_once_and_all_get_all(catalogue, encoded, monkeypatch, in_memory):
    model, builder = catalogue
    ids = np.arange(40)[::-1]
    alone, before = index_products(model, builder, ids, sizes(13)).rows, left_in(builder.store)
    encoded.clear()
    monkeypatch.setattr(product_index, "IN_MEMORY", in_memory)

    found = in_threads(3, lambda ranks: index_products(model, builder, ids, sizes(13), processes=ranks))

    for rows in (each.rows for each in found):
        torch.testing.assert_close(rows, alone, **CLOSE)
        assert torch.equal(rows, found[0].rows)
    assert sorted(product for call in encoded for product in call) == list(range(40))
    assert sorted(map(len, encoded)) == [0, 0, 1, 13, 13, 13]  # a block of 39, then one product for three
    assert left_in(builder.store) == before


A_FEW = [0, 5, 11, 16, 22, 27, 33, 39]
"""Products of forty that kept rows are compared by."""


def files(store: Store) -> set[str]:
    return {path.name for path in (store.path / "vectors").glob("*.npy")}


@pytest.fixture
def store(shop: Store, tmp_path: Path) -> Store:
    return copied(shop, tmp_path)


@pytest.fixture
def model_and_builder(store: Store, shop_features: Path) -> tuple[Model, BatchBuilder]:
    return made(store, shop_features)


def stored(model: Model, builder: BatchBuilder, batch_size: int = 7, precision: str = "no") -> ProductIndex:
    return stored_index(model, builder, sizes(batch_size, precision), Progress())


def test_stored_index_are_those_of_the_whole_catalogue_computed_once(model_and_builder, store, encoded):
    model, builder = model_and_builder
    model.train()

    found = stored(model, builder)

    assert model.training
    model.eval()
    torch.testing.assert_close(found.rows, at_once(model, builder, np.arange(40)), **CLOSE)
    assert [product for call in encoded for product in call] == list(range(40))
    encoded.clear()
    assert torch.equal(stored(model, builder, batch_size=1009).rows, found.rows)
    assert encoded == [A_FEW]
    assert len(files(store)) == 1


def test_a_saved_model_finds_the_rows_of_its_weights(model_and_builder, store, encoded, tmp_path):
    model, builder = model_and_builder
    first = stored(model, builder)
    model.save_pretrained(tmp_path / "saved")
    encoded.clear()
    loaded = Model.from_pretrained(tmp_path / "saved")

    again = stored(loaded, loaded.open_batches(store, dialogues=False))

    assert encoded == [A_FEW]
    assert torch.equal(again.rows, first.rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int32])
def test_kept_rows_that_the_model_does_not_give_are_computed_anew(
    model_and_builder, store, encoded, monkeypatch, dtype
):
    """The code of a model may change, and its weights and configuration stay as they were."""
    model, builder = model_and_builder
    before = model.encode_products
    model.product_dtype = dtype
    monkeypatch.setattr(model, "encode_products", lambda products: 9 * before(products))
    stored(model, builder)
    (file,) = files(store)
    monkeypatch.setattr(model, "encode_products", lambda products: 10 * before(products))
    encoded.clear()
    said = Listener()

    found = stored_index(model, builder, sizes(7, "no"), said)

    assert said.said == [
        f"{store.path / 'vectors' / file}: expected the product vectors of this model, found others; they are computed anew"
    ]
    assert encoded[0] == A_FEW
    assert [product for call in encoded[1:] for product in call] == list(range(40))
    expected = 10 * at_once(model, builder, np.arange(40)) / 10
    torch.testing.assert_close(found.rows, expected.to(dtype), atol=0.01, rtol=0)
    assert files(store) == {file}
    encoded.clear()
    stored(model, builder)
    assert encoded == [A_FEW]


def test_rounding_of_another_device_leaves_kept_rows_as_they_are(model_and_builder, encoded, monkeypatch):
    model, builder = model_and_builder
    first, before = stored(model, builder), model.encode_products
    monkeypatch.setattr(model, "encode_products", lambda products: before(products) * (1 + 1e-4))
    encoded.clear()

    assert torch.equal(stored(model, builder).rows, first.rows)
    assert encoded == [A_FEW]


def other_weights(model: Model, store: Store) -> None:
    del store
    with torch.no_grad():
        model.turn_text.words.words.weight[-1, -1] += 1e-6


def other_statistics(model: Model, store: Store) -> None:
    del store
    model.register_buffer("mean", torch.ones(3))


def other_configuration(model: Model, store: Store) -> None:
    del store
    model.config = model.config.model_copy(update={"pooling": "mean"})


def other_tokenizer(model: Model, store: Store) -> None:
    model.tokenizer = train_wordpiece(store.product_texts, 200)


def other_texts(model: Model, store: Store) -> None:
    del model
    store.manifest["checksums"]["products.parquet"] = "of other texts"


def other_photos(model: Model, store: Store) -> None:
    del model
    store.manifest["checksums"]["photos.npy"] = "of other photos"


def other_masks(model: Model, store: Store) -> None:
    del model
    store.manifest["checksums"]["has_photo.npy"] = "of other masks"


@pytest.mark.parametrize(
    "change",
    [
        other_weights, other_statistics, other_configuration, other_tokenizer, other_texts, other_photos, other_masks,
    ],
)  # fmt: skip
def test_whatever_rows_depend_on_makes_a_file_of_its_own(model_and_builder, store, encoded, change):
    model, builder = model_and_builder
    stored(model, builder)
    encoded.clear()
    change(model, store)

    found = stored(model, builder)

    assert sum(map(len, encoded)) == 40
    assert len(files(store)) == 2
    torch.testing.assert_close(found.rows, at_once(model, builder, np.arange(40)), **CLOSE)


def test_rows_of_shorter_texts_are_others(model_and_builder, store):
    model, builder = model_and_builder
    stored(model, builder)
    model.spec = replace(model.spec, product_tokens=5)
    shorter = model.open_batches(store)

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
    spy = product_index.encode_rows

    def interrupted(model: Model, builder: BatchBuilder, ids: np.ndarray, *rest: Any) -> torch.Tensor:
        if 21 in ids:
            raise KeyboardInterrupt
        return spy(model, builder, ids, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(product_index, "encode_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stored(model, builder)
    stored(model, builder)

    assert [product for call in encoded for product in call] == list(range(40))  # none twice
