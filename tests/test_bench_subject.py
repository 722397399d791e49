"""What a bench runs on: faults before anything is measured, frozen backbones, and models without a direct form."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from semantic.bench import growth, running
from semantic.bench.records import Growth, Point
from semantic.bench.running import bench
from semantic.bench.speeds import NO_DIRECT_FORM, evaluating, features, scoring, training
from semantic.bench.subject import QUICK, SavedSubject, Subject, build_subject, frozen
from semantic.bench.timing import Timing
from semantic.cli import app
from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress
from tests.worlds import SMALL_DATA, TWO_TOWER, tiny_values

CPU = torch.device("cpu")
SCALE = replace(QUICK, seconds=0.01)


@pytest.fixture(scope="module")
def two_tower(shop) -> Subject:
    """A model by its import path, which has no direct form, no backbone and reads no states."""
    return build_subject(make_config(tiny_values(shop.path, model=TWO_TOWER)), shop, CPU, None, Progress())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing_such",), r"semantic: experiment 'nothing_such': expected a YAML file or one of alpha, .*"),
        (("--out", "file/bench"), r"semantic: --out file/bench: expected a folder to write to, found a file at .*file"),
    ],
)
def test_faults_are_told_in_a_line_before_anything_runs(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["semantic", "bench", *arguments, "--quick"])

    with pytest.raises(SystemExit) as stopped:
        app.main()

    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert re.fullmatch(message, said.err.strip()), said.err
    assert said.out == ""
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_other_faults_are_told_too():
    with pytest.raises(ConfigError, match=r"^bench: 1 fault\n  model.dims: no such key; did you mean 'dim'\?$"):
        bench(None, ["model.dims=3"], quick=True)
    with pytest.raises(DataError, match=r"^nowhere: expected a prepared store .*, found nothing$"):
        bench(store=Path("nowhere"), quick=True)
    with pytest.raises(DataError, match=r"^--device: expected cpu or cuda, got 'tpu'$"):
        bench(device="tpu", quick=True)


def test_a_device_that_is_not_there_is_a_fault(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DataError, match=r"^--device cuda: expected a CUDA device, found none$"):
        bench(device="cuda", quick=True)


def full(monkeypatch, module, free):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_a_full_disk_is_a_fault(monkeypatch):
    full(monkeypatch, running, 1000)
    with pytest.raises(DataError, match=r"expected 0\.00 GB free for a simulated store, found 0\.00 GB$"):
        bench(quick=True)


def test_sizes_that_do_not_fit_on_the_disk_are_left_out_and_named(two_tower, monkeypatch, tmp_path):
    full(monkeypatch, growth, growth.RESERVE)
    found = growth.with_catalogue(None, QUICK, tmp_path, two_tower.model, lambda *_: None)

    assert found.points == ()
    assert found.note.startswith("left out for want of disk: 1,000, 3,162, 10,000 products")
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_backbone_is_measured_beside_a_trained_one(shop_path):
    trained = make_config(tiny_values(shop_path))
    image = frozen(trained).model.image

    assert (image.frozen, image.batch_norm) == (True, "eval")
    assert frozen(frozen(trained)) is None
    assert frozen(make_config(tiny_values(shop_path, Path("features.npy")))) is None
    assert frozen(make_config(tiny_values(shop_path, model=SMALL_DATA))) is None  # it is frozen always
    assert frozen(make_config(tiny_values(shop_path, model=TWO_TOWER))) is None


def test_a_model_without_a_direct_form_stands_alone_in_its_lines(two_tower):
    lines = [*training(two_tower, SCALE), *evaluating(two_tower, SCALE)]
    beside = {line.what: (line.other, line.note) for line in lines if "arithmetic" not in line.what}

    assert beside == dict.fromkeys(
        [
            f"{part}, no photos, {precision}"
            for part in ("training", "evaluation, everything included")
            for precision in ("float32", "bfloat16")
        ],
        (None, NO_DIRECT_FORM),
    )
    assert all(line.ratio is None for line in lines if line.other is None)


def test_scoring_is_beside_a_copy_of_the_rows_whatever_the_model(two_tower):
    (line,) = scoring(two_tower, SCALE)

    assert (line.what, line.beside, line.unit) == ("scoring alone", "one copy of the rows", "ms")
    assert line.ours.value == pytest.approx(1000 * line.ours.timing.seconds)
    assert line.other.value == pytest.approx(1000 * line.other.timing.seconds)
    assert line.ratio == pytest.approx(line.ours.value / line.other.value)
    assert line.other.sample == f"{line.ours.sample}: their rows copied once"


def test_a_model_without_a_backbone_has_no_lines_of_features(two_tower):
    assert list(features(two_tower, None, SCALE)) == []
    assert two_tower.photos == "no photos"


@pytest.mark.parametrize("with_direct", [True, False])
def test_one_query_over_the_catalogue_is_the_largest_that_was_measured(with_direct):
    points = tuple(Point(size, Timing(size / 1000, 0.0, 3)) for size in (100, 1000))
    direct = tuple(Point(point.size, Timing(7 * point.size / 1000, 0.0, 2)) for point in points)
    (line,) = running._latency(
        Growth("catalogue", "products", points, direct=direct if with_direct else (), extrapolated="a line")
    )

    assert line.ours.value == 1000 * 1000 / 1000
    assert line.ratio == (pytest.approx(7.0) if with_direct else None)
    assert line.note == ("" if with_direct else NO_DIRECT_FORM)
    assert list(running._latency(Growth("catalogue", "products", ()))) == []


def test_a_saved_subject_is_opened_as_it_was(two_tower, tmp_path):
    opened = SavedSubject.of(two_tower, tmp_path / "model").open()

    assert type(opened.model) is type(two_tower.model)
    assert opened.config == two_tower.config
    assert opened.store.path == two_tower.store.path
    left, right = opened.model.state_dict(), two_tower.model.state_dict()
    assert all(torch.equal(left[name], right[name]) for name in right)


def test_a_word_table_may_be_larger_than_the_texts_need(shop, shop_features):
    """A checkpoint's size for weights drawn here; the tokenizer stays that of the texts."""
    config = make_config(tiny_values(shop.path, shop_features))
    subject = build_subject(config, shop, CPU, (1009, 61), Progress())

    assert (subject.model.spec.vocabulary, subject.model.spec.positions) == (1009, 61)
    assert subject.model.word_table.weight.shape == (1009, config.model.dim)
    assert subject.model.tokenizer.get_vocab_size() < 1009
