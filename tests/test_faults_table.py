"""The fault table: what a careless or hostile user does, what is said, and that nothing is lost."""

from pathlib import Path

import pytest

from tests.commands import forking
from tests.fault_rows import (
    cards,
    clusters,
    dialogues,
    evaluating,
    experiments,
    judging,
    preparing,
    products,
    recommending,
    reporting,
    resuming,
    settings,
    simulating,
    stores,
    sweeping,
    training,
    training_inputs,
    tuning,
)
from tests.faults import Row, import_everything, try_row
from tests.kills import make_shop

TABLE = (
    simulating,
    preparing,
    dialogues,
    products,
    stores,
    sweeping,
    settings,
    experiments,
    training,
    training_inputs,
    resuming,
    evaluating,
    reporting,
    judging,
    recommending,
    clusters,
    tuning,
    cards,
)
ROWS: tuple[Row, ...] = tuple(row for rows in TABLE for row in rows.ROWS)

pytestmark = [pytest.mark.slow, forking]


@pytest.fixture(scope="session")
def whole_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import_everything()
    return make_shop(tmp_path_factory.mktemp("faults") / "shop")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_a_fault_is_one_line_and_loses_nothing(row, whole_shop, tmp_path):
    assert not try_row(row, whole_shop, tmp_path / "shop")[1]


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
