"""The table of a set of runs in the terminal."""

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from semantic.report.frame import PROTOCOLS
from semantic.report.tables import Cell, ResultTable

WIDE_TERMINAL = 120  # columns from which a mean and its deviation fit on one line


def print_table(result: ResultTable, console: Console | None = None) -> None:
    """Print the table; on narrow terminals the deviation goes beneath the mean."""
    console = console or Console()
    separator = " " if console.width >= WIDE_TERMINAL else "\n"

    def written(cell: Cell, marks: tuple[str, ...]) -> str:
        return cell.text(separator) + (f" [bold]{' '.join(marks)}[/]" if marks else "")

    for section in result.sections:
        for protocol in PROTOCOLS:
            grid = RichTable(
                title=escape(section.heading(protocol)), title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0)
            )
            texts = section.texts(protocol, written)
            grid.add_column("", overflow="fold")
            for metric in texts.columns:
                grid.add_column(metric, justify="right", no_wrap=True)
            for place, (row, cells) in enumerate(zip(section.rows, texts.to_numpy(), strict=True), start=1):
                style = "dim" if row.kind == "floor" else ""
                grid.add_row(escape(row.title), *cells, style=style, end_section=place == len(section.variants))
            console.print(grid)
    for note in result.notes:
        console.print(note, style="dim", markup=False, highlight=False)
    for warning in result.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
