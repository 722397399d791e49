"""What a model learns of the catalogue alone, before any dialogue: the whitening of photos, the completion of texts."""

from collections.abc import Callable

import numpy as np
import torch

from semantic.datasets.batches.builder import BatchBuilder
from semantic.encoders.image import WhitenedImageEncoder
from semantic.models.semantic.paper import Semantic

BATCH = 256
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.01


def learn_catalogue(
    model: Semantic, builder: BatchBuilder, epochs: int, seed: int, progress: Callable[[int, int], None]
) -> None:
    """Fit the parts of the model that know products and no dialogue; the same seed gives the same weights.

    Every product of the store is seen, those of test dialogues too: a catalogue is known when it is searched. No
    dialogue, positive or state is read.
    """
    has_photo = np.asarray(builder.store.has_photo)
    if isinstance(model.image, WhitenedImageEncoder):
        model.image.fit(torch.from_numpy(np.asarray(builder.photos[has_photo])).to(next(model.parameters()).device))
    if model.completion is None:
        return
    products = builder.products(np.arange(builder.store.num_products)).to(next(model.parameters()).device)
    with torch.no_grad():
        present = model.completion.present(products.tokens, products.keep)
        features = model.standard_features(model.image_features(products.photos), products.has_photo)
    optimizer = torch.optim.AdamW(model.completion.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(present) // BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(1, steps))
    generator = np.random.default_rng([seed, 7])
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(int(generator.integers(2**62)))
        for epoch in range(epochs):
            order = torch.from_numpy(generator.permutation(len(present))).to(present.device)
            for rows in order.split(BATCH):
                optimizer.zero_grad()
                model.completion.loss(present[rows], features[rows]).backward()
                optimizer.step()
                decay.step()
            progress(epoch + 1, epochs)
    optimizer.zero_grad()  # what is left would count in the norm of the dialogues' gradients
