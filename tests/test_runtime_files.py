"""Files that are replaced whole or not at all."""

import contextlib
import os
import shutil

import pytest

from semantic.runtime import files
from semantic.runtime.files import building, remove_leftovers, replacing, write_text


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    file = tmp_path / "new" / "folder" / "file.txt"
    write_text(file, "one")
    with replacing(file) as partial:
        partial.write_text("two")
        assert partial.parent == file.parent  # a rename stays within one disk
        assert file.read_text() == "one\n"
    assert file.read_text() == "two"
    assert list(file.parent.iterdir()) == [file]


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    file = tmp_path / "file.txt"
    write_text(file, "one")

    def fail() -> None:
        with replacing(file) as partial:
            partial.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert file.read_text() == "one\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_block_that_writes_nothing_is_an_error_and_changes_nothing(tmp_path):
    write_text(tmp_path / "file.txt", "one")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file.txt"):
        pass
    assert (tmp_path / "file.txt").read_text() == "one\n"


@pytest.mark.parametrize("text", ["é\n\n", "é\n", "é"])
def test_a_text_ends_with_one_newline(tmp_path, text):
    write_text(tmp_path / "file.txt", text)
    assert (tmp_path / "file.txt").read_bytes() == "é\n".encode()


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(("sync", os.fstat(fd).st_ino)), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(("rename", b)), rename(a, b))[1])
    write_text(tmp_path / "file.txt", "one")
    assert order == [
        ("sync", (tmp_path / "file.txt").stat().st_ino), ("rename", tmp_path / "file.txt"), ("sync", tmp_path.stat().st_ino),
    ]  # fmt: skip


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "one")
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


class Kill(BaseException):
    """Stands for a kill."""


def build(folder, text):
    with building(folder) as new:
        write_text(new / "deep" / "file.txt", text)
        (new / "other.txt").write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for text in ("one", "two"):
        build(tmp_path / "folder", text)
        assert {path.read_text().strip() for path in (tmp_path / "folder").rglob("*.txt")} == {text}

    def fail():
        with building(tmp_path / "folder") as new:
            (new / "half").write_text("x")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "other.txt").read_text() == "two"


@pytest.mark.parametrize("call", range(10))
def test_a_kill_before_any_rename_or_sync_leaves_one_whole_folder_at_the_next_start(tmp_path, monkeypatch, call):
    build(tmp_path / "folder", "one")
    calls = 0

    def counted(original):
        def act(*arguments):
            nonlocal calls
            calls += 1
            if calls > call:  # whatever follows a kill does not happen
                raise Kill
            return original(*arguments)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", counted(os.replace))
        patch.setattr(files.os, "fsync", counted(os.fsync))
        patch.setattr(files.shutil, "rmtree", counted(shutil.rmtree))
        with contextlib.suppress(Kill):
            build(tmp_path / "folder", "two")
    with pytest.raises(OSError, match="stop"), building(tmp_path / "folder"):  # the next start, which fails
        raise OSError("stop")
    assert len({path.read_text().strip() for path in (tmp_path / "folder").rglob("*.txt")}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_leftovers_are_told_by_their_names(tmp_path):
    (tmp_path / "below").mkdir()
    left, mine = tmp_path / "below" / ".a.txt.0123456789ab.partial", tmp_path / ".a.txt.partial"
    for file in (left, mine):
        file.write_text("x")
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert mine.exists()
