"""Several processes on one run: shards that add up to the whole, and two real processes that end as one does."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from semantic.batching.examples import select_examples
from semantic.batching.shards import Shard
from semantic.batching.steps import TrainingSteps
from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.models.building import build_model
from semantic.runs.folder import RunFolder
from semantic.runtime import distributed
from semantic.runtime.distributed import SINGLE_PROCESS, Processes, join_processes
from semantic.runtime.errors import UserError
from semantic.training.loop import _check_batch_norm, train
from semantic.training.step import DIAGNOSTIC, LossModule
from tests.commands import environment
from tests.small_world import fill
from tests.worlds import STATELESS, tiny_values, weights, without_seconds

VARIANTS = {
    "paper": {"training": {"positives": 2, "negatives": 3}},
    "released": {"preset": "released", "training": {"positives": 2, "negatives": 40}},
    "small_data": {
        "model": {
            "name": "semantic_small_data",
            "gate_learning_rate": 2e-2,
            "loss": {"divergence_weight": 0.5, "correlation_weight": 0.25},
        },
        "training": {"shared_negatives": 11, "warmup_ratio": 0.05, "max_grad_norm": 1.0, "ema_decay": 0.98},
    },
}
"""Between them every term of the loss, both ways of drawing candidates, and both kinds of state."""


def variant_values(name: str, store: Path, features: Path, *, dropout: float) -> dict:
    """A variant as a tiny run on the shop."""
    variant, tiny = VARIANTS[name], tiny_values(store, features)
    model = {**variant.get("model", {}), "dim": 16, "dropout": dropout, "text": {"vocabulary": 300}}
    if name == "small_data":
        model["text"]["word_dropout"] = dropout
        model["image"] = {"features": str(features)}
    else:
        model |= {"heads": 2, "layers": 1, "image": {"features": str(features), "batch_norm": "eval"}}
    training = {**tiny["training"], **variant["training"], "batch_size": 7}
    return {
        **variant,
        "experiment": "tiny",
        "variant": name,
        "data": tiny["data"],
        "training": training,
        "model": model,
    }


# Shards.


@given(st.integers(0, 50), st.integers(1, 9))
def test_shards_are_contiguous_whole_and_of_nearly_equal_length(total, size):
    rows = list(range(total))
    shards = [Processes(rank, size).shard(rows) for rank in range(size)]

    assert [row for shard in shards for row in shard] == rows
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert [rows[Processes(rank, size).shard_slice(total)] for rank in range(size)] == shards


def test_a_single_process_does_everything_itself_and_starts_no_group():
    assert join_processes().world_size == 1
    assert not torch.distributed.is_initialized()
    assert SINGLE_PROCESS.is_main
    assert SINGLE_PROCESS.gather("mine") == ["mine"]
    assert SINGLE_PROCESS.on_each(lambda: 3) == [3]
    assert SINGLE_PROCESS.gather_rows(torch.arange(3), 3).tolist() == [0, 1, 2]
    assert SINGLE_PROCESS.on_main(lambda: 5) == 5
    assert SINGLE_PROCESS.reduce_sum(torch.tensor(7.0, requires_grad=True)).item() == 7
    module = torch.nn.Linear(2, 3)
    assert SINGLE_PROCESS.synchronise(module) is module
    with SINGLE_PROCESS.local_main_first():
        SINGLE_PROCESS.wait()


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, shop, shop_features):
    """A variant's loss in float64 without dropout, and its training steps of seven examples."""
    config = make_config(variant_values(request.param, shop.path, shop_features, dropout=0.0))
    if request.param == "released":
        config = make_config(config.model_dump(mode="json"), ["model.loss.teacher_first=true"])
    model = build_model(config, shop, lambda _: None)
    rows = select_examples(shop, config.data).labelled
    whole = model.inputs.states == "whole batch"
    steps = TrainingSteps(model.open_batches(shop), rows, config.training, seed=5, whole_states=whole)
    return LossModule(fill(model).double().train()), steps


