"""An experiment's results in the terminal."""

from collections.abc import Sequence
from itertools import groupby

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from semantic.report.experiments.layout import (
    COSTS,
    SIGNS,
    TableRow,
    costs,
    difference_text,
    legend,
    metric_name,
    p_text,
    shown_tests,
    table_rows,
)
from semantic.report.experiments.record import BEST, Part, Results, Tested
from semantic.report.experiments.results import progress_line
from semantic.report.printing import known_to
from semantic.report.tables import PROTOCOL_NOTES, short
from semantic.runs.summary import PROTOCOLS

LONGEST_NAME = 28
"""Columns that a row's name is left at least, where deviations stand beside their means."""
STYLES = {"variant": "", "published": "italic cyan", "floor": "dim", "alone": "italic cyan"}


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the tables, the tests and the notes; on narrow terminals deviations go beneath their means. Of the tests only those of
    the report's first metric."""
    console = console or Console()

    def say(text: str, style: str = "dim") -> None:
        console.print(known_to(console.encoding, text), style=style, markup=False, highlight=False)

    say(results.title, "bold")
    say(progress_line(results), "yellow" if results.missing else "")
    for part in results.parts:
        for protocol in PROTOCOLS:
            console.print(_table(results, part, protocol, console))
    if results.costs:
        console.print(_costs(results, console))
    for line in legend(results):
        say(line)
    tests = [test for test in shown_tests(results) if test.metric == results.metrics[0]]
    for _, own in groupby(tests, key=lambda test: (test.protocol, test.against, test.is_best)):
        console.print(_tests(list(own)))
    if tests:
        say("The tests of all metrics are in tests.csv.")
    for note in results.notes:
        say(note)
    for warning in results.warnings:
        say(f"Warning: {warning}", "yellow")


def _table(results: Results, part: Part, protocol: str, console: Console) -> RichTable:
    rows = table_rows(results, part, protocol)
    longest = max((len(row.text(metric)) for row in rows for metric in part.metrics), default=0) + len(" *")
    fits = LONGEST_NAME + longest * len(part.metrics) <= console.width
    separator = " " if fits else "\n"

    def known(text: str) -> str:
        return escape(known_to(console.encoding, text))

    def cell(row: TableRow, metric: str) -> str:
        value, text = row.value(metric), row.text(metric)
        mark = "" if value is None else value.mark
        mean, *deviation = text.split(" ", 1)
        shown = separator.join([mean + known_to(console.encoding, SIGNS[mark]), *map(known, deviation)])
        return f"[bold]{shown}[/]" if mark == BEST else shown

    title = known(f"{part.place}, {protocol} protocol: {PROTOCOL_NOTES[protocol]}")
    grid = RichTable(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    grid.add_column("", overflow="fold")
    for metric in part.metrics:
        grid.add_column(short(metric), justify="right", no_wrap=True)
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        ends = after is not None and after.kind != row.kind and after.kind in ("floor", "alone")
        heading = ("  " if row.kind == "published" else "") + row.heading
        grid.add_row(
            known(heading), *(cell(row, metric) for metric in part.metrics), style=STYLES[row.kind], end_section=ends
        )
    return grid


def _costs(results: Results, console: Console) -> RichTable:
    """What each of our rows costs."""
    grid = RichTable(box=SIMPLE, padding=(0, 1, 0, 0))
    grid.add_column("", overflow="fold")
    for heading in COSTS:
        grid.add_column(heading, justify="right", no_wrap=True)
    for part in results.parts:
        for row in table_rows(results, part, results.protocol):
            if row.kind == "variant":
                grid.add_row(escape(known_to(console.encoding, row.heading)), *costs(row))
    return grid


def _tests(tests: Sequence[Tested]) -> RichTable:
    """The tests of a column against one row."""
    one = tests[0]
    against = one.against + " (the best)" * one.is_best
    grid = RichTable(
        title=f"{metric_name(one.metric)}, {one.protocol} protocol, against {escape(against)}",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    grid.add_column("", overflow="fold")
    for heading in ("difference", "p", "corrected p"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for test in tests:
        grid.add_row(escape(test.row), difference_text(test.difference), p_text(test.p), p_text(test.corrected))
    return grid
