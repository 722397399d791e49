"""The plan beside an experiment's runs: written once, read again the same, and refused when damaged."""

import pytest

from semantic.config.sweeps import load_sweep
from semantic.runs.plan import FILE, Plan, read_plan, write_plan
from semantic.runtime.errors import DataError
from tests.configurations import written

STUDY = """
base: quickstart_bag
vary: {data.labelled_share: [0, 0.5]}
seeds: 0-1
folds: 3
variants: {full: {}, gone: {when: {model.name: other}}}
report: {figure: line, published: [{name: A, beside: "full,labelled_share=0", values: {ndcg@5: 63.2 ± 0.4}}]}
"""


@pytest.fixture
def plan(tmp_path):
    return Plan.of(load_sweep(written(tmp_path, STUDY, "study.yaml")))


def test_a_plan_is_read_as_it_was_written(plan, tmp_path):
    file = write_plan(plan, tmp_path)

    assert file == tmp_path / "study" / FILE
    assert read_plan(file.parent) == plan
    assert plan.variants == ("full,labelled_share=0", "full,labelled_share=0.5")
    assert plan.points["full,labelled_share=0.5"] == {"data.labelled_share": 0.5}
    assert (plan.runs[4].folder, plan.runs[4].seed, plan.runs[4].fold) == (
        "full,labelled_share=0/seed_1/fold_1_of_3",
        1,
        1,
    )
    assert plan.left_out == ('gone: left out, for model.name is "semantic_small_data"',)


def test_an_equal_plan_is_not_written_again(plan, tmp_path):
    file = write_plan(plan, tmp_path)
    first = file.stat()
    write_plan(plan, tmp_path)
    assert file.stat().st_ino == first.st_ino

    write_plan(plan.model_copy(update={"left_out": ()}), tmp_path)

    assert read_plan(file.parent).left_out == ()
    assert [path.name for path in file.parent.iterdir()] == [FILE]


def test_a_damaged_plan_is_refused(plan, tmp_path):
    assert read_plan(tmp_path) is None
    file = write_plan(plan, tmp_path)
    for damage in (
        "{",
        "[]",
        file.read_text().replace('"seed": 1', '"seed": -1'),
        file.read_text().replace('"figure": "line"', '"figure": "x"'),
    ):
        file.write_text(damage)
        with pytest.raises(DataError, match=rf"{FILE}: .*expected"):
            read_plan(file.parent)