def outcome(loss_module: LossModule, shard: Shard) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and terms, and the gradient of every parameter. Diagnostics of shards are averaged, and add up to no whole."""
    loss_module.zero_grad()
    loss, recorded = loss_module(shard)
    loss.backward()
    terms = [value for name, value in recorded.items() if not name.startswith(DIAGNOSTIC)]
    return torch.stack([loss.detach(), *terms]), {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in loss_module.named_parameters()
    }


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("how", [{"labelled": True}, {"labelled": False}, {"labelled": True, "all_labelled": True}])
def test_losses_and_gradients_of_the_shards_add_up_to_the_whole(case, size, how):
    loss_module, steps = case
    last = len(steps) - 1
    assert len(steps[last].positive) == 5  # fewer examples than six processes
    for step in (0, last):
        expected, gradients = outcome(loss_module, replace(steps.shard(step), **how))
        shards = [replace(steps.shard(step, Processes(rank, size)), **how) for rank in range(size)]
        found = [outcome(loss_module, shard) for shard in shards]

        assert expected.abs().max() > 0.1
        torch.testing.assert_close(sum(values for values, _ in found), expected, atol=1e-10, rtol=0)
        for name, gradient in gradients.items():
            total = sum(of_shard[name] for _, of_shard in found)
            torch.testing.assert_close(total, gradient, atol=1e-10, rtol=0, msg=lambda t, name=name: f"{name}: {t}")


def test_batch_statistics_over_processes_need_gpus(shop):
    values = variant_values("released", shop.path, shop.path, dropout=0.0)
    values["model"]["image"] = {"backbone": "test_resnet", "batch_norm": "train"}
    by_batch = build_model(make_config(values), shop, lambda _: None)
    running = build_model(make_config(values, ["model.image.batch_norm=eval"]), shop, lambda _: None)

    _check_batch_norm(by_batch, SINGLE_PROCESS)
    _check_batch_norm(running, Processes(0, 2))
    _check_batch_norm(by_batch, Processes(0, 2, device=torch.device("cuda", 0)))
    with pytest.raises(
        ConfigError, match=r"batch_norm=train: expected one process, or a GPU each .* got 2 processes on cpu"
    ):
        _check_batch_norm(by_batch, Processes(0, 2))


def test_every_process_calls_the_backbone_as_often(shop):
    """Statistics over all GPUs are a collective a call; here some processes hold no photo of any context."""
    values = variant_values("released", shop.path, shop.path, dropout=0.0)
    values["model"]["image"] = {"backbone": "test_resnet", "batch_norm": "eval"}
    config = make_config(values)
    model = build_model(config, shop, lambda _: None)
    rows = select_examples(shop, config.data).labelled
    steps = TrainingSteps(model.open_batches(shop), rows, config.training, seed=5)
    shards = [steps.shard(0, Processes(rank, 7)) for rank in range(7)]
    calls = []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))

    for shard in shards:
        model.loss(shard)

    assert 0 < sum(not len(shard.batch.contexts.photos) for shard in shards) < 7
    assert len(calls) == 7


# Two processes.

TRAIN_EACH = """
import sys
from pathlib import Path
from semantic.config.loading import load_config
from semantic.runtime.errors import UserError
from semantic.training.loop import train
for name in sys.argv[2:]:
    train(load_config(name), runs=Path(sys.argv[1]))
