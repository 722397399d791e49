"""A run's folder: what it leaves, under which names, written so that an interruption loses nothing."""

import json
import os
import platform
import resource
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from semantic.config.loading import dump_config, read_config
from semantic.config.schema import Config
from semantic.runtime.errors import UserError
from semantic.runtime.files import replacing, write_text


class RunError(UserError):
    """A run's folder that does not fit what was asked of it. The message says where, expected and found."""


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of a run; DESIGN's layout runs/<experiment>/<variant>/seed_<s>/fold_<k>."""

    path: Path

    @classmethod
    def of(cls, config: Config, root: Path, fold: int | None = None) -> "RunFolder":
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
        """Write what a run is, before it runs."""
        write_text(self.config, dump_config(config))
        write_text(self.path / "environment.json", json.dumps(environment(config.seed, processes), indent=1))

    def check_same(self, config: Config) -> None:
        """A run may only go on with the configuration it was started with; workers and batch sizes of evaluation change no number."""
        old, new = _flat(self.read_config().model_dump()), _flat(config.model_dump())
        free = {"training.workers", "evaluation.batch_size", "evaluation.product_batch_size"}
        changed = [key for key in new if old.get(key) != new[key] and key not in free]
        if changed:
            shown = "; ".join(f"{key}: expected {old.get(key)!r}, got {new[key]!r}" for key in changed)
            raise RunError(f"{self.path}: expected the configuration the run was started with to resume it; {shown}")

    def append_metrics(self, line: dict[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def keep_metrics(self, epochs: int) -> None:
        """Drop lines of epochs after the first `epochs`, and a line cut short: the run will write them again."""
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
        with replacing(self.state) as partial:
            torch.save(state, partial)

    def load_state(self) -> dict[str, Any] | None:
        if not self.state.is_file():
            return None
        try:
            return torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # a torch file fails to load in many ways
            raise RunError(
                f"{self.state}: expected the run's state, got a file that does not load ({type(error).__name__})"
            ) from error


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def environment(seed: int, processes: int = 1) -> dict[str, Any]:
    """The machine (that of the first of so many processes), the packages and the command, for a run's record."""
    names = (
        "torch",
        "torchvision",
        "transformers",
        "timm",
        "numpy",
        "scikit-learn",
        "accelerate",
        "pyarrow",
        "tokenizers",
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processes": processes,
        "packages": {"semantic": metadata.version("semantic-crs"), **{name: metadata.version(name) for name in names}},
        "seed": seed,
        "command": " ".join(["semantic", *sys.argv[1:]]),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """The most resident memory this process ever held, or the device's where that is more."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if torch.cuda.is_available():
        used = max(used, torch.cuda.max_memory_allocated())
    return round(used / 2**20, 1)
