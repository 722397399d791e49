"""Text completion learned from the catalogue alone."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semantic.encoders.completion import TextCompletion

BATCH = 256
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.01


def fit_completion(
    completion: TextCompletion,
    present: Float[Tensor, "product word"],
    features: Float[Tensor, "product feature"],
    epochs: int,
    seed: int,
    advance: Callable[[int, int], None],
) -> None:
    """Train the guessing of words on a catalogue's products; the same seed gives the same weights."""
    optimizer = torch.optim.AdamW(completion.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(present) // BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(1, steps))
    generator = np.random.default_rng([seed, 7])
    with torch.random.fork_rng():
        torch.manual_seed(int(generator.integers(2**62)))
        for epoch in range(epochs):
            order = torch.from_numpy(generator.permutation(len(present))).to(present.device)
            for rows in order.split(BATCH):
                optimizer.zero_grad()
                completion.loss(present[rows], features[rows]).backward()
                optimizer.step()
                decay.step()
            advance(epoch + 1, epochs)
    optimizer.zero_grad()  # gradients left here would count in the norm that the dialogues' gradients are clipped to
