"""What an earlier, stopped preparation left of the products, damaged."""

import shutil
from pathlib import Path

import pytest

from semantic.datasets.preparing.prepare import PARTIAL, prepare
from semantic.datasets.preparing.products import JOURNAL, TEXTS
from semantic.datasets.reading.simmc import SimmcCorpus
from semantic.datasets.store.store import FILES, open_store
from semantic.runtime.errors import DataError
from tests.test_datasets_preparing_prepare import SLOTS, Stop, simmc_root, stop_at


@pytest.fixture
def stopped(tmp_path: Path) -> tuple[SimmcCorpus, Path]:
    """A corpus, and the folder of a preparation of it that was stopped when all products were written."""
    corpus = SimmcCorpus(simmc_root(tmp_path / "root"), SLOTS)
    with pytest.raises(Stop):
        prepare(corpus, tmp_path / "store", progress=stop_at("dialogues", 1))
    return corpus, tmp_path / "store"


@pytest.mark.parametrize("line", ["[]", "7", "null", '{"read": 13}', "[" * 3, '{"read": 13, "rows": 10, "texts": 3}'])
def test_a_line_of_the_journal_that_is_no_block_is_not_believed(
    stopped: tuple[SimmcCorpus, Path], tmp_path: Path, line: str
) -> None:
    corpus, out = stopped
    with open(out / PARTIAL / JOURNAL, "a") as journal:
        journal.write(line + "\n")
    prepare(corpus, out)
    prepare(corpus, tmp_path / "whole")
    for name in FILES:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_damaged_products_are_said_and_no_store_is_made_of_them(stopped: tuple[SimmcCorpus, Path]) -> None:
    corpus, out = stopped
    texts = out / PARTIAL / TEXTS
    content = bytearray(texts.read_bytes())
    content[0] ^= 1
    texts.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"{TEXTS}: expected the products that an earlier call kept, found a damaged line; remove"
    ):
        prepare(corpus, out)
    with pytest.raises(DataError, match="unfinished store"):
        open_store(out)
    shutil.rmtree(out / PARTIAL)  # as the message says
    assert prepare(corpus, out)["products"]["total"] == 10
