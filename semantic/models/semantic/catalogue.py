"""What the catalogue alone teaches, read a part at a time: at a million products its words alone are tens of gigabytes."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semantic.datasets.batches.builder import BatchBuilder
from semantic.encoders.completion import TextCompletion

BLOCK = 4096
"""Products whose features are read at once."""
BATCH = 256
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.01

ReadProducts = Callable[[np.ndarray], tuple[Float[Tensor, "product word"], Float[Tensor, "product feature"]]]
"""From product ids to the words present in their texts and their features."""


def photo_blocks(builder: BatchBuilder) -> Iterator[Float[Tensor, "photo feature"]]:
    """The features of all products whose photo is shown, those of at most `BLOCK` products at once."""
    products = builder.store.num_products
    for start in range(0, products, BLOCK):
        ids = np.arange(start, min(start + BLOCK, products))
        yield builder.photo_rows(ids[builder.has_photo(ids)])


def fit_completion(
    completion: TextCompletion,
    read: ReadProducts,
    products: int,
    epochs: int,
    seed: int,
    advance: Callable[[int, int], None],
) -> None:
    """Train the guessing of words on a catalogue of `products`, `BATCH` at once; the same seed gives the same weights."""
    optimizer = torch.optim.AdamW(completion.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-products // BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(1, steps))
    generator = np.random.default_rng([seed, 7])
    with torch.random.fork_rng():
        torch.manual_seed(int(generator.integers(2**62)))
        for epoch in range(epochs):
            order = generator.permutation(products)
            for start in range(0, products, BATCH):
                optimizer.zero_grad()
                completion.loss(*read(order[start : start + BATCH])).backward()
                optimizer.step()
                decay.step()
            advance(epoch + 1, epochs)
    optimizer.zero_grad()  # gradients left here would count in the norm that the dialogues' gradients are clipped to
