"""The table of a set of runs in the terminal."""

from collections.abc import Mapping

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from semantic.report.tables import GOLD, MEASURES, SEEN, TRACKING, Cell, ResultTable, short, tracking_table
from semantic.runs.summary import PROTOCOLS

WIDE_TERMINAL = 120  # columns from which a mean and its deviation fit on one line
PLAIN = {SEEN: "+", GOLD: "++", "±": "+-", "≈": "~"}
"""What stands for signs that a terminal's encoding lacks."""


def print_table(result: ResultTable, console: Console | None = None) -> None:
    """Print the table; on narrow terminals the deviation goes beneath the mean.

    Where the terminal's encoding lacks a letter its escape is printed, and of our own signs one of ASCII.
    """
    console = console or Console()
    separator = " " if console.width >= WIDE_TERMINAL else "\n"

    def known(text: str) -> str:
        return known_to(console.encoding, text)

    def written(cell: Cell, marks: tuple[str, ...]) -> str:
        return known(cell.text(separator)) + (f" [bold]{' '.join(marks)}[/]" if marks else "")

    for section in result.sections:
        for protocol in PROTOCOLS:
            title = escape(known(section.heading(protocol)))
            grid = RichTable(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
            texts = section.texts(protocol, written)
            grid.add_column("", overflow="fold")
            for metric in texts.columns:
                grid.add_column(metric, justify="right", no_wrap=True)
            for place, (row, cells) in enumerate(zip(section.rows, texts.to_numpy(), strict=True), start=1):
                style = "dim" if row.kind == "floor" else ""
                grid.add_row(
                    escape(known(row.heading)), *cells, style=style, end_section=place == len(section.variants)
                )
            console.print(grid)
        if section.note:
            console.print(section.note, style="dim", markup=False, highlight=False)
    tracking = tracking_table(result.groups)
    if tracking is not None:
        grid = RichTable(title=TRACKING, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
        grid.add_column("", overflow="fold")
        for measure in MEASURES:
            grid.add_column(measure, justify="right", no_wrap=True)
        for title, cells in tracking.rows.items():
            grid.add_row(escape(known(title)), *(known(cells[measure].text(separator)) for measure in MEASURES))
        console.print(grid)
    for note in result.notes:
        console.print(known(note), style="dim", markup=False, highlight=False)
    for warning in result.warnings:
        console.print(known(f"Warning: {warning}"), style="yellow", markup=False, highlight=False)


def print_metrics(title: str, rows: Mapping[str, Mapping[str, Mapping[str, float]]], console: Console) -> None:
    """Print metrics by row, protocol and name, in per cent: a table a protocol."""
    for protocol in PROTOCOLS:
        heading = f"{title}, {protocol} protocol, per cent"
        grid = RichTable(
            title=escape(known_to(console.encoding, heading)), title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0)
        )
        grid.add_column("", overflow="fold")
        names = list(next(iter(rows.values()))[protocol])
        for name in names:
            grid.add_column(short(name), justify="right", no_wrap=True)
        for row, metrics in rows.items():
            grid.add_row(
                escape(known_to(console.encoding, row)), *(f"{100 * metrics[protocol][name]:.1f}" for name in names)
            )
        console.print(grid)


def known_to(encoding: str, text: str) -> str:
    """The text in letters that an encoding has."""
    for sign, plain in PLAIN.items():
        if sign.encode(encoding, "replace") == b"?":
            text = text.replace(sign, plain)
    return text.encode(encoding, "backslashreplace").decode(encoding)
