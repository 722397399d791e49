"""Two fabricated runs on the fabricated store of report_files.py, and the form and answers of judges."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from semantic.report.cases.form import Key
from semantic.report.cases.pairing import RunPair, load_pair
from tests.report_files import METRICS, change_summary, query, write_run

BEST = (1.0, 1.0, 0.5, 0.0, 0.0)
OTHER = (0.0, 0.5, 0.5, 0.0, 1.0)
"""NDCG@5 of both runs on the five dialogues: two wins, two ties and a loss of the first."""


def write_queries(folder, values, **columns):
    """Give a run's queries these values of every metric, and its summary their mean."""
    rows = []
    for dialogue, value in enumerate(values):
        metrics = {f"{protocol}/{metric}": float(value) for protocol in ("standard", "released") for metric in METRICS}
        rows.append(query(dialogue, value > 0) | metrics | columns)
    pq.write_table(pa.Table.from_pylist(rows), folder / "queries.parquet")
    protocols = json.loads((folder / "summary.json").read_text())["protocols"]
    protocols["standard"]["ndcg@5"] = sum(values) / len(values)
    return change_summary(folder, protocols=protocols)


def write_pair(root, first=BEST, second=OTHER, **more) -> tuple[Path, Path]:
    """The folders of two finished runs."""
    folders = write_run(root, "best", **more), write_run(root, "other", **more)
    for folder, values in zip(folders, (first, second), strict=True):
        write_queries(folder, values)
    return folders


def pair_of(root, first=BEST, second=OTHER, **more) -> RunPair:
    return load_pair(*write_pair(root, first, second, **more))


def read_key(folder) -> Key:
    return Key.model_validate_json((folder / "key.json").read_text())


def side_of(key: Key, turn: str, run: str) -> str:
    """The choice that favours a run, or "tie"."""
    return "tie" if run == "tie" else "left" if key.turns[turn].left == run else "right"


def write_answers(folder, judge, favoured, *, form=None, name=None):
    """A file of answers: of each turn, which run the judge favours ("A", "B", "tie")."""
    key = read_key(folder)
    answers = {turn: side_of(key, turn, run) for turn, run in favoured.items()}
    values = {"format": "semantic-judge-answers", "form": form or key.form, "judge": judge, "answers": answers}
    file = folder / "answers" / (name or f"answers-{judge}.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(values))
    return file


def browser() -> str | None:
    """A browser of Chromium's kind on this machine, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)
