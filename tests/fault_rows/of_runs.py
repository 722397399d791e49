"""What rows of the fault table about runs share: places in the shop, and rows and damages of a kind."""

import json
import os

import numpy as np

from tests.faults import (
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
