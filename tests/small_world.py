"""Small models with weights by formula, and small ragged dialogues with what real data has: gaps of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch
from torch import Tensor, nn

from semantic.batching.inputs import InputSpec
from semantic.batching.shards import Counts, Shard
from semantic.config.loading import make_config, read_values
from semantic.config.registry import find_model
from semantic.config.schema import Config
from semantic.datasets.batches.tensors import Batch, Contexts, Products
from semantic.models.semantic.small_data import SmallDataConfig

DIM, HEADS, INNER, LAYERS, HOPS, FEATURES, VOCABULARY, POSITIONS, VALUE_TOKENS = 14, 2, 11, 2, 3, 13, 31, 17, 5
KEYS = ((3,), (5, 7), (11, 13, 2))
FILLER = 29  # a real token id under `keep` False: padding must be told by the mask, not by its value

VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {"preset": "paper"},
    "tuned": {"preset": "tuned"},
    "released": {"preset": "released"},
    "small_data": read_values(
        (resources.files("semantic.experiments") / "simmc2_fashion.yaml").read_text(encoding="utf-8")
    ),
}
"""Name -> configuration values; each passes the whole battery (test_models_battery.py) and agrees with loops: oracle.py,
or those of test_models_semantic_small_data.py."""
SIZES: dict[str, dict[str, Any]] = {
    "semantic": {"dim": DIM, "heads": HEADS, "inner": INNER, "layers": LAYERS},
    "semantic_small_data": {"dim": DIM},
}
"""What makes each model small."""
LONGEST = 3  # turns of the longest dialogue
SPECS: dict[str, dict[str, Any]] = {
    "tuned": {"context_turns": LONGEST, "unset_tokens": (1,)},
    "small_data": {
        "context_turns": LONGEST,
        "unset_tokens": (1,),
        "catalogue_words": (3, 5, 7, 9, 11, 13, 15, 17, 19, 23, 25),  # texts hold 21 and 27 too
    },
}
"""What a variant's model takes from the data beside what all do."""


def small_config(variant: str, **model: Any) -> Config:
    """The variant's configuration at the sizes above, with fields of `model` on top. Photos are rows of features."""
    values = VARIANTS[variant]
    inherited = values.get("model", {})
    small = SIZES[inherited.get("name", "semantic")]
    photos = {"image": {**inherited.get("image", {}), "features": "features.npy"}}
    hops = {"interaction": {**inherited.get("interaction", {}), "hops": HOPS}}
    return make_config({**values, "model": {**inherited, **small, **photos, **hops, **model}})


def small_spec(**changes: Any) -> InputSpec:
    """Sizes of the small world's inputs, with `changes` on top."""
    slots = tuple(f"slot{i}" for i in range(len(KEYS)))
    given = {"image_features": FEATURES, "value_tokens": VALUE_TOKENS} | changes
    return InputSpec(VOCABULARY, 0, POSITIONS, slots, KEYS, **given)


def build(variant: str, spec: dict[str, Any] | None = None, **model: Any) -> Any:
    """The variant's model in evaluation mode, in float64, with weights by formula."""
    config = small_config(variant, **model).model
    made = find_model(config.name)(config, small_spec(**{**SPECS.get(variant, {}), **(spec or {})}))
    return fill(made).double().eval()


def formula(shape: Sequence[int], seed: int, scale: float = 1.0) -> Tensor:
    """float64 numbers in [-scale, scale] by integer arithmetic alone: the same on every machine, of full rank."""
    n = torch.arange(int(torch.Size(shape).numel()), dtype=torch.int64)
    return scale * ((37 * n * n + 11 * n + 101 * seed) % 1009).double().div(504).sub(1).view(torch.Size(shape))


def fill(model: nn.Module) -> Any:
    """Give every parameter and statistic a value by formula; gains and variances stay near 1. Returns the model."""
    with torch.no_grad():
        for seed, (name, value) in enumerate(sorted(model.state_dict().items())):
            if value.is_floating_point():
                value.copy_(weights(name, value.shape, seed))
    return model


