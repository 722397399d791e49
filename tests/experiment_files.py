"""An experiment of several runs, fabricated: its plan and the folders of its runs, each with every metric of every query."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from semantic.config.sweep_schema import ReportSection
from semantic.report.experiments.results import experiment_result
from semantic.runs.plan import Plan, PlannedRun, write_plan
from tests.report_files import METRICS, digest, summary_of

DIALOGUES, TURNS = 11, 3  # of each set of queries
PUBLISHED = [
    {"name": "The paper", "beside": "share=0.5", "at": 0.5, "values": {"ndcg@5": "63.9 ± 0.4", "recall@10": 70.25}},
    {"name": "A & rival_100%", "values": {"ndcg@5": "31.2 ± 1.1"}},
]


def report_section(**more):
    return ReportSection.model_validate(
        {
            "title": "Share & states_",
            "figure": "line",
            "metrics": ["ndcg@5", "recall@10"],
            "source": "a paper",
            "published": PUBLISHED,
            "notes": ["A note."],
        }
        | more
    )


def make_plan(shares=(0.1, 0.5, 1.0), seeds=(0, 1), folds=0, experiment="study", **report):
    """A plan over an axis of shares, named as `semantic sweep` names its folders."""
    runs = []
    for share in shares:
        for seed in seeds:
            for fold in range(folds) if folds else (None,):
                place = f"share={share:g}/seed_{seed}" + ("" if fold is None else f"/fold_{fold}_of_{folds}")
                point = {"data.share": share}
                runs.append(PlannedRun(folder=place, variant=f"share={share:g}", point=point, seed=seed, fold=fold))
    return Plan(experiment=experiment, runs=tuple(runs), report=report_section(**report), left_out=("none: left out",))


def write_planned(root, planned, value, *, folds=0, experiment="study", name=None, noise=0, set_name=None, **more):
    """The finished run of a plan, whose values scatter around `value` by dialogue; `noise` draws the scatter.

    `config` changes its config.yaml; `set_name` names another set of queries.
    """
    folder = root / experiment / planned.folder
    folder.mkdir(parents=True)
    config = {"experiment": experiment, "variant": planned.variant, "seed": planned.seed}
    config |= {"data": {"store": "stores/shop"} | dict(planned.point and {"share": planned.point["data.share"]})}
    config |= {"training": {"epochs": 3}} | more.pop("config", {})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    scatter = np.random.default_rng(noise).uniform(-0.05, 0.05, (DIALOGUES * TURNS, len(METRICS)))
    first = DIALOGUES * (planned.fold or 0)
    columns = {
        "dialogue_row": [first + row // TURNS for row in range(DIALOGUES * TURNS)],
        "turn": [100 * first + row for row in range(DIALOGUES * TURNS)],
    }
    protocols = {}
    for protocol, above in (("standard", 0.0), ("released", 0.125)):
        for number, metric in enumerate(METRICS):
            columns[f"{protocol}/{metric}"] = [float(one) for one in value + above + scatter[:, number]]
        protocols[protocol] = {metric: float(np.mean(columns[f"{protocol}/{metric}"])) for metric in METRICS}
    pq.write_table(pa.table(columns), folder / "queries.parquet")
    (folder / "metrics.jsonl").write_text(
        "".join(
            json.dumps({"epoch": e, "train": {"loss": 1 / e}, "valid": {"standard": {"ndcg@5": 0.1 * e}}}) + "\n"
            for e in (1, 2, 3)
        )
    )
    environment = {"cpu": "a cpu", "cores": 2, "device": "cpu", "platform": "Linux", "python": "3.11"}
    environment |= {"packages": {"torch": f"2.{planned.seed}"}, "git": {"commit": "c0ffee", "changed": True}}
    (folder / "environment.json").write_text(json.dumps(environment))
    fold = None if planned.fold is None else {"index": planned.fold, "count": folds, "seed": 0, "pooled": ["test"]}
    summary = {
        "experiment": experiment,
        "variant": name or planned.variant,
        "seed": planned.seed,
        "fold": fold,
        "store": "stores/shop",
        "queries": digest(set_name or "set", planned.fold),
        "protocols": protocols,
        "counts": {"test_queries": DIALOGUES * TURNS},
        "floors": {"random": _flat(0.0625), "tfidf context": _flat(0.125)},
        "seconds": 60.0,
    }
    (folder / "summary.json").write_text(json.dumps(summary_of(**(summary | more))))
    return folder


def _flat(value):
    return {protocol: dict.fromkeys(METRICS, value) for protocol in ("standard", "released")}


VALUES = {"share=0.1": 0.25, "share=0.5": 0.5, "share=1": 0.501}
"""The second is within the scatter of the third, the first is far below."""


def write_study(root, plan, values=VALUES, folds=0, **more):
    """Every run of a plan, finished, and the plan beside them."""
    for number, planned in enumerate(plan.runs):
        write_planned(
            root, planned, values[planned.variant], folds=folds, experiment=plan.experiment, noise=number, **more
        )
    write_plan(plan, root)
    return root / plan.experiment


def study(root, **more):
    """The results of a finished study."""
    plan = make_plan(**more)
    return experiment_result(plan, write_study(root, plan, folds=more.get("folds", 0)))
