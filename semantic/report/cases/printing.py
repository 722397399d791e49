"""Comparisons and judgements in the terminal."""

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from semantic.report.cases.comparing import Comparison
from semantic.report.printing import known_to


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
            known(name), *(f"{count:,}" for count in counts), *means, f"{100 * score.difference:+.1f}", f"{score.p:.4f}"
        )
    console.print(grid)
    note = "NDCG@5 (standard), per cent; p: paired permutation test over dialogues."
    console.print(note, style="dim", markup=False, highlight=False)
    for warning in comparison.warnings:
        console.print(known_to(console.encoding, f"Warning: {warning}"), style="yellow", markup=False, highlight=False)
