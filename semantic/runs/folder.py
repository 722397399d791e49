"""A run's folder: the names of its files, written so that an interruption loses nothing that was finished."""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from semantic.config.loading import dump_config, read_config
from semantic.config.schema import WITHOUT_EFFECT, Config
from semantic.config.values import dotted
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.claims import claim
from semantic.runtime.digests import SEAL, file_digest, is_broken, with_seal
from semantic.runtime.environment import environment
from semantic.runtime.errors import DataError, UserError
from semantic.runtime.files import remove_leftovers, replacing, sync, write_text


class RunError(UserError):
    """A run's folder that does not fit what was asked of it. The message says where, expected and found."""


@dataclass(frozen=True)
class RunData:
    """What a run reads: a store, by its path and the digest of its content, and the dialogues it learns from, by theirs.

    `train` are those whose examples enter the loss, `valid` those that choose the weights; hexadecimal digests. `features`
    is the digest of the user's file of image features; None where there is none, or an earlier version wrote the run.
    """

    store: str
    identity: str
    train: list[str]
    valid: list[str]
    features: str | None = None


def features_digest(config: Config) -> str | None:
    """The digest of the user's file of image features, where the model reads one and it is there."""
    file = config.model.features_file
    return file_digest(Path(file)) if file is not None and Path(file).is_file() else None


def lasting(config: Config) -> dict[str, Any]:
    """What must stay the same in a run, by dotted key: all but the store's path, and what changes no result."""
    return {
        key: value
        for key, value in dotted(config.model_dump(mode="json")).items()
        if key not in {"data.store", *WITHOUT_EFFECT}
    }


