"""What a bench's numbers mean: ratios, exponents, extrapolation, and how they are shown."""

import json
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from semantic.bench.records import BLURRED, Figure, Growth, Line, Point, Result, exponent
from semantic.bench.timing import Timing, extrapolate, time_calls
from semantic.bench.writing import check_folder, number, print_result, to_markdown, write
from semantic.runtime.errors import DataError

MIB = 1 << 20
SPEED = Line(
    "training",
    "training, float32",
    "samples/s",
    Figure(12.0, "batches of 64", Timing(5.3, 0.1, 7)),
    Figure(1.5, "a batch of 8", Timing(5.0, 0.2, 3), "a line through 4 and 28 candidates"),
)
LATENCY = Line(
    "evaluation",
    "one query",
    "ms",
    Figure(20.0, "1,000 products", Timing(0.02, 0.0, 11)),
    Figure(5000.0, "1,000 products", Timing(5.0, 0.0, 2)),
    inverted=True,
)
MISSING = Line("store", "opening", "ms", Figure(0.7, "40 dialogues"), None, "parsing", note="the files are not there")


def grown(power, memory, sizes=(100, 1000, 10_000, 100_000)):
    points = [Point(n, Timing(1e-6 * n**power, 0.0, 5), int(memory * n)) for n in sizes]
    direct = [Point(n, Timing(1e-3 * n, 0.0, 5)) for n in sizes]
    return Growth("scoring", "candidates", tuple(points), direct=tuple(direct), extrapolated="a line")


RESULT = Result(
    {"command": "semantic bench", "device": "cpu", "cpu": "Example 3000", "cores": 2, "threads": 1, "platform": "Linux"}
    | {"python": "3.11", "packages": {"torch": "2.9"}},
    {
        "experiment": "preset paper",
        "store": "simulated",
        "products": 60,
        "config": {
            "model": {"name": "semantic", "dim": 32, "image": {"backbone": "resnet18"}},
            "data": {"context_turns": 5, "photos_per_turn": 5, "turn_tokens": 30},
            "training": {"batch_size": 64},
        },
    },
    quick=True,
    lines=(SPEED, LATENCY, MISSING),
    growth=(grown(1.0, 4096.0), grown(0.0, 0.1)),
)


def test_a_ratio_says_how_many_times_better_ours_is():
    assert SPEED.ratio == 12.0 / 1.5
    assert LATENCY.ratio == 5000.0 / 20.0
    assert SPEED.to_json()["ratio_is"] == "ours / direct form"
    assert LATENCY.to_json()["ratio_is"] == "direct form / ours"
    assert MISSING.ratio is None


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_the_power(power):
    assert exponent([(n, 7 * n**power) for n in (10, 100, 1000)]) == pytest.approx(power)


def test_the_exponent_is_fitted_where_fixed_costs_no_longer_hide_the_growth():
    sizes = (10, 100, 1000, 10_000, 100_000, 1_000_000)
    costs = [(n, 1000.0 if n < 1000 else float(n)) for n in sizes]

    assert exponent(costs) == pytest.approx(1.0)


def test_an_exponent_needs_two_sizes_that_cost_something():
    assert exponent([]) is None
    assert exponent([(10, 1.0)]) is None
    assert exponent([(10, 0.0), (100, 1.0)]) is None


def test_memory_that_pages_blur_has_no_exponent():
    assert grown(1.0, BLURRED / 10).memory_exponent == pytest.approx(1.0)
    assert grown(1.0, 0.1).memory_exponent is None


def test_extrapolation_is_a_line_through_two_samples():
    few, many = Timing(1.0, 0.03, 3), Timing(3.0, 0.04, 4)
    found = extrapolate(few, many, (4, 8), 1004)

    assert found.seconds == 1.0 + (1004 - 4) * (3.0 - 1.0) / (8 - 4)
    assert found.spread == 250 * math.hypot(0.03, 0.04)
    assert found.repetitions == 7
    assert extrapolate(many, few, (4, 8), 1004).seconds == 3.0  # noise: more took no longer


