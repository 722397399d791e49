"""Rows of the fault table: experiments of several runs, sweep, and train --seeds."""

from tests.faults import append, row, write

STUDY = "base: tiny.yaml\nseeds: 0-1\n"
SWEEP = "sweep study.yaml"


def study(name, text, says, command=SWEEP, **more):
    return row(name, command, says, write("study.yaml", STUDY + text), **more)


ROWS = (
    study(
        "several faults of an experiment, all at once",
        "folds: 97\nvary: {data.labeled_share: [0, 1], model.dim: []}\nvariants:\n  a: {}\n  a: {model.dims: 3}\n",
        "study.yaml: 5 faults\n  the key 'a' twice, again in line 7\n  vary.model.dim: expected a list of values or {name: value}, got []\n"
        "  variants.a: model.dims: no such key; did you mean 'dim'?\n"
        "  vary: data.labeled_share: no such key; did you mean 'labelled_share'?\n"
        "  folds: expected at least 97 dialogues for 97 folds, found 8",
    ),
    study(
        "an experiment with a misspelt section",
        "variant: {}\nsead: 3\n",
        "study.yaml: 2 faults\n  ...\n  sead: no such key; ...",
    ),
    study(
        "an axis of values that have no name",
        "vary: {model.text: [{vocabulary: 3}]}\n",
        "study.yaml: 1 fault\n  vary.model.text: expected names for values that are sections, {name: value}, got ...",
    ),
    study(
        "an override of what varies",
        "vary: {model.dim: [8, 16]}\n",
        "study.yaml: 1 fault\n  --set model.dim: expected a field that nothing varies, but vary does",
        command=f"{SWEEP} --set model.dim=32",
    ),
    study(
        "an override of the variant's name",
        "variants: {a: {}}\n",
        "study.yaml: 1 fault\n  --set variant: expected a field that nothing varies, but variants does",
        command=f"{SWEEP} --set variant=b",
    ),
    study(
        "an override of the folds",
        "folds: 3\n",
        "study.yaml: 1 fault\n  --set data.fold.index: expected a field that nothing varies, but folds does",
        command=f"{SWEEP} --set data.fold.index=1",
    ),
    study(
        "a base that is not there",
        "",
        "experiment 'nowhere': expected a YAML file or one of alpha, baselines, changes, ...",
        command=f"{SWEEP} --set base=nowhere",
    ),
    study(
        "a base that leads back",
        "",
        "study.yaml: 2 faults\n  base: expected experiments that end in one without a base, got 'study.yaml' again\n  ...",
        command=f"{SWEEP} --set base=study.yaml",
    ),
    study(
        "a store that is not there",
        "data: {store: nowhere}\n",
        "study.yaml: 1 fault\n  nowhere: expected a prepared store ...",
    ),
    study(
        "a shard that is none",
        "",
        "--shard: expected one of several like 3/16, got '3/2'",
        command=f"{SWEEP} --shard 3/2",
    ),
    study("no jobs at all", "", "Invalid value for '--jobs': ...", command=f"{SWEEP} --jobs 0"),
    study(
        "a sweep over runs of another configuration",
        "experiment: tiny\nvariant: base\ntraining: {epochs: 7}\n",
        "study.yaml: 1 fault\n  runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; ...; "
        "give another experiment (--set experiment=NAME), or another --runs",
    ),
    study(
        "a published value that is no number",
        "report: {published: [{name: A, values: {ndcg@5: high}}]}\n",
        "study.yaml: 1 fault\n  report.published.values: expected a number in per cent, or 63.9 ± 0.4, of ndcg@5, got 'high'",
    ),
    study(
        "train on an experiment of several runs",
        "",
        "study.yaml: 1 fault\n  seeds: expected an experiment of one run, got one of several; semantic sweep runs them",
        command="train study.yaml",
    ),
    row(
        "seeds that are no range",
        "train tiny.yaml --seeds 4-1",
        "--seeds: expected seeds like 0-4 or 0,3,7-9, at most 1,000 of them, got '4-1'",
    ),
    row("a seed twice", "train tiny.yaml --seeds 1,1", "--seeds: expected a seed or more, each once, got '1,1'"),
    row(
        "an experiment in which a base is no name",
        "config tiny.yaml",
        "tiny.yaml: 1 fault\n  base: expected a YAML file or the name of an experiment, got 3",
        append("tiny.yaml", "base: 3\n"),
    ),
    row(
        "a plan that was damaged",
        "report runs/tiny --out new",
        "runs/tiny/sweep.json: ...",
        write("runs/tiny/sweep.json", '{"experiment": 3}'),
    ),
)
