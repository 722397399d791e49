"""What a report says of dialogue states: how well they are tracked, who ranks by the gold one, and which run collapsed."""

import io
import json

import pytest
from rich.console import Console

from semantic.report.printing import print_table
from semantic.report.tables import table, tracking_table
from semantic.runs.reading import load_runs
from tests.report_files import change_summary, write_result, write_run


def states(joint, **slots):
    accuracy = sum(slots.values()) / len(slots)
    return {"slot_accuracy": accuracy, "joint_goal_accuracy": joint, "turns": 7, "slots": slots}


def printed(result):
    stream = io.StringIO()
    print_table(result, Console(width=200, file=stream, color_system=None))
    return stream.getvalue()


def test_accuracies_are_means_over_the_runs_of_a_group(tmp_path):
    for seed, joint in enumerate((0.25, 0.5)):
        change_summary(write_result(tmp_path, "best", seed, 0.4), states=states(joint, type=0.5, brand=1.0))
    write_result(tmp_path, "stateless", 0, 0.4)
    result = table(load_runs([tmp_path]))
    found = tracking_table(result.groups)

    assert found.columns == ("joint goal accuracy", "slot accuracy", "type", "brand")
    assert list(found.rows) == ["demo/best"]
    cells = found.rows["demo/best"]
    assert [cells[name].mean for name in found.columns] == pytest.approx([0.375, 0.75, 0.5, 1.0])
    assert cells["joint goal accuracy"].deviation == pytest.approx(0.25 / 2**0.5)
    assert "37.5 ± 17.7" in printed(result)


def test_without_states_there_is_no_table_of_them(tmp_path):
    write_result(tmp_path, "best", 0, 0.4)
    result = table(load_runs([tmp_path]))

    assert tracking_table(result.groups) is None
    assert "joint goal accuracy" not in printed(result)


def test_who_ranks_by_the_gold_state_is_marked_and_not_the_best(tmp_path):
    change_summary(write_result(tmp_path, "gold", 0, 0.9), reads_gold_states=True)
    write_result(tmp_path, "own", 0, 0.4)
    result = table(load_runs([tmp_path]))
    (section,) = result.sections

    assert section.best("variant").name == "demo/own"
    assert [row.mark for row in section.variants] == ["‡", ""]
    assert result.warnings == (
        "‡ demo/gold: it ranks by the gold state, the label itself: an upper bound; it is not compared.",
    )
    assert "gold‡ (1 seed)" in printed(result)


def test_a_run_that_collapsed_is_named(tmp_path):
    folder = write_run(tmp_path, "best")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines[1]["collapse"] = ["train: every vector is alike"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert table(load_runs([tmp_path])).warnings == (
        "demo/best: seed_0 collapsed in 1 of 3 epochs; in epoch 2 train: every vector is alike.",
    )
