"""Two commands at once in one folder: `python -m tests.pairs` tries every pair."""

import pytest

from tests.commands import forking
from tests.kills import make_shop
from tests.pairs import faults_of_a_pair, make_wholes

pytestmark = [pytest.mark.slow, forking]
TRIED = [
    ("simulate", "simulate"),
    ("prepare", "prepare"),
    ("prepare again", "prepare again"),
    ("prepare again", "train"),
    ("train", "train"),
    ("evaluate", "evaluate"),
    ("report", "train"),
]
"""Those that meet in one place."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def wholes(shop, tmp_path_factory):
    return make_wholes(
        shop, tmp_path_factory.mktemp("wholes"), dict.fromkeys(name for names in TRIED for name in names)
    )


@pytest.mark.parametrize("names", TRIED, ids=" and ".join)
def test_two_at_once_are_whole_or_one_is_refused_in_a_line(shop, wholes, tmp_path, names):
    assert faults_of_a_pair(shop, wholes, names, tmp_path) == []
