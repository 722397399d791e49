"""Arrays kept on disk: computed once, by one process, whole or not there, and never a block twice."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.batching import cache
from semantic.batching.cache import cached_rows
from semantic.datasets.store.arrays import HEADER_BYTES, GrowingArray
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Advance, Progress

ROWS, SHAPE, BLOCK = 23, (2, 3), 5
BLOCKS = [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
ROW_BYTES = 2 * 3 * 4  # of float32


def numbered(start: int, stop: int) -> np.ndarray:
    """Rows that say which they are."""
    return np.arange(start * 6, stop * 6, dtype=np.float32).reshape(-1, *SHAPE)


class Blocks:
    """Computes numbered rows and keeps which it was asked for; at `fault_at` it raises instead."""

    def __init__(self, fault_at: int | None = None, fault: type[BaseException] = KeyboardInterrupt) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fault_at, self.fault = fault_at, fault

    def __call__(self, start: int, stop: int) -> np.ndarray:
        if start == self.fault_at:
            raise self.fault
        self.asked.append((start, stop))
        return numbered(start, stop)


class Watching(Progress):
    """Keeps what is said and how the bars move."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.moved: list[tuple[str, int, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        self.moved.append((what, 0, total))
        yield lambda done, total: self.moved.append((what, done, total))


def read(
    file: Path,
    compute: Callable[[int, int], np.ndarray],
    *,
    rows: int = ROWS,
    block: int = BLOCK,
    progress: Progress | None = None,
) -> np.ndarray:
    return cached_rows(
        file, rows, SHAPE, np.float32, compute, block=block, progress=progress or Progress(), what="numbers"
    )


def never(start: int, stop: int) -> np.ndarray:
    pytest.fail(f"rows {start} to {stop} are computed again")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "numbers" / "of-1.5-things.npy"


def partial(file: Path) -> Path:
    return file.with_name("of-1.5-things.partial")


def interrupted(file: Path, after: int) -> None:
    """Leave what an interruption after `after` rows leaves."""
    with pytest.raises(KeyboardInterrupt):
        read(file, Blocks(fault_at=after))


def test_rows_are_computed_block_by_block_and_mapped(file: Path) -> None:
    blocks, progress = Blocks(), Watching()

    found = read(file, blocks, progress=progress)

    assert blocks.asked == BLOCKS
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.dtype == np.float32
    assert np.array_equal(found, numbered(0, ROWS))
    assert np.array_equal(np.load(file), found)  # an ordinary file
    assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}.json"}
    assert progress.moved == [("numbers", done, ROWS) for done in (0, 5, 10, 15, 20, 23)]
    assert progress.said == []


def test_a_second_call_reads_and_computes_nothing(file: Path) -> None:
    first = np.array(read(file, Blocks()))
    before = file.stat()

    second = read(file, never)

    assert np.array_equal(first, second)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_there_is_read_where_nothing_may_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, Blocks())
    monkeypatch.setattr(cache, "claim", lambda *_: pytest.fail("asks for the lock"))

    assert np.array_equal(read(file, never), numbered(0, ROWS))
    assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}.json"}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_is_said_and_the_file_made_again(file: Path) -> None:
    read(file, Blocks())
    flip(file)
    progress = Watching()
    assert np.array_equal(read(file, Blocks(), progress=progress), numbered(0, ROWS))
    assert progress.said == [f"numbers: {file} is damaged (its content is not what was computed) and is made again"]


@pytest.mark.parametrize("record", [None, b"", b"[1]", b'{"digest": 1}'])
def test_a_file_without_a_record_is_recorded_as_it_is(file: Path, record: bytes | None) -> None:
    read(file, Blocks())
    beside = file.with_name(f"{file.name}.json")
    beside.unlink()
    if record is not None:
        beside.write_bytes(record)
    assert np.array_equal(read(file, never), numbered(0, ROWS))
    flip(file)
    assert np.array_equal(read(file, Blocks()), numbered(0, ROWS))


def test_a_copy_is_compared_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, Blocks())
    os.utime(file, ns=(1, 1))
    compared: list[Path] = []
    whole = cache.file_digest
    monkeypatch.setattr(cache, "file_digest", lambda one: compared.append(one) or whole(one))
    for _ in range(2):
        assert np.array_equal(read(file, never), numbered(0, ROWS))
    assert compared == [file]


def test_no_rows_are_a_file_too(file: Path) -> None:
    assert read(file, never, rows=0).shape == (0, *SHAPE)
    assert read(file, never, rows=0).shape == (0, *SHAPE)


def other_dtype(file: Path) -> None:
    np.save(file, numbered(0, ROWS).astype(np.float64))


