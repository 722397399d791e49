"""The tests of an experiment's table, and what they mark: the best of each column, and rows that are not significantly worse."""

from collections.abc import Mapping

from semantic.report.comparison import LEVEL
from semantic.report.experiments.record import BEST, LIKE, Line, Part, Tested
from semantic.report.experiments.testing import Answer, Column, Question, compare, corrected
from semantic.runs.grouping import Group
from semantic.runs.summary import PROTOCOLS


def with_tests(part: Part, baseline: str | None, groups: Mapping[str, Group]) -> Part:
    """The part with its tests and marks: in each column of each protocol every row is tested against the best, and against the
    baseline where that is another row; Holm's correction is over the rows of the column, for each of the two apart.

    Rows that have seen what they rank are neither tested nor marked.
    """
    if len(part.variants) < 2:
        return part
    columns: list[Column] = [(protocol, metric) for protocol in PROTOCOLS for metric in part.metrics]
    found = {column: part.best("variant", *column) for column in columns}
    best = {column: line.name for column, line in found.items() if line is not None}
    rivals = [line.name for line in part.variants if not line.seen]
    families: list[tuple[bool, list[Question]]] = [
        (True, [(name, best[column], column) for column in best for name in rivals if name != best[column]])
    ]
    if baseline in rivals and baseline is not None:
        others = [(n, baseline, c) for c in columns for n in rivals if baseline not in (n, best.get(c))]
        families.append((False, others))
    answers = compare(groups, columns, [question for _, family in families for question in family])
    tests: list[Tested] = []
    for is_best, family in families:
        own = {question: answers[question] for question in family if question in answers}
        after = corrected(own)
        tests += [_test(question, answer, after[question], is_best) for question, answer in own.items()]
    tests.sort(key=lambda test: (columns.index((test.protocol, test.metric)), not test.is_best))
    alike = {(one.row, one.protocol, one.metric) for one in tests if one.is_best and _is_like(one)}
    marks = {(name, *column): BEST for column, name in best.items()} | dict.fromkeys(alike, LIKE)
    return part.model_copy(update={"lines": tuple(_marked(line, marks) for line in part.lines), "tests": tuple(tests)})


def _is_like(test: Tested) -> bool:
    """Whether a row is not significantly worse than the best."""
    return test.difference >= 0 or test.corrected >= LEVEL


def _marked(line: Line, marks: Mapping[tuple[str, str, str], str]) -> Line:
    if line.kind == "floor":
        return line
    values = {
        protocol: {
            metric: value.model_copy(update={"mark": marks.get((line.name, protocol, metric), "")})
            for metric, value in row.items()
        }
        for protocol, row in line.values.items()
    }
    return line.model_copy(update={"values": values})


def _test(question: Question, answer: Answer, p: float, is_best: bool) -> Tested:
    row, against, (protocol, metric) = question
    return Tested(
        row=row,
        against=against,
        is_best=is_best,
        protocol=protocol,
        metric=metric,
        difference=answer.difference,
        p=answer.p,
        corrected=p,
        runs=answer.runs,
        dialogues=answer.dialogues,
        queries=answer.queries,
    )
