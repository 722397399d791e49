"""Which reader a folder needs."""

import json
from pathlib import Path

import pytest

from semantic.datasets.reading.corpus import detect_layout, open_corpus
from semantic.runtime.errors import DataError


def test_the_layouts_of_the_genuine_folders_are_told_apart(shared_data: Path) -> None:
    data = shared_data / "data"
    assert detect_layout(data / "mmd-samples/v3") == "mmd-v3"
    assert detect_layout(data / "mmd-samples/v1") == "mmd-v1"
    assert detect_layout(data / "simmc2-fashion") == "simmc"
    assert open_corpus(data / "mmd-samples/v1", ("color",), "mmd").layout == "mmd-v1"


@pytest.mark.parametrize(
    ("folders", "layout"),
    [
        (["MMD2withDST/valid"], "mmd-v3"),
        (["MMD2woDST/fewshot"], "mmd-v2"),
        (["MMD2woDST/test", "MMD2withDST/test"], "mmd-v3+v2"),
        (["train", "img_attrs"], "simmc"),
        (["train"], "mmd-v1"),
    ],
)
def test_folders_say_the_layout(tmp_path: Path, folders: list[str], layout: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0.json").write_text(json.dumps([]))
    assert detect_layout(tmp_path) == layout


def test_a_folder_without_a_dataset_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"looked for img_attrs \(SIMMC\), MMD2withDST \(MMD v3\), MMD2woDST"):
        detect_layout(tmp_path)


def test_another_layout_than_expected_is_refused(tmp_path: Path) -> None:
    (tmp_path / "img_attrs").mkdir()
    with pytest.raises(DataError, match="expected the mmd layout, found simmc"):
        open_corpus(tmp_path, ("color",), "mmd")
