"""The battery: what every model must pass, whatever its variant.

A check takes a model in float64 and evaluation mode that answers a batch with an `Output`, its configuration, and a folder
to write to. It fails by an assertion. A compared method with the same interface passes the same battery.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic.config.schema import Config
from semantic.datasets.batches.tensors import Batch
from semantic.models.semantic.objective import joint_loss, student_loss
from semantic.models.semantic.vectors import Output
from tests.small_world import Padding, collate, small_world, window


def scores(model: nn.Module, batch: Batch) -> list[Tensor]:
    """Relevance by student and teacher, and the student's attention, padded candidates zeroed."""
    with torch.no_grad():
        output: Output = model(batch, teacher=True, text_image=True)
    assert output.teacher is not None
    found = []
    for match in (output.student, output.teacher):
        found += [match.relevance.masked_fill(~batch.keep, 0.0), match.context_text, match.context_image]
        found += [a.masked_fill(~batch.keep.unsqueeze(-1), 0.0) for a in (match.product_text, match.product_image)]
    return found


def padding_changes_nothing(model: nn.Module, config: Config, folder: Path) -> None:
    del folder
    world, fixed = small_world(), window(config)
    plain = scores(model, collate(world))
    paddings = [Padding(tokens=3), Padding(photos=5), Padding(candidates=7), Padding(2, 0, 5, 7)]
    for padding in paddings + ([] if fixed else [Padding(turns=2), Padding(2, 3, 5, 7)]):
        for one, other in zip(plain, scores(model, collate(world, padding=padding)), strict=True):
            same = other[:, : one.shape[1]]
            assert torch.allclose(one, same, atol=1e-12, rtol=0), (
                f"{padding} moves a score by {(one - same).abs().max()}"
            )


def batch_of_one_is_batch_of_many(model: nn.Module, config: Config, folder: Path) -> None:
    del folder
    world = small_world()
    many = scores(model, collate(world))
    for row in range(len(world.examples)):
        for all_rows, alone in zip(
            many, scores(model, collate(world, [row], turns_at_least=window(config))), strict=True
        ):
            together = all_rows[row, : alone.shape[1]]
            assert torch.allclose(together, alone[0], atol=1e-12, rtol=0), f"example {row} depends on its batch"


UNTRAINED = (".key.bias", ".pooler.")
"""A key's bias adds one number to all scores under a softmax: its gradient is zero. BERT's pooler is never asked."""
UNTRAINED_OF_BAGS = (*UNTRAINED, ".positions.", "completion.")
"""A bag has no order, so the position table is idle. Text completion learns from the catalogue before the dialogues."""


def every_parameter_is_saved_and_trained(model: nn.Module, config: Config, folder: Path) -> None:
    del folder
    saved = model.state_dict()
    assert {name for name, _ in model.named_parameters()} <= saved.keys()
    batch = collate(small_world())
    output = model(batch, teacher=True, text_image=True)
    (joint_loss(output, batch, config.loss)[0] + student_loss(output, batch, config.loss)[0]).backward()
    idle = UNTRAINED_OF_BAGS if config.model.text.encoder == "bag" else UNTRAINED
    for name, parameter in model.named_parameters():
        if any(part in name for part in idle):
            assert ".key.bias" in name or parameter.grad is None, f"{name} gets a gradient"
            continue
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert bool(parameter.grad.isfinite().all()), f"{name} gets a gradient that is not finite"
        assert float(parameter.grad.abs().max()) > 1e-12, f"{name} gets a gradient of zeros"
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding) and m.padding_idx is not None]
    assert all(not t.weight.grad[t.padding_idx].any() for t in tables), "the pad row is trained"  # type: ignore[index]


def evaluation_is_deterministic(model: nn.Module, config: Config, folder: Path) -> None:
    del config, folder
    batch = collate(small_world())
    first = scores(model, batch)
    torch.rand(5)
    assert all(torch.equal(one, other) for one, other in zip(first, scores(model, batch), strict=True))


def save_load_is_bit_identical(model: Any, config: Config, folder: Path) -> None:
    del config
    single = model.float()
    single.save_pretrained(folder / "saved")
    loaded = type(model).from_pretrained(folder / "saved")
    assert not loaded.training
    assert loaded.config == model.config
    assert json.dumps(asdict(loaded.sizes)) == json.dumps(asdict(model.sizes))
    before, after = single.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    batch = collate(small_world())
    assert all(torch.equal(a, b) for a, b in zip(scores(single, batch), scores(loaded, batch), strict=True))


def candidate_order_changes_nothing(model: nn.Module, config: Config, folder: Path) -> None:
    del config, folder
    batch = collate(small_world())
    plain = scores(model, batch)[0]
    for shift in range(1, batch.candidates.shape[1]):
        order = torch.arange(batch.candidates.shape[1]).roll(shift)
        moved = Batch(batch.contexts, batch.products, batch.candidates[:, order], batch.positive[:, order])
        assert torch.allclose(scores(model, moved)[0], plain[:, order], atol=1e-12, rtol=0)


def duplicated_candidate_scores_alike(model: nn.Module, config: Config, folder: Path) -> None:
    del config, folder
    batch = collate(small_world())
    twice = Batch(batch.contexts, batch.products, batch.candidates.repeat(1, 2), batch.positive.repeat(1, 2))
    one, other = scores(model, twice)[0].chunk(2, dim=1)
    assert torch.equal(one, other)


Check = Callable[[nn.Module, Config, Path], None]
BATTERY: tuple[Check, ...] = (
    padding_changes_nothing,
    batch_of_one_is_batch_of_many,
    every_parameter_is_saved_and_trained,
    evaluation_is_deterministic,
    save_load_is_bit_identical,
    candidate_order_changes_nothing,
    duplicated_candidate_scores_alike,
)
