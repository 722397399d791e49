"""Rows of the fault table: train --resume."""

import torch

from tests.fault_rows.of_runs import RESUME, RUN, Owned
from tests.faults import (
    append,
    cut,
    done,
    move,
    remove,
    row,
    write,
)

ROWS = (
    row(
        "resume by another configuration",
        f"{RESUME} --set training.learning_rate=0.1",
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; training.le...",
    ),
    row(
        "resume by another configuration of no effect",
        f"{RESUME} --set evaluation.batch_size=7 --keep-state",
        "",
        code=0,
    ),
    row("resume what is done", f"{RESUME} --keep-state", "", code=0),
    row(
        "resume more epochs than it was started with",
        "train tiny.yaml --set training.epochs=3 --set data.unlabelled=[v2_train] --resume",
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; training.ep...",
    ),
    row(
        "resume on another store in the same place",
        RESUME,
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; data.store:...",
        done("simulate other --dialogues 8 --products 24 --seed 4 --unlabelled 3"),
        done("prepare mmd other --out other_store --workers 0"),
        remove("store"),
        move("other_store", "store"),
    ),
    row(
        "resume with a state cut off",
        RESUME,
        "runs/tiny/base/seed_0/state/training.pt: expected the run's state, got a file that does not load (BadZipFile)",
        cut(f"{RUN}/state/training.pt"),
        remove(f"{RUN}/summary.json"),
    ),
    row(
        "resume with an empty state",
        RESUME,
        "runs/tiny/base/seed_0/state/training.pt: expected the run's state, got a file that does not load (BadZipFile)",
        write(f"{RUN}/state/training.pt", ""),
        remove(f"{RUN}/summary.json"),
    ),
    row(
        "resume with a foreign state",
        RESUME,
        "runs/tiny/base/seed_0/state/training.pt: expected the state of this run, found another one's",
        lambda f: torch.save({"a": 1}, f / RUN / "state/training.pt"),
        remove(f"{RUN}/summary.json"),
    ),
    row(
        "resume with a malicious state",
        RESUME,
        "runs/tiny/base/seed_0/state/training.pt: expected the run's state, got a file that does not load (UnpicklingError)",
        lambda f: torch.save(Owned(), f / RUN / "state/training.pt"),
        remove(f"{RUN}/summary.json"),
    ),
    row(
        "resume with a state that is a list",
        RESUME,
        "runs/tiny/base/seed_0/state/training.pt: expected the run's state, found a list",
        lambda f: torch.save([1, 2], f / RUN / "state/training.pt"),
        remove(f"{RUN}/summary.json"),
    ),
    row(
        "resume with a run's configuration cut off",
        RESUME,
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; ...",
        write(f"{RUN}/config.yaml", "experiment: tiny\nvariant: base\nseed: 0\nmodel:\n  name: semantic\n"),
    ),
    row(
        "resume with a run's configuration of another key",
        RESUME,
        "runs/tiny/base/seed_0/config.yaml: 1 fault\n  mine: no such key; the keys here are ...",
        append(f"{RUN}/config.yaml", "\nmine: 3\n"),
    ),
    row(
        "resume with an empty configuration",
        RESUME,
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; experiment:...",
        write(f"{RUN}/config.yaml", ""),
    ),
    row(
        "resume with data.json cut off",
        RESUME,
        "runs/tiny/base/seed_0/data.json: expected the store and the dialogues of the run, found something else",
        cut(f"{RUN}/data.json"),
    ),
    row(
        "resume with data.json that is a list",
        RESUME,
        "runs/tiny/base/seed_0/data.json: expected the store and the dialogues of the run, found something else",
        write(f"{RUN}/data.json", "[]"),
    ),
    row(
        "resume with data.json too deep",
        RESUME,
        "runs/tiny/base/seed_0/data.json: expected the store and the dialogues of the run, found something else",
        write(f"{RUN}/data.json", "[" * 100_000),
    ),
    row(
        "resume with metrics.jsonl half a line",
        RESUME,
        "",
        append(f"{RUN}/metrics.jsonl", '{"epoch": 3, "st'),
        code=0,
        changed=(f"{RUN}/*",),
    ),
)