def test_a_call_is_repeated_and_its_repetitions_counted():
    calls = []
    timing = time_calls(lambda: calls.append(1), 0.01)

    assert 0 < timing.repetitions < len(calls)  # a warm-up goes before
    assert timing.seconds > 0
    assert timing.spread >= 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.8, "1,234,568"), (999.6, "1,000"), (12.345, "12.3"), (0.5, "0.5"), (0.0, "0"), (1.2e-5, "1.2e-05")],
)
def test_numbers_have_three_digits(value, shown):
    assert number(value) == shown


def test_the_markdown_names_the_machine_and_marks_what_is_extrapolated():
    text = to_markdown(RESULT)
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]

    assert "Example 3000, 2 cores, 1 thread" in text
    assert "--quick" in text
    assert table[2] == ["training, float32, samples/s", "12", "≈ 1.5", "8x"]
    assert table[3] == ["one query, ms", "20", "5,000", "250x"]
    assert table[4] == ["opening, ms; beside it parsing", "0.7", "not measured", ""]
    assert table[-2] == ["scoring", "100 to 100,000 candidates", "100 ms", "size^1.00", "size^1.00"]
    assert table[-1] == ["scoring", "100 to 100,000 candidates", "1 µs", "size^0.00", "nothing that shows"]
    assert "≈ extrapolated" in text
    assert "opening: the files are not there." in text


def test_the_terminal_shows_every_line(capsys):
    print_result(RESULT, Console(width=80))
    said = capsys.readouterr().out

    assert "Example 3000" in said
    for shown in ("training, float32, samples/s", "≈ 1.5", "250x", "not measured", "size^1.00"):
        assert shown in said
    assert max(map(len, said.splitlines()[1:8])) <= 80


def test_the_files_hold_every_figure(tmp_path):
    files = write(RESULT, tmp_path / "out")
    found = json.loads(files[0].read_text())

    assert [file.name for file in files] == ["bench.json", "bench.md", "bench.html"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(file.name for file in files)
    assert [line["ratio"] for line in found["lines"]] == [8.0, 250.0, None]
    assert found["lines"][0]["ours"]["timing"] == {"seconds": 5.3, "spread": 0.1, "repetitions": 7}
    assert found["lines"][0]["other"]["extrapolated"] == "a line through 4 and 28 candidates"
    assert found["growth"][0]["time_exponent"] == pytest.approx(1.0)
    assert found["growth"][1]["memory_exponent"] is None


def test_the_page_shows_table_samples_and_plots(tmp_path):
    page = write(RESULT, tmp_path)[2].read_text()

    assert "Example 3000" in page
    assert "extrapolated, a line through 4 and 28 candidates" in page
    assert "5.3 s ± 100 ms, 7 repetitions" in page
    assert page.count("<svg") == 3  # the second growth has no memory to speak of
    assert page.count("stroke-dasharray") == 2
    assert page.count("<use") == 4 + 3 + 4  # a dot a size measured; 100 candidates take less memory than a page blurs
    for label in ("seconds of scoring by candidates", "memory of scoring by candidates"):
        assert f'role="img" aria-label="{label}"' in page
    assert [text in page for text in (">10²<", ">10³<", ">10⁵<")] == [True] * 3
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))
    assert "<script" not in page
    assert not re.search(r'(src|href)="http', page)


def test_a_growth_without_a_single_size_says_why(tmp_path):
    none = replace(RESULT, growth=(Growth("scoring", "products", (), "left out for want of disk: 10 products"),))
    files = write(none, tmp_path)

    assert "left out for want of disk: 10 products" in files[1].read_text()
    assert "<svg" not in files[2].read_text()


def test_a_folder_that_cannot_be_is_a_fault_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    check_folder(tmp_path / "new" / "bench")

    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match=r"--out .*bench: expected a folder to write to, found a file at .*file"):
        check_folder(tmp_path / "file" / "bench")


def test_a_model_of_ones_own_has_a_sentence_too():
    config = {**RESULT.subject["config"], "model": {"name": "own:Own", "text": {"vocabulary": 300}}}
    said = to_markdown(replace(RESULT, subject=RESULT.subject | {"config": config}))

    assert "own:Own" in said