"""

KILLED = """
import os, signal, sys
from semantic.cli.app import main
from semantic.runs.folder import RunFolder
append = RunFolder.append_metrics
def killed(folder, line):
    append(folder, line)
    if line["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
RunFolder.append_metrics = killed
main()
"""
"""The command, whose main process is killed after the second epoch's metrics are written and before its state is."""

APART = """
import os, sys
from semantic.cli.app import main
sys.argv += ["--runs", os.environ["RANK"]]
main()
"""
"""The command, as on machines that share no folder of runs."""

MEETING = """
import atexit, os, sys, weakref
def last():
    os.write(1, f"ended {here.rank}: group gone {group() is None}\\n".encode())
atexit.register(last)  # the first registered is called last
from semantic.runtime.distributed import join_processes
here = join_processes()
import torch
group = weakref.ref(torch.distributed.group.WORLD)
assert (here.world_size, here.device.type) == (2, "cpu")
assert here.is_main == (here.rank == 0)
assert here.gather([here.rank]) == [[0], [1]]
assert here.on_each(lambda: here.rank + 5) == [5, 6]
mine = torch.tensor([1.0 + here.rank, 2.0], requires_grad=True)
assert here.reduce_sum(mine).tolist() == [3.0, 4.0] and mine.tolist() == [1.0 + here.rank, 2.0]
for total in (0, 1, 5):
    whole = torch.arange(2 * total).view(total, 2)
    assert torch.equal(here.gather_rows(here.shard(whole), total), whole)
assert here.on_main(lambda: os.getpid()) == here.gather(os.getpid())[0]
def fail(rank):
    if here.rank == rank:
        raise ValueError(f"process {here.rank}")
for work in (lambda: here.on_main(lambda: fail(0)), lambda: here.on_each(lambda: fail(1))):
    try:
        work()
    except ValueError as error:
        os.write(1, f"told {here.rank}: {error}\\n".encode())
with here.local_main_first():
    there = os.path.exists("made")
    open("made", "w").close()
assert here.gather(there) == [False, True]
try:
    with here.local_main_first():
        fail(0)
except ValueError:
    os.write(1, f"failed {here.rank}\\n".encode())
assert here.gather(here.rank) == [0, 1]  # the other one went on
def synchronised_weight():
    torch.manual_seed(here.rank)
    return here.synchronise(torch.nn.Linear(3, 1)).module.weight.tolist()
weight = synchronised_weight()
assert here.gather(weight)[0] == weight
"""


def two_processes(folder: Path, *words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """torchrun with two processes in `folder`; any failure where `code` is None."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, words)]
    done = subprocess.run(run, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode != 0) if code is None else (done.returncode == code), f"{done.stdout}\n{done.stderr}"
    return done


def script(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_two_processes_meet(tmp_path):
    said = two_processes(tmp_path, script(tmp_path, "meeting.py", MEETING)).stdout.splitlines()

    assert sorted(said) == [
        *(f"ended {rank}: group gone True" for rank in (0, 1)),
        "failed 0",
        *(f"told {rank}: process {other}" for rank in (0, 1) for other in (0, 1)),
    ]


BLIND = (".key.bias",)
"""A key's bias has no gradient but rounding, which Adam blows up to steps of full size."""


def assert_nearly_same_run(found: RunFolder, expected: RunFolder) -> None:
    """Losses to 1e-5, weights to 1e-4 of their scale, rankings alike."""
    for one, other in zip(without_seconds(found.metrics), without_seconds(expected.metrics), strict=True):
        assert one.keys() == other.keys()
        assert (one["epoch"], one["step"], one["best"]) == (other["epoch"], other["step"], other["best"])
        for part in ("train", "train_unlabelled"):
            assert one.get(part, {}) == pytest.approx(other.get(part, {}), rel=1e-5, abs=1e-7)
        for protocol in ("standard", "released"):
            assert one["valid"][protocol] == pytest.approx(other["valid"][protocol], rel=1e-9)
        assert one["valid"]["loss"] == pytest.approx(other["valid"]["loss"], rel=1e-5)
    left, right = weights(found), weights(expected)
    assert left.keys() == right.keys()
    for name in left:
        if not name.endswith(BLIND):
            torch.testing.assert_close(left[name], right[name], atol=1e-5, rtol=1e-4, msg=lambda t, n=name: f"{n}: {t}")
    one, other = (json.loads(folder.summary.read_text()) for folder in (found, expected))
    assert one["best_epoch"] == other["best_epoch"]
    for protocol in ("standard", "released"):
        assert one["protocols"][protocol] == pytest.approx(other["protocols"][protocol], rel=1e-9)
    assert (one["floors"], one["counts"]) == (other["floors"], other["counts"])


def test_two_processes_end_as_one_does(shop_path, shop_features, tmp_path):
    """Every variant with D_F and D_P, batches of seven whose last one is short, clipping, an average, and workers."""
    for name in VARIANTS:
        values = variant_values(name, shop_path, shop_features, dropout=0.0)
        values["data"] |= {"unlabelled": [STATELESS], "labelled_share": 0.5}
        values["training"] |= {"epochs": 2, "max_grad_norm": 0.5, "ema_decay": 0.9, "workers": int(name == "paper")}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    names = [f"{name}.yaml" for name in VARIANTS]

    two_processes(tmp_path, script(tmp_path, "train_each.py", TRAIN_EACH), "two", *names)

    for name in VARIANTS:
        config = make_config(yaml.safe_load((tmp_path / f"{name}.yaml").read_text()))
        alone = train(config, runs=tmp_path / "one")
        together = RunFolder(tmp_path / "two" / alone.path.relative_to(tmp_path / "one"))
        assert_nearly_same_run(together, alone)
        assert json.loads((together.path / "environment.json").read_text())["processes"] == 2


def test_two_processes_killed_and_resumed_by_the_command_end_as_one_never_stopped(shop_path, shop_features, tmp_path):
    values = tiny_values(shop_path, shop_features)
    values["model"]["dropout"] = 0.0
    values["training"] |= {"epochs": 3, "batch_size": 13}  # 40 examples: the last batch has one, for two processes
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    words = ("train", "tiny.yaml", "--runs", "two")

    two_processes(tmp_path, script(tmp_path, "killed.py", KILLED), *words, code=None)
    together = RunFolder(tmp_path / "two" / "tiny" / "base" / "seed_0")
    assert [line["epoch"] for line in without_seconds(together.metrics)] == [1, 2]
    assert not together.summary.is_file()
    said = two_processes(tmp_path, "-m", "semantic", *words, "--resume").stdout

    alone = train(make_config(values), runs=tmp_path / "one")
    assert_nearly_same_run(together, alone)
    for once in ("resuming after epoch 1 of 3", "epoch 2/3 ", "epoch 3/3 ", "run: two/tiny/base/seed_0"):
        assert said.count(once) == 1


def test_only_the_main_process_needs_the_folder_of_the_run(shop_path, shop_features, tmp_path):
    values = tiny_values(shop_path, shop_features)
    values["training"]["epochs"] = 1
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))

    said = two_processes(tmp_path, script(tmp_path, "apart.py", APART), "train", "tiny.yaml").stdout

    assert said.count("standard protocol") == 1
    assert (tmp_path / "0" / "tiny" / "base" / "seed_0" / "summary.json").is_file()
    assert not (tmp_path / "1").exists()


