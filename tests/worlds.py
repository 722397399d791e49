"""A simulated shop, made once a session through the real simulator and `prepare`, and the runs tests make on it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from semantic.config.loading import make_config
from semantic.config.schema import Config
from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.corpus import open_corpus
from semantic.datasets.simulator import simulate
from semantic.datasets.store.store import FILES, MANIFEST, Store, file_digests, open_store, sealed
from semantic.dst.schema import MMD
from semantic.models.interface import Model
from semantic.runs.folder import RunFolder
from semantic.runtime.progress import Progress
from semantic.training.loop import train

DIALOGUES, PRODUCTS, UNLABELLED = 12, 40, 4
MASKED = 3  # products whose photo file is taken away
STATELESS = "v2_train"  # the split of the simulator's dialogues without states

TINY: Mapping[str, Any] = {
    "experiment": "tiny",
    "data": {"turn_tokens": 11, "product_tokens": 13, "value_tokens": 3},
    "model": {"dim": 16, "heads": 2, "layers": 1, "dropout": 0.1, "text": {"vocabulary": 300}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "threads": 1},
}
"""Every section of a run that trains in a moment."""

SMALL_DATA: Mapping[str, Any] = {"name": "semantic_small_data", "dim": 16, "text": {"vocabulary": 300}}
TWO_TOWER: Mapping[str, Any] = {"name": "two_tower:TwoTower", "dim": 17, "text": {"vocabulary": 300}}
"""Sections for other models: the package's second, and one by its import path that reads neither photos nor states."""


def make_dataset(folder: Path, *, dialogues: int = DIALOGUES, products: int = PRODUCTS, masked: int = MASKED) -> Path:
    """A simulated dataset in the MMD layout, a few of its photos missing."""
    simulate(
        folder, dialogues=dialogues, products=products, seed=3, negatives=12, evaluation_negatives=20,
        unlabelled=UNLABELLED,
    )  # fmt: skip
    for photo in sorted((folder / "images" / "images").iterdir())[:masked]:
        photo.unlink()
    return folder


def prepared(dataset: Path, out: Path) -> Path:
    prepare(open_corpus(dataset, MMD.slots, "mmd"), out, missing_photo="mask")
    return out


def changed_copy(store: Path, out: Path, **arrays: np.ndarray) -> Path:
    """A copy of a store with some of its .npy files replaced by arrays of the same shape, without what is kept beside it."""
    shutil.copytree(store, out, ignore=shutil.ignore_patterns("pieces", "features", "vectors", "floors", "verified"))
    for name, array in arrays.items():
        old = np.load(store / f"{name}.npy")
        assert array.shape == old.shape
        np.save(out / f"{name}.npy", array.astype(old.dtype))
    reseal(out)
    return out


def with_turn_texts(store: Path, texts: list[str]) -> Path:
    """The store, changed in place: what its turns say."""
    table = pq.read_table(store / "turns.parquet")
    place = table.column_names.index("text")
    pq.write_table(table.set_column(place, "text", pa.array(texts)), store / "turns.parquet")
    reseal(store)
    return store


def reseal(store: Path, **changes: Any) -> None:
    """Make the manifest that of the files as they are now, and of these changes to it."""
    manifest = json.loads((store / MANIFEST).read_text()) | changes
    manifest["sizes"] = {name: (store / name).stat().st_size for name in FILES}
    manifest["checksums"] = file_digests(store, FILES)
    (store / MANIFEST).write_text(json.dumps(sealed(manifest)))


def colour_features(store: Store, file: Path) -> Path:
    """Features of the photos that need no network: mean colours on a grid of 4 x 4, float32 [product, 48]."""
    blocks = np.asarray(store.photos, dtype=np.float32).reshape(-1, 4, 16, 4, 16, 3)
    np.save(file, blocks.mean(axis=(2, 4)).reshape(store.num_products, -1) / 127.5 - 1)
    return file


def tiny_values(store: Path, features: Path | None = None, *, model: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`TINY` on a store, with image features from a file where one is given, and with another `model` section."""
    values: dict[str, Any] = json.loads(json.dumps({**TINY, "model": model or TINY["model"]}))
    values["data"]["store"] = str(store)
    if features is not None:
        values["model"]["image"] = {"features": str(features)}
    return values


def without_seconds(metrics: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what no two runs share."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def with_changes(config: Config, *overrides: str) -> Config:
    return make_config(config.model_dump(mode="json"), overrides)


class Listener(Progress):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return Model.from_pretrained(folder.model).state_dict()


def same_weights(first: RunFolder, second: RunFolder) -> bool:
    left, right = weights(first), weights(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def assert_same_run(first: RunFolder, second: RunFolder) -> None:
    assert without_seconds(first.metrics) == without_seconds(second.metrics)
    assert same_weights(first, second)
    assert pq.read_table(first.queries).equals(pq.read_table(second.queries))
    left, right = (json.loads(folder.summary.read_text()) for folder in (first, second))
    changing = ("seconds", "peak_memory_mb")
    assert {k: v for k, v in left.items() if k not in changing} == {k: v for k, v in right.items() if k not in changing}


@pytest.fixture(scope="session", autouse=True)
def _threads_of_fixtures() -> None:
    """Fixtures of a module are made before those of a test: one thread for them too, or their last bits differ."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shop_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 12 dialogues with states and 4 without over 40 products, 3 of which have no photo."""
    return make_dataset(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="session")
def shop_path(shop_data: Path) -> Path:
    """Its prepared store: splits train, valid, test and v2_train. Nobody changes it; see `changed_copy`."""
    return prepared(shop_data, shop_data.with_name("store"))


@pytest.fixture(scope="session")
def shop(shop_path: Path) -> Store:
    return open_store(shop_path)


@pytest.fixture(scope="session")
def shop_features(shop: Store) -> Path:
    return colour_features(shop, shop.path.with_name("features.npy"))


@pytest.fixture
def tiny(shop_path: Path, shop_features: Path):
    """Configurations of tiny runs: tiny("training.epochs=3", ...)."""

    def configure(*overrides: str) -> Config:
        return make_config(tiny_values(shop_path, shop_features), overrides)

    return configure


@pytest.fixture(scope="session")
def config(shop_path: Path, shop_features: Path) -> Config:
    """Three epochs with D_F and D_P."""
    overrides = (f"data.unlabelled=[{STATELESS}]", "data.labelled_share=0.5", "training.epochs=3")
    return make_config(tiny_values(shop_path, shop_features), overrides)


@pytest.fixture(scope="session")
def run(config: Config, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run of `config`. Nobody changes its folder."""
    return train(config, runs=tmp_path_factory.mktemp("runs"))
