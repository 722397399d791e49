"""The page of an experiment: table, figure, tests, what each row changes, training, cost, test turns; one HTML file."""

import json
from collections.abc import Mapping

from semantic.datasets.store.store import Store
from semantic.report.experiments.figure import panel_figures
from semantic.report.experiments.layout import (
    SIGNS,
    difference_text,
    legend,
    metric_name,
    number_text,
    p_text,
    shown_tests,
    table_rows,
)
from semantic.report.experiments.results import ExperimentResult, progress_line
from semantic.report.pages import gallery, render, training_curves
from semantic.report.svg import inline_svg
from semantic.report.tables import PROTOCOL_NOTES
from semantic.runs.grouping import Group
from semantic.runs.summary import PROTOCOLS

IDENTITY = {"experiment", "variant", "data.store"}
"""Keys that name a run, and change nothing in it; of the store its rows tell."""


def experiment_page(result: ExperimentResult, store: Store | None, turns: int = 12, seed: int = 0) -> str:
    """The page as HTML, with a gallery of `turns` of the best row, whose random third `seed` draws; without a store there is
    none.

    Raises:
        DataError: a file of a run is damaged, or the report's axis holds something else than numbers.
    """
    results = result.results
    first = results.metrics[0]
    best = results.parts[0].best("variant", results.protocol, first)
    shown, exhibits = gallery(result.groups[best.name].runs if best is not None else (), store, turns, seed)
    return render(
        "experiment.html",
        title=results.title,
        results=results,
        progress=progress_line(results),
        tables=[
            (part, protocol, PROTOCOL_NOTES[protocol], table_rows(results, part, protocol))
            for part in results.parts
            for protocol in PROTOCOLS
        ],
        signs=SIGNS,
        legend=legend(results),
        key=(results.protocol, first),
        best=best,
        beside=[
            one for one in results.published if best is not None and one.beside == best.name and first in one.values
        ],
        floor=results.parts[0].best("floor", results.protocol, first),
        figures={
            metric: inline_svg(figure, _description(result, metric), f"figure-{number}")
            for number, (metric, figure) in enumerate(panel_figures(result).items())
        },
        tests=shown_tests(results),
        metric_name=metric_name,
        number_text=number_text,
        p_text=p_text,
        difference_text=difference_text,
        changes=changes(result.groups, results.baseline),
        training=training_curves(result.groups),
        groups=result.groups,
        shown=shown,
        exhibits=exhibits,
    )


def changes(groups: Mapping[str, Group], baseline: str | None) -> tuple[str, dict[str, list[tuple[str, str, str]]]]:
    """The row that others are held against (the baseline, or the first), and of each other (field, there, here) where their
    configurations differ.
    """
    reference = baseline or next(iter(groups))
    there = groups[reference].settings or {}
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name, group in groups.items():
        here = group.settings
        if name != reference and here is not None:
            keys = [key for key in dict.fromkeys((*there, *here)) if key not in IDENTITY]
            found[name] = [
                (key, _shown(there.get(key)), _shown(here.get(key))) for key in keys if there.get(key) != here.get(key)
            ]
    return reference, found


def _shown(value: str | None) -> str:
    if value is None:
        return "absent"
    found = json.loads(value)
    return found if isinstance(found, str) and found else value


def _description(result: ExperimentResult, metric: str) -> str:
    """A panel in words, for those who cannot see it."""
    results = result.results
    rows = [
        f"{line.name} {line.values[results.protocol][metric].text()}"
        for part in results.parts
        for line in part.variants
    ]
    published = [f"published, {one.name} {one.text(metric)}" for one in results.published if metric in one.values]
    return f"{metric_name(metric)} in per cent, {results.protocol} protocol: {'; '.join(rows + published)}"
