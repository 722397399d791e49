"""Files that the report reads, fabricated: a store and runs on it; and a reader of the pages it writes."""

import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from semantic.datasets.store.store import FILES, VERSION, open_store, sealed

SLOTS = ["color", "type", "price"]
NAMES = ["red dress", "blue dress", "<script>alert(1)</script>", "green boot", "photoless hat"]
DIALOGUES = 5  # each: shopper, agent (shows products 0 and 4), shopper with a state, agent who recommends
COUNTS = {"dialogues": DIALOGUES, "turns": 4 * DIALOGUES, "examples": DIALOGUES, "negatives": 3_000}
MANIFEST = {"version": VERSION, "slots": SLOTS, "splits": {"test": COUNTS}, "checksums": {}}
IDENTITY = sealed(MANIFEST)["identity"]
PHOTO = "data:image/jpeg;base64,"
METRICS = [f"{name}@{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg")]


def write_store(folder):
    """A store of 5 products and as many dialogues of 4 turns."""
    folder.mkdir()
    photos = np.zeros((5, 64, 64, 3), np.uint8)
    photos[0] = (200, 10, 10)
    photos[1] = (10, 10, 200)
    arrays = {
        "photos": photos,
        "has_photo": np.array([True, True, True, True, False]),
        "turn_images": np.array([0, 4, 1] * DIALOGUES, np.int32),
        "turn_images_offsets": np.array([0, *(3 * d + n for d in range(DIALOGUES) for n in (0, 2, 2, 3))]),
        "turn_states": np.array([[-1] * 3, [-1] * 3, [1, 2, 0], [-1] * 3] * DIALOGUES, np.int32),
        "dialogue_digests": np.arange(DIALOGUES, dtype=np.uint64),
        "example_turns": np.array([[d, 4 * d + 3] for d in range(DIALOGUES)]),
        "positives": np.array([1] * DIALOGUES, np.int32),
        "positives_offsets": np.arange(DIALOGUES + 1),
        "negatives": np.array([0, 2, 3] * DIALOGUES, np.int32),
        "negatives_offsets": np.arange(0, 3 * DIALOGUES + 1, 3),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    tables = {
        "products": {"name": [f"p{i}" for i in range(5)], "text": NAMES},
        "dialogues": {
            "name": [f"d{d}" for d in range(DIALOGUES)],
            "split": ["test"] * DIALOGUES,
            "first_turn": [4 * d for d in range(DIALOGUES)],
            "turns": [4] * DIALOGUES,
        },
        "turns": {
            "speaker": ["user", "system"] * (2 * DIALOGUES),
            "act": ["ask", "show", "ask", "show"] * DIALOGUES,
            "text": ["a dress & <b>boots</b>", "like these", "in blue, please", "the secret reply"] * DIALOGUES,
            "merged": [1] * (4 * DIALOGUES),
        },
        "state_values": {"value": ["none", "like blue", "dress"]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    manifest = {
        **MANIFEST,
        "format": "semantic-store",
        "source": {"layout": "mmd-v3", "root": "somewhere"},
        "missing_photo": "mask",
        "products": {"total": 5, "with_photo": 4},
        "rejected": {"photo does not decode": 1234},
        "rejected_examples": [{"where": "product 'x'", "reason": "photo does not decode"}],
        "sizes": {name: (folder / name).stat().st_size for name in FILES},
    }
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest)))
    return open_store(folder)


def query(dialogue, ndcg):
    row = {
        "dialogue": f"d{dialogue}",
        "dialogue_row": dialogue,
        "turn": 4 * dialogue + 3,
        "candidates": 1004,
        "positives": [1],
        "positive_scores": [0.25],
        "above": [0 if ndcg else 3],
        "tied": [1 if ndcg else 2],
        "negatives_above": [0 if ndcg else 3],
        "top_products": [1, 0, 2] if ndcg else [0, 2, 3],
        "top_scores": [0.25, 0.125, -0.5],
        "top_hit": [bool(ndcg), False, False],
    }
    return row | {f"{protocol}/{metric}": float(ndcg) for protocol in ("standard", "released") for metric in METRICS}


