"""Rows of the fault table: card."""

from tests.fault_rows.of_runs import RUN
from tests.faults import (
    append,
    cut,
    done,
    flip,
    full_disk,
    make,
    mode,
    ordinary_user,
    remove,
    replace,
    row,
    write,
)

CARD = f"{RUN}/model/README.md"

ROWS = (
    row(
        "a card of nothing",
        "card nowhere",
        "nowhere: expected a run's folder with its summary.json, or a parent of such folders, or a prepared store, found no "
        "folder",
    ),
    row(
        "a card of an empty folder",
        "card empty",
        "empty: expected a run's folder with its summary.json, or a parent of such folders, or a prepared store, found no run",
        make("empty"),
    ),
    row(
        "a card of a dataset that is not prepared",
        "card data",
        "data: expected a run's folder with its summary.json, or a parent of such folders, or a prepared store, found no run",
    ),
    row(
        "a card of the result of an evaluation",
        "card evaluated",
        "evaluated: expected a run with its weights (model/config.json), found none",
    ),
    row(
        "a card of a run without weights",
        "card RUN",
        "runs/tiny/base/seed_0: expected a run with its weights (model/config.json), found none",
        remove(f"{RUN}/model"),
    ),
    row(
        "a card of two variants",
        "card runs",
        "runs: expected a run, or the runs of one variant, found 2 variants (tiny/base, tiny/other); give the folder of one",
        done("train tiny.yaml --set variant=other --set training.epochs=1"),
    ),
    row(
        "a card of a damaged summary",
        "card RUN",
        "runs/tiny/base/seed_0/summary.json: expected JSON, found EOF ...",
        cut(f"{RUN}/summary.json"),
    ),
    row(
        "a card of a model that is not there",
        "card RUN",
        "model.name: expected one of semantic, semantic_small_data, ..., or an import path module:Class, got 'mine:Model': there is "
        "no module 'mine'",
        replace(f"{RUN}/config.yaml", "name: semantic", "name: mine:Model"),
    ),
    row(
        "a card of a store that was changed",
        "card store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        replace("store/manifest.json", '"photo_size": 64', '"photo_size": 65'),
    ),
    row(
        "a card of a store with a damaged array",
        "card store",
        "store: expected the content that was prepared, found turn_states.npy changed; prepare the store again",
        flip("store/turn_states.npy", 0.99),
    ),
    row(
        "a card over a file of one's own",
        "card store",
        "store/README.md: expected no file there or a card as semantic wrote it, found another or one that was changed since; "
        "give another --out",
        write("store/README.md", "# mine"),
    ),
    row(
        "a card over one that was changed",
        "card RUN",
        f"{CARD}: expected no file there or a card as semantic wrote it, found another or one that was changed since; give "
        "another --out",
        done("card RUN"),
        append(CARD, "mine"),
    ),
    row(
        "a card over one that has a licence by now",
        "card RUN",
        f"{CARD}: expected no file there or a card as semantic wrote it, found another or one that was changed since; give "
        "another --out",
        done("card RUN"),
        replace(CARD, "library_name: semantic", "library_name: semantic\nlicense: mit"),
    ),
    row(
        "a card in the place of a folder",
        "card store --out runs",
        "runs: expected no file there or a card that semantic wrote, found a folder",
    ),
    row(
        "a card below a file",
        "card store --out tiny.yaml/card.md",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "a card into a folder without permission",
        "card store --out closed/card.md",
        "...closed/.card.md.lock: expected to read or write it, found: Permission denied",
        make("closed"),
        mode("closed", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "a card on a full disk",
        "card RUN",
        f"{RUN}/model/.README.md...partial: expected room to write, found the disk full",
        inside=full_disk(3),
        code=1,
    ),
)
