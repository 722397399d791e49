"""Rows of the fault table: train, evaluate, report, recommend and import-released; runs, models and results."""

import json
import os
import pickle

import numpy as np
import torch

from tests.faults import (
    append,
    ascii_output,
    change,
    copy,
    cut,
    done,
    environment,
    file_limit,
    flip,
    full_disk,
    full_output,
    link,
    make,
    mode,
    move,
    no_memory,
    no_reader,
    ordinary_user,
    pipe,
    remove,
    replace,
    row,
    write,
)  # fmt: skip

RUN = "runs/tiny/base/seed_0"
NEW = ("runs/tiny/new", "runs/tiny/new/*")
RESUME = "train tiny.yaml --set training.epochs=2 --set data.unlabelled=[v2_train] --resume"
EVALUATE = "evaluate RUN --out result"
RESULT = ("result", "result/*")
REPORT = ("report", "report/*")


class Owned:
    """What a malicious pickle does when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


def array(path, value, **options):
    def damage(folder):
        with open(folder / path, "wb") as file:
            np.save(file, value, **options)

    return damage


def said(name, content, says, words="", **more):
    """A dialogue for `recommend`."""
    content = content if isinstance(content, str | bytes) else json.dumps(content)
    return row(f"recommend for {name}", f"RECOMMEND {words}", says, write("dialogue.json", content), **more)


def setting(name, words, says, *damages, **more):
    return row(f"train with {name}", f"TRAIN {words}", says, *damages, **more)


def model(name, says, *damages, **more):
    return row(f"evaluate weights with {name}", EVALUATE, says, *damages, **more)


STORE_ROWS = tuple(
    row(
        f"train after a bit of {name} flipped",
        "TRAIN",
        f"store: expected the content that was prepared, found {name} changed; prepare the store again",
        flip(f"store/{name}"),
    )
    for name in (
        "photos.npy",
        "positives.npy",
        "positives_offsets.npy",
        "negatives.npy",
        "turn_states.npy",
        "turns.parquet",
        "dialogue_digests.npy",
    )
)

ROWS = (
    # train
    row(
        "train again where a run is",
        "train tiny.yaml",
        "runs/tiny/base/seed_0: expected no run there yet, found one; go on with --resume, or give another ex...",
    ),
    row(
        "train again by another configuration",
        "train tiny.yaml --set training.epochs=1",
        "runs/tiny/base/seed_0: expected no run there yet, found one; go on with --resume, or give another ex...",
    ),
    row(
        "resume by another configuration",
        f"{RESUME} --set training.learning_rate=0.1",
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; training.le...",
    ),
    row("resume by another configuration of no effect", f"{RESUME} --set evaluation.batch_size=7", "", code=0),
    row("resume what is done", RESUME, "", code=0),
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
        "runs/tiny/base/seed_0: expected the configuration the run was started with to resume it; model.dim: ...",
        cut(f"{RUN}/config.yaml"),
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
    row(
        "train where the run's folder is a file",
        "TRAIN",
        "...runs/tiny/new: expected to read or write it, found: Not a directory",
        write("runs/tiny/new", "x"),
    ),
    row(
        "train where runs is a file",
        "TRAIN --runs tiny.yaml",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "train into runs without permission",
        "TRAIN --runs closed",
        "...closed/tiny: expected to read or write it, found: Permission denied",
        make("closed"),
        mode("closed", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row("train where own files stand", "TRAIN", "", write("runs/tiny/new/seed_0/thesis.txt", "years"), code=0, new=NEW),
    row("train with two folds", "TRAIN --folds 2", "Invalid value for '--folds': ..."),
    row("train with folds of a word", "TRAIN --folds three", "Invalid value for '--folds': ..."),
    row("train with no folds", "TRAIN --folds 0", "Invalid value for '--folds': ..."),
    row(
        "train with more folds than dialogues",
        "TRAIN --folds 99",
        "folds: expected at least 99 dialogues for 99 folds, found 8",
    ),
    row(
        "train with folds beyond any number",
        "TRAIN --folds 999999999",
        "tiny.yaml: 1 fault\n  data.fold.count: expected less than or equal to 1000000, got 999999999",
    ),
    row(
        "train three folds, then four of them resumed",
        "TRAIN --folds 4 --resume",
        "",
        done("TRAIN --folds 3"),
        code=0,
        new=tuple(f"runs/tiny/new/seed_0/fold_?_of_4{more}" for more in ("", "/*")),
    ),
    setting(
        "validation on the test split",
        "--set data.valid=test",
        "store: expected every dialogue on one side, found 0 of training again in validation or test and 1 of...",
    ),
    setting(
        "validation on the training split",
        "--set data.valid=train",
        "store: expected every dialogue on one side, found 6 of training again in validation or test and 0 of...",
    ),
    setting(
        "a test on the training split",
        "--set data.test=train",
        "store: expected every dialogue on one side, found 6 of training again in validation or test and 0 of...",
    ),
    setting(
        "one split for all",
        "--set data.valid=train --set data.test=train --set data.overlap=drop",
        "store: expected training examples in split 'train', found none after dialogues on two sides were dropped",
    ),
    setting(
        "unlabelled that is the test split",
        "--set data.unlabelled=[test]",
        "data.unlabelled: expected splits other than train, valid, test, got 'test'",
    ),
    setting(
        "unlabelled that is its own",
        "--set data.unlabelled=[train]",
        "data.unlabelled: expected splits other than train, valid, test, got 'train'",
    ),
    setting(
        "unlabelled twice",
        "--set data.unlabelled=[v2_train,v2_train]",
        "data.unlabelled: expected each split once, got 'v2_train', 'v2_train'",
    ),
    setting(
        "a split that is not there",
        "--set data.test=dev",
        "store: expected a split of train, valid, test, v2_train, found 'dev'",
    ),
    setting(
        "an unlabelled split that is not there",
        "--set data.unlabelled=[dev]",
        "store: expected a split of train, valid, test, v2_train, found 'dev'",
    ),
    setting(
        "a pooled split that is not there",
        "--folds 3 --set data.fold.pooled=[dev]",
        "store: expected a split of train, valid, test, v2_train, found 'dev'",
    ),
    setting(
        "a dialogue in train and test",
        "--set data.store=new",
        "new: expected every dialogue on one side, found 1 of training again in validation or test and 0 of v...",
        copy("data/MMD2withDST/test/7.json", "data/MMD2withDST/train/99.json"),
        done("PREPARE"),
    ),
    setting(
        "a share of nothing",
        "--set data.labelled_share=0 --set data.partial=none",
        "store: expected training examples in split 'train', found none",
    ),
    setting("no store", "--set data.store=", "tiny.yaml: 1 fault\n  data.store: expected a valid string, got None"),
    setting(
        "an empty name of a store",
        """--set 'data.store=""'""",
        ".: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    setting(
        "a store that is not there",
        "--set data.store=nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    setting(
        "a store that is a file",
        "--set data.store=tiny.yaml",
        "tiny.yaml: expected a prepared store (a folder with manifest.json), found a file",
    ),
    setting(
        "a store that is a dataset",
        "--set data.store=data",
        "data: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    setting(
        "a store of escape sequences",
        r"""--set 'data.store="\e[31mx"'""",
        "\\x1b[31mx: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    setting(
        "words of slots that are not there",
        "--set 'data.slot_words={hue: colour}'",
        "data.slot_words: expected the slots of store (age, product_category, brand, sizes, length, colors, f...",
    ),
    setting(
        "features that are not there",
        "--set model.image.features=nowhere.npy",
        "model.image.features nowhere.npy: expected a .npy array, got: none there",
    ),
    setting(
        "features that are a folder",
        "--set model.image.features=data",
        "model.image.features data: expected a .npy array, got: a folder",
    ),
    setting(
        "features that are a pipe",
        "",
        "model.image.features features.npy: expected a .npy array, got: something that is no file",
        pipe("features.npy"),
    ),
    setting(
        "features that are empty",
        "",
        "model.image.features features.npy: expected a .npy array, got: ...",
        write("features.npy", ""),
    ),
    setting(
        "features cut off",
        "",
        "model.image.features features.npy: expected a .npy array, got: ...",
        cut("features.npy"),
    ),
    setting(
        "features that are text",
        "",
        "model.image.features features.npy: expected a .npy array, got: ...",
        write("features.npy", "1 2 3"),
    ),
    setting(
        "features that are pickled",
        "",
        "model.image.features features.npy: expected a .npy array, got: ...",
        array("features.npy", np.array([Owned()], dtype=object), allow_pickle=True),
    ),
    setting(
        "features that are words",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got <U1 [24 x 48]",
        array("features.npy", np.full((24, 48), "x")),
    ),
    setting(
        "features of too few products",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got float32 [23 x 48]",
        array("features.npy", np.zeros((23, 48), np.float32)),
    ),
    setting(
        "features of one dimension",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got float32 [24]",
        array("features.npy", np.zeros(24, np.float32)),
    ),
    setting(
        "features of no width",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got float32 [24 x 0]",
        array("features.npy", np.zeros((24, 0), np.float32)),
    ),
    setting(
        "features that are whole numbers",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got int64 [24 x 48]",
        array("features.npy", np.zeros((24, 48), np.int64)),
    ),
    setting(
        "features that are complex",
        "",
        "model.image.features features.npy: expected floats [24 products, feature], got complex64 [24 x 48]",
        array("features.npy", np.zeros((24, 48), np.complex64)),
    ),
    setting(
        "features with an infinity",
        "",
        "...features.npy row 0 (product 'item-000000'): expected finite numbers, found inf",
        array("features.npy", np.full((24, 48), np.inf, np.float32)),
        new=NEW,
    ),
    setting(
        "features that claim to be vast",
        "",
        "model.image.features features.npy: expected a .npy array, got: ...",
        lambda f: write(
            "features.npy", (f / "features.npy").read_bytes().replace(b"(24, 48), }      ", b"(99999999, 48), }")
        )(f),
    ),
    setting(
        "features without permission",
        "",
        "model.image.features features.npy: expected a .npy array, got: one that cannot be read (Permission denied)",
        mode("features.npy", 0),
        inside=ordinary_user,
    ),
    setting(
        "a text checkpoint that is not there",
        "--set model.text.checkpoint=./nowhere",
        "text checkpoint ./nowhere: expected a folder, found none there",
    ),
    setting(
        "a text checkpoint of an absolute path",
        "--set model.text.checkpoint=/nowhere/at/all",
        "text checkpoint /nowhere/at/all: expected a folder, found none there",
    ),
    setting(
        "a text checkpoint in a home that is not there",
        "--set model.text.checkpoint=~/nowhere-at-all",
        "text checkpoint ~/nowhere-at-all: expected a folder, found none there",
    ),
    setting(
        "a text checkpoint that ends in a slash",
        "--set model.text.checkpoint=nowhere/",
        "text checkpoint nowhere/: expected a folder, found none there",
    ),
    setting(
        "a text checkpoint that is an empty folder",
        "--set model.text.checkpoint=./empty",
        "text checkpoint ./empty: expected a folder with a BERT-family checkpoint, got: ...",
        make("empty"),
    ),
    setting(
        "a text checkpoint that is a file",
        "--set model.text.checkpoint=./tiny.yaml",
        "text checkpoint ./tiny.yaml: expected a folder, found a file",
    ),
    setting(
        "a text checkpoint without tokenizer",
        "--set model.text.checkpoint=./bert",
        "text checkpoint ./bert: expected a folder with a BERT-family checkpoint, got: ...",
        write("bert/config.json", '{"model_type": "bert", "hidden_size": 16}'),
        write("bert/model.safetensors", "x"),
    ),
    setting(
        "a text checkpoint that would run code",
        "--set model.text.checkpoint=./bert",
        "text checkpoint ./bert: expected a folder with a BERT-family checkpoint, got: one with code of its o...",
        write("bert/config.json", '{"model_type": "mine", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}'),
        write("bert/own.py", "import os\nos.mkdir('owned')\n"),
    ),
    setting(
        "a text checkpoint of binary configuration",
        "--set model.text.checkpoint=./bert",
        "text checkpoint ./bert: expected a folder with a BERT-family checkpoint, got: ...",
        write("bert/config.json", bytes(range(256))),
    ),
    setting(
        "a text checkpoint of an empty name",
        """--set 'model.text.checkpoint=""'""",
        "text checkpoint : expected a folder with a BERT-family checkpoint, got: ...",
    ),
    setting(
        "weights that run away",
        "--set training.learning_rate=1000000 --set training.batch_size=64",
        "runs/tiny/new/seed_0: epoch 1, validation, dialogue '6' turn 3: expected a number as every candidate...",
        code=1,
        new=NEW,
    ),
    setting(
        "no memory",
        "",
        "memory: expected enough for this work, found too little: ...",
        inside=no_memory,
        code=1,
        new=NEW,
    ),
    setting(
        "WORLD_SIZE alone",
        "",
        "environment: expected RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside WORLD_SIZE=2, as torchrun an...",
        inside=environment(WORLD_SIZE="2"),
    ),
    setting(
        "RANK alone",
        "",
        "environment: expected WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT beside RANK=1, as torchrun an...",
        inside=environment(RANK="1"),
    ),
    setting(
        "a MASTER_PORT that is a word",
        "",
        "environment: expected MASTER_PORT to be a port's number, found port",
        inside=environment(WORLD_SIZE="2", RANK="0", LOCAL_RANK="0", MASTER_ADDR="localhost", MASTER_PORT="port"),
    ),
    setting(
        "a RANK beyond WORLD_SIZE",
        "",
        "environment: expected RANK and LOCAL_RANK below WORLD_SIZE, found RANK=7, WORLD_SIZE=2, LOCAL_RANK=0",
        inside=environment(WORLD_SIZE="2", RANK="7", LOCAL_RANK="0", MASTER_ADDR="localhost", MASTER_PORT="29511"),
    ),
    *(
        setting(
            f"a disk that is full from file {number} on", "", f"{where}: ...", inside=full_disk(number), code=1, new=NEW
        )
        for number, where in ((1, "...seed_0.lock"), (7, "...data.json..."), (16, "...best_1..."))
    ),
    *(
        setting(
            f"a limit of {size} bytes a file",
            "",
            "disk: expected room to write, ...",
            inside=file_limit(size),
            code=1,
            new=NEW,
        )
        for size in (500, 150_000)
    ),
    setting("a closed pipe", "", "", inside=no_reader, code=141, new=NEW),
    setting(
        "standard output on a full disk",
        "",
        "disk: expected room to write, found the disk full",
        inside=full_output,
        code=1,
        new=NEW,
    ),
    setting("a store that may only be read", "", "", mode("store", 0o500), inside=ordinary_user, code=0, new=NEW),
    setting(
        "a store that may only be read, caches too",
        "--set data.turn_tokens=7",
        "store/pieces/turns-....npy: expected to write word pieces of turns there, got: Permission denied",
        *(mode(f"store/{one}", 0o500) for one in ("pieces", "floors", "verified")),
        mode("store", 0o500),
        inside=ordinary_user,
    ),
    *(
        setting(
            f"damaged {folder}",
            "",
            "",
            lambda f, folder=folder: [
                write(str(one.relative_to(f)), b"x")(f)
                for one in (f / "store" / folder).glob("*.*")
                if one.suffix != ".lock"
            ],
            code=0,
            new=NEW,
        )
        for folder in ("pieces", "floors")
    ),
    *STORE_ROWS,
    # evaluate
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
    # report
    row(
        "report nothing",
        "report nowhere",
        "nowhere: expected a run's folder with its summary.json, or a parent of such folders, found no folder",
    ),
    row(
        "report a file",
        "report tiny.yaml",
        "tiny.yaml: expected a run's folder with its summary.json, or a parent of such folders, found no folder",
    ),
    row(
        "report an empty folder",
        "report empty",
        "empty: expected a run's folder with its summary.json, or a parent of such folders, found no run",
        make("empty"),
    ),
    row(
        "report a store",
        "report store",
        "store: expected a run's folder with its summary.json, or a parent of such folders, found no run",
    ),
    row(
        "report into runs",
        "report runs --out runs",
        "runs: expected a new or empty folder, or one with a report in it, found one that holds tiny; give an...",
    ),
    row(
        "report into the run",
        "report runs --out RUN",
        "runs/tiny/base/seed_0: expected a new or empty folder, or one with a report in it, found one that ho...",
    ),
    row(
        "report into own files",
        "report runs --out own",
        "own: expected a new or empty folder, or one with a report in it, found one that holds table.md; give...",
        write("own/table.md", "mine"),
    ),
    row(
        "report into a file",
        "report runs --out tiny.yaml",
        "tiny.yaml: expected a new or empty folder, or one with a report in it, found a file; give another --out",
    ),
    row(
        "report into a file by force",
        "report runs --out tiny.yaml --overwrite",
        "tiny.yaml: expected a new or empty folder, or one with a report in it, found a file; give another --out",
    ),
    row(
        "report below a file",
        "report runs --out tiny.yaml/report",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "report into a folder without permission",
        "report runs --out closed/report",
        "...closed/.report.lock: expected to read or write it, found: Permission denied",
        make("closed"),
        mode("closed", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "report on a full disk",
        "report runs",
        "report/figures/.validation_ndcg@5.svg...partial: expected room to write, found the disk full",
        inside=full_disk(4),
        code=1,
        new=REPORT,
    ),
    row(
        "report under a limit on files",
        "report runs",
        "disk: expected room to write, found the largest size that a file may have here (ulimit -f)",
        inside=file_limit(2_000),
        code=1,
        new=REPORT,
    ),
    row("report, closed pipe", "report runs", "", inside=no_reader, code=141, new=REPORT),
    row("report with negative turns", "report runs --turns -1", "Invalid value for '--turns': ..."),
    row("report with a negative seed", "report runs --seed -1", "Invalid value for '--seed': ..."),
    row(
        "report with a store that was replaced",
        "report runs",
        "store: expected the store the runs were evaluated on (...), found another one (...), so the page has no gallery",
        done("prepare mmd data --out store --missing-photo mask --overwrite --workers 0"),
        replace("data/MMD2withDST/test/7.json", "?", "!"),
        done("prepare mmd data --out store --overwrite --workers 0"),
        code=0,
        new=REPORT,
    ),
    row(
        "report a run whose summary.json is cut off",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected JSON, found EOF ...",
        cut(f"{RUN}/summary.json"),
    ),
    row(
        "report a run whose summary.json is empty",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected JSON, found EOF ...",
        write(f"{RUN}/summary.json", ""),
    ),
    row(
        "report a run whose summary.json is binary",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected JSON, found ...",
        write(f"{RUN}/summary.json", bytes(range(256))),
    ),
    row(
        "report a run whose summary.json is a pipe",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected a file that can be read, found something that is no file",
        pipe(f"{RUN}/summary.json"),
    ),
    row(
        "report a run whose summary.json is a folder",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected a file that can be read, found a folder",
        remove(f"{RUN}/summary.json"),
        make(f"{RUN}/summary.json"),
    ),
    row(
        "report a run whose queries.parquet is cut off",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found a file that does not load (...",
        cut(f"{RUN}/queries.parquet"),
    ),
    row(
        "report a run whose queries.parquet is empty",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found a file that does not load (...",
        write(f"{RUN}/queries.parquet", ""),
    ),
    row(
        "report a run whose queries.parquet is binary",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found a file that does not load (...",
        write(f"{RUN}/queries.parquet", bytes(range(256))),
    ),
    row(
        "report a run whose queries.parquet is a pipe",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found something that is no file",
        pipe(f"{RUN}/queries.parquet"),
    ),
    row(
        "report a run whose queries.parquet is a folder",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found a folder",
        remove(f"{RUN}/queries.parquet"),
        make(f"{RUN}/queries.parquet"),
    ),
    row(
        "report a run whose metrics.jsonl is binary",
        "report runs",
        "runs/tiny/base/seed_0/metrics.jsonl line 1: expected JSON, found ...",
        write(f"{RUN}/metrics.jsonl", bytes(range(256))),
    ),
    row(
        "report a run whose metrics.jsonl is a pipe",
        "report runs",
        "runs/tiny/base/seed_0/metrics.jsonl: expected a file that can be read, found something that is no file",
        pipe(f"{RUN}/metrics.jsonl"),
    ),
    row(
        "report a run whose metrics.jsonl is a folder",
        "report runs",
        "runs/tiny/base/seed_0/metrics.jsonl: expected a file that can be read, found a folder",
        remove(f"{RUN}/metrics.jsonl"),
        make(f"{RUN}/metrics.jsonl"),
    ),
    row(
        "report a run whose config.yaml is empty",
        "report runs",
        "runs/tiny/base/seed_0/config.yaml: expected a run's configuration, found no keys",
        write(f"{RUN}/config.yaml", ""),
    ),
    row(
        "report a run whose config.yaml is binary",
        "report runs",
        "runs/tiny/base/seed_0/config.yaml: expected text in UTF-8, found ...",
        write(f"{RUN}/config.yaml", bytes(range(256))),
    ),
    row(
        "report a run whose config.yaml is a pipe",
        "report runs",
        "runs/tiny/base/seed_0/config.yaml: expected a file that can be read, found something that is no file",
        pipe(f"{RUN}/config.yaml"),
    ),
    row(
        "report a run whose config.yaml is a folder",
        "report runs",
        "runs/tiny/base/seed_0/config.yaml: expected a file that can be read, found a folder",
        remove(f"{RUN}/config.yaml"),
        make(f"{RUN}/config.yaml"),
    ),
    row(
        "report a summary that is a list",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected an object, found []",
        write(f"{RUN}/summary.json", "[]"),
    ),
    row(
        "report a summary of another program",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: expected a value of experiment, found none",
        write(f"{RUN}/summary.json", '{"accuracy": 1}'),
    ),
    row(
        "report a summary with words for numbers",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: tie_rate: expected a valid number, found 'none'",
        replace(f"{RUN}/summary.json", '"tie_rate": 0.0', '"tie_rate": "none"'),
    ),
    row(
        "report a summary with an infinity",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: tie_rate: expected a finite number, found inf",
        replace(f"{RUN}/summary.json", '"tie_rate": 0.0', '"tie_rate": Infinity'),
    ),
    row(
        "report a summary of escape sequences",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: variant: expected a string to match pattern '^[\\w.+-]+$', found '\\x1b[31mbase'",
        replace(f"{RUN}/summary.json", '"variant": "base"', r'"variant": "\u001b[31mbase"'),
    ),
    row(
        "report a summary of a page's markup",
        "report runs",
        "runs/tiny/base/seed_0/summary.json: variant: expected a string to match pattern '^[\\w.+-]+$', found ...",
        replace(f"{RUN}/summary.json", '"variant": "base"', '"variant": "<script>alert(1)</script>"'),
    ),
    row(
        "report a bit of its rankings flipped",
        "report runs",
        "runs/tiny/base/seed_0/queries.parquet: expected the run's queries in Parquet, found a file that does not load (...",
        flip(f"{RUN}/queries.parquet", 0.3),
    ),
    # recommend
    said("nobody", "", "dialogue.json: expected a JSON file with the turns of a dialogue, got ..."),
    said(
        "a binary file",
        bytes(range(256)),
        "dialogue.json: expected a JSON file with the turns of a dialogue, got byte 0x80 at 128, which is no UTF-8",
    ),
    said("a word", '"hello"', "dialogue.json: expected a list of turns, got str"),
    said("an object", {"speaker": "user"}, "dialogue.json: expected a list of turns, got dict"),
    said("an empty list", [], "dialogue.json: expected a list of turns, got an empty list"),
    said(
        "a list of words",
        ["hello"],
        'dialogue.json, turn 0: expected an object with "speaker" "user" or "system", got "hello"',
    ),
    said(
        "JSON cut off",
        '[{"speaker": "user"',
        "dialogue.json: expected a JSON file with the turns of a dialogue, got ...",
    ),
    said(
        "JSON too deep",
        "[" * 100_000,
        "dialogue.json: expected a JSON file with the turns of a dialogue, got JSON nested more than 100 levels deep",
    ),
    said(
        "JSON of a key twice",
        '[{"speaker": "user", "text": "a", "text": "b"}]',
        "dialogue.json: expected a JSON file with the turns of a dialogue, got the key 'text' twice in one object",
    ),
    said(
        "JSON with NaN",
        '[{"speaker": "user", "text": NaN}]',
        "dialogue.json: expected a JSON file with the turns of a dialogue, got NaN, which is no number of JSON",
    ),
    said(
        "a lone surrogate",
        '[{"speaker": "user", "text": "a\\ud800"}]',
        "dialogue.json: expected a JSON file with the turns of a dialogue, got half a surrogate pair, \\ud800",
    ),
    said(
        "a misspelt key",
        [{"speaker": "user", "txet": "a"}],
        'dialogue.json, turn 0: no such key "txet"; did you mean "text"?',
    ),
    said(
        "an unknown key",
        [{"speaker": "user", "text": "a", "mood": "good"}],
        'dialogue.json, turn 0: no such key "mood"; the keys here are speaker, text, images',
    ),
    said(
        "an unknown speaker",
        [{"speaker": "bot", "text": "a"}],
        'dialogue.json, turn 0: expected an object with "speaker" "user" or "system", got {"speaker": "bot", "text": "a"}',
    ),
    said(
        "a turn without speaker",
        [{"text": "a"}],
        'dialogue.json, turn 0: expected an object with "speaker" "user" or "system", got {"text": "a"}',
    ),
    said(
        "a text that is a number",
        [{"speaker": "user", "text": 3}],
        'dialogue.json, turn 0: expected "text" to be a string, got 3',
    ),
    said("a text that is null", [{"speaker": "user", "text": None}], "", code=0),
    said(
        "images that are a word",
        [{"speaker": "user", "text": "a", "images": "item-000003"}],
        'dialogue.json, turn 0: expected "images" to be a list of product names, got "item-000003"',
    ),
    said(
        "images that are numbers",
        [{"speaker": "user", "text": "a", "images": [3]}],
        "dialogue: expected images to be products of store, got 3",
    ),
    said(
        "an unknown image",
        [{"speaker": "user", "text": "a", "images": ["nothing"]}],
        "dialogue: expected images to be products of store, got nothing",
    ),
    said(
        "an image that is a path",
        [{"speaker": "user", "text": "a", "images": ["../../etc/passwd"]}],
        "dialogue: expected images to be products of store, got ../../etc/passwd",
    ),
    said(
        "an image of escape sequences",
        [{"speaker": "user", "text": "a", "images": ["\x1b[31m"]}],
        "dialogue: expected images to be products of store, got \\x1b[31m",
    ),
    said("a system's turn alone", [{"speaker": "system", "text": "a"}], "", code=0),
    said("a turn that says nothing", [{"speaker": "user", "text": ""}], "", code=0),
    said(
        "a file that is too large",
        "[" + " " * 30_000_000 + "]",
        "dialogue.json: expected a JSON file with the turns of a dialogue, got one of more than 4,194,304 bytes",
    ),
    said("ten thousand turns", [{"speaker": "user", "text": "a dress"}] * 10_000, "", code=0),
    said("no products", [{"speaker": "user", "text": "a"}], "Invalid value for '--top': ...", words="--top 0"),
    said(
        "a negative number of products",
        [{"speaker": "user", "text": "a"}],
        "Invalid value for '--top': ...",
        words="--top -3",
    ),
    said("more products than there are", [{"speaker": "user", "text": "a"}], "", words="--top 999999999", code=0),
    row("recommend without a dialogue", "recommend RUN", "Missing option '--dialogue'."),
    row(
        "recommend for a dialogue that is not there",
        "recommend RUN --dialogue nowhere.json",
        "nowhere.json: expected a JSON file with the turns of a dialogue, got none there",
    ),
    row(
        "recommend for a folder",
        "recommend RUN --dialogue data",
        "data: expected a JSON file with the turns of a dialogue, got a folder",
    ),
    row(
        "recommend for a pipe",
        "RECOMMEND",
        "dialogue.json: expected a JSON file with the turns of a dialogue, got something that is no file",
        pipe("dialogue.json"),
    ),
    row(
        "recommend for a device",
        "recommend RUN --dialogue /dev/zero",
        "/dev/zero: expected a JSON file with the turns of a dialogue, got something that is no file",
    ),
    row(
        "recommend for a dialogue without permission",
        "RECOMMEND",
        "Invalid value for '--dialogue': path 'dialogue.json' is not readable.",
        mode("dialogue.json", 0),
        inside=ordinary_user,
    ),
    row(
        "recommend by no run",
        "recommend nowhere --dialogue dialogue.json",
        "nowhere: expected a run's folder with its config.yaml, found none",
    ),
    row(
        "recommend by a store",
        "recommend store --dialogue dialogue.json",
        "store: expected a run's folder with its config.yaml, found none",
    ),
    row(
        "recommend by a run without its model",
        "RECOMMEND",
        "model runs/tiny/base/seed_0/model: expected a folder, found none there",
        remove(f"{RUN}/model"),
    ),
    row(
        "recommend from no store",
        "RECOMMEND --data nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "recommend from a store that is gone",
        "RECOMMEND",
        "store: expected a prepared store (a folder with manifest.json), found nothing",
        remove("store"),
    ),
    row(
        "recommend from a store whose features are another's",
        "RECOMMEND --data new",
        "model.image.features features.npy: expected the products that the model was trained on, whose featur...",
        remove("data/knowledge/products_format/item-000003.json"),
        done("PREPARE"),
        new=("new/*",),
    ),
    row(
        "recommend onto the configuration",
        "RECOMMEND --html tiny.yaml",
        "tiny.yaml: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "recommend onto its dialogue",
        "RECOMMEND --html dialogue.json",
        "dialogue.json: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "recommend onto the run's summary",
        "RECOMMEND --html RUN/summary.json",
        "runs/tiny/base/seed_0/summary.json: expected no file there or a page that semantic wrote, found some...",
    ),
    row(
        "recommend onto a folder",
        "RECOMMEND --html data",
        "data: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "recommend below a file",
        "RECOMMEND --html tiny.yaml/page.html",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "recommend onto an own page",
        "RECOMMEND --html own.html",
        "own.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("own.html", "<html>mine</html>"),
    ),
    row(
        "recommend on a full disk",
        "RECOMMEND --html page.html",
        "store/vectors/....npy: expected to write product vectors there, got: No space left on device",
        inside=full_disk(1),
    ),
    row("recommend, closed pipe", "RECOMMEND", "", inside=no_reader, code=141),
    row(
        "recommend, standard output on a full disk",
        "RECOMMEND",
        "disk: expected room to write, found the disk full",
        inside=full_output,
        code=1,
    ),
    row("recommend, ASCII-only terminal", "RECOMMEND", "", inside=ascii_output, code=0),
    row(
        "recommend without memory",
        "RECOMMEND",
        "memory: expected enough for this work, found too little: ...",
        inside=no_memory,
        code=1,
    ),
    row(
        "recommend with damaged vectors",
        "RECOMMEND",
        "product vectors: store/vectors/....npy is damaged (it holds something else) and is made again",
        done("RECOMMEND"),
        lambda f: [write(str(one.relative_to(f)), b"x")(f) for one in (f / "store/vectors").glob("*.npy")],
        code=0,
    ),
    row(
        "recommend from a store that may only be read",
        "RECOMMEND",
        "store/vectors/....npy: expected to write product vectors there, got: Permission denied",
        mode("store", 0o500),
        inside=ordinary_user,
    ),
    # import-released
    row(
        "import nothing",
        "import-released nowhere.pth --out new",
        "released checkpoint nowhere.pth: expected a torch file, found none there",
    ),
    row(
        "import a folder",
        "import-released data --out new",
        "released checkpoint data: expected a torch file, found a folder",
    ),
    row(
        "import text",
        "import-released tiny.yaml --out new",
        "released checkpoint tiny.yaml: expected a torch file of tensors alone, got one that does not load so (UnpicklingError)",
    ),
    row(
        "import a pipe",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected a torch file, found something that is no file",
        pipe("x.pth"),
    ),
    row(
        "import an empty file",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected a torch file of tensors alone, got one that does not load so (EOFError)",
        write("x.pth", ""),
    ),
    row(
        "import a malicious pickle",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected a torch file of tensors alone, got one that does not load so (UnpicklingError)",
        lambda f: torch.save(Owned(), f / "x.pth"),
    ),
    row(
        "import a bare pickle",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected a torch file of tensors alone, got one that does not load so (UnpicklingError)",
        lambda f: (f / "x.pth").write_bytes(pickle.dumps(Owned())),
    ),
    row(
        "import a list",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected an entry 'context_text_encoder' with the state dict, got list",
        lambda f: torch.save([1, 2], f / "x.pth"),
    ),
    row(
        "import other weights",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected an entry 'context_text_encoder' with the state dict, got a",
        lambda f: torch.save({"a": torch.zeros(3)}, f / "x.pth"),
    ),
    row(
        "import no weights",
        "import-released x.pth --out new",
        "released checkpoint x.pth: expected an entry 'context_text_encoder' with the state dict, got ",
        lambda f: torch.save({}, f / "x.pth"),
    ),
    row(
        "import a state cut off",
        "import-released RUN/state/training.pt --out new",
        "released checkpoint runs/tiny/base/seed_0/state/training.pt: expected a torch file of tensors alone,...",
        cut(f"{RUN}/state/training.pt"),
    ),
    row(
        "import a state of a run",
        "import-released RUN/state/training.pt --out new",
        "released checkpoint runs/tiny/base/seed_0/state/training.pt: expected an entry 'context_text_encoder...",
    ),
    row(
        "import with slots of no layout",
        "import-released RUN/state/training.pt --out new --slots own",
        "slots: expected mmd or simmc, got 'own'",
    ),
    row(
        "import onto a run",
        "import-released RUN/state/training.pt --out RUN",
        "runs/tiny/base/seed_0: expected a new or an empty folder, found files in it",
    ),
    row(
        "import onto own files",
        "import-released RUN/state/training.pt --out own",
        "own: expected a new or an empty folder, found files in it",
        write("own/thesis.txt", "years"),
    ),
    row(
        "import with a tokenizer that is not there",
        "import-released RUN/state/training.pt --out new --tokenizer ./nowhere",
        "released checkpoint runs/tiny/base/seed_0/state/training.pt: expected an entry 'context_text_encoder...",
    ),
)
