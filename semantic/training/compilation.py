"""torch.compile, on the parts of the network that stand still while batches change shape."""

import torch
from torch import nn

from semantic.dst.interaction import DialogueStateInteraction
from semantic.encoders.attention import AttentionLayer
from semantic.encoders.image import Backbone

VARIANTS = 64
"""Kinds of shapes each part is compiled for at most: training and evaluation, with a mask and without, one row and many."""


def compile_parts(model: nn.Module, backend: str = "inductor") -> None:
    """Compile attention layers, interactions and backbone in place; weights keep their names, and shapes may vary.

    What lies between them (word pieces in groups by length, unique turns and products) decides by the data what is computed,
    which a compiled graph cannot.
    """
    torch._dynamo.config.cache_size_limit = max(VARIANTS, torch._dynamo.config.cache_size_limit)
    for module in model.modules():
        if isinstance(module, AttentionLayer | DialogueStateInteraction):
            module.compile(dynamic=True, backend=backend)
        elif isinstance(module, Backbone):
            module.network.compile(dynamic=True, backend=backend)
