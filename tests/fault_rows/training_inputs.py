"""Rows of the fault table: train with features or a text checkpoint that is odd."""

import numpy as np

from tests.fault_rows.of_runs import NEW, Owned, array, setting
from tests.faults import (
    cut,
    make,
    mode,
    ordinary_user,
    pipe,
    write,
)

ROWS = (
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
)
