"""An experiment's table in LaTeX, with the rules of booktabs: method x metric, as papers print it."""

import re
from collections.abc import Sequence

from semantic.report.experiments.layout import TableRow, legend, metric_name, table_rows
from semantic.report.experiments.record import BEST, LIKE, Results
from semantic.report.exporting import LATEX
from semantic.report.tables import PROTOCOL_NOTES
from semantic.runs.summary import PROTOCOLS

MARKED = {BEST: r"\textbf{%s}", LIKE: r"\underline{%s}", "": "%s"}
SIGNS = "The best of a column is bold, what is not significantly worse underlined."


def to_latex(results: Results) -> str:
    """A `table*` environment a part and protocol, which a page of two columns shows over both; then the notes as comments.

    Metrics are grouped by k. Published rows are slanted. It needs the package booktabs.
    """
    blocks = [r"% \usepackage{booktabs}"]
    for number, part in enumerate(results.parts):
        groups: dict[str, list[str]] = {}
        for metric in part.metrics:
            groups.setdefault(metric.partition("@")[2], []).append(metric)
        for protocol in PROTOCOLS:
            rows = table_rows(results, part, protocol)
            label = re.sub(r"\W+", "-", f"{results.experiment} {protocol}") + (f"-{number + 1}" if number else "")
            title = f"{results.title} ({part.place}; {protocol} protocol: {PROTOCOL_NOTES[protocol]})."
            source = f" Published: {results.source}, on other data." if any(row.published for row in rows) else ""
            caption = f"{title}{f' {SIGNS}' if part.tests else ''}{source}"
            blocks += [
                r"\begin{table*}",
                r"\centering",
                r"\footnotesize",
                r"\setlength{\tabcolsep}{3pt}",
                rf"\caption{{{caption.translate(LATEX)}}}",
                rf"\label{{tab:{label}}}",
                rf"\begin{{tabular}}{{l{'r' * len(part.metrics)}}}",
                r"\toprule",
                *_heads(list(groups.values())),
                r"\midrule",
                *_lines(rows, [metric for group in groups.values() for metric in group]),
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table*}",
            ]
    notes = [*legend(results), *results.notes, *(f"Warning: {warning}" for warning in results.warnings)]
    blocks += ["% " + " ".join(note.split()) for note in notes]  # a comment ends with its line
    return "\n".join(blocks) + "\n"


def _heads(groups: Sequence[Sequence[str]]) -> list[str]:
    """k above, the metrics beneath."""
    above, rules, place = [], [], 2
    for group in groups:
        last = place + len(group) - 1
        above.append(rf"\multicolumn{{{len(group)}}}{{c}}{{$k = {group[0].partition('@')[2]}$}}")
        rules.append(rf"\cmidrule(lr){{{place}-{last}}}")
        place = last + 1
    names = [metric_name(metric).partition("@")[0] for group in groups for metric in group]
    return [f" & {' & '.join(above)} \\\\", " ".join(rules), f" & {' & '.join(names)} \\\\"]


def _lines(rows: Sequence[TableRow], metrics: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for place, row in enumerate(rows):
        if place and row.kind != rows[place - 1].kind and row.kind in ("floor", "alone"):
            lines.append(r"\midrule")
        name = row.heading.translate(LATEX)
        name = {"variant": "%s", "published": r"\quad\textsl{%s}", "floor": r"\emph{%s}", "alone": r"\textsl{%s}"}[
            row.kind
        ] % name
        lines.append(" & ".join([name, *(_cell(row, metric) for metric in metrics)]) + r" \\")
    return lines


def _cell(row: TableRow, metric: str) -> str:
    """The mean, and its deviation smaller."""
    mean, _, deviation = row.text(metric).partition(" ± ")
    value = row.value(metric)
    if mean:
        mean = MARKED[value.mark] % mean if value is not None else rf"\textsl{{{mean}}}"
    return mean + (rf"\,{{\scriptsize$\pm$\,{deviation}}}" if deviation else "")
