"""`semantic bench` as a person runs it: what it leaves, what its numbers are of, and how it stops."""

import json
import signal
import subprocess

import pytest

from semantic.bench.subject import QUICK
from tests.commands import COMMAND, answering_interrupts, environment

pytestmark = pytest.mark.slow

GROUPS = ("training", "evaluation", "features", "store", "memory")


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder of one quick run, and what it printed."""
    folder = tmp_path_factory.mktemp("bench")
    scratch = folder / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [COMMAND, "bench", "--quick", "--out", "found"],
        cwd=folder,
        env=environment() | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


@pytest.fixture(scope="module")
def found(left):
    return json.loads((left[0] / "found" / "bench.json").read_text())


def test_it_leaves_its_three_files_and_nothing_else(left):
    folder, done = left

    assert sorted(file.name for file in (folder / "found").iterdir()) == ["bench.html", "bench.json", "bench.md"]
    assert not list((folder / "scratch").glob("semantic-bench-*"))
    assert done.stderr == ""
    assert "written: found/bench.json, found/bench.md, found/bench.html" in done.stdout


def test_every_line_is_measured_in_some_unit_on_something(found):
    assert {line["group"] for line in found["lines"]} == set(GROUPS)
    for line in found["lines"]:
        assert line["unit"] in ("samples/s", "queries/s", "photos/s", "GFLOP/s", "ms", "MiB")
        for figure in (line["ours"], line["other"]):
            assert figure["value"] > 0
            assert figure["sample"]
            if line["group"] != "memory":
                assert figure["timing"]["seconds"] > 0
                assert figure["timing"]["spread"] >= 0
                assert figure["timing"]["repetitions"] >= 1


def test_what_the_issue_asks_for_is_there(found):
    whats = [line["what"] for line in found["lines"]]
    for part in (
        "training, backbone trained, float32",
        "training, cached features, bfloat16",
        "evaluation, everything included, backbone trained, float32",
        "evaluation, everything included, cached features, bfloat16",
        "scoring alone",
        "one query over 10,000 products",
        "feature extraction, resnet18",
        "cached features read",
        "opening the store",
        "peak memory of training, backbone trained",
        "peak memory of evaluation, backbone trained",
        "memory of the open store",
    ):
        assert part in whats


def test_ratios_are_of_the_figures_beside_them(found):
    for line in found["lines"]:
        ours, other = line["ours"]["value"], line["other"]["value"]
        expected = other / ours if line["ratio_is"] == f"{line['beside']} / ours" else ours / other
        assert line["ratio_is"] in (f"{line['beside']} / ours", f"ours / {line['beside']}")
        assert line["ratio"] == pytest.approx(expected)


def test_rates_and_times_are_of_the_calls_that_were_timed(found):
    lines = {line["what"]: line for line in found["lines"]}
    step = lines["training, backbone trained, float32"]
    queries = lines["evaluation, everything included, backbone trained, float32"]
    scoring = lines["scoring alone"]

    assert step["ours"]["value"] == pytest.approx(8 / step["ours"]["timing"]["seconds"])
    assert step["other"]["value"] == pytest.approx(8 / step["other"]["timing"]["seconds"])
    assert queries["other"]["value"] == pytest.approx(1 / queries["other"]["timing"]["seconds"])
    for figure in (scoring["ours"], scoring["other"]):
        assert figure["value"] == pytest.approx(1000 * figure["timing"]["seconds"])


def test_what_stands_beside_a_figure_is_named(found):
    beside = {line["what"]: line["beside"] for line in found["lines"]}

    assert beside["scoring alone"] == "one copy of the rows"
    assert beside["training, backbone trained, float32: arithmetic"] == "one large matrix product"
    assert beside["feature extraction, resnet18"] == "one photo at a time"
    assert beside["cached features read"] == "the backbone"
    assert beside["opening the store"] == "parsing its dialogue files"
    assert beside["memory of the open store"] == "its dialogue files parsed"
    direct = [what for what, name in beside.items() if name == "direct form"]
    assert len(direct) == 2 * 2 + 2 * 2 + 1 + 2 + 1  # training, evaluation, memory of both, and one query
    assert all(not line["note"] for line in found["lines"])  # nothing was left out


def test_what_was_extrapolated_says_so(found, left):
    lines = {line["what"]: line for line in found["lines"]}
    said = {what for what, line in lines.items() if line["other"]["extrapolated"]}

    assert not any(line["ours"]["extrapolated"] for line in lines.values())
    assert {
        "evaluation, everything included, backbone trained, float32",
        "one query over 10,000 products",
        "opening the store",
    } <= said
    for what in ("training, backbone trained, float32", "peak memory of training, backbone trained"):
        assert what not in said  # five candidates are run as they are
    markdown = (left[0] / "found" / "bench.md").read_text()
    for what in said:
        row = next(row for row in markdown.splitlines() if row.startswith(f"| {what}"))
        assert row.split("|")[3].strip().startswith("≈ "), row


def test_growth_goes_through_all_sizes(found):
    of = {one["what"]: one for one in found["growth"]}
    scoring, catalogue = of["scoring one query"], of["one query over the catalogue, vectors memory-mapped"]

    assert [point["size"] for point in scoring["points"]] == list(QUICK.candidates)
    assert [point["size"] for point in catalogue["points"]] == list(QUICK.catalogue)
    assert [point["size"] for point in of["opening a store"]["points"]] == [96, 320, 1000]  # 8 dialogues repeated
    assert len(of) == 4
    assert catalogue["extrapolated"]
    for one in of.values():
        assert all(point["timing"]["seconds"] > 0 for point in one["points"])
        assert isinstance(one["time_exponent"], float)
    assert [point["size"] for point in catalogue["direct"]] == list(QUICK.catalogue)


def test_the_machine_is_named_in_all_of_it(found, left):
    machine = found["machine"]
    folder, done = left

    assert machine["threads"] == 1
    assert machine["device"] == "cpu"
    for text in (done.stdout, *((folder / "found" / name).read_text() for name in ("bench.md", "bench.html"))):
        assert machine["cpu"] in text
        assert machine["packages"]["torch"] in text
    assert machine["command"] == "semantic bench --quick --out found"


def test_an_interruption_leaves_nothing(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run = subprocess.Popen(
        [COMMAND, "bench", "--quick", "--out", "found"],
        cwd=tmp_path,
        env=environment() | {"TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=answering_interrupts,
    )
    assert run.stdout.readline().startswith("training")  # the first measurement is done
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=60)

    assert run.returncode == 130
    assert "Traceback" not in error
    assert not (tmp_path / "found").exists()
    assert not list(scratch.glob("semantic-bench-*"))
