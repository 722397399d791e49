"""Features of a frozen backbone: what running it gives, made once, and whole or not there."""

import copy
import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic import features
from semantic.datasets.errors import DataError
from semantic.datasets.store import Store, open_store
from semantic.encoders.image import Backbone
from semantic.features import photo_features
from tests.worlds import changed_copy

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Backbone("test_resnet", frozen=True, batch_norm="eval")  # timm's network of 96 features for tests


@pytest.fixture
def store(shop: Store, tmp_path: Path) -> Store:
    return open_store(changed_copy(shop.path, tmp_path / "store"))


def nothing(done: int, total: int) -> None:
    del done, total


def files(store: Store) -> list[Path]:
    folder = store.path / "features"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_features_are_what_the_backbone_makes_of_each_photo(backbone, store):
    progress = []

    found = photo_features(backbone, store, CPU, lambda *at: progress.append(at), batch_size=17)

    with torch.no_grad():
        expected = copy.deepcopy(backbone).eval()(torch.from_numpy(np.array(store.photos))).numpy()
    present = np.asarray(store.has_photo)
    assert found.shape == (store.num_products, backbone.features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[present], expected[present], rtol=1e-4, atol=1e-5)
    assert (~present).any()
    assert not found[~present].any()  # zeros where there is no photo
    assert progress == [(17, 40), (34, 40), (40, 40)]


def test_a_second_call_reads_the_file(backbone, store):
    first = np.array(photo_features(backbone, store, CPU, nothing))
    (file,) = files(store)
    os.utime(file, (1, 1))

    second = photo_features(backbone, store, CPU, lambda *_: pytest.fail("computed again"))

    assert files(store) == [file]
    assert file.stat().st_mtime == 1
    assert np.array_equal(first, second)


def test_other_weights_and_other_photos_make_a_file_of_their_own(backbone, store, shop, tmp_path):
    first = np.array(photo_features(backbone, store, CPU, nothing))
    changed = copy.deepcopy(backbone)
    with torch.no_grad():
        next(changed.parameters()).mul_(1.5)
    assert not np.array_equal(photo_features(changed, store, CPU, nothing), first)
    assert len(files(store)) == 2

    other = open_store(changed_copy(shop.path, tmp_path / "other", photos=255 - np.asarray(shop.photos)))
    (tmp_path / "other" / "features").mkdir()
    for file in files(store):
        (tmp_path / "other" / "features" / file.name).write_bytes(file.read_bytes())
    other.manifest["checksums"]["photos.npy"] = "of other photos"
    assert not np.array_equal(photo_features(backbone, other, CPU, nothing), first)


def test_the_backbones_mode_is_left_as_it_was(backbone, store):
    for mode in (True, False):
        own = copy.deepcopy(backbone).train(mode)
        with torch.no_grad():
            next(own.parameters()).add_(float(mode))
        photo_features(own, store, CPU, nothing)
        assert own.training is mode


def test_an_interruption_leaves_no_half_file(backbone, store):
    def interrupt(done: int, total: int) -> None:
        del total
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photo_features(backbone, store, CPU, interrupt, batch_size=11)
    assert files(store) == []

    assert np.isfinite(photo_features(backbone, store, CPU, nothing)).all()


def test_a_full_disk_is_a_clear_message(backbone, store, monkeypatch):
    def full(*arguments: object) -> None:
        Path(arguments[-1]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(features, "_extract", full)
    with pytest.raises(DataError, match=r"features/test_resnet-\w+\.npy: expected to write .*, got: No space left"):
        photo_features(backbone, store, CPU, nothing)
    assert files(store) == []
