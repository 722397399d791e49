"""Rows of the fault table: evaluate."""

import numpy as np
import torch

from tests.fault_rows.of_runs import EVALUATE, RESULT, RUN, array, model
from tests.faults import (
    change,
    cut,
    done,
    environment,
    file_limit,
    flip,
    full_disk,
    link,
    mode,
    no_memory,
    no_reader,
    ordinary_user,
    pipe,
    remove,
    replace,
    row,
    write,
)

ROWS = (
    row(
        "evaluate neither a run nor scores",
        "evaluate",
        "evaluate: expected the folder of a run, or --scores FILE with --data STORE, got neither",
    ),
    row(
        "evaluate scores on no store",
        "evaluate --scores s.trec",
        "--scores: expected a file with --data STORE and at most a --split, got no --data",
    ),
    row(
        "evaluate a run and scores",
        "evaluate RUN --scores s.trec --data store",
        "--scores: expected a file with --data STORE and at most a --split, got RUN beside it",
    ),
    row(
        "evaluate scores that are not there",
        "evaluate --scores s.trec --data store",
        "s.trec: expected a file of scores, found none there",
    ),
    row(
        "evaluate scores of another form",
        "evaluate --scores tiny.yaml --data store",
        "tiny.yaml, line 1: expected QUERY Q0 PRODUCT RANK SCORE TAG, QUERY being DIALOGUE:TURN, got 'data:'",
    ),
    row(
        "a depth of no rankings",
        "evaluate RUN --depth 3",
        "--depth: expected --rankings FILE, which it is for, got none",
    ),
    row(
        "rankings in a file of another kind",
        "evaluate RUN --rankings r.txt",
        "r.txt: expected a file .csv, .trec or .run for rankings, got .txt",
    ),
    row("evaluate nothing", "evaluate nowhere", "nowhere: expected a run's folder with its config.yaml, found none"),
    row("evaluate a file", "evaluate tiny.yaml", "tiny.yaml: expected a run's folder with its config.yaml, found none"),
    row("evaluate a folder of runs", "evaluate runs", "runs: expected a run's folder with its config.yaml, found none"),
    row("evaluate a store", "evaluate store", "store: expected a run's folder with its config.yaml, found none"),
    row(
        "evaluate on no store",
        "evaluate RUN --data nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "evaluate on a dataset",
        "evaluate RUN --data data",
        "data: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    row(
        "evaluate on no split",
        "evaluate RUN --split dev",
        "store: expected a split of train, valid, test, v2_train, found 'dev'",
    ),
    row(
        "evaluate on an empty name",
        "evaluate RUN --split ''",
        "store: expected a split of train, valid, test, v2_train, found ''",
    ),
    row(
        "evaluate on what it was trained on",
        f"{EVALUATE} --split train",
        "store: expected dialogues in split 'train' that the run has not seen, found 6 that it was trained on...",
    ),
    row(
        "evaluate on what chose its weights",
        f"{EVALUATE} --split valid",
        "store: expected dialogues in split 'valid' that the run has not seen, found 0 that it was trained on...",
    ),
    row(
        "evaluate on what it was trained on, dropped",
        f"{EVALUATE} --split train --seen drop",
        "store: expected a dialogue in split 'train' that the run has not seen, found none",
    ),
    row(
        "evaluate a fold on its training dialogues",
        "evaluate runs/tiny/new/seed_0/fold_0_of_3 --split train --out result",
        "store: expected dialogues in split 'train' that the run has not seen, found 2 that it was trained on...",
        done("TRAIN --folds 3"),
    ),
    row(
        "evaluate on the same dialogues in another store",
        f"{EVALUATE} --data new --split train",
        "new: expected dialogues in split 'train' that the run has not seen, found 6 that it was trained on a...",
        done("PREPARE --missing-photo mask"),
    ),
    row("evaluate without a word for what was seen", f"{EVALUATE} --seen ignore", "Invalid value for '--seen': ..."),
    row(
        "evaluate onto its own run",
        "evaluate RUN --out RUN",
        "runs/tiny/base/seed_0: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate onto its own run by force",
        "evaluate RUN --out RUN --overwrite",
        "runs/tiny/base/seed_0: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate onto the store by force",
        "evaluate RUN --out store --overwrite",
        "store: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate onto the dataset by force",
        "evaluate RUN --out data --overwrite",
        "data: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate onto this folder by force",
        "evaluate RUN --out . --overwrite",
        ".: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate onto a folder of own files by force",
        "evaluate RUN --out own --overwrite",
        "own: expected a new or an empty folder, found one that is no result of evaluate",
        write("own/thesis.txt", "years"),
    ),
    row(
        "evaluate onto a file by force",
        "evaluate RUN --out tiny.yaml --overwrite",
        "tiny.yaml: expected a new or an empty folder, found one that is no result of evaluate",
    ),
    row(
        "evaluate below a file",
        "evaluate RUN --out tiny.yaml/result",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "evaluate onto a result",
        "evaluate RUN --out evaluated",
        "evaluated: expected no result there yet, found one; --overwrite replaces it",
    ),
    row(
        "evaluate onto a result with an own file by force",
        "evaluate RUN --out evaluated --overwrite",
        "evaluated: expected nothing beside a result of evaluate, found notes.txt",
        write("evaluated/notes.txt", "mine"),
    ),
    row(
        "evaluate onto a link to own files by force",
        "evaluate RUN --out there --overwrite",
        "there: expected a new or an empty folder, found one that is no result of evaluate",
        write("own/thesis.txt", "years"),
        link("there", "own"),
    ),
    row(
        "evaluate onto a result on a full disk",
        "evaluate RUN --out evaluated --overwrite",
        "...: expected room to write, found the disk full",
        inside=full_disk(4),
        code=1,
    ),
    row(
        "evaluate onto a result under a limit on files",
        "evaluate RUN --out evaluated --overwrite",
        "disk: expected room to write, found the largest size that a file may have here (ulimit -f)",
        inside=file_limit(3_000),
        code=1,
    ),
    row(
        "evaluate onto a result without memory",
        "evaluate RUN --out evaluated --overwrite",
        "memory: expected enough for this work, found too little: ...",
        inside=no_memory,
        code=1,
    ),
    row("evaluate, closed pipe", EVALUATE, "", inside=no_reader, code=141, new=RESULT),
    row(
        "evaluate with WORLD_SIZE alone",
        EVALUATE,
        "environment: expected RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside WORLD_SIZE=2, as torchrun an...",
        inside=environment(WORLD_SIZE="2"),
    ),
    row(
        "evaluate on a store that was replaced",
        EVALUATE,
        "store: expected the store the run was trained on (...), found another in its place (...); --data sto...",
        done("prepare mmd data --out store --missing-photo mask --overwrite --workers 0"),
        replace("data/MMD2withDST/test/7.json", "?", "!"),
        done("prepare mmd data --out store --overwrite --workers 0"),
    ),
    row(
        "evaluate on a store with a bit flipped",
        EVALUATE,
        "store: expected the content that was prepared, found positives.npy changed; prepare the store again",
        flip("store/positives.npy"),
    ),
    row(
        "evaluate a run whose store is gone",
        EVALUATE,
        "store: expected a prepared store (a folder with manifest.json), found nothing",
        remove("store"),
    ),
    row(
        "evaluate a run whose features are gone",
        EVALUATE,
        "model.image.features features.npy: expected a .npy array, got: none there",
        remove("features.npy"),
    ),
    row(
        "evaluate a run whose features have another width",
        EVALUATE,
        "features.npy: expected the image features that the run was trained on, found others in their place",
        array("features.npy", np.zeros((24, 7), np.float32)),
    ),
    row(
        "evaluate a run whose data.json is damaged",
        EVALUATE,
        "runs/tiny/base/seed_0/data.json: expected the store and the dialogues of the run, found something else",
        cut(f"{RUN}/data.json"),
    ),
    row(
        "evaluate a run of a binary configuration",
        EVALUATE,
        "runs/tiny/base/seed_0/config.yaml: expected a YAML file, got byte 0x80 at 128, which is no UTF-8",
        write(f"{RUN}/config.yaml", bytes(range(256))),
    ),
    model(
        "no folder", "model runs/tiny/base/seed_0/model: expected a folder, found none there", remove(f"{RUN}/model")
    ),
    model(
        "a folder that is a file",
        "model runs/tiny/base/seed_0/model: expected a folder, found a file",
        remove(f"{RUN}/model"),
        write(f"{RUN}/model", "x"),
    ),
    model(
        "no weights",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it descr...",
        remove(f"{RUN}/model/model.safetensors"),
    ),
    model(
        "weights cut off",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        cut(f"{RUN}/model/model.safetensors"),
    ),
    model(
        "empty weights",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        write(f"{RUN}/model/model.safetensors", ""),
    ),
    model(
        "foreign weights",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        write(f"{RUN}/model/model.safetensors", "x" * 1000),
    ),
    model(
        "weights of a header too long",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        write(f"{RUN}/model/model.safetensors", b"\xff" * 8 + b"{}"),
    ),
    model(
        "weights without permission",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it descr...",
        mode(f"{RUN}/model/model.safetensors", 0),
        inside=ordinary_user,
    ),
    model(
        "weights that are a pipe",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it descr...",
        pipe(f"{RUN}/model/model.safetensors"),
    ),
    model(
        "weights of another model",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        lambda f: __import__("safetensors.torch").torch.save_file(
            {"a": torch.zeros(3)}, f / RUN / "model/model.safetensors"
        ),
    ),
    model(
        "no configuration",
        "runs/tiny/base/seed_0/model: expected a saved model with its config.json, found none there",
        remove(f"{RUN}/model/config.json"),
    ),
    model(
        "a configuration cut off",
        "runs/tiny/base/seed_0/model: expected a saved model with its config.json, found ...",
        cut(f"{RUN}/model/config.json"),
    ),
    model(
        "a configuration that is a list",
        "runs/tiny/base/seed_0/model/config.json: expected the description of a model, found other JSON",
        write(f"{RUN}/model/config.json", "[]"),
    ),
    model(
        "a configuration that is empty",
        "runs/tiny/base/seed_0/model/config.json: expected the description of a model, found other JSON",
        write(f"{RUN}/model/config.json", "{}"),
    ),
    model(
        "a configuration too deep",
        "runs/tiny/base/seed_0/model: expected a saved model with its config.json, found JSON nested more than 100 levels deep",
        write(f"{RUN}/model/config.json", "[" * 100_000),
    ),
    model(
        "a configuration of another width",
        "runs/tiny/base/seed_0/model/model.safetensors: expected the weights that config.json beside it describes, got: ...",
        change(f"{RUN}/model/config.json", lambda c: c["model"].update(dim=8)),
    ),
    model(
        "a configuration of another library",
        "runs/tiny/base/seed_0/model/config.json: expected the description of a model, found other JSON",
        write(f"{RUN}/model/config.json", '{"model_type": "bert", "auto_map": {"AutoModel": "own.M"}}'),
    ),
    model(
        "no tokenizer",
        "runs/tiny/base/seed_0/model/tokenizer.json: expected the model's tokenizer, found none there",
        remove(f"{RUN}/model/tokenizer.json"),
    ),
    model(
        "a tokenizer cut off",
        "runs/tiny/base/seed_0/model/tokenizer.json: expected the tokenizer that the model was saved with, fo...",
        cut(f"{RUN}/model/tokenizer.json"),
    ),
    model(
        "a tokenizer that is empty",
        "runs/tiny/base/seed_0/model/tokenizer.json: expected the tokenizer that the model was saved with, fo...",
        write(f"{RUN}/model/tokenizer.json", "{}"),
    ),
    model(
        "a tokenizer of another kind",
        "runs/tiny/base/seed_0/model/tokenizer.json: expected the tokenizer that the model was saved with, fo...",
        write(f"{RUN}/model/tokenizer.json", '{"version": "1.0", "model": {"type": "Mine"}}'),
    ),
    model(
        "a tokenizer that is binary",
        "runs/tiny/base/seed_0/model/tokenizer.json: expected the model's tokenizer, found byte 0x80 at 128, which is no UTF-8",
        write(f"{RUN}/model/tokenizer.json", bytes(range(256))),
    ),
)
