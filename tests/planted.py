"""A world with a planted signal: a word in a dialogue asks for the product that another word names."""

import numpy as np
import torch
from torch import Tensor

from semantic.datasets.batches.tensors import Batch
from semantic.models.interface import Model, ProductRows
from tests.small_world import Example, Item, Turn, World, collate, whole

CUES, VALUES = (4, 6, 8, 10, 12, 14), (3, 5, 7, 11, 15, 19)
"""Words of dialogues, and the word of the product that each asks for."""
KEY = 9
"""What stands before the value in a product's text: the key of an attribute, for models that know any."""
NOISE = (16, 18, 20, 22)
SIZE, QUERIES = 24, 120


def batch(rng: np.random.Generator, size: int, pictures: Tensor, turns: int, *, shuffled: bool) -> Batch:
    """Contexts that end in a cue, each with all products as candidates, the one asked for first; or `shuffled` any other first."""
    count = len(CUES)
    drawn = torch.from_numpy(np.random.default_rng(0).normal(size=(count, *pictures.shape[1:])))
    items = tuple(Item((KEY, value), place) for place, value in enumerate(VALUES))
    examples = []
    for _ in range(size):
        asked, any_other = rng.integers(count, size=2)
        noise = tuple(int(word) for word in rng.choice(NOISE, size=2))
        right = int(any_other if shuffled else asked)
        others = [place for place in range(count) if place != right]
        said = (Turn(noise), Turn((CUES[asked], noise[0])))
        examples.append(Example(said, ((1,), (1,), (1,)), (right, *others), 1))
    return collate(World(tuple(examples), items, drawn), range(size), turns_at_least=turns)


def accuracy(model: Model, pictures: Tensor, turns: int, *, steps: int, shuffled: bool) -> float:
    """How often the right product comes first in contexts that were not trained on."""
    rng = np.random.default_rng(1)
    torch.manual_seed(0)
    groups = model.parameter_groups()
    if groups and steps:
        optimiser = torch.optim.Adam(groups, lr=1e-2)
        model.train()
        for _ in range(steps):
            taught = whole(batch(rng, SIZE, pictures, turns, shuffled=shuffled), labelled=False)
            optimiser.zero_grad()
            model.loss(taught).total.backward()
            optimiser.step()
        model.eval()
    asked = batch(rng, QUERIES, pictures, turns, shuffled=shuffled)
    with torch.no_grad():
        rows = ProductRows.of(model.encode_products(asked.products), asked.candidates)
        scores = model.score(model.encode_query(asked.contexts), rows)
    return float((scores[:, :1] > scores[:, 1:]).all(1).double().mean())
