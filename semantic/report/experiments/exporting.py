"""An experiment's results as Markdown and CSV; all of it is made from what results.json holds."""

import csv
import io
from collections.abc import Iterable, Sequence

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
from semantic.report.experiments.record import BEST, Results
from semantic.report.experiments.results import progress_line
from semantic.report.exporting import MARKDOWN
from semantic.report.tables import PROTOCOL_NOTES, short
from semantic.runs.summary import PROTOCOLS

TABLE_COLUMNS = ["kind", "row", "beside", "runs", "planned", "protocol", "metric", "mean", "deviation", "mark"]
TEST_COLUMNS = [
    "row", "against", "is_best", "protocol", "metric", "difference", "p", "corrected", "runs", "dialogues", "queries",
]  # fmt: skip


def to_markdown(results: Results) -> str:
    """A table a part and protocol, with published rows and floors in italics, the tests, notes and warnings."""
    blocks = [f"# {results.title.translate(MARKDOWN)}", progress_line(results).translate(MARKDOWN)]
    for part in results.parts:
        for protocol in PROTOCOLS:
            blocks.append(f"**{part.place}, {protocol} protocol: {PROTOCOL_NOTES[protocol]}**".replace("_", r"\_"))
            rows = table_rows(results, part, protocol)
            lines = [[_name(row), *(_cell(row, m) for m in part.metrics), *_costs(results, row)] for row in rows]
            blocks.append(_grid(["", *map(short, part.metrics), *(COSTS if results.costs else ())], lines))
    blocks += [line.translate(MARKDOWN) for line in legend(results)]
    tests = shown_tests(results)
    if tests:
        heads = ["row", "against", "metric", "protocol", "difference", "p", "corrected p"]
        lines = [
            [
                test.row.translate(MARKDOWN),
                (test.against + " (best)" * test.is_best).translate(MARKDOWN),
                *(metric_name(test.metric), test.protocol, difference_text(test.difference)),
                *(p_text(p).translate(MARKDOWN) for p in (test.p, test.corrected)),
            ]
            for test in tests
        ]
        blocks += ["**Tests**", _grid(heads, lines)]
    blocks += [note.translate(MARKDOWN) for note in results.notes]
    blocks += [f"Warning: {warning.translate(MARKDOWN)}" for warning in results.warnings]
    return "\n\n".join(blocks) + "\n"


def readme_table(
    results: Results, metrics: Sequence[str] | None = None, protocols: Sequence[str] = PROTOCOLS[::-1]
) -> str:
    """The table of a README: a row a variant, published row and floor; a column a metric (the report's, where none are
    named) and protocol. From results.json alone: `readme_table(read_results(file))`.
    """
    metrics = results.metrics if metrics is None else metrics
    columns = [(protocol, metric) for protocol in protocols for metric in metrics]
    heads = ["", *(f"{metric_name(m)}, {protocol}" for protocol, m in columns), *(COSTS if results.costs else ())]
    lines: list[list[str]] = []
    for part in results.parts:
        by_protocol = {protocol: table_rows(results, part, protocol) for protocol in (*protocols, results.protocol)}
        for row in by_protocol[results.protocol]:
            same = {p: next((one for one in rows if _is_same(one, row)), None) for p, rows in by_protocol.items()}
            values = (_cell(same[protocol], metric) for protocol, metric in columns)
            lines.append([_name(row), *values, *_costs(results, row)])
    return _grid(heads, lines)


def to_csv(results: Results) -> str:
    """A line a row, protocol and metric: fractions, not per cent, to the last bit; published ones without a mark."""
    lines: list[Sequence[object]] = []
    for part in results.parts:
        for protocol in PROTOCOLS:
            for row in table_rows(results, part, protocol):
                for metric in part.metrics:
                    value = row.value(metric)
                    if row.line is not None and value is not None:
                        own: Sequence[object] = (row.line.name, "", row.line.runs, row.line.planned)
                        lines.append((row.kind, *own, protocol, metric, value.mean, value.deviation, value.mark))
                    elif row.published is not None and metric in row.published.values:
                        mean, deviation = row.published.values[metric]
                        own = (row.published.name, row.published.beside or "", "", "")
                        lines.append(("published", *own, protocol, metric, mean, deviation, ""))
    return _csv(TABLE_COLUMNS, lines)


def to_tests_csv(results: Results) -> str:
    """A line a test, of every metric in both protocols."""
    tests = [test for part in results.parts for test in part.tests]
    return _csv(TEST_COLUMNS, [[getattr(test, column) for column in TEST_COLUMNS] for test in tests])


def _csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return stream.getvalue()


def _grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _name(row: TableRow) -> str:
    name = row.heading.translate(MARKDOWN)
    return name if row.kind == "variant" else f"*{name}*"


def _cell(row: TableRow | None, metric: str) -> str:
    if row is None:
        return ""
    value = row.value(metric)
    text = row.text(metric)
    if value is None:
        return f"*{text}*" if text else ""
    return f"**{text}**" if value.mark == BEST else f"{text} {SIGNS[value.mark]}".rstrip()


def _costs(results: Results, row: TableRow) -> tuple[str, ...]:
    return costs(row) if results.costs else ()


def _is_same(one: TableRow, other: TableRow) -> bool:
    return one.heading == other.heading and one.kind == other.kind
