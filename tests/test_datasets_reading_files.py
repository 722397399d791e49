"""JSON files, and what is called so and is none."""

import errno
import os
import time
from pathlib import Path

import pytest

from semantic.datasets.reading import files
from semantic.datasets.reading.corpus import open_corpus
from semantic.datasets.reading.files import absent, read_json, read_table, repeated_keys
from semantic.runtime.errors import DataError
from tests.test_datasets_reading_simmc import SLOTS, simmc_root


def named(folder: Path, content: bytes) -> Path:
    (folder / "x.json").write_bytes(content)
    return folder / "x.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected valid JSON, found at line 1 column 1: Expecting value"),
        (b'["\xff"]', "expected UTF-8 text, found at byte 2: invalid start byte"),
        (b'["\xed\xa0\x80"]', "expected UTF-8 text, found at byte 2: invalid continuation byte"),
        (b"\xff\xfe[\x00]\x00", "expected UTF-8 text, found at byte 0: invalid start byte"),
        (b"\0\0\0", "expected valid JSON, found at line 1 column 1: Expecting value"),
        (b'["\0"]', "expected valid JSON, found at line 1 column 3: Invalid control character at"),
        (b"[" + b"9" * 5000 + b"]", "expected numbers of a usual length, found one of thousands of digits"),
        (b"[" * 100_000, "expected a list of turns, found JSON nested too deeply to read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    for read in (read_json, read_table):
        with pytest.raises(DataError, match=rf"x\.json: {message}$"):
            read(named(tmp_path, content))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert read_json(named(tmp_path, b"\xef\xbb\xbf[1]")) == [1]


def test_keys_that_stand_twice_are_known(tmp_path: Path) -> None:
    content = read_table(named(tmp_path, b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}'))
    assert content == {"a": 3, "b": {"c": 2}}
    assert [repeated_keys(each) for each in (content, content["b"], {})] == [{"a"}, {"c"}, set()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    os.mkfifo(path)
    before = time.monotonic()
    with pytest.raises(DataError, match=r"x\.json: expected a file, found a pipe, a socket or a device"):
        read_json(path)
    assert time.monotonic() - before < 5
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"x\.json: expected a file, found a folder"):
        read_json(path)
    path.rmdir()
    path.symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"x\.json: expected a file or folder that can be read, found: No such file"):
        read_json(path)
    assert not absent(path)
    assert absent(tmp_path / "nothing")


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = named(tmp_path, b"[1, 2, 3]")
    with pytest.raises(DataError, match=r"x\.json: expected at most 8 bytes, found 9"):
        read_json(path, 8)
    with open(path, "wb") as file:
        file.truncate(files.LARGEST + 1)
    with pytest.raises(DataError, match=r"x\.json: expected at most 67,108,864 bytes, found 67,108,865"):
        read_json(path)


def test_files_and_folders_that_may_not_be_read_are_named_and_the_machines_faults_are_not_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, error = simmc_root(tmp_path), PermissionError(errno.EACCES, "Permission denied", "the place")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(
            DataError, match=r"^the place: expected a file or folder that can be read, found: Perm.* denied$"
        ):
            read_json(root / "train/0.json")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", fail)
        with pytest.raises(DataError, match=r"^the place: expected a file or folder that can be read, found: Perm"):
            open_corpus(root, SLOTS)
    error = OSError(errno.EMFILE, "Too many open files")  # type: ignore[assignment]
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Too many open files"):
        read_json(root / "train/0.json")
