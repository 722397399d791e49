"""Features of a frozen backbone: what running it gives, made once, and another file whenever they would differ."""

import copy
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic.batching import features
from semantic.batching.features import photo_features
from semantic.datasets.store.arrays import GrowingArray
from semantic.datasets.store.store import Store, open_store
from semantic.encoders.image import Backbone
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Advance, Progress
from tests.worlds import changed_copy

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def original() -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Backbone("test_resnet", frozen=True, batch_norm="eval")  # timm's network of 96 features for tests


@pytest.fixture
def backbone(original: Backbone) -> Backbone:
    return copy.deepcopy(original)


@pytest.fixture
def store(shop: Store, tmp_path: Path) -> Store:
    return copied(shop, tmp_path)


def copied(shop: Store, folder: Path, **arrays: np.ndarray) -> Store:
    """A copy without what other tests left in the store."""
    path = changed_copy(shop.path, folder / "store", **arrays)
    shutil.rmtree(path / "features", ignore_errors=True)
    return open_store(path)


class Bars(Progress):
    """Keeps how the bars move, and interrupts at `until` rows."""

    def __init__(self, until: float = float("inf")) -> None:
        self.until = until
        self.moved: list[tuple[str, int, int]] = []

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        def advance(done: int, total: int) -> None:
            self.moved.append((what, done, total))
            if done >= self.until:
                raise KeyboardInterrupt

        assert total
        yield advance


def made(backbone: Backbone, store: Store) -> np.ndarray:
    return photo_features(backbone, store, CPU, Progress())


def at_once(backbone: Backbone, store: Store) -> np.ndarray:
    with torch.no_grad():
        return backbone.eval()(torch.from_numpy(np.array(store.photos))).numpy()


def files(store: Store) -> list[Path]:
    return sorted((store.path / "features").glob("*.npy"))


def photos_seen(backbone: Backbone) -> list[int]:
    """The length of every batch that goes through the backbone from now on."""
    seen: list[int] = []
    backbone.register_forward_pre_hook(lambda _, photos: seen.append(len(photos[0])))
    return seen


def test_features_are_what_the_backbone_makes_of_each_photo(backbone, original, store, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 17)
    progress, seen = Bars(), photos_seen(backbone)

    found = photo_features(backbone, store, CPU, progress)

    expected, present = at_once(original, store), np.asarray(store.has_photo)
    assert found.shape == (store.num_products, backbone.features)
    assert found.dtype == np.float32
    assert isinstance(found, np.memmap)
    np.testing.assert_allclose(found[present], expected[present], rtol=1e-4, atol=1e-5)
    assert (~present).any()
    assert not found[~present].any()  # zeros where there is no photo
    assert seen == [present[:17].sum(), present[17:34].sum(), present[34:].sum()]  # and no work
    assert progress.moved == [("photo features", done, 40) for done in (17, 34, 40)]


def test_a_batch_without_photos_is_not_run(backbone, shop, tmp_path, monkeypatch):
    held = np.arange(shop.num_products) >= 20
    store = copied(shop, tmp_path, has_photo=held)
    monkeypatch.setattr(features, "BATCH", 10)
    seen = photos_seen(backbone)

    found = made(backbone, store)

    assert seen == [10, 10]
    assert not found[:20].any()
    assert found[20:].any(1).all()


def test_a_second_call_reads_the_file(backbone, store):
    first = np.array(made(backbone, store))
    (file,) = files(store)
    os.utime(file, (1, 1))
    seen, progress = photos_seen(backbone), Bars()

    second = photo_features(copy.deepcopy(backbone), store, CPU, progress)

    assert files(store) == [file]
    assert file.stat().st_mtime == 1
    assert np.array_equal(first, second)
    assert seen == progress.moved == []


def other_weights(backbone: Backbone, store: Store) -> None:
    del store
    with torch.no_grad():
        next(backbone.parameters()).mul_(1.5)


def other_statistics(backbone: Backbone, store: Store) -> None:
    del store
    next(b for name, b in backbone.named_buffers() if name.endswith("running_mean")).add_(0.1)


def other_name(backbone: Backbone, store: Store) -> None:
    del store
    backbone.name = "test_resnet2"


def other_scaling(backbone: Backbone, store: Store) -> None:
    del store
    backbone.SCALING = "[0, 1]"


def other_photos(backbone: Backbone, store: Store) -> None:
    del backbone
    store.manifest["checksums"]["photos.npy"] = "of other photos"
    store.photos = 255 - np.asarray(store.photos)


@pytest.mark.parametrize("change", [other_weights, other_statistics, other_name, other_scaling, other_photos])
def test_whatever_features_depend_on_makes_a_file_of_its_own(backbone, original, store, change):
    first = np.array(made(backbone, store))
    change(backbone, store)
    seen = photos_seen(backbone)

    changed = made(backbone, store)

    assert len(files(store)) == 2
    assert sum(seen) == store.has_photo.sum()  # run again
    assert np.array_equal(first, changed) == (change in (other_name, other_scaling))  # which the network does not read
    if change is not other_photos:
        assert np.array_equal(made(original, store), first)  # the first file is still there


def minus_zero(backbone: Backbone) -> None:
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter[parameter == 0] = -0.0


def training_mode(backbone: Backbone) -> None:
    backbone.train()


def own_copy(backbone: Backbone) -> None:
    backbone.load_state_dict({name: value.clone() for name, value in backbone.state_dict().items()})


@pytest.mark.parametrize("change", [minus_zero, training_mode, own_copy])
def test_backbones_that_give_the_same_features_share_a_file(backbone, store, change):
    with torch.no_grad():
        next(backbone.parameters()).view(-1)[0] = 0.0
    first = np.array(made(backbone, store))
    change(backbone)
    seen = photos_seen(backbone)

    assert np.array_equal(made(backbone, store), first)
    assert len(files(store)) == 1
    assert seen == []


@pytest.mark.parametrize("mode", [True, False])
def test_the_backbones_mode_is_left_as_it_was(backbone, store, mode):
    backbone.train(mode)
    made(backbone, store)
    assert backbone.training is mode
    made(backbone, store)  # from the file
    assert backbone.training is mode


def test_a_network_that_trains_its_statistics_is_run_on_them_and_does_not_change_them(store):
    """Each photo's features are its own, whatever else is in its batch."""
    backbone = Backbone("test_resnet", frozen=True, batch_norm="train").train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}

    made(backbone, store)

    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_an_interruption_leaves_no_half_file_and_goes_on(backbone, original, store, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 11)
    backbone.train()
    with pytest.raises(KeyboardInterrupt):
        photo_features(backbone, store, CPU, Bars(until=22))
    assert files(store) == []
    assert backbone.training
    seen = photos_seen(backbone)

    found = made(backbone, store)

    assert seen == [store.has_photo[22:33].sum(), store.has_photo[33:].sum()]
    expected, present = at_once(original, store), np.asarray(store.has_photo)
    np.testing.assert_allclose(found[present], expected[present], rtol=1e-4, atol=1e-5)


def test_a_full_disk_is_a_clear_message(backbone, store, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GrowingArray, "append", full)
    with pytest.raises(
        DataError, match=r"features/test_resnet-\w+\.npy: expected to write photo features there, got: No space left"
    ):
        made(backbone, store)
    assert files(store) == []
