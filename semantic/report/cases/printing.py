"""Comparisons and judgements in the terminal."""

import math

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from semantic.metrics.intervals import LEVEL
from semantic.report.cases.analysis import facet_tables
from semantic.report.cases.comparing import ALL, Comparison
from semantic.report.cases.judging import Verdict
from semantic.report.cases.verdicts import HEADINGS, heading, lines, rows
from semantic.report.printing import WIDE_TERMINAL, known_to
from semantic.runs.summary import COMPARED


def print_analysis(analysis: pd.DataFrame, console: Console) -> None:
    """Print NDCG@5 (standard) of every facet's commonest values, with its interval."""
    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    grid.add_column("", overflow="fold")
    for name in ("queries", "dialogues", "N@5", "interval"):
        grid.add_column(name, justify="right", no_wrap=True)
    for table in facet_tables([analysis]):
        grid.add_row(f"[bold]{table.title}[/]")
        for place, row in enumerate(table.rows, start=1):
            cell = row["cells"][0]["/".join(COMPARED)]
            interval = "" if math.isnan(cell.low) else f"{100 * cell.low:.1f} to {100 * cell.high:.1f}"
            name = f"  {row['value']}"
            counts = (f"{row['queries']:,}", f"{row['dialogues']:,}")
            end = place == len(table.rows)
            grid.add_row(
                escape(known_to(console.encoding, name)), *counts, f"{100 * cell.mean:.1f}", interval, end_section=end
            )
    console.print(grid)
    note = f"NDCG@5 (standard), per cent, with its {100 * LEVEL:.0f}% interval by bootstrap over dialogues."
    console.print(note, style="dim", markup=False, highlight=False)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print what judges said of two runs, beside the published row; on narrow terminals intervals go beneath the shares."""

    def known(text: str) -> str:
        return known_to(console.encoding, text)

    grid = Table(title=escape(known(heading(verdict))), title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    for number, name in enumerate(HEADINGS):
        grid.add_column(name, justify="right" if number else "left", no_wrap=bool(number), overflow="fold")
    for row in rows(verdict, " " if console.width >= WIDE_TERMINAL else "\n"):
        grid.add_row(*(escape(known(cell)) for cell in row))
    console.print(grid)
    for line in lines(verdict):
        console.print(known(line), style="dim", markup=False, highlight=False)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the scores of a comparison: who wins how many turns, and by how much."""

    def known(text: str) -> str:
        return escape(known_to(console.encoding, text))

    for letter, name in zip("AB", comparison.pair.names, strict=True):
        console.print(f"{letter}: {known(name)}", highlight=False, soft_wrap=True)
    grid = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    grid.add_column("", overflow="fold")
    for name in ("queries", "A wins", "ties", "A loses", "N@5 A", "N@5 B", "A - B", "p"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name, score in comparison.scores.items():
        counts = (score.queries, score.wins, score.ties, score.losses)
        means = [f"{100 * mean:.1f}" for mean in score.means]
        grid.add_row(
            "all queries" if name == ALL else "filtered",
            *(f"{count:,}" for count in counts),
            *means,
            f"{100 * score.difference:+.1f}",
            f"{score.p:.4f}",
        )
    console.print(grid)
    if comparison.filters:
        console.print(f"Filtered: {known(str(comparison.filters))}", highlight=False, soft_wrap=True)
    note = "NDCG@5 (standard), per cent; p: paired permutation test over dialogues."
    console.print(note, style="dim", markup=False, highlight=False)
    for warning in comparison.warnings:
        console.print(known_to(console.encoding, f"Warning: {warning}"), style="yellow", markup=False, highlight=False)
