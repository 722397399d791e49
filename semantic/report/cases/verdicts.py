"""A verdict of judges as texts: Markdown, LaTeX and CSV, beside the published one."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from semantic.report.cases.folders import Kind, write_files
from semantic.report.cases.judging import NAMES, Share, Verdict
from semantic.report.exporting import LATEX, MARKDOWN
from semantic.report.writing import MARK
from semantic.runtime.terminal import visible

REPORT = Kind("a report", "report.html", MARK)
PUBLISHED = {"win": 0.3220, "tie": 0.6384, "lose": 0.0598}
"""Table 4 of the paper: votes of three judges on 60 recommendation turns of MMD."""

PUBLISHED_ROW = "published, Table 4"
PUBLISHED_NOTE = (
    "Published: SeMANTIC against TREASURE, all votes of three judges on 60 turns of MMD. The row sums to 102.02 per cent, a "
    "slip of the paper, and is given as it is printed; the paper has no interval and no agreement."
)
HEADINGS = ["", *(name.capitalize() for name in NAMES)]


def rows(verdict: Verdict, separator: str = " ") -> list[list[str]]:
    """The table as people read it, a list a row under `HEADINGS`: per cent, the interval in brackets."""
    voted = f"all votes ({verdict.num_votes:,})"
    turns = f"majority of a turn ({verdict.num_turns:,})"
    return [
        [voted, *_texts(verdict.votes, separator)],
        [turns, *_texts(verdict.majority, separator)],
        [PUBLISHED_ROW, *(f"{100 * PUBLISHED[name]:.2f}" if name in PUBLISHED else "" for name in NAMES)],
    ]


def heading(verdict: Verdict) -> str:
    """ "A (demo/best, seed 0) against B (demo/paper, seed 0)"."""
    first, second = (f"{letter} ({visible(verdict.key.runs[letter].name)})" for letter in ("A", "B"))
    return f"{first} against {second}"


def lines(verdict: Verdict) -> list[str]:
    """What is said beneath the table: the sign test, the agreement, each judge, and what the numbers are."""
    said = [
        f"Sign test over turns: A has more votes on {verdict.ahead[0]:,}, B on {verdict.ahead[1]:,}; two-sided p "
        + ("< 0.0001." if verdict.p < 1e-4 else f"= {verdict.p:.4f}."),
        f"Agreement of {len(verdict.judges)} judge{'s' * (len(verdict.judges) != 1)}: Krippendorff's alpha (nominal) "
        f"{_number(verdict.alpha)}, equal pairs of votes {_percent(verdict.agreement)}.",
    ]
    said += [
        f"{one.judge}: {one.answers} answers, A wins {one.win}, ties {one.tie}, A loses {one.lose}; chose left {one.left} "
        f"times, right {one.right}."
        for one in verdict.judges.itertuples()
    ]
    said += [
        f"{one.judge} and {one.other}: {_percent(one.agreement)} equal on {one.turns} turns."
        for one in verdict.pairs.itertuples()
    ]
    if verdict.same:
        said.append(
            f"Turns of the form on which both sides show the same list: {verdict.same} of {len(verdict.key.turns)}."
        )
    said.append(
        "Per cent of votes or turns, with 95% intervals by bootstrap over turns. Majority: more than half of a turn's votes."
    )
    return [*said, PUBLISHED_NOTE]


def to_markdown(verdict: Verdict) -> str:
    """The table, then a list of what is said beneath it."""
    grid = [HEADINGS, ["---", *["---:"] * len(NAMES)], *rows(verdict)]
    table = "\n".join(f"| {' | '.join(_each(line, MARKDOWN))} |" for line in grid)
    title = f"**{heading(verdict).translate(MARKDOWN)}**"
    said = "\n".join(f"- {line.translate(MARKDOWN)}" for line in lines(verdict))
    return f"{title}\n\n{table}\n\n{said}\n"


def to_latex(verdict: Verdict) -> str:
    """A `table` environment, then what is said beneath it as comments. It needs the package booktabs."""
    texts = [_each(row, LATEX) for row in rows(verdict)]
    frame = pd.DataFrame([row[1:] for row in texts], [row[0] for row in texts], HEADINGS[1:])
    table = frame.style.to_latex(
        hrules=True,
        column_format="l" + "r" * len(NAMES),
        position_float="centering",
        caption=f"Human evaluation: {heading(verdict)}".translate(LATEX),
        label="tab:judgements",
    )
    return (
        "\n".join([r"% \usepackage{booktabs}", table, *(f"% {' '.join(line.split())}" for line in lines(verdict))])
        + "\n"
    )


def to_csv(verdict: Verdict) -> str:
    """Everything as CSV, a line a number: of what (`row`), which `measure`, its `count`, `value` and interval; fractions."""
    found: list[tuple[object, ...]] = []
    for row, shares in (("votes", verdict.votes), ("majority", verdict.majority)):
        found += [(row, name, one.count, one.mean, one.low, one.high) for name, one in shares.items()]
    found += [("published", name, None, value, None, None) for name, value in PUBLISHED.items()]
    found += [
        ("turns", f"more votes for {letter}", n, None, None, None)
        for letter, n in zip("AB", verdict.ahead, strict=True)
    ]
    found.append(("turns", "sign test p", None, verdict.p, None, None))
    found.append(("agreement", "krippendorff alpha", None, verdict.alpha, None, None))
    found.append(("agreement", "equal pairs", None, verdict.agreement, None, None))
    found += [
        (f"agreement of {one.judge} and {one.other}", "equal pairs", one.turns, one.agreement, None, None)
        for one in verdict.pairs.itertuples()
    ]
    for own in verdict.judges.to_dict("records"):
        judge = own.pop("judge")
        found += [(f"judge {judge}", name, count, None, None, None) for name, count in own.items()]
    columns = ["row", "measure", "count", "value", "low", "high"]
    frame = pd.DataFrame(found, columns=columns).astype({"count": "Int64"})
    return frame.to_csv(index=False, lineterminator="\n")


def write_verdict(verdict: Verdict, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write judgements.md, judgements.tex and judgements.csv into a report's folder; the files' paths.

    `write_files` says which folders it may be, and what is raised.
    """
    texts = {
        "judgements.md": to_markdown(verdict),
        "judgements.tex": to_latex(verdict),
        "judgements.csv": to_csv(verdict),
    }
    return write_files(Path(folder), texts, REPORT, overwrite)


def _texts(shares: Mapping[str, Share], separator: str) -> list[str]:
    return [_share(shares[name], separator) if name in shares else "" for name in NAMES]


def _share(one: Share, separator: str) -> str:
    mean = f"{100 * one.mean:.2f}"
    return mean if math.isnan(one.low) else f"{mean}{separator}({100 * one.low:.1f} to {100 * one.high:.1f})"


def _each(cells: list[str], table: dict[int, str]) -> list[str]:
    return [cell.translate(table) for cell in cells]


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return "not known" if math.isnan(value) else f"{100 * value:.1f}%"
