"""Compiled modules compute what they did, and leave a model that is saved and copied as before.

In a process of its own: dynamo does not trace through the checks of shapes that tests put around every function.
"""

import subprocess
import sys

import pytest
import yaml

from tests.commands import environment
from tests.worlds import tiny_values

SAME = """
import sys
sys.path.append(sys.argv[1])  # after the installed packages: this one's folders must not pass for others
from copy import deepcopy
from pathlib import Path
import torch
from semantic.training import loop as trainer
from semantic.training import run as training_run
from semantic.training.compilation import compile_modules
from semantic.config.loading import load_config
from tests.small_world import build, collate, small_config, small_world, whole, window
from tests.worlds import same_weights, without_seconds

BACKEND = "eager"  # traces and guards as the real one does, and generates no code
torch.set_num_threads(1)

def gradients(model, config):
    model.zero_grad()
    loss = model.loss(whole(collate(small_world(), turns_at_least=window(config)))).total
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

for variant, few in {"paper": {"layers": 1}, "released": {"layers": 1}, "small_data": {}}.items():  # each layer is traced anew, for seconds
    model, config = build(variant, **few), small_config(variant, **few)
    names, (loss, expected) = list(model.state_dict()), gradients(model, config)
    compile_modules(model, BACKEND)
    found, compiled = gradients(model, config)
    torch.testing.assert_close(found, loss, atol=1e-12, rtol=0)
    torch.testing.assert_close(compiled, expected, atol=1e-12, rtol=0)
    assert list(model.state_dict()) == names == list(deepcopy(model).state_dict())
    modules = list(model.compilable())
    others = [m for m in model.modules() if not any(m is one for one in modules)]
    assert modules and all(module._compiled_call_impl is not None for module in modules)
    assert all(module._compiled_call_impl is None for module in others)

config, runs, compiled = load_config("tiny.yaml", ["training.epochs=1"]), Path("runs"), []
plain = trainer.train(config, runs=runs / "plain")
training_run.compile_modules = lambda model: compiled.append(compile_modules(model, BACKEND))
other = trainer.train(load_config("tiny.yaml", ["training.epochs=1", "training.compile=true"]), runs=runs / "compiled")
assert len(compiled) == 1
assert without_seconds(other.metrics) == without_seconds(plain.metrics)
assert same_weights(other, plain)
print("same")
"""


@pytest.mark.slow
def test_compiled_modules_are_the_same_function_under_the_same_names(shop_path, shop_features, tmp_path, repository):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_values(shop_path, shop_features)))
    run = [sys.executable, "-c", SAME, str(repository)]

    done = subprocess.run(
        run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=500, check=False
    )

    assert done.stdout.endswith("same\n"), done.stdout + done.stderr
