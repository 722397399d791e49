"""Commands killed before some of their acts on the disk, and given again: `python -m tests.kills` tries more of them."""

import pytest

from tests.commands import forking
from tests.kills import DEEDS, make_shop, study

pytestmark = [pytest.mark.slow, forking]
KILLS = 2  # of a command


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.mark.parametrize("name", DEEDS)
def test_a_command_killed_and_given_again_ends_as_one_never_killed(shop, tmp_path, name):
    found = study(name, shop, tmp_path, KILLS)
    assert len(found) == KILLS
    assert {act: faults for act, faults in found.items() if faults} == {}
