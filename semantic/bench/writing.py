"""A bench's result for people: the table in the terminal and in Markdown, and a page with plots."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from semantic.bench.records import DIRECT_FORM, Figure, Growth, Line, Result
from semantic.report.drawing import Curve, line_chart
from semantic.report.pages import check_page, write_page
from semantic.report.svg import inline_svg
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError
from semantic.runtime.files import remove_leftovers, write_text

FILES = ("bench.json", "bench.md", "bench.html")
COLUMNS = ("", "ours", DIRECT_FORM, "ratio")
EXTRAPOLATED = "≈"
LEGEND = f"{EXTRAPOLATED} extrapolated from a sample; bench.json says how."
OURS, DIRECT = 0, 1  # colours of the plots


def check_folder(folder: Path) -> None:
    """DataError where `folder` is none, could not be made, or holds files that no bench wrote: all is measured before."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        found = "a folder that may not be written to" if there.is_dir() else "a file"
        raise DataError(f"--out {folder}: expected a folder to write to, found {found} at {there}")
    data, table, page = (folder / name for name in FILES)
    check_page(page)
    if not page.exists() and (data.exists() or table.exists()):
        raise DataError(f"--out {folder}: expected no {data.name} or {table.name} but beside a bench's page, found one")


def number(value: float) -> str:
    """Three significant digits, with commas."""
    if not value:
        return "0"
    if value >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 else f"{value:.1e}"


def title(line: Line) -> str:
    """What was measured, its unit, and what stands beside it where that is not the direct form."""
    beside = "" if line.beside == DIRECT_FORM else f"; beside it {line.beside}"
    return f"{line.what}, {line.unit}{beside}"


def cell(figure: Figure | None) -> str:
    """A figure as the tables show it, marked where it is extrapolated."""
    if figure is None:
        return "not measured"
    return f"{EXTRAPOLATED} {number(figure.value)}" if figure.extrapolated else number(figure.value)


def row(line: Line) -> tuple[str, str, str, str]:
    ratio = "" if line.ratio is None else line.says.format(number(line.ratio))
    return title(line), cell(line.ours), cell(line.other), ratio


def brief(line: Line) -> str:
    """The line as it is said when it is measured."""
    what, ours, other, ratio = row(line)
    said = f"{what}: {ours}, {line.beside} {other}"
    return said + (f", {ratio}" if ratio else f" ({line.note})" if line.note else "")


def machine_line(result: Result) -> str:
    """The machine in a sentence."""
    machine, packages = result.machine, result.machine["packages"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    device = "" if machine["device"] == "cpu" else f"{machine['device']}; "
    return (
        f"{device}{machine['cpu']}, {machine['cores']} cores, {threads}; {machine['platform'].split('-')[0]}; "
        f"Python {machine['python']}, torch {packages['torch']}"
    )


def subject_line(result: Result) -> str:
    """What was measured, in a sentence."""
    subject, config = result.subject, result.subject["config"]
    model, data = config["model"], config["data"]
    known = [f"dim {model['dim']}" if "dim" in model else "", model.get("image", {}).get("backbone", "")]
    facts = [
        f"model {model['name']}",
        *filter(None, known),
        f"{data['context_turns']} turns x {data['photos_per_turn']} photos",
        f"{data['turn_tokens']} word pieces",
        f"batch {config['training']['batch_size']}",
    ]
    return (
        f"{subject['experiment']}: {', '.join(facts)}; {subject['products']:,} products, store {subject['store']}"
        + ("; --quick" if result.quick else "")
    )


def print_result(result: Result, console: Console) -> None:
    """The table and the growth, in the terminal."""
    console.print(machine_line(result), highlight=False, markup=False, soft_wrap=True)
    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for place, name in enumerate(COLUMNS):
        grid.add_column(name, justify="right" if place else "left", overflow="fold", no_wrap=place in (1, 2))
    for place, line in enumerate(result.lines):
        last = place + 1 == len(result.lines) or result.lines[place + 1].group != line.group
        grid.add_row(*row(line), end_section=last)
    console.print(grid)
    for text in (LEGEND, *map(growth_sentence, result.growth)):
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def span(growth: Growth) -> str:
    if not growth.points:
        return "none"
    return f"{growth.points[0].size:,} to {growth.points[-1].size:,} {growth.against}"


def power(exponent: float | None) -> str:
    return "nothing that shows" if exponent is None else f"size^{exponent:.2f}"


def growth_sentence(growth: Growth) -> str:
    text = f"{growth.what}, {span(growth)}: time as {power(growth.time_exponent)}, memory as {power(growth.memory_exponent)}"
    return text + (f"; {growth.note}" if growth.note else "")


def to_markdown(result: Result) -> str:
    """The tables, ready to paste; what each figure was measured on stands in bench.json and on the page."""
    lines = [
        f"Made by `{result.machine['command']}` on {machine_line(result)}.",
        f"{subject_line(result)}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---:|---:|---:|",
        *("| " + " | ".join(part.replace("|", "\\|") for part in row(line)) + " |" for line in result.lines),
        "",
        "| how cost grows | from, to | time at the largest | time as | memory as |",
        "|---|---|---:|---:|---:|",
    ]
    for growth in result.growth:
        largest = duration(growth.points[-1].timing.seconds) if growth.points else ""
        cells = (growth.what, span(growth), largest, power(growth.time_exponent), power(growth.memory_exponent))
        lines.append("| " + " | ".join(cells) + " |")
    notes = [LEGEND]
    notes += [f"{line.what}: {line.note}." for line in result.lines if line.note]
    notes += [f"{growth.what}: {growth.note}." for growth in result.growth if growth.note]
    return "\n".join([*lines, "", " ".join(dict.fromkeys(notes))]) + "\n"


def duration(seconds: float) -> str:
    """0.0123 -> "12.3 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size or not seconds:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1e6)} µs"


def write(result: Result, folder: Path) -> tuple[Path, ...]:
    """Write bench.json, bench.md and bench.html; each is whole at any moment. Their paths."""
    data, table, page = (folder / name for name in FILES)
    with claim(folder):
        remove_leftovers(folder)
        write_text(data, json.dumps(result.to_json(), indent=1))
        write_text(table, to_markdown(result))
    write_page(
        page,
        "bench.html",
        title="How fast it runs here",
        legend=LEGEND,
        result=result,
        machine=machine_line(result),
        subject=subject_line(result),
        rows=[(line, row(line)) for line in result.lines],
        panels=[_panel(growth, f"growth-{i}") for i, growth in enumerate(result.growth) if len(growth.points) > 1],
        span=span,
        power=power,
        duration_of=duration,
        number=number,
    )
    return data, table, page


def _panel(growth: Growth, name: str) -> dict[str, Any]:
    """The plots of one growth: seconds and MiB over size, both axes logarithmic; dashed what was not measured."""
    times = Curve([(point.size, point.timing.seconds) for point in growth.points], OURS, dots=True)
    direct = Curve([(point.size, point.timing.seconds) for point in growth.direct], DIRECT, dashed=True)
    memory = Curve([(size, held / (1 << 20)) for size, held in growth.memory], OURS, dots=True)
    subject = f"{growth.what} by {growth.against}"
    return {
        "growth": growth,
        "time": _plot([times, direct], f"seconds of {subject}", f"{name}-time"),
        "memory": _plot([memory], f"memory of {subject}", f"{name}-memory") if len(memory.points) > 1 else None,
    }


def _plot(curves: Sequence[Curve], label: str, name: str) -> str:
    return inline_svg(line_chart(curves, 420, 230, log=True), label, name)