def other_rows(file: Path) -> None:
    np.save(file, numbered(0, ROWS - 1))


def other_width(file: Path) -> None:
    np.save(file, numbered(0, ROWS).reshape(ROWS, 6))


def cut_short(file: Path) -> None:
    np.save(file, numbered(0, ROWS))
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.touch()


def no_array(file: Path) -> None:
    file.write_text("numbers")


def cut_header(file: Path) -> None:
    file.write_bytes(b"\x93NUMPY\x01\x00")


def pickled(file: Path) -> None:
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def archive(file: Path) -> None:
    with file.open("wb") as stream:
        np.savez(stream, numbered(0, ROWS))


def longer(file: Path) -> None:
    read(file, Blocks())
    file.write_bytes(file.read_bytes() + b"\0")


def shorter(file: Path) -> None:
    read(file, Blocks())
    file.write_bytes(file.read_bytes()[:-ROW_BYTES])


@pytest.mark.parametrize(
    ("write", "damage"),
    [
        *((write, "it holds something else") for write in (other_dtype, other_rows, other_width, cut_short, empty)),
        *((write, "it holds something else") for write in (no_array, cut_header, pickled, archive)),
        (longer, "681 of 680 bytes"),
        (shorter, "656 of 680 bytes"),
    ],
)
def test_a_damaged_file_is_said_and_made_again(file: Path, write: Callable[[Path], None], damage: str) -> None:
    file.parent.mkdir()
    write(file)
    blocks, progress = Blocks(), Watching()

    found = read(file, blocks, progress=progress)

    assert progress.said == [f"numbers: {file} is damaged ({damage}) and is made again"]
    assert blocks.asked == BLOCKS
    assert np.array_equal(found, numbered(0, ROWS))
    assert np.array_equal(read(file, never), found)


def test_a_file_that_cannot_be_read_is_no_damaged_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, Blocks())

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DataError, match=r"npy: expected to read numbers there, got: Permission denied$"):
        read(file, never)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, HEADER_BYTES + 5), byte=st.integers(0, 255), cut=st.integers(0, 3 * ROW_BYTES))
