"""The processes that share a run: a single one, or those that torchrun or accelerate launch started, one a device.

The rest of the code asks `Processes` and calls no collective itself. A single process starts no process group.
"""

import atexit
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed.nn  # before there is a group: its functions take the group of import time as a default argument
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object, reduce
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from semantic.runtime.errors import UserError

T = TypeVar("T")

TIMEOUT = timedelta(hours=6)
"""How long a process waits for another: the main one may run a backbone over a large catalogue meanwhile."""


LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""What a launcher tells a process in its environment."""


@dataclass(frozen=True)
class Processes:
    """This process's rank among `world_size`, its device, and the collectives, which all processes call alike."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0  # on this machine
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files and prints."""
        return self.rank == 0

    def shard_slice(self, total: int) -> slice:
        """This process's shard of 0 .. total - 1.

        Shards are contiguous, in the order of ranks, and their lengths differ by at most one.
        """
        return slice(total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size)

    def shard(self, rows: Any) -> Any:
        """This process's shard of an array or a sequence."""
        return rows[self.shard_slice(len(rows))]

    def gather(self, mine: T) -> list[T]:
        """The objects of all processes, in the order of ranks, on every process; sent as pickles."""
        return [mine] if self.world_size == 1 else gather_object([mine])

    def gather_rows(self, mine: Tensor, total: int) -> Tensor:
        """The tensor of `total` rows of which each process holds its shard, on every process; no gradient goes through."""
        if self.world_size == 1:
            return mine.detach()
        ranks = (Processes(rank, self.world_size) for rank in range(self.world_size))
        lengths = [len(range(total)[other.shard_slice(total)]) for other in ranks]
        # All lengths follow from `total`; accelerate's pad_across_processes would gather them first.
        padding = mine.new_zeros(max(lengths) - len(mine), *mine.shape[1:], device=self.device)
        padded = torch.cat([mine.detach().to(self.device), padding])
        shards = gather(padded).unflatten(0, (self.world_size, max(lengths)))
        return torch.cat([rows[:length] for rows, length in zip(shards, lengths, strict=True)])

    def reduce_sum(self, mine: Tensor) -> Tensor:
        """The sum over all processes, on every process; no gradient goes through."""
        if self.world_size == 1:
            return mine.detach()
        return reduce(mine.detach().to(self.device), reduction="sum")

    def on_each(self, work: Callable[[], T]) -> list[T]:
        """What `work` returns on each process, in the order of ranks, on every process; an error of one is raised on all.

        accelerate has no such thing: with gather_object alone, processes would wait for the one that failed.
        """
        if self.world_size == 1:
            return [work()]
        outcomes = self.gather(_outcome(work))
        for _, error in outcomes:
            if error is not None:
                raise error
        return [result for result, _ in outcomes]

    def on_main(self, work: Callable[[], T]) -> T:
        """What `work` returns on the main process, the only one to run it, on every process; its error is raised on all.

        accelerate's on_main_process gives the other processes neither the result nor the error.
        """
        if self.world_size == 1:
            return work()
        sent: list[Any] = [_outcome(work) if self.is_main else None]
        result, error = broadcast_object_list(sent)[0]
        if error is not None:
            raise error
        return result

    @contextmanager
    def local_main_first(self) -> Iterator[None]:
        """The block runs on the main process of each machine, then on its other processes, which find its files.

        accelerate's local_main_process_first leaves the others waiting where the block fails on the main process.
        """
        if self.local_rank:
            self.wait()
        try:
            yield
        finally:
            if not self.local_rank:
                self.wait()

    def wait(self) -> None:
        """Return when every process has called this."""
        if self.world_size > 1:
            PartialState().wait_for_everyone()

    def synchronise(self, module: nn.Module) -> nn.Module:
        """`module` with the main process's weights, and gradients that are the mean over all processes.

        The loss must be made of its outputs. A parameter that takes no part in them on any process gets no gradient, as in
        a single process.
        """
        if self.world_size == 1 or not any(parameter.requires_grad for parameter in module.parameters()):
            return module
        devices = None if self.device.type == "cpu" else [self.device]
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)


SINGLE_PROCESS = Processes()
"""One process and no other."""


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What `work` returns, or else its error."""
    try:
        return work(), None
    except Exception as error:
        return None, error


def join_processes() -> Processes:
    """The processes of this run, by the environment that torchrun and accelerate launch set; the first call joins them.

    Raises:
        UserError: the environment names no process, or only part of one.
    """
    launched = _launched(os.environ)
    asked = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    on_cpu = asked or (launched and not (torch.cuda.is_available() or torch.xpu.is_available()))
    state = PartialState(cpu=on_cpu, timeout=TIMEOUT)
    atexit.register(_leave)
    return Processes(state.process_index, state.num_processes, state.local_process_index, state.device)


def _launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher started this process; UserError where the environment says so in part, or in words that do not fit."""
    # accelerate takes -1 for none.
    given = {name: environment[name] for name in LAUNCHED if environment.get(name, "") not in ("", "-1")}
    numbers = {name: int(text) for name, text in given.items() if re.fullmatch(r"[0-9]{1,6}", text)}
    shown = ", ".join(f"{name}={text}" for name, text in given.items())
    if given.keys() - numbers.keys():
        raise UserError(f"environment: expected numbers as torchrun sets them, found {shown}")
    if numbers.get("RANK", 0) == 0 and numbers.get("WORLD_SIZE", 1) == 1 and "LOCAL_RANK" not in numbers:
        return False  # a single process, whoever says so
    absent = [name for name in (*LAUNCHED, "MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
    if absent:
        raise UserError(
            f"environment: expected {', '.join(absent)} beside {shown}, as torchrun and accelerate launch set them, or none "
            "of them for a single process"
        )
    port = environment["MASTER_PORT"]
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 2**16):
        raise UserError(f"environment: expected MASTER_PORT to be a port's number, found {port}")
    if not max(numbers["RANK"], numbers["LOCAL_RANK"]) < numbers["WORLD_SIZE"]:
        raise UserError(f"environment: expected RANK and LOCAL_RANK below WORLD_SIZE, found {shown}")
    return True


def _leave() -> None:
    """End gloo's threads: they hold Python objects, and abort an interpreter that ends before them.

    A group of GPUs ends with its process: destroying it would wait for a process that failed.
    """
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        torch.distributed.destroy_process_group()
