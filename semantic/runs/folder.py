"""A run's folder: the names of its files, written so that an interruption loses nothing that was finished."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from semantic.config.loading import dump_config, read_config
from semantic.config.schema import Config
from semantic.runtime.environment import environment
from semantic.runtime.errors import UserError
from semantic.runtime.files import replacing, write_text


class RunError(UserError):
    """A run's folder that does not fit what was asked of it. The message says where, expected and found."""


@dataclass(frozen=True)
class RunFolder:
    """A run's files, in runs/<experiment>/<variant>/seed_<s>[/fold_<k>]."""

    path: Path

    @classmethod
    def of(cls, config: Config, root: Path, fold: int | None = None) -> "RunFolder":
        """The folder under `root` of the run that a configuration, and a fold of it, describes."""
        path = root / config.experiment / config.variant / f"seed_{config.seed}"
        return cls(path if fold is None else path / f"fold_{fold}")

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def state(self) -> Path:
        return self.path / "state" / "training.pt"

    @property
    def queries(self) -> Path:
        return self.path / "queries.parquet"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    def read_config(self) -> Config:
        """The resolved configuration the run was started with."""
        if not self.config.is_file():
            raise RunError(f"{self.path}: expected a run's folder with its config.yaml, found none")
        return read_config(self.config)

    def start(self, config: Config, processes: int = 1) -> None:
        """Write the configuration and the environment, before the first epoch."""
        write_text(self.config, dump_config(config))
        write_text(self.path / "environment.json", json.dumps(environment(config.seed, processes), indent=1))

    def check_same(self, config: Config) -> None:
        """Raise RunError where `config` is not the one the run was started with.

        The number of workers and the batch sizes of evaluation may differ: they change no result.
        """
        old, new = _flat(self.read_config().model_dump()), _flat(config.model_dump())
        free = {"training.workers", "evaluation.batch_size", "evaluation.product_batch_size"}
        changed = [key for key in new if old.get(key) != new[key] and key not in free]
        if changed:
            shown = "; ".join(f"{key}: expected {old.get(key)!r}, got {new[key]!r}" for key in changed)
            raise RunError(f"{self.path}: expected the configuration the run was started with to resume it; {shown}")

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl; it is on disk when this returns."""
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def keep_metrics(self, epochs: int) -> None:
        """Drop the lines of epochs after the first `epochs`, and an incomplete last line: a resumed run writes them again."""
        kept = []
        if self.metrics.is_file():
            for text in self.metrics.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(text)["epoch"] <= epochs:
                        kept.append(text)
                except ValueError:
                    continue
        with replacing(self.metrics) as partial:
            partial.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")

    def save_state(self, state: dict[str, Any]) -> None:
        """Write what resuming needs, in place of the state before it."""
        with replacing(self.state) as partial:
            torch.save(state, partial)

    def load_state(self) -> dict[str, Any] | None:
        """The state last saved, on the CPU; None where there is none. RunError where the file does not load."""
        if not self.state.is_file():
            return None
        try:
            return torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # a torch file fails to load in many ways
            raise RunError(
                f"{self.state}: expected the run's state, got a file that does not load ({type(error).__name__})"
            ) from error


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots: {"a": {"b": 1}} gives {"a.b": 1}."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
