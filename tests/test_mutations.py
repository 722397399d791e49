"""Whatever damages a file that a command reads: the command works as before, or says in one line what is wrong; nothing is lost.

What may be changed without a word: a dialogue's file, config.yaml of a finished run, and image features on another store than
the run's own, for they are the user's; and a run whose data.json is taken away is read as one of an earlier version.
`python -m tests.mutated N` tries many more.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mutated import KINDS, Mutation, Shop, of_shop

EXAMPLES = {
    "store": 100,
    "saved model": 100,
    "kept arrays": 80,
    "run folder": 80,
    "train --resume": 70,
    "evaluate": 70,
    "recommend": 90,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("mutated"))


def test_every_pattern_matches_a_file(shop: Shop) -> None:
    for kind in KINDS.values():
        for pattern in kind.reads:
            assert shop.files(pattern), pattern


@pytest.mark.parametrize("kind", KINDS)
def test_a_shop_that_nobody_damaged_works(shop: Shop, kind: str) -> None:
    file = shop.files(KINDS[kind].reads[0])[0]
    whole = Mutation(file, (shop.whole / file).read_bytes(), "nothing")
    assert shop.trial(kind, whole).how == "worked"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_one_line_or_changes_nothing(shop: Shop, kind: str) -> None:
    @settings(
        max_examples=EXAMPLES[kind],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        outcome = of_shop(shop, kind)(data)
        assert outcome.how != "not clean", outcome.said

    damaged()
