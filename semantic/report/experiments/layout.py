"""An experiment's table as its readers see it: our rows with their published counterparts, floors, what is published alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from semantic.report.comparison import LEVEL
from semantic.report.experiments.record import BEST, LIKE, MOST_TIES, Line, Part, PublishedLine, Results, Tested, Value
from semantic.report.pages import duration
from semantic.report.tables import GOLD, mark_of

SIGNS = {BEST: "*", LIKE: "≈", "": ""}
"""What stands behind a value, for readers who see no bold type."""
NAMES = {"precision": "Precision", "recall": "Recall", "ndcg": "NDCG"}


@dataclass(frozen=True)
class TableRow:
    """A row of the table of one protocol: ours (a variant or a floor) or published."""

    kind: str  # "variant", "published" (beneath its counterpart), "floor" or "alone" (published, without a counterpart)
    line: Line | None
    published: PublishedLine | None
    protocol: str

    @property
    def heading(self) -> str:
        """ "alpha=0.5 (5 folds)", "published: SeMANTIC"."""
        if self.line is None:
            return f"published: {self.published.name}" if self.published else ""
        return (
            self.line.name
            + mark_of(self.line.seen, self.line.gold)
            + (f" ({self.line.size})" if self.line.size else "")
        )

    def value(self, metric: str) -> Value | None:
        """Our value of a metric."""
        return None if self.line is None else self.line.values[self.protocol][metric]

    def text(self, metric: str, separator: str = " ") -> str:
        """Per cent with one decimal, empty where nothing was published."""
        if self.line is None:
            return self.published.text(metric, separator) if self.published else ""
        return self.line.values[self.protocol][metric].text(separator)


COSTS = ("parameters", "a run")


def costs(row: TableRow) -> tuple[str, str]:
    """A row's parameters and the time of one of its runs, empty where they are not known: "1.2 M", "3 min 5 s"."""
    line = row.line
    return (
        "" if line is None or line.parameters is None else number_text(line.parameters),
        "" if line is None or line.seconds is None else duration(line.seconds),
    )


def number_text(count: int) -> str:
    """1234567 -> "1.2 M"."""
    for size, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 0.99995 * size:  # what rounds to 1.0 of the next size is told by that
            return f"{count / size:.1f} {sign}"
    return str(count)


def table_rows(results: Results, part: Part, protocol: str) -> list[TableRow]:
    """The rows of a part in a protocol: those published stand in the table of their own protocol alone, what has no counterpart
    among the rows at the end of the last part.
    """
    rows: list[TableRow] = []
    published = results.published if protocol == results.protocol else ()
    for line in part.variants:
        rows.append(TableRow("variant", line, None, protocol))
        rows += [TableRow("published", None, one, protocol) for one in published if one.beside == line.name]
    rows += [TableRow("floor", line, None, protocol) for line in part.floors]
    if part is results.parts[-1]:
        rows += [TableRow("alone", None, one, protocol) for one in alone(results) if published]
    return rows


def alone(results: Results) -> list[PublishedLine]:
    """The published rows without a counterpart that has results."""
    ours = {line.name for part in results.parts for line in part.variants}
    return [one for one in results.published if one.beside not in ours]


def legend(results: Results) -> list[str]:
    """The sentences beneath the table: its signs, what was tested and how, and what the published rows are."""
    lines = [
        "Per cent; mean ± standard deviation over runs, of floors over sets of queries. P precision, R recall, N NDCG."
    ]
    tests = [test for part in results.parts for test in part.tests]
    if tests:
        lines.append(
            f"{SIGNS[BEST]} best of its column; {SIGNS[LIKE]} not significantly worse than that (p {LEVEL} or more): paired permutation "
            "test over dialogues, Holm-corrected over the rows of the column."
        )
        lines.append(_compared(tests))
    if any(
        not line.seen and not line.gold and not line.competes("released")
        for part in results.parts
        for line in part.variants
    ):
        lines.append(
            f"Rows in more than {100 * MOST_TIES:g}% of whose queries right and wrong products tie are not compared under the released "
            "protocol, which counts such ties as won."
        )
    if any(line.gold for part in results.parts for line in part.variants):
        lines.append(f"{GOLD} ranks by the gold state, the label itself: an upper bound, which is not compared.")
    if results.published:
        source = f" ({results.source})" if results.source else ""
        lines.append(
            f"Published values{source}: other data than ours, {results.protocol} protocol. They were not tested against ours."
        )
    if any(part.floors for part in results.parts):
        lines.append("Floors learn nothing. Popularity and TF-IDF often tie, which the released protocol favours.")
    return lines


def shown_tests(results: Results) -> list[Tested]:
    """The tests that readers are shown: of the metrics that the report names."""
    return [test for part in results.parts for test in part.tests if test.metric in results.metrics]


def p_text(p: float) -> str:
    """0.0312 -> "0.031"; very small ones as a bound."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def difference_text(difference: float) -> str:
    """Points, with its sign: "+1.2"."""
    text = f"{100 * difference:+.1f}"
    return text.replace("+0.0", "0.0").replace("-0.0", "0.0")


def metric_name(metric: str) -> str:
    """ "ndcg@5" -> "NDCG@5"."""
    name, _, k = metric.partition("@")
    return f"{NAMES.get(name, name)}@{k}"


def _compared(tests: Sequence[Tested]) -> str:
    """Over how much rows were compared."""
    spans = [f"{_span([getattr(test, what) for test in tests])} {what}" for what in ("dialogues", "queries", "runs")]
    return f"Compared over {spans[0]} and {spans[1]}, {spans[2]} of a row; a query's value is its mean over seeds."


def _span(values: Sequence[int]) -> str:
    return " to ".join(f"{value:,}" for value in dict.fromkeys((min(values), max(values))))