@dataclass(frozen=True)
class RunFolder:
    """A run's files, in runs/<experiment>/<variant>/seed_<s>[/fold_<k>_of_<n>].

    An epoch is finished when the state is renamed to its place. Weights that it made the best wait beside the state until
    then, and are moved to `model` after it; a process that is stopped in between does so when it goes on.
    """

    path: Path

    @classmethod
    def of(cls, config: Config, root: Path) -> "RunFolder":
        """The folder under `root` of the run that a configuration describes."""
        path, fold = root / config.experiment / config.variant / f"seed_{config.seed}", config.data.fold
        return cls(path / f"fold_{fold.index}_of_{fold.count}" if fold.count else path)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for the length of the block, without what a killed process left half written.

        Raises:
            BusyError: another process holds it.
        """
        with claim(self.path):
            remove_leftovers(self.path)
            yield

    def __fspath__(self) -> str:
        return str(self.path)

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

    def read_data(self) -> RunData | None:
        """What the run was started on; None for a run that was imported. RunError where the file says something else."""
        file = self.path / "data.json"
        if not file.is_file():
            return None
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            changed = is_broken(values)
            data = RunData(**{key: value for key, value in values.items() if key != SEAL})
            lists = all(
                isinstance(one, list) and all(isinstance(d, str) for d in one) for one in (data.train, data.valid)
            )
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            changed = lists = False
        if not lists:
            raise RunError(f"{file}: expected the store and the dialogues of the run, found something else")
        if changed:
            raise RunError(f"{file}: expected what was written as the run was started, found it changed since")
        return data

    def open_store(self) -> Store:
        """The store that the run was trained on.

        Raises:
            RunError: the configuration names none, or other image features lie in the place of the run's.
            DataError: it cannot be opened, or another is in its place.
        """
        config, known = self.read_config(), self.read_data()
        if not config.data.store:
            raise RunError(f"{self.config}: data.store: expected the folder of the run's store, found none")
        store = open_store(config.data.store)
        if known is not None and known.identity != store.identity:
            raise DataError(
                f"{store.path}: expected the store the run was trained on ({known.identity[:12]}), found another in its place "
                f"({store.identity[:12]}); --data {store.path} takes it nevertheless"
            )
        features = features_digest(config)  # None: there is no such file, which is told where it is read
        if known is not None and None not in (known.features, features) and known.features != features:
            raise RunError(
                f"{config.model.features_file}: expected the image features that the run was trained on, found others in "
                "their place"
            )
        return store

    def start(self, config: Config, data: RunData | None = None, processes: int = 1) -> None:
        """Write what the run is, before anything is learnt; the configuration, by which others know a run, last."""
        write_text(self.path / "environment.json", json.dumps(environment(config.seed, processes), indent=1))
        if data is not None:
            write_text(self.path / "data.json", json.dumps(with_seal(asdict(data))))
        write_text(self.config, dump_config(config))

    def check_same(self, config: Config, identity: str) -> None:
        """Raise RunError where `config`, or the content of the store or of image features, is not what the run was started with.

        The path of the store, the number of workers and the batch sizes of evaluation may differ: they change no result.
        """
        old, new = lasting(self.read_config()), lasting(config)
        shown = [
            f"{key}: expected {old.get(key)!r}, got {new.get(key)!r}"
            for key in dict.fromkeys((*new, *old))
            if old.get(key) != new.get(key)
        ]
        data = self.read_data()
        if data is not None and data.identity != identity:
            shown.append(
                f"data.store: expected the content it was started on ({data.identity[:12]}, then in {data.store}), got "
                f"{identity[:12]} in {config.data.store}"
            )
        if data is not None and data.features not in (None, features_digest(config)):
            shown.append(
                f"model.image.features: expected the content it was started on, got another in {config.model.features_file}"
            )
        if shown:
            raise RunError(
                f"{self.path}: expected the configuration the run was started with to resume it; {'; '.join(shown)}"
            )

    def complete_config(self) -> None:
        """Write the run's configuration with every field that there is now.

        A run of an earlier version lacks fields that came since, and ran by their defaults: written down, they are no
        difference from later runs of its variant.
        """
        text = dump_config(self.read_config())
        if text != self.config.read_text(encoding="utf-8"):
            write_text(self.config, text)

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl; it is on disk when this returns."""
        with self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def write_metrics(self, lines: Sequence[dict[str, Any]]) -> None:
        """Write metrics.jsonl anew: the lines of the epochs that are finished."""
        with replacing(self.metrics) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def staged_model(self, epoch: int) -> Path:
        """Where weights that an epoch made the best wait until the epoch is finished."""
        return self.state.parent / f"best_{epoch}"

    def publish_model(self, epoch: int) -> None:
        """Move the weights of `epoch`, where they still wait, to `model`, and drop those of epochs that did not finish."""
        staged = self.staged_model(epoch)
        if staged.is_dir():
            self.model.mkdir(exist_ok=True)
            for file in sorted(staged.iterdir(), key=lambda file: file.suffix == ".safetensors"):  # the weights last
                sync(file)
                os.replace(file, self.model / file.name)
            sync(self.model)
            staged.rmdir()
        for left in self.state.parent.glob("best_*"):
            shutil.rmtree(left)

    def save_state(self, state: dict[str, Any]) -> None:
        """Write what resuming needs, in place of the state before it."""
        with replacing(self.state) as partial:
            torch.save(state, partial)

    def drop_state(self) -> None:
        """Remove what only resuming needs."""
        shutil.rmtree(self.state.parent, ignore_errors=True)

    def load_state(self) -> dict[str, Any] | None:
        """The state last saved, on the CPU; None where there is none. RunError where the file does not load, or is damaged."""
        if not self.state.is_file():
            return None
        try:
            with zipfile.ZipFile(self.state) as archive:  # torch reads over the checksums of what it saved
                damaged = archive.testzip()
            state = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # a torch file fails to load in many ways
            raise RunError(
                f"{self.state}: expected the run's state, got a file that does not load ({type(error).__name__})"
            ) from error
        if damaged is not None:
            raise RunError(f"{self.state}: expected the state that was saved, found another checksum of {damaged}")
        if not isinstance(state, dict):
            raise RunError(f"{self.state}: expected the run's state, found a {type(state).__name__}")
        return state
