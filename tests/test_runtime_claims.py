"""One process at a time at work in a folder."""

import os
import signal
import subprocess
import sys
import time

import pytest

from semantic.runtime.claims import BusyError, claim, tidy, write_shared

HOLD = """
import sys, time
from pathlib import Path
from semantic.runtime.claims import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_claim_names_the_first_and_the_next_has_it(tmp_path):
    folder = tmp_path / "new" / "folder"
    with claim(folder):
        assert not folder.exists()
        with pytest.raises(
            BusyError, match=rf"folder: expected no other process at work there, found process {os.getpid()} on"
        ):
            claim(folder).__enter__()
        with claim(tmp_path / "new" / "other"):
            pass
    with claim(folder):
        pass
    assert list(tmp_path.iterdir()) == []  # no lock, and no folder that was made for it


def test_a_folder_that_was_made_meanwhile_stays(tmp_path):
    with claim(tmp_path / "new" / "folder"):
        (tmp_path / "new" / "folder").mkdir()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"]


def test_a_claim_below_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        claim(tmp_path / "file" / "folder").__enter__()


@pytest.mark.slow
def test_another_process_is_named_and_its_claim_falls_when_it_is_killed(tmp_path):
    folder = tmp_path / "folder"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {holder.pid} on "):
        claim(folder).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with claim(folder):
        assert [path.name for path in tmp_path.iterdir()] == [".folder.lock"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_of_many_processes_one_at_a_time_is_within(tmp_path):
    """Each takes the claim as often as it can for a while, and fails where another is within."""
    work = """
import os, sys, time
from pathlib import Path
from semantic.runtime.claims import BusyError, claim
folder, inside = Path(sys.argv[1]) / "folder", Path(sys.argv[1]) / "inside"
until, taken = time.monotonic() + 2, 0
while time.monotonic() < until:
    try:
        with claim(folder):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where there is another
            taken += 1
            inside.unlink()
    except BusyError:
        pass
print(taken)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", work, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    taken = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert min(taken) > 0
    assert list(tmp_path.iterdir()) == []


def test_waiting_is_none(tmp_path):
    with claim(tmp_path / "folder"):
        started = time.monotonic()
        with pytest.raises(BusyError):
            claim(tmp_path / "folder").__enter__()
        assert time.monotonic() - started < 5


def test_what_several_processes_write_alike_is_left_to_the_first(tmp_path):
    file = tmp_path / "shared.json"
    with claim(file):
        write_shared(file, "second")
    assert not file.exists()
    write_shared(file, "first")
    assert file.read_text() == "first\n"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_of_a_file_is_removed_unless_it_is_held(tmp_path):
    file = tmp_path / "shared[1].json"
    left = [tmp_path / f".{file.name}.lock", tmp_path / f".{file.name}.0123456789ab.partial"]
    others = [tmp_path / ".shared1.json.lock", tmp_path / f".{file.name}.mine"]
    for one in (*left, *others):
        one.write_text("x")
    with claim(file):
        tidy(file)
        assert left[1].exists()
    left[0].write_text("x")
    tidy(file)
    assert sorted(tmp_path.iterdir()) == sorted(others)
    tidy(tmp_path / "absent" / "file")
