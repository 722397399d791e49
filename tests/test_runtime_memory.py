"""Memory of this process: what a block of known size adds, and what mapped files do not."""

import subprocess
import sys

import numpy as np
import psutil
import pytest

from semantic.runtime import memory
from semantic.runtime.memory import (
    PrivateMemory,
    anonymous_bytes,
    peak_bytes,
    peak_memory_mb,
    resident_bytes,
    watch_private,
)

MIB = 1 << 20


def test_resident_memory_grows_by_what_is_held():
    before = resident_bytes()
    held = np.ones(200 * MIB, dtype=np.uint8)
    assert 190 * MIB < resident_bytes() - before < 250 * MIB
    assert len(held) == 200 * MIB


def test_the_peak_never_falls():
    block = np.ones(300 * MIB, dtype=np.uint8)
    high = peak_bytes()
    assert high >= block.nbytes
    del block
    assert peak_bytes() > high - MIB  # the kernel counts pages in lots, a processor each
    assert peak_memory_mb() > high / MIB - 1


PEAK = "from semantic.runtime.memory import peak_bytes; print(peak_bytes())"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process may start at the peak of the one before")
def test_the_peak_of_a_new_process_is_its_own():
    """`ru_maxrss` would start at the 900 MiB that this process held when it started the other."""
    held = np.ones(900 * MIB, dtype=np.uint8)
    peak = int(subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout)
    assert peak < held.nbytes


@pytest.mark.parametrize("status", ["absent", "without the fields"])
def test_where_the_kernel_names_no_peak_the_systems_own_count_stands_in(tmp_path, monkeypatch, status):
    file = tmp_path / "status"
    if status != "absent":
        file.write_text("Name:\tpython\nVmRSS:\t   1000 kB\n")
    monkeypatch.setattr(memory, "STATUS", file)
    assert peak_bytes() >= 100 * MIB  # torch is imported here
    assert anonymous_bytes() is None
    with watch_private() as watched:
        pass
    assert watched.added is None


def test_the_peak_of_windows_is_psutils(tmp_path, monkeypatch):
    class Process:
        def memory_info(self):
            return type("Info", (), {"peak_wset": 12345})()

    monkeypatch.setattr(memory, "STATUS", tmp_path / "absent")
    monkeypatch.setattr(psutil, "Process", Process)
    assert peak_bytes() == 12345


def test_fields_of_the_kernel_are_read_as_kibibytes(tmp_path, monkeypatch):
    (tmp_path / "status").write_text("Name:\tVmHWM\nVmHWM:\t    7 kB\nRssAnon:\t    5 kB\n")
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    assert (peak_bytes(), anonymous_bytes()) == (7 * 1024, 5 * 1024)


def test_added_memory_is_the_highest_sample_above_the_first(monkeypatch):
    watched = PrivateMemory()
    for held in (11, 17, 13):
        monkeypatch.setattr(memory, "anonymous_bytes", lambda held=held: held)
        watched.sample()
    assert (watched.before, watched.peak, watched.added) == (11, 17, 6)


@pytest.mark.skipif(anonymous_bytes() is None, reason="this platform does not say what no file backs")
def test_mapped_files_are_not_private_memory(tmp_path):
    file = tmp_path / "mapped.npy"
    np.save(file, np.ones(100 * MIB, dtype=np.uint8))
    with watch_private() as reading:
        total = int(np.load(file, mmap_mode="r")[:: 4096 // 8].sum())
    with watch_private() as writing:
        held = np.ones(100 * MIB, dtype=np.uint8)

    assert total == 100 * MIB * 8 // 4096
    assert len(held) == 100 * MIB
    assert reading.added < 20 * MIB
    assert 90 * MIB < writing.added < 120 * MIB
