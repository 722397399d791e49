"""The bench from one end to the other: a store, models, measurements, files."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from semantic.bench.growth import with_candidates, with_catalogue, with_dialogues
from semantic.bench.memory import evaluation_memory, opening_memory, training_memory
from semantic.bench.records import Figure, Growth, Line, Point, Result
from semantic.bench.speeds import (
    NO_DIRECT_FORM,
    dialogue_files,
    direct_growth,
    evaluating,
    extrapolation,
    features,
    opening,
    scoring,
    training,
)
from semantic.bench.steps import direct_query
from semantic.bench.subject import (
    FULL,
    QUICK,
    SavedSubject,
    Scale,
    Subject,
    build_subject,
    frozen,
    simulate_store,
    view_store,
)
from semantic.bench.writing import brief
from semantic.config.loading import load_config, make_config
from semantic.config.schema import Config
from semantic.datasets.store.store import Store, open_store
from semantic.runtime.environment import environment
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Progress, steps

PRODUCT_BYTES = 30_000
"""Room that a product of the simulated store takes, roughly: its files, its pixels and its lists."""


def bench(
    experiment: str | None = None,
    overrides: Sequence[str] = (),
    *,
    store: Path | None = None,
    quick: bool = False,
    device: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Measure a configuration on a store, by default the preset `paper` at the paper's sizes on simulated dialogues.

    Nothing is left behind: what is computed lies in a temporary folder. Weights are random, or a checkpoint's.

    Raises:
        ConfigError, DataError, CheckpointError, BackboneError: faults of the user's configuration, data or files.
        BenchError: a process that measured memory did not come to an end.
    """
    progress, scale = progress or Progress(), QUICK if quick else FULL
    place = _device(device)
    config = _config(experiment, overrides, scale, seed)
    if store is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"store": str(store)})})
    with tempfile.TemporaryDirectory(prefix="semantic-bench-") as name:
        folder = Path(name)
        opened = _store(config, folder, scale, seed, progress)
        runner = _Bench(config, opened, place, scale, folder, progress, own_sizes=experiment is not None)
        return Result(_machine(seed, place), _subject(config, opened, experiment), quick, *runner.run())


class _Bench:
    """The measurements of one configuration on one store, in their order."""

    def __init__(
        self,
        config: Config,
        store: Store,
        device: torch.device,
        scale: Scale,
        folder: Path,
        progress: Progress,
        *,
        own_sizes: bool,
    ) -> None:
        self.scale, self.folder, self.progress = scale, folder, progress
        word_table = None if own_sizes else scale.word_table
        configs = [one for one in (config, frozen(config)) if one is not None]
        self.subjects = [build_subject(one, store, device, word_table, progress) for one in configs]
        self.saved = [SavedSubject.of(one, folder / f"model-{i}") for i, one in enumerate(self.subjects)]
        self.lines: list[Line] = []

    def run(self) -> tuple[tuple[Line, ...], tuple[Growth, ...]]:
        scale, main, saved = self.scale, self.subjects[0], self.saved[0]
        cached = next((s for s in self.subjects if s.photos == "cached features"), None)
        for subject in self.subjects:
            self._measure(f"training, {subject.photos}", training(subject, scale))
        for subject in self.subjects:
            self._measure(f"evaluation, {subject.photos}", evaluating(subject, scale))
        self._measure("scoring", scoring(main, scale))
        self._measure("features", features(main, cached, scale))
        files = dialogue_files(main.store)
        self._measure("opening the store", opening(main.store, files, scale))
        for subject, where in zip(self.subjects, self.saved, strict=True):
            self._measure(f"memory of training, {subject.photos}", training_memory(subject, where, scale))
        self._measure("memory of evaluation", evaluation_memory(main, saved, scale))
        self._measure("memory of the store", opening_memory(main.store.path, files, scale))

        with self.progress.bar("growth with candidates", len(scale.candidates)) as advance:
            candidates = with_candidates(saved, scale, advance)
        with self.progress.bar("growth with the catalogue", len(scale.catalogue)) as advance:
            catalogue = with_catalogue(saved, scale, self.folder, main.model, advance)
        candidates, catalogue = self._beside(main, candidates, catalogue)
        self._measure("full catalogue", _latency(catalogue))
        with self.progress.bar("growth with dialogues", len(scale.dialogue_counts)) as advance:
            dialogues = with_dialogues(self.subjects[-1], self.saved[-1], scale, self.folder, advance)
        return tuple(self.lines), (candidates, catalogue, *dialogues)

    def _beside(self, subject: Subject, *growths: Growth) -> list[Growth]:
        """The growths with what the direct form would take, from two small samples of its one query."""
        sizes = [point.size for growth in growths for point in growth.points]
        query, form = subject.queries[0], subject.model.direct_form()
        if form is None:
            return list(growths)
        timings = direct_growth(lambda count: direct_query(subject, form, query, count), sizes, self.scale)
        of = dict(zip(sizes, timings, strict=True))
        how = extrapolation(self.scale)
        return [
            replace(one, direct=tuple(Point(p.size, of[p.size]) for p in one.points), extrapolated=how)
            for one in growths
        ]

    def _measure(self, what: str, lines: Iterator[Line]) -> None:
        """Take the lines as they are measured, and say each."""
        with self.progress.bar(what, 1):
            for line in lines:
                self.lines.append(line)
                self.progress.say(brief(line))


def _latency(catalogue: Growth) -> Iterator[Line]:
    """One query over the largest catalogue that was measured."""
    if catalogue.points:
        ours = catalogue.points[-1]
        beside = None
        if catalogue.direct:
            direct = catalogue.direct[-1].timing
            beside = Figure(1000 * direct.seconds, f"{ours.size:,} products", direct, catalogue.extrapolated)
        yield Line(
            "evaluation",
            f"one query over {ours.size:,} products",
            "ms",
            Figure(1000 * ours.timing.seconds, "rows memory-mapped, every product scored", ours.timing),
            beside,
            inverted=True,
            note=catalogue.note or ("" if beside else NO_DIRECT_FORM),
        )


def _config(experiment: str | None, overrides: Sequence[str], scale: Scale, seed: int) -> Config:
    given = [f"seed={seed}", *overrides]
    if experiment is not None:
        return load_config(experiment, given)
    return make_config({"experiment": "bench", "preset": "paper"}, [*scale.overrides, *given], where="bench")


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise DataError(f"--device: expected cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("--device cuda: expected a CUDA device, found none")
    return torch.device(name)


def _store(config: Config, folder: Path, scale: Scale, seed: int, progress: Progress) -> Store:
    """The user's store seen through links, or a simulated one, in the temporary folder."""
    if config.data.store:
        return view_store(open_store(config.data.store), folder / "view")
    needed, free = scale.products * PRODUCT_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: expected {needed / 1e9:.2f} GB free for a simulated store, found {free / 1e9:.2f} GB"
        )
    with steps(progress) as step:
        return simulate_store(folder, scale, seed, step)


def _machine(seed: int, device: torch.device) -> dict[str, Any]:
    return environment(seed) | {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _subject(config: Config, store: Store, experiment: str | None) -> dict[str, Any]:
    return {
        "experiment": experiment or f"preset {config.preset}",
        "store": config.data.store or "simulated",
        "products": store.num_products,
        "splits": store.manifest["splits"],
        "config": config.model_dump(mode="json"),
    }
