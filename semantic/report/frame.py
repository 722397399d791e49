"""The results of a set of runs as a tidy data frame: a line a row of the table, protocol and metric."""

from collections.abc import Mapping, Sequence

import pandas as pd

from semantic.report.comparison import COMPARED
from semantic.runs.reading import Run

PROTOCOLS = ("standard", "released")
IDENTITY = ["store", "split", "name", "kind"]
COLUMNS = [*IDENTITY, "runs", "protocol", "metric", "mean", "deviation", "beats"]


def results_frame(runs: Sequence[Run], better: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The lines of runs on one split of one store (`COLUMNS`), variants first, then floors.

    `mean` and `deviation` (sample standard deviation, 0 of one run) are over the row's runs, as fractions. `beats` names
    the variants that this one is significantly better than, on the lines of the metric compared. A metric that not all
    runs of a row have is left out.
    """
    results = [(run, run.name, "variant", run.summary["protocols"]) for run in runs]
    results += [(run, name, "floor", values) for run in runs for name, values in run.summary["floors"].items()]
    lines = [
        (run.summary["store"], run.summary["split"], name, kind, protocol, metric, value)
        for run, name, kind, values in results
        for protocol in PROTOCOLS
        for metric, value in values[protocol].items()
    ]
    values = pd.DataFrame(lines, columns=[*IDENTITY, "protocol", "metric", "value"])
    groups = values.groupby([*IDENTITY, "protocol", "metric"], sort=False)["value"]
    frame = groups.agg(runs="count", mean="mean", deviation="std").fillna({"deviation": 0.0}).reset_index()
    frame = frame[frame["runs"] == frame.groupby(IDENTITY)["runs"].transform("max")]
    beats = [
        "; ".join(better.get(name, ())) if (kind, protocol, metric) == ("variant", *COMPARED) else ""
        for name, kind, protocol, metric in frame[["name", "kind", "protocol", "metric"]].itertuples(index=False)
    ]
    return frame.assign(beats=beats).reset_index(drop=True)[COLUMNS]
