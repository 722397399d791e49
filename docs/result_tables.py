"""The tables of experiments/README.md, made from experiments/results/*.json: `python docs/result_tables.py` writes them anew."""

import re
from pathlib import Path

from semantic.report.experiments.exporting import readme_table
from semantic.report.experiments.record import read_results

FOLDER = Path(__file__).resolve().parents[1] / "experiments"
METRICS = ("ndcg@5", "recall@5", "precision@5")
TABLE = re.compile(r"(<!-- results ([\w.]+) -->\n\n)(?:\|.*\n)*")
"""A mark that names a file of results, and the table beneath it."""


def with_tables(text: str, folder: Path = FOLDER / "results") -> str:
    """The text with each table that a mark names as the results have it."""
    return TABLE.sub(
        lambda found: f"{found[1]}{readme_table(read_results(folder / f'{found[2]}.json'), METRICS)}\n", text
    )


if __name__ == "__main__":
    page = FOLDER / "README.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
