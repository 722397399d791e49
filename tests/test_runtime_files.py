"""Files that are replaced whole or not at all."""

import pytest

from semantic.runtime.files import replacing, write_text


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
