"""The optimiser, and its learning rate over the steps."""

from collections.abc import Callable

import torch

from semantic.config.errors import ConfigError
from semantic.config.schema import TrainingConfig
from semantic.models.interface import Model


def make_optimizer(model: Model, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over the model's parameter groups; with no weight decay that is Adam, the paper's.

    Raises:
        ConfigError: there are epochs, and nothing to train in them.
    """
    groups = [group for group in model.parameter_groups() if len(group["params"])]
    if not groups and config.epochs:
        raise ConfigError(
            f"training.epochs: expected 0 for model {model.config.name}, which has nothing to train, got {config.epochs}"
        )
    groups = groups or [{"params": [torch.zeros(0)]}]  # torch refuses an optimiser of nothing at all
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def linear_decay(config: TrainingConfig, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate: up to 1 over the warm-up, then linearly down to 0 after the last step.

    transformers' get_linear_schedule_with_warmup starts from 0, so that the first step would move nothing: with 1% of
    few steps that is the whole warm-up.
    """
    warmup = max(1, round(config.warmup_ratio * steps)) if config.warmup_ratio else 0

    def factor(step: int) -> float:
        return (step + 1) / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))

    return factor
