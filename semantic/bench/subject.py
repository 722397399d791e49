"""What a bench runs on: a store, a configuration, a model with random weights over them, and the sizes of each measurement."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from semantic.batching.examples import select_examples
from semantic.config.loading import make_config
from semantic.config.schema import Config
from semantic.datasets.batches.builder import BatchBuilder
from semantic.datasets.preparing.prepare import prepare
from semantic.datasets.reading.corpus import open_corpus
from semantic.datasets.simulator import simulate
from semantic.datasets.store.store import FILES, MANIFEST, Store, open_store
from semantic.dst.schema import MMD
from semantic.encoders.image import Backbone
from semantic.models.building import build_model
from semantic.models.interface import Model
from semantic.runtime.progress import Progress


@dataclass(frozen=True)
class Scale:
    """How much of everything. `few` and `many` are the candidates from which the direct form's cost is extrapolated."""

    dialogues: int  # of the simulated store
    products: int
    negatives: int  # of an evaluation query there
    seconds: float  # a measurement may take, about
    few: int
    many: int
    files: int  # dialogue files parsed
    photos: int  # in a backbone batch
    word_table: tuple[int, int] | None  # rows and positions; None: as many as the store's text needs
    candidates: tuple[int, ...]
    catalogue: tuple[int, ...]
    dialogue_counts: tuple[int, ...]
    overrides: tuple[str, ...] = ()  # of the default configuration


FULL = Scale(
    dialogues=100,
    products=1500,
    negatives=1000,
    seconds=8.0,
    few=4,
    many=28,
    files=200,
    photos=256,
    word_table=(30_522, 512),  # BERT's
    candidates=(100, 316, 1000, 3162, 10_000, 31_623, 100_000),
    catalogue=(10_000, 31_623, 100_000, 316_228, 1_000_000),
    dialogue_counts=(1000, 3162, 10_000, 31_623, 100_000),
)
QUICK = Scale(
    dialogues=12,
    products=60,
    negatives=30,
    seconds=0.1,
    few=2,
    many=5,
    files=5,
    photos=16,
    word_table=None,
    candidates=(100, 316, 1000),
    catalogue=(1000, 3162, 10_000),
    dialogue_counts=(100, 316, 1000),
    overrides=(
        "data.context_turns=2",
        "data.photos_per_turn=2",
        "model.dim=32",
        "model.heads=2",
        "model.layers=1",
        "model.text.vocabulary=300",
        "training.batch_size=8",
    ),
)


def simulate_store(folder: Path, scale: Scale, seed: int, progress: Callable[[str, int, int], None]) -> Store:
    """A store of simulated dialogues in `folder`, made as a user makes one; its files lie beside it."""
    data = folder / "data"
    simulate(
        data,
        dialogues=scale.dialogues,
        products=scale.products,
        evaluation_negatives=scale.negatives,
        seed=seed,
        progress=progress,
    )
    prepare(open_corpus(data, MMD.slots, "mmd"), folder / "store", progress=progress)
    return open_store(folder / "store")


def view_store(store: Store, folder: Path) -> Store:
    """The same store in another folder, by links: what is computed beside it stays out of the user's folder."""
    folder.mkdir(parents=True)
    for name in (*FILES, MANIFEST):
        os.symlink((store.path / name).resolve(), folder / name)
    for kept in ("features", "pieces"):
        for file in (store.path / kept).glob("*.npy"):
            (folder / kept).mkdir(exist_ok=True)
            os.symlink(file.resolve(), folder / kept / file.name)
    return open_store(folder)


def frozen(config: Config) -> Config | None:
    """The configuration with a frozen backbone, whose features are cached; None where they are already, given or hidden."""
    if "photos" in config.data.hidden:
        return None
    fields = config.model_dump(mode="json")
    image = fields["model"].get("image", {})
    if not {"frozen", "batch_norm"} <= image.keys() or config.model.features_file is not None:
        return None
    if image["frozen"] and image["batch_norm"] == "eval":
        return None
    return make_config(fields, ["model.image.frozen=true", "model.image.batch_norm=eval"])


@dataclass(frozen=True)
class Subject:
    """A model over a store, on a device, with what builds its batches."""

    config: Config
    store: Store
    model: Model
    builder: BatchBuilder
    device: torch.device

    @property
    def photos(self) -> str:
        """Where photo vectors come from, in words."""
        if "photos" in self.builder.hidden or not self.builder.photos.shape[1]:
            return "no photos"
        if self.builder.photos.dtype == np.uint8:
            return "backbone trained"
        return "cached features" if backbone_of(self.model) is not None else "features from a file"

    @cached_property
    def pictures(self) -> BatchBuilder:
        """Builds batches with photos where there is a backbone: the direct form caches nothing."""
        builder = copy.copy(self.builder)
        if backbone_of(self.model) is not None:
            builder.photos = self.store.photos
        return builder

    @cached_property
    def training_rows(self) -> np.ndarray:
        """The examples trained on: those with states, if there are any."""
        examples = select_examples(self.store, self.config.data, self.config.seed)
        return examples.labelled if self.has_states else examples.unlabelled

    @cached_property
    def has_states(self) -> bool:
        return bool(len(select_examples(self.store, self.config.data, self.config.seed).labelled))

    @cached_property
    def queries(self) -> np.ndarray:
        split = self.store.split(self.config.data.test)
        return np.arange(split.start, split.stop)


def build_subject(
    config: Config, store: Store, device: torch.device, word_table: tuple[int, int] | None, progress: Progress
) -> Subject:
    """The configuration's model with random weights, or a checkpoint's, fitted to the catalogue as before training."""
    model = build_model(config, store, lambda _: None)
    if word_table is not None and config.model.text.checkpoint is None and model.spec.vocabulary < word_table[0]:
        tokenizer, spec = model.tokenizer, replace(model.spec, vocabulary=word_table[0], positions=word_table[1])
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = type(model)(config.model, spec)
        model.tokenizer = tokenizer
    builder = model.to(device).open_batches(store, progress)
    model.fit_catalogue(builder, config.seed, lambda *_: None)
    return Subject(config, store, model, builder, device)


def backbone_of(model: Model) -> Backbone | None:
    """The network that a model reads photos with, if it has one."""
    return next((module for module in model.modules() if isinstance(module, Backbone)), None)


@dataclass(frozen=True)
class SavedSubject:
    """A subject on disk, for a process of its own to open."""

    folder: Path
    store: Path
    config: Config
    device: str

    @classmethod
    def of(cls, subject: Subject, folder: Path) -> "SavedSubject":
        subject.model.save_pretrained(folder)
        return cls(folder, subject.store.path, subject.config, str(subject.device))

    def open(self) -> Subject:
        store, device = open_store(self.store), torch.device(self.device)
        model = Model.from_pretrained(self.folder).to(device)
        return Subject(self.config, store, model, model.open_batches(store), device)
