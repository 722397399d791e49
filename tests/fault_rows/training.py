"""Rows of the fault table: train."""

from tests.fault_rows.of_runs import NEW, setting
from tests.faults import (
    copy,
    done,
    environment,
    file_limit,
    flip,
    full_disk,
    full_output,
    make,
    mode,
    no_memory,
    no_reader,
    ordinary_user,
    row,
    write,
)

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
)
