"""The table of a set of runs as texts: Markdown, LaTeX and CSV."""

import re

from semantic.report.tables import GOLD, SEEN, Cell, ResultTable
from semantic.runs.summary import PROTOCOLS

LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    | {SEEN: r"$^{\dagger}$", GOLD: r"$^{\ddagger}$"}
)
MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*<|"})


def to_markdown(result: ResultTable) -> str:
    """A table a section and protocol, floors in italics, then notes and warnings."""
    blocks = []
    for section in result.sections:
        for protocol in PROTOCOLS:
            texts = section.texts(protocol, _markdown_cell)
            lines = [["", *texts.columns], ["---", *["---:"] * len(texts.columns)]]
            for row, cells in zip(section.rows, texts.to_numpy(), strict=True):
                name = row.heading.translate(MARKDOWN)
                lines.append([f"*{name}*" if row.kind == "floor" else name, *cells])
            grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            blocks.append(f"**{section.heading(protocol).translate(MARKDOWN)}**\n\n{grid}")
        blocks += [section.note] * bool(section.note)
    blocks += [note.translate(MARKDOWN) for note in result.notes]
    blocks += [f"Warning: {warning.translate(MARKDOWN)}" for warning in result.warnings]
    return "\n\n".join(blocks) + "\n"


def to_latex(result: ResultTable) -> str:
    """A `table` environment a section and protocol, floors in italics, then notes and warnings as comments.

    It needs the package booktabs.
    """
    blocks = [r"% \usepackage{booktabs}"]
    for section in result.sections:
        for protocol in PROTOCOLS:
            texts = section.texts(protocol, _latex_cell)
            names = [row.heading.translate(LATEX) for row in section.rows]
            kinds = [row.kind for row in section.rows]
            texts.index = [rf"\emph{{{n}}}" if kind == "floor" else n for n, kind in zip(names, kinds, strict=True)]
            label = re.sub(r"\W+", "-", f"{section.place} {protocol}")
            blocks.append(
                texts.style.to_latex(
                    hrules=True,
                    column_format="l" + "r" * len(texts.columns),
                    position_float="centering",
                    caption=section.heading(protocol).translate(LATEX),
                    label=f"tab:{label}",
                )
            )
        blocks += [f"% {section.note}"] * bool(section.note)
    notes = [*result.notes, *(f"Warning: {warning}" for warning in result.warnings)]
    blocks += ["% " + " ".join(note.split()) for note in notes]  # a comment ends with its line
    return "\n".join(blocks) + "\n"


def to_csv(result: ResultTable) -> str:
    """The frame, a line a row, protocol and metric; fractions, not per cent, to the last bit."""
    return result.frame.to_csv(index=False, lineterminator="\n")


def _markdown_cell(cell: Cell, marks: tuple[str, ...]) -> str:
    return cell.text() + (f" <sup>{' '.join(marks)}</sup>" if marks else "")


def _latex_cell(cell: Cell, marks: tuple[str, ...]) -> str:
    return cell.text().translate(LATEX) + (f"$^{{{','.join(marks)}}}$" if marks else "")
