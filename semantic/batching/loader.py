"""Shards built ahead of the step that needs them, by a thread or by worker processes."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.data import DataLoader, Dataset

from semantic.batching.shards import Shard
from semantic.batching.steps import TrainingSteps
from semantic.runtime.distributed import SINGLE_PROCESS, Processes

PREFETCH = 2
"""Shards that a thread builds before they are asked for."""


Place = tuple[int, int, int]
"""Of a shard: its pass (an index into `TrainingData.passes`), epoch and step."""


@dataclass
class TrainingData(Dataset):
    """The shards of every epoch, by place; it keeps nothing between them, so worker processes may live through all epochs."""

    passes: tuple[TrainingSteps, ...]
    processes: Processes = SINGLE_PROCESS

    def __getitem__(self, place: Place) -> Shard:
        index, epoch, step = place
        return self.passes[index].at(epoch).shard(step, self.processes)


@dataclass
class EpochPlaces:
    """The places of one epoch, pass after pass: what the loader iterates over."""

    steps: tuple[int, ...]  # of each pass
    epoch: int = 0

    def __iter__(self) -> Iterator[Place]:
        return ((index, self.epoch, step) for index, steps in enumerate(self.steps) for step in range(steps))

    def __len__(self) -> int:
        return sum(self.steps)


class TrainingLoader:
    """Shards prefetched by a thread, or by worker processes that live through all epochs.

    The thread is enough where the store fits in memory, as copying rows of memory maps holds no lock; workers pay where
    the disk is slow. `start` is how they are started: "fork", "forkserver", "spawn", or None for Python's default; they
    map the store's files themselves. With `pin` shards lie in pinned memory.
    """

    def __init__(self, data: TrainingData, workers: int, *, pin: bool = False, start: str | None = None) -> None:
        self.data = data
        self.pin = pin
        self.places = EpochPlaces(tuple(map(len, data.passes)))
        self.loader: DataLoader | None = None
        if workers:
            self.loader = DataLoader(
                data,
                batch_size=None,
                sampler=self.places,
                num_workers=workers,
                pin_memory=pin,
                persistent_workers=True,
                multiprocessing_context=start,
            )

    def epoch(self, epoch: int) -> Generator[Shard, None, None]:
        """The shards of an epoch, in order; close it where it is left before its end."""
        self.places.epoch = epoch
        yield from self._prefetched() if self.loader is None else self.loader

    def _prefetched(self) -> Iterator[Shard]:
        # A thread starts on the first GPU, and would pin memory there.
        device = partial(torch.cuda.set_device, torch.cuda.current_device()) if self.pin else None
        thread = ThreadPoolExecutor(1, "training steps", initializer=device)
        try:
            waiting: deque[Future[Shard]] = deque()
            for place in self.places:
                waiting.append(thread.submit(self._build, place))
                if len(waiting) > PREFETCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)

    def _build(self, place: Place) -> Shard:
        shard = self.data[place]
        return shard.pin_memory() if self.pin else shard
