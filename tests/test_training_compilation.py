"""Compiled parts compute what they did, and leave a model that is saved and copied as before.

In a process of its own: dynamo does not trace through the checks of shapes that tests put around every function.
"""

import subprocess
import sys

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
from semantic.training.compilation import compile_parts
from semantic.config.loading import load_config
from semantic.dst.interaction import DialogueStateInteraction
from semantic.encoders.attention import AttentionLayer
from semantic.models.semantic.objective import joint_loss
from tests.small_world import VARIANTS, build, collate, small_config, small_world
from tests.worlds import same_weights, without_seconds

BACKEND = "eager"  # traces and guards as the real one does, and generates no code
torch.set_num_threads(1)

def gradients(model, config):
    batch = collate(small_world())
    model.zero_grad()
    loss, _ = joint_loss(model(batch, teacher=True, text_image=True), batch, config.loss)
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

for variant in VARIANTS:
    model, config = build(variant), small_config(variant)
    names, (loss, expected) = list(model.state_dict()), gradients(model, config)
    compile_parts(model, BACKEND)
    found, compiled = gradients(model, config)
    torch.testing.assert_close(found, loss, atol=1e-12, rtol=0)
    torch.testing.assert_close(compiled, expected, atol=1e-12, rtol=0)
    assert list(model.state_dict()) == names == list(deepcopy(model).state_dict())
    parts = [m for m in model.modules() if isinstance(m, AttentionLayer | DialogueStateInteraction)]
    assert parts and all(part._compiled_call_impl is not None for part in parts)

config, runs, compiled = load_config("tiny.yaml"), Path("runs"), []
plain = trainer.train(config, runs=runs / "plain")
trainer.compile_parts = lambda model: compiled.append(compile_parts(model, BACKEND))
other = trainer.train(load_config("tiny.yaml", ["training.compile=true"]), runs=runs / "compiled")
assert len(compiled) == 1
assert without_seconds(other.metrics) == without_seconds(plain.metrics)
assert same_weights(other, plain)
print("same")
"""


def test_compiled_parts_are_the_same_function_under_the_same_names(shop_path, shop_features, tmp_path, repository):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_values(shop_path, shop_features)))
    run = [sys.executable, "-c", SAME, str(repository)]

    done = subprocess.run(
        run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )

    assert done.stdout.endswith("same\n"), done.stdout + done.stderr
