"""Rows of the fault table: tune."""

from tests.faults import cut, environment, make, row, write

TUNE = "tune tiny.yaml --trials 1 --set experiment=lab"
SPACE = "--set 'search.space.training.learning_rate={low: 1e-4, high: 1e-2}'"

ROWS = (
    row(
        "a search of nothing",
        TUNE,
        "tiny.yaml: 1 fault\n  search: expected the section that says what is searched (search: {space: {field: ...}}), got none",
    ),
    row(
        "a search with many faults",
        f"{TUNE} --set training.epochs=0 --set 'search.space.training.learnin_rate=[1]' "
        "--set 'search.space.training.ema_decay={low: 0, high: 2}' --set search.sampler=guess",
        "tiny.yaml: 4 faults\n  search.sampler: expected 'tpe', 'random', 'grid' or 'cmaes', got 'guess'\n"
        "  search.space.training.learnin_rate: no such key; did you mean 'learning_rate'?\n"
        "  search.space.training.ema_decay: expected less than 1, got 2.0\n"
        "  training.epochs: expected an epoch or more for a search, which compares validations; got 0",
    ),
    row(
        "a searched field that --set changes too",
        f"{TUNE} {SPACE} --set training.learning_rate=1",
        "tiny.yaml: 1 fault\n  search.space.training.learning_rate: expected a field that nothing else changes, but --set "
        "training.learning_rate does",
    ),
    row(
        "a search on a store that is not there",
        f"{TUNE} {SPACE} --set data.store=nowhere",
        "tiny.yaml: 1 fault\n  nowhere: expected ...",
    ),
    row("no trials", f"tune tiny.yaml --trials 0 {SPACE}", "Invalid value for '--trials': ..."),
    row("no jobs", f"{TUNE} --jobs 0 {SPACE}", "Invalid value for '--jobs': ..."),
    row(
        "a best configuration in the place of one's own file",
        f"{TUNE} {SPACE} --out tiny.yaml",
        "tiny.yaml: expected a new file, or one that semantic tune wrote, found another; give another --out",
    ),
    row(
        "a best configuration that nothing reads",
        f"{TUNE} {SPACE} --out best.txt",
        "best.txt: expected a file that ends in .yaml or .yml, to be trained from; give another --out",
    ),
    row(
        "a study in a text",
        f"{TUNE} {SPACE}",
        "runs/lab/tune.db: expected a study's database, found another file",
        write("runs/lab/tune.db", "mine"),
    ),
    row(
        "a study in a folder",
        f"{TUNE} {SPACE}",
        "runs/lab/tune.db: expected a study's database, found no file",
        make("runs/lab/tune.db"),
    ),
    row(
        "a journal in a text",
        f"{TUNE} {SPACE} --storage tiny.yaml",
        "tiny.yaml: expected a study's journal, found another file",
    ),
    row(
        "a journal that is JSON of something else",
        f"{TUNE} {SPACE} --storage dialogue.json",
        "dialogue.json: expected a study's journal, found another file",
    ),
    row(
        "a database of no kind that is known",
        f"{TUNE} {SPACE} --storage nosuch://me:secret@here/study",
        "nosuch://me:***@here/study: expected a storage that can be used, got Can't load plugin: sqlalchemy.dialects:nosuch...",
    ),
    row(
        "a history that somebody else wrote",
        f"{TUNE} {SPACE}",
        "runs/lab/trials.csv: expected a new file, or one that semantic tune wrote, found another",
        write("runs/lab/trials.csv", "a,b\n1,2\n"),
    ),
    row(
        "trials without their study",
        f"{TUNE} {SPACE}",
        "runs/lab/trial-3: expected no trial there yet, for the study has none, found one of another study; give another "
        "experiment (--set experiment=NAME), or that study's --storage",
        make("runs/lab/trial-3/seed_0"),
        new=("runs/lab/tune.db",),
    ),
    row(
        "a search in one of several processes",
        f"{TUNE} {SPACE}",
        "environment: expected one process for a search, which starts its own; found WORLD_SIZE above 1",
        inside=environment(WORLD_SIZE="2"),
    ),
    row(
        "a search on a store cut off",
        f"{TUNE} {SPACE}",
        "tiny.yaml: 1 fault\n  store/manifest.json: ...",
        cut("store/manifest.json"),
    ),
)