def weights(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """A value for the tensor `name`: matrices scaled by their fan-in, gains near 1, variances positive."""
    if name.endswith(("running_var", "deviation")) or (len(shape) == 1 and name.endswith("weight")):
        return 1 + formula(shape, seed, 0.3)
    if len(shape) < 2:
        return formula(shape, seed, 0.2)
    return formula(shape, seed, 1.7 / max(1, torch.Size(shape[1:]).numel()) ** 0.5)


@dataclass(frozen=True)
class Turn:
    tokens: tuple[int, ...]
    photos: tuple[int, ...] = ()


@dataclass(frozen=True)
class Item:
    tokens: tuple[int, ...]
    photo: int | None


@dataclass(frozen=True)
class Example:
    """Candidates are items, the first `positives` of them shown."""

    turns: tuple[Turn, ...]
    values: tuple[tuple[int, ...], ...]
    candidates: tuple[int, ...]
    positives: int


@dataclass(frozen=True)
class World:
    examples: tuple[Example, ...]
    items: tuple[Item, ...]
    pictures: Tensor  # features [picture, feature], or uint8 photos


def small_world(pictures: Tensor | None = None) -> World:
    """Three dialogues of 3, 1 and 2 turns; texts and photos missing here and there; a product without a photo."""
    a = Turn((4, 6, 8, 10, 12), (0, 1))
    b = Turn((), (2,))
    c = Turn((14, 16, 18), (3, 0, 4))
    return World(
        examples=(
            Example((a, b, c), ((1,), (17, 19), (21, 23, 25)), (0, 1, 2, 3), 2),
            Example((Turn((20, 22)),), ((1,), (1,), (1,)), (4, 1), 1),
            Example((Turn((24,), (4,)), Turn((26, 28, 4, 9))), ((27, 9), (1,), (2, 3, 4, 5, 6)), (5, 0, 4), 1),
        ),
        items=(
            Item((3, 5, 7), 0), Item((9, 11), 1), Item((13, 15, 17, 19), None), Item((21,), 2), Item((23, 25, 27), 3),
            Item((), 4),
        ),
        pictures=formula((5, FEATURES), 77, 2.0) if pictures is None else pictures,
    )  # fmt: skip


@dataclass(frozen=True)
class Padding:
    """How much longer than the data each padded axis is."""

    tokens: int = 0
    turns: int = 0
    photos: int = 0
    candidates: int = 0


def window(config: Config) -> int:
    """The number of turns that contexts are padded to: a pooled context has a weight for each place of a turn."""
    return LONGEST if isinstance(config.model, SmallDataConfig) else 0


def whole(batch: Batch, *, labelled: bool = True, **facts: Any) -> Shard:
    """A batch as the one shard of its training step."""
    return Shard(batch, Counts.of(batch.positive, batch.keep), labelled, **facts)


def collate(
    world: World, rows: Sequence[int] = (0, 1, 2), padding: Padding | None = None, *, turns_at_least: int = 0
) -> Batch:
    """The examples `rows` as a batch; what is padded or missing holds garbage that only the masks tell from data."""
    padding = padding or Padding()
    examples = [world.examples[row] for row in rows]
    turns = [turn for example in examples for turn in example.turns]
    tokens, keep = pad([turn.tokens for turn in turns], FILLER, padding.tokens)
    photos, shown = pad([turn.photos for turn in turns], 0, padding.photos)
    first, index = 0, []
    for example in examples:
        index.append(tuple(range(first, first + len(example.turns)))[::-1])
        first += len(example.turns)
    extra = max(padding.turns, turns_at_least - max(map(len, index)))
    context, real = pad(index, 0, extra)  # reversed here, so that flipping pads on the left
    width = 1 + max(len(value) for example in examples for value in example.values)
    width = max(width, VALUE_TOKENS)
    values = [pad([*example.values, (0,) * width], 0, 0) for example in examples]
    pictured = {item.photo: item.tokens for item in world.items}
    photo_tokens, photo_keep = pad([pictured.get(i, ()) for i in range(len(world.pictures))], FILLER, padding.tokens)
    contexts = Contexts(
        tokens, keep, photos.masked_fill(~shown, -1), world.pictures, photo_tokens, photo_keep, context.masked_fill(~real, -1).flip(1),
        torch.stack([v[:-1, :VALUE_TOKENS] for v, _ in values]),
        torch.stack([k[:-1, :VALUE_TOKENS] for _, k in values]),
    )  # fmt: skip
    used = sorted({item for example in examples for item in example.candidates})
    candidates, kept = pad([tuple(map(used.index, e.candidates)) for e in examples], 0, padding.candidates)
    positive = torch.zeros_like(kept)
    for row, example in enumerate(examples):
        positive[row, : example.positives] = True
    return Batch(
        contexts,
        _products(world, [world.items[i] for i in used], padding),
        candidates.masked_fill(~kept, -1),
        positive,
    )


def _products(world: World, items: Sequence[Item], padding: Padding) -> Products:
    tokens, keep = pad([item.tokens for item in items], FILLER, padding.tokens)
    garbage = torch.full_like(world.pictures[0], 9)
    photos = torch.stack([garbage if item.photo is None else world.pictures[item.photo] for item in items])
    return Products(tokens, keep, photos, torch.tensor([item.photo is not None for item in items]))


def pad(rows: Sequence[Sequence[int]], filler: int, extra: int) -> tuple[Tensor, Tensor]:
    """Rows of one width with `filler` at their ends, and where they are real."""
    width = max(1, *(len(row) for row in rows)) + extra
    keep = torch.tensor([[i < len(row) for i in range(width)] for row in rows])
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows]), keep