# The environment of a launcher.

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    "environment",
    [{}, {"WORLD_SIZE": "1"}, {"RANK": "0"}, {"RANK": "0", "WORLD_SIZE": "1"}, {"LOCAL_RANK": "-1"}, {"RANK": ""}],
)
def test_a_single_process_needs_no_launcher(environment):
    assert not distributed._launched(environment)


def test_a_launched_process_is_told_all():
    assert distributed._launched(WHOLE)
    assert distributed._launched(WHOLE | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "2"}, "environment: expected RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside WORLD_SIZE=2, as"),
        ({"RANK": "1"}, "environment: expected WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside RANK=1, as"),
        ({"LOCAL_RANK": "0"}, "environment: expected RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT beside LOCAL_RANK=0, as"),
        ({"LOCAL_RANK": "first"}, "environment: expected numbers as torchrun sets them, found LOCAL_RANK=first"),
        ({"WORLD_SIZE": "two"}, "environment: expected numbers as torchrun sets them, found WORLD_SIZE=two"),
        ({"WORLD_SIZE": "-2"}, "environment: expected numbers as torchrun sets them, found WORLD_SIZE=-2"),
        (
            {**WHOLE, "RANK": "2"},
            "environment: expected RANK and LOCAL_RANK below WORLD_SIZE, found RANK=2, WORLD_SIZE=2, LOCAL_RANK=1",
        ),
        ({**WHOLE, "LOCAL_RANK": "7"}, "environment: expected RANK and LOCAL_RANK below WORLD_SIZE, found RANK=1, "),
        ({**WHOLE, "WORLD_SIZE": "0"}, "environment: expected RANK and LOCAL_RANK below WORLD_SIZE, found RANK=1, "),
        ({k: v for k, v in WHOLE.items() if k != "MASTER_PORT"}, "environment: expected MASTER_PORT beside RANK=1, "),
    ],
)  # fmt: skip
def test_part_of_a_launchers_environment_is_one_line(monkeypatch, environment, said):
    for name in (*distributed.LAUNCHED, "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as raised:
        distributed.join_processes()
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)