def digest(*parts):
    """A digest as stores and sets of queries have one."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def summary_of(**more):
    """The summary of a run, each of its keys there."""
    return {
        "experiment": "demo",
        "variant": "best",
        "seed": 0,
        "fold": None,
        "split": "test",
        "store": "shop",
        "identity": IDENTITY,
        "queries": digest("test"),
        "seen": {"train": 0, "valid": 0},
        "dropped": {"train": 0, "valid": 0},
        "slots": SLOTS,
        "explanations": [],
        "protocols": metrics(0.4125),
        "tie_rate": 0.0,
        "floors": {"tfidf context": metrics(0.125)},
        "counts": {"labelled_dialogues": 900, "parameters": 12345678},
        "rejected": {"dead link": 2090},
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 93.4,
        "peak_memory_mb": 1500.0,
    } | more


def change_summary(folder, **changes):
    """Set keys of a run's summary; None as a value is written as null."""
    file = folder / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def write_run(root, variant="best", seed=0, *, tie_rate=0.0, dialogues=DIALOGUES, explained=(), columns=None, **more):
    """A finished run's folder: its summary names the explanations `explained`, and each query has the `columns`."""
    folder = root / "demo" / variant / f"seed_{seed}"
    folder.mkdir(parents=True)
    rows = [query(d, d % 2) | (columns or {}) for d in range(dialogues)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "queries.parquet")
    values = metrics(0.4125)
    values["standard"]["ndcg@5"] = sum(row["standard/ndcg@5"] for row in rows) / dialogues
    epochs = [
        {"epoch": e, "train": {"loss": 2 / e, "state_mse": 0.1 / e}, "valid": {"standard": {"ndcg@5": v}}}
        for e, v in ((1, 0.1), (2, 0.5), (3, 0.3))
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (folder / "config.yaml").write_text(f"experiment: demo\nvariant: {variant}\nmodel:\n  dim: 768\n")
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {"torch": "2.9"}}))
    summary = summary_of(
        variant=variant, seed=seed, protocols=values, tie_rate=tie_rate, explanations=list(explained), **more
    )
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def metrics(value):
    return {"standard": dict.fromkeys(METRICS, value), "released": dict.fromkeys(METRICS, min(1.0, value + 0.125))}


def write_result(
    root, variant, seed, value, *, fold=None, folds=2, queries=None, first=0, config=None, floors=None, **more
):
    """A finished run's folder whose every standard metric is `value`; `queries` is NDCG@5 (standard) of each query, whose
    mean then stands in the summary. Query i is of dialogue row `first` + i. `config` is further text of config.yaml;
    "" writes no such file.
    """
    experiment = more.get("experiment", "demo")
    folder = root / experiment / variant / f"seed_{seed}" / ("" if fold is None else f"fold_{fold}")
    folder.mkdir(parents=True)
    if config != "":
        (folder / "config.yaml").write_text(
            f"experiment: {experiment}\nvariant: {variant}\nseed: {seed}\n"
            + (config or "data:\n  store: stores/shop\n")
        )
    protocols = metrics(value)
    if queries is not None:
        protocols["standard"]["ndcg@5"] = math.fsum(queries) / len(queries)
    summary = {
        "store": "stores/shop",
        "protocols": protocols,
        "floors": {"random": metrics(0.003), "tfidf context": metrics(0.134)} if floors is None else floors,
        "queries": digest(more.get("split", "test"), fold, len(queries or ())),
        "fold": None if fold is None else {"index": fold, "count": folds, "seed": 0, "pooled": ["train", "test"]},
        "counts": {"test_queries": len(queries)} if queries else {},
    }
    (folder / "summary.json").write_text(json.dumps(summary_of(variant=variant, seed=seed, **(summary | more))))
    if queries is not None:
        rows = len(queries)
        columns = {
            "dialogue_row": list(range(first, first + rows)),
            "turn": [7 * i for i in range(rows)],
            "standard/ndcg@5": [float(value) for value in queries],
        }
        pq.write_table(pa.table(columns), folder / "queries.parquet")
    return folder


VOID = {"meta", "img", "br", "hr", "link", "input"}
DRAWN = {"path", "use", "g"}  # elements of an SVG may close themselves


class Page(HTMLParser):
    """Reads a page; checks that every element closes in its order, keeps the words and the attributes."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.words, self.values = [], [], [], []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.values += [value for _, value in attributes if value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in DRAWN | VOID
        self.tags.append((tag, dict(attributes)))
        self.values += [value for _, value in attributes if value]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def with_class(self, name):
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]

    def with_id(self, pattern):
        return [attributes for _, attributes in self.tags if re.fullmatch(pattern, attributes.get("id") or "")]

    def images(self):
        return [attributes["src"] for tag, attributes in self.tags if tag == "img"]
