"""The processes that share a run: one alone, or those that torchrun or accelerate launch started, one a device.

Nothing else here calls torch.distributed. One process alone starts none of it.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed.nn  # before there is a group: its functions hold the one they find as a default argument for ever
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""How long a process waits for another: the first of a machine may run a backbone over a large catalogue meanwhile."""


@dataclass(frozen=True)
class Processes:
    """Which of `size` processes this is, and what they do together; every method is called by all of them alike."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.rank == 0

    def shard_slice(self, total: int) -> slice:
        """This process's part of 0 .. total - 1: contiguous, in the order of ranks, lengths at most one apart."""
        return slice(total * self.rank // self.size, total * (self.rank + 1) // self.size)

    def shard(self, rows: Any) -> Any:
        """This process's part of an array or a sequence."""
        return rows[self.shard_slice(len(rows))]

    def gather(self, mine: T) -> list[T]:
        """What each process holds, in the order of ranks, on every process; sent as pickles."""
        if self.size == 1:
            return [mine]
        everyone: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(everyone, mine)
        return everyone

    def reduce_sum(self, mine: Tensor) -> Tensor:
        """The sum over all processes, on every process; no gradient goes through."""
        if self.size == 1:
            return mine.detach()
        total = mine.detach().to(self.device, copy=True)
        torch.distributed.all_reduce(total)
        return total

    def gather_rows(self, mine: Tensor, total: int) -> Tensor:
        """Of a tensor of `total` rows, of which each process holds its `shard_slice`, the whole on every process."""
        if self.size == 1:
            return mine
        lengths = [len(range(total)[Processes(rank, self.size).shard_slice(total)]) for rank in range(self.size)]
        sent = mine.new_zeros(max(lengths), *mine.shape[1:], device=self.device)
        sent[: len(mine)] = mine
        everyone = [torch.empty_like(sent) for _ in lengths]
        torch.distributed.all_gather(everyone, sent)
        return torch.cat([rows[:length] for rows, length in zip(everyone, lengths, strict=True)])

    def on_each(self, work: Callable[[], T]) -> list[T]:
        """What `work` gives on each process, in the order of ranks, on every process; an error of one is raised on all."""
        if self.size == 1:
            return [work()]
        everyone = self.gather(_tried(work))
        for _, error in everyone:
            if error is not None:
                raise error
        return [result for result, _ in everyone]

    def on_main(self, work: Callable[[], T]) -> T:
        """What `work` gives on the first process, which alone does it, on every process; so with an error it raises."""
        if self.size == 1:
            return work()
        sent: list[Any] = [_tried(work) if self.is_main else None]
        torch.distributed.broadcast_object_list(sent, src=0)
        result, error = sent[0]
        if error is not None:
            raise error
        return result

    @contextmanager
    def local_main_first(self) -> Iterator[None]:
        """The block runs on the first process of each machine, then on the others, who find what it left on disk."""
        if self.local_rank:
            self.wait()
        try:
            yield
        finally:
            if not self.local_rank:
                self.wait()

    def wait(self) -> None:
        """Return when every process is here."""
        if self.size > 1:
            torch.distributed.barrier()

    def synchronise(self, module: nn.Module) -> nn.Module:
        """`module` with the first process's weights, and gradients that are the mean over all processes.

        Its outputs must be what the loss is made of: a parameter that takes no part in them on any process gets no
        gradient, as in one process alone.
        """
        if self.size == 1:
            return module
        devices = None if self.device.type == "cpu" else [self.device]
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)


SINGLE_PROCESS = Processes()
"""One process and no other."""


def _tried(work: Callable[[], T]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error


def join_processes() -> Processes:
    """The processes of this run, from the environment that torchrun and accelerate launch set; joins them once."""
    launched = int(os.environ.get("LOCAL_RANK", -1)) >= 0
    asked = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    on_cpu = asked or (launched and not (torch.cuda.is_available() or torch.xpu.is_available()))
    state = PartialState(cpu=on_cpu, timeout=PATIENCE)
    atexit.register(_leave)
    return Processes(state.process_index, state.num_processes, state.local_process_index, state.device)


def _leave() -> None:
    """Join gloo's threads: they hold Python objects, and abort a Python that ends before them.

    A group of GPUs is left to end with its process, for there this would wait for a process that failed alone.
    """
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        torch.distributed.destroy_process_group()
