"""The table of a set of runs, made from their files alone: in the terminal, as Markdown and as CSV.

Rows are variants, averaged over seeds and folds; floors stand beneath. Both protocols are always shown and named.
"""

import csv
import io
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from semantic.report.tables import COMPARED, PROTOCOLS, ResultTable, Row, short, table
from semantic.runs.reading import Run, load_runs, unfinished_runs
from semantic.runtime.files import write_text

__all__ = [
    "ResultTable",
    "Run",
    "load_runs",
    "print_table",
    "table",
    "to_csv",
    "to_markdown",
    "unfinished_runs",
    "write",
]

WIDE_TERMINAL = 120  # columns from which a mean and its deviation fit on one line


def _title(row: Row) -> str:
    if row.kind == "floor":
        return row.label
    return (f"{row.letter}  " if row.letter else "") + f"{row.label} (n={row.runs})"


def _marks(row: Row, key: tuple[str, str]) -> str:
    return " ".join(row.beats) if key == COMPARED else ""


def print_table(result: ResultTable, console: Console | None = None) -> None:
    """Print the table; on narrow terminals the deviation goes beneath the mean."""
    console = console or Console()
    separator = " " if console.width >= WIDE_TERMINAL else "\n"
    for section in result.sections:
        for protocol in PROTOCOLS:
            grid = RichTable(
                title=escape(section.heading(protocol)), title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0)
            )
            grid.add_column("", overflow="fold")
            for metric in section.metrics:
                grid.add_column(short(metric), justify="right", no_wrap=True)
            for place, row in enumerate(section.rows):
                cells = []
                for metric in section.metrics:
                    marks = _marks(row, (protocol, metric))
                    cells.append(row.cells[protocol, metric].text(separator) + (f" [bold]{marks}[/]" if marks else ""))
                last_variant = row.kind == "variant" and place == len(section.variants) - 1
                grid.add_row(
                    escape(_title(row)), *cells, style="dim" if row.kind == "floor" else "", end_section=last_variant
                )
            console.print(grid)
    for note in result.notes:
        console.print(note, style="dim", markup=False, highlight=False)
    for warning in result.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)


def to_markdown(result: ResultTable) -> str:
    """A table a section and protocol, then notes and warnings."""
    blocks = []
    for section in result.sections:
        for protocol in PROTOCOLS:
            lines = [
                "| | " + " | ".join(map(short, section.metrics)) + " |",
                "|---|" + "---:|" * len(section.metrics),
            ]
            for row in section.rows:
                cells = []
                for metric in section.metrics:
                    marks = _marks(row, (protocol, metric))
                    cells.append(row.cells[protocol, metric].text() + (f" <sup>{marks}</sup>" if marks else ""))
                name = _title(row).replace("|", "\\|")
                lines.append(f"| {f'*{name}*' if row.kind == 'floor' else name} | " + " | ".join(cells) + " |")
            blocks.append(f"**{section.heading(protocol)}**\n\n" + "\n".join(lines))
    blocks += list(result.notes) + [f"Warning: {warning}" for warning in result.warnings]
    return "\n\n".join(blocks) + "\n"


CSV_COLUMNS = ("store", "split", "name", "kind", "runs", "protocol", "metric", "mean", "deviation", "better_than")


def to_csv(result: ResultTable) -> str:
    """One line a row, protocol and metric; fractions, not per cent, to the last bit."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for section in result.sections:
        names = {row.letter: row.name for row in section.variants}
        for row in section.rows:
            for key, cell in row.cells.items():
                beats = "; ".join(names[letter] for letter in row.beats) if key == COMPARED else ""
                identity = (section.store, section.split, row.name, row.kind, row.runs)
                writer.writerow((*identity, *key, repr(cell.mean), repr(cell.deviation), beats))
    return stream.getvalue()


def write(result: ResultTable, folder: Path | str) -> tuple[Path, Path]:
    """Write table.md and table.csv into `folder`; their paths."""
    markdown, sheet = Path(folder) / "table.md", Path(folder) / "table.csv"
    write_text(markdown, to_markdown(result))
    write_text(sheet, to_csv(result))
    return markdown, sheet
