"""Work in other processes: the same results in the same order, and no process left behind, whatever happens."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from semantic.datasets.preparing import workers as module
from semantic.datasets.preparing.workers import AHEAD, Workers, WorkersError, cores
from semantic.runtime.errors import DataError
from tests.commands import answering_interrupts, forking
from work_elsewhere import end, parent, square

methods = pytest.mark.parametrize("start", ["spawn", "fork"])


@forking
@methods
def test_results_come_in_the_order_of_the_tasks_from_other_processes(
    monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setattr(module, "START", start)
    with closing(Workers(2)) as workers:
        assert list(workers.map(square, range(23))) == [number * number for number in range(23)]
        assert list(workers.map(square, [5])) == [25]  # the processes are there for more than one series
        assert list(workers.map(square, [])) == []
        assert set(workers.map(parent, range(3))) == {os.getpid()}


def test_without_workers_everything_is_done_here() -> None:
    assert list(Workers(0).map(square, range(7))) == [number * number for number in range(7)]
    assert set(Workers(0).map(parent, range(2))) == {os.getppid()}


def test_tasks_are_drawn_only_a_few_ahead_of_the_results() -> None:
    drawn = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    with closing(Workers(1)) as workers:
        results = workers.map(square, tasks())
        assert [next(results), next(results), next(results)] == [0, 1, 4]
        assert len(drawn) == 3 + AHEAD
        results.close()  # type: ignore[attr-defined]
    assert len(drawn) == 3 + AHEAD


@forking
@methods
def test_a_fault_is_raised_here_at_the_turn_of_its_task(monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.setattr(module, "START", start)
    with closing(Workers(2)) as workers:
        results = workers.map(square, [1, 2, -3, 4, -5])
        assert [next(results), next(results)] == [1, 4]
        with pytest.raises(DataError, match=r"^number -3: expected none below 0$"):
            next(results)
        assert list(workers.map(square, [2])) == [4]


def test_a_process_that_ends_is_one_clear_error() -> None:
    with (
        closing(Workers(1)) as workers,
        pytest.raises(WorkersError, match=r"^workers: expected every process .*, found one"),
    ):
        list(workers.map(end, range(7)))
    assert WorkersError.exit_code == 1


def test_fewer_than_none_are_refused() -> None:
    with pytest.raises(DataError, match="workers: expected 0 or more, found -1"):
        Workers(-1)


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 7  # a system that cannot say which


SCRIPT = """
import os, signal, sys
from semantic.datasets.preparing import workers
from tests_script import square

if __name__ == "__main__":
    workers.START = sys.argv[1]
    for done in workers.Workers(2).map(square, range(10**9)):
        if done == 100:
            os.{kill}
"""


@methods
@pytest.mark.parametrize("kill", ["killpg(0, signal.SIGINT)", "kill(os.getpid(), signal.SIGKILL)"])
def test_no_process_outlives_an_interrupt_or_a_kill(tmp_path: Path, start: str, kill: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(kill=kill))
    (tmp_path / "tests_script.py").write_text("def square(number):\n    return number * number\n")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "script.py", start]
    # All share standard error: it ends when the last of them has.
    done = subprocess.run(
        command, cwd=tmp_path, start_new_session=True, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=answering_interrupts,
    )  # fmt: skip
    if "SIGINT" in kill:
        assert done.stderr.count("Traceback") == 1  # only the first process speaks
        assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    else:
        assert done.returncode == -signal.SIGKILL
        assert "Traceback" not in done.stderr
