"""torch.compile, on the modules of a model whose work stands still while batches change shape."""

import torch

from semantic.models.interface import Model

VARIANTS = 64
"""Kinds of shapes each module is compiled for at most: training and evaluation, with a mask and without, one row and many."""


def compile_modules(model: Model, backend: str = "inductor") -> None:
    """Compile the model's `compilable` modules in place; weights keep their names, and shapes may vary.

    What lies between them (word pieces in groups by length, unique turns and products) is decided by the data, which a
    compiled graph cannot do.
    """
    torch._dynamo.config.cache_size_limit = max(VARIANTS, torch._dynamo.config.cache_size_limit)
    for module in model.compilable():
        module.compile(dynamic=True, backend=backend)
