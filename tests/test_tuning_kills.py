"""Searches killed before their acts on the disk: given again, they end with the trials of one that nobody killed."""

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from semantic.tuning import tune  # noqa: F401  forked commands need not import it
from tests.commands import forking
from tests.curves import EPOCHS, SPACE, train_by_curves
from tests.forked import run
from tests.worlds import tiny_values

pytestmark = [pytest.mark.slow, forking]

COMMAND = ("tune", "lab.yaml", "--trials", "5")
KILLS = 10


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs/lab/trials.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def configuration(folder: Path) -> list[str]:
    """The best configuration, without the time it was written at."""
    return [line for line in (folder / "runs/lab/best.yaml").read_text().splitlines() if " UTC, semantic" not in line]


def test_a_search_killed_at_any_act_goes_on_to_the_same_trials(shop_path, tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    values = tiny_values(shop_path) | {"experiment": "lab"}
    values["training"]["epochs"] = EPOCHS
    values["search"] = {"space": SPACE, "startup_trials": 2, "seed": 3}
    (shop / "lab.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    whole = tmp_path / "whole"
    shutil.copytree(shop, whole)
    ended = run(whole, *COMMAND, first=train_by_curves)
    assert (ended.code, ended.err) == (0, "")
    assert len(history(whole)) == 5

    for number in range(KILLS):
        act = 1 + (2 * number + 1) * ended.acts // (2 * KILLS)
        folder = tmp_path / f"killed-{act}"
        shutil.copytree(shop, folder)
        assert run(folder, *COMMAND, first=train_by_curves, kill_before=act).code == -9
        again = run(folder, *COMMAND, first=train_by_curves)
        assert (again.code, again.err) == (0, ""), act
        assert history(folder) == history(whole), act
        assert configuration(folder) == configuration(whole), act
        assert list(folder.rglob("*.partial")) == [], act
        assert list(folder.rglob(".*.lock")) == [], act
