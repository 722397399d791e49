"""What floors that learn nothing share: nothing to train, and no epoch to train it in."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from semantic.batching.shards import Shard
from semantic.config.schema import ModelConfig
from semantic.models.interface import Loss, Model

UNTRAINED: Mapping[str, Mapping[str, Any]] = {"untrained": {"training": {"epochs": 0}}}


class UntrainedConfig(ModelConfig):
    """The configuration of a floor that learns nothing: a run of no epoch."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = UNTRAINED


class Untrained(Model):
    """A ranking without a trained parameter."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def initialise(self, text_encoder: nn.Module | None) -> None:
        """Of a text checkpoint the vocabulary is read, and no weights."""
        del text_encoder

    def loss(self, shard: Shard) -> Loss:
        """The hinge of its scores, which nothing lowers."""
        with torch.no_grad():
            return self.loss_of_ranking(shard)