def test_any_damage_of_header_or_length_is_mended(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    file = tmp_path_factory.mktemp("any") / "of-1.5-things.npy"
    read(file, Blocks())
    content = bytearray(file.read_bytes())
    content[min(place, HEADER_BYTES - 1)] = byte
    file.write_bytes(content[: len(content) - cut])

    assert np.array_equal(read(file, Blocks()), numbered(0, ROWS))


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("after", [0, 10, 20])
def test_an_interruption_goes_on_where_it_was(file: Path, after: int, fault: type[BaseException]) -> None:
    first, second, progress = Blocks(after, fault), Blocks(), Watching()
    with pytest.raises(fault):
        read(file, first)
    assert not file.exists()  # nobody reads half of it

    found = read(file, second, progress=progress)

    assert first.asked + second.asked == BLOCKS  # each block once
    assert np.array_equal(found, numbered(0, ROWS))
    assert progress.moved[1] == ("numbers", min(after + BLOCK, ROWS), ROWS)
    assert progress.said == []  # the lock fell


def test_an_interruption_before_the_name_computes_the_last_block_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read(file, Blocks())
    assert partial(file).stat().st_size == HEADER_BYTES + ROWS * ROW_BYTES

    blocks = Blocks()
    assert np.array_equal(read(file, blocks), numbered(0, ROWS))
    assert blocks.asked == BLOCKS[-1:]


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, HEADER_BYTES + (ROWS + 3) * ROW_BYTES), block=st.integers(1, ROWS + 2))
def test_any_part_of_a_file_is_gone_on_with(tmp_path_factory: pytest.TempPathFactory, size: int, block: int) -> None:
    """A process may die within a row or within the header, and the next may work in blocks of another size."""
    file = tmp_path_factory.mktemp("any") / "of-1.5-things.npy"
    written = b"\0" * HEADER_BYTES + numbered(0, ROWS).tobytes() + b"\xff" * (3 * ROW_BYTES)
    partial(file).write_bytes(written[:size])
    whole_rows = min(ROWS, max(0, size - HEADER_BYTES) // ROW_BYTES)
    blocks = Blocks()

    found = read(file, blocks, block=block)

    assert np.array_equal(found, numbered(0, ROWS))
    assert file.stat().st_size == HEADER_BYTES + ROWS * ROW_BYTES
    kept = whole_rows - whole_rows % block  # rows of whole blocks
    assert [start for start, _ in blocks.asked] == list(range(kept, ROWS, block))


OTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from semantic.batching.cache import cached_rows
from semantic.runtime.progress import Progress

def compute(start, stop):
    if start == int(sys.argv[2]):
        print(f"computing {start}", flush=True)
        sys.stdin.readline()
    return np.arange(start * 6, stop * 6, dtype=np.float32).reshape(-1, 2, 3)

cached_rows(Path(sys.argv[1]), 23, (2, 3), np.float32, compute, block=5, progress=Progress(), what="numbers")
"""


@contextmanager
def other_process(file: Path, at: int) -> Iterator[subprocess.Popen[str]]:
    """Another process within the block that starts at row `at`: it goes on when it is written a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(file), str(at)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=file.parent.parent,  # not the repository, whose folders are no packages there
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"computing {at}\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_of_two_processes_one_computes_and_the_other_waits_and_says_so(file: Path) -> None:
    with other_process(file, at=10) as other:

        class Releasing(Watching):
            def say(self, text: str) -> None:
                super().say(text)
                assert not file.exists()
                assert other.stdin is not None
                other.stdin.write("\n")
                other.stdin.flush()

        progress = Releasing()

        found = read(file, never, progress=progress)

        (said,) = progress.said
        assert said.startswith(f"numbers: waiting for process {other.pid} on ")
        assert said.endswith(f", which computes them ({file})")
        assert progress.moved == []
        assert np.array_equal(found, numbered(0, ROWS))
        assert other.wait() == 0


@pytest.mark.slow
def test_the_lock_of_a_killed_process_falls_and_its_blocks_stay(file: Path) -> None:
    with other_process(file, at=15) as other:
        other.kill()
        other.wait()
    blocks, progress = Blocks(), Watching()

    found = read(file, blocks, progress=progress)

    assert progress.said == []  # waits for nobody
    assert blocks.asked == [(15, 20), (20, 23)]
    assert np.array_equal(found, numbered(0, ROWS))


@pytest.mark.slow
def test_a_process_that_waited_for_a_killed_one_goes_on_with_its_blocks(file: Path) -> None:
    with other_process(file, at=15) as other:

        class Killing(Watching):
            def say(self, text: str) -> None:
                super().say(text)
                other.kill()

        blocks, progress = Blocks(), Killing()

        assert np.array_equal(read(file, blocks, progress=progress), numbered(0, ROWS))

    assert len(progress.said) == 1
    assert blocks.asked == [(15, 20), (20, 23)]


def test_a_full_disk_is_one_line_and_what_was_written_is_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(GrowingArray):
        def append(self, rows: np.ndarray) -> None:
            if self.rows == 10:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().append(rows)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "GrowingArray", Full)
        with pytest.raises(
            DataError, match=r"of-1\.5-things\.npy: expected to write numbers there, got: No space left on device$"
        ):
            read(file, Blocks())
    assert not file.exists()

    blocks = Blocks()
    assert np.array_equal(read(file, blocks), numbered(0, ROWS))
    assert blocks.asked == BLOCKS[2:]


def test_a_write_that_the_system_cuts_within_a_row_is_gone_on_with(file: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + 13 * ROW_BYTES + 7, hard))
    try:
        with pytest.raises(DataError, match=r"expected to write numbers there, got: File too large$"):
            read(file, Blocks())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert partial(file).stat().st_size == HEADER_BYTES + 13 * ROW_BYTES + 7

    blocks = Blocks()
    assert np.array_equal(read(file, blocks), numbered(0, ROWS))
    assert blocks.asked == BLOCKS[2:]


def test_a_folder_that_cannot_be_made_or_written_to_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"of-1\.5-things\.npy: expected to write numbers there, got: "
    file.parent.write_text("a file in the folder's place")
    with pytest.raises(DataError, match=message + "File exists$"):
        read(file, never)
    file.parent.unlink()
    partial(file).mkdir(parents=True)
    with pytest.raises(DataError, match=message + "Is a directory$"):
        read(file, never)
    partial(file).rmdir()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, who may run this, is refused nothing

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(DataError, match=message + "Permission denied$"):
        read(file, never)


@pytest.mark.slow
def test_files_of_other_names_do_not_wait_for_one_another(file: Path) -> None:
    with other_process(file, at=5):
        progress = Watching()
        assert len(read(file.with_name("other.npy"), Blocks(), progress=progress)) == ROWS
        assert progress.said == []


def test_an_interruption_leaves_no_lock_behind_in_its_own_process(file: Path) -> None:
    interrupted(file, after=10)
    interrupted(file, after=15)
    progress = Watching()
    assert np.array_equal(read(file, Blocks(), progress=progress), numbered(0, ROWS))
    assert progress.said == []
