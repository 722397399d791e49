"""Damage a file of a small shop, let a command read it, and see that it works as before or is one line.

As a program it tries many: `python -m tests.mutated [MUTATIONS]`, over the kinds here and those of the modules that damage
datasets, experiments and the files of a run that a report reads.
"""

import fnmatch
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from semantic.cli.failures import failure
from semantic.config.errors import ConfigError
from semantic.config.loading import make_config
from semantic.config.schema import Config, EvaluationConfig
from semantic.datasets.store.store import FILES, open_store
from semantic.evaluation.product_index import stored_index
from semantic.evaluation.run_evaluation import evaluate_run
from semantic.models.interface import Model
from semantic.runs.folder import RunFolder
from semantic.runtime.progress import Progress
from semantic.serving.dialogues import read_dialogue
from semantic.serving.recommend import recommend
from semantic.training.loop import train
from tests.mutations import dumps, json_values, mutated_bytes, mutated_json
from tests.worlds import colour_features, make_dataset, prepared, tiny_values, without_seconds

STOPPED, FINISHED, OTHER = (
    Path("runs/tiny") / place for place in ("stopped/seed_0", "finished/seed_0", "other/seed_1")
)
KEPT = ("store/verified/*", "store/pieces/*", "store/vectors/*", "store/floors/*", "*.lock")
"""What every command keeps beside a store and may write anew."""

IMAGE = {"text": {"vocabulary": 300}, "image": {"features": "features.npy"}}
MODEL = {"name": "semantic_small_data", "dim": 8, **IMAGE}


class Stop(BaseException):
    """Stands for what ends a process."""


class StoppedAt(Progress):
    """Ends a training as an epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def bar(self, what: str, total: int) -> Any:
        if what.startswith(f"epoch {self.epoch}/"):
            raise Stop
        return super().bar(what, total)


def config_of(variant: str, seed: int) -> Config:
    """The configuration of a run of the shop, by paths below the working directory."""
    values = tiny_values(Path("store"), model=MODEL) | {"variant": variant, "seed": seed}
    return make_config(values, ["training.epochs=2", "data.unlabelled=[v2_train]"])


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_shop(folder: Path) -> Path:
    """A store with all that is kept beside it, a finished run, one that was stopped after an epoch, and another one."""
    folder.mkdir(parents=True)
    with working_in(folder):
        prepared(make_dataset(Path("data"), dialogues=6, products=12), Path("store"))
        shutil.rmtree("data")
        colour_features(open_store("store"), Path("features.npy"))
        for variant, seed, last in (("stopped", 0, 2), ("finished", 0, 3), ("other", 1, 3)):
            try:
                train(config_of(variant, seed), progress=StoppedAt(last))
            except Stop:
                assert last == 2
            shutil.rmtree(Path("runs/tiny") / variant / f"seed_{seed}" / "tensorboard")
        Path("dialogue.json").write_text(
            json.dumps(
                [
                    {"speaker": "user", "text": "show me a red dress", "images": None},
                    {"speaker": "system", "text": "here", "images": [open_store("store").product_names[5]]},
                    {"speaker": "user", "utterance": {"nlg": "in blue", "images": []}, "type": "ask"},
                ]
            )
        )
        do_recommend()
        do_evaluate()
        shutil.rmtree(FINISHED / "evaluations")
        shutil.rmtree("store/verified")
    return folder


# What is done with the files, as a value that two readings of the same content share.


def do_read_store() -> Any:
    store = open_store("store")
    store.verify_once()
    values: list[Any] = [store.identity, store.slots, store.splits, [store.split(name) for name in store.splits]]
    for name in FILES:
        file = store.path / name
        values.append(
            np.load(file).tobytes() if name.endswith(".npy") else pq.read_table(file, use_threads=False).to_pydict()
        )
    values += [store.product_names, store.product_texts, store.turn_texts, store.turn_speakers, store.turn_acts]
    values += [store.dialogue_names, store.state_values, store.turn_merged.tolist(), store.dialogue_turns.tolist()]
    return values


def do_read_model() -> Any:
    model = Model.from_pretrained(FINISHED / "model")
    assert model.tokenizer is not None
    return _bits(model.state_dict()), model.config.model_dump(), model.spec, model.tokenizer.to_str()


def do_read_kept() -> Any:
    model, store = Model.from_pretrained(FINISHED / "model"), open_store("store")
    builder = model.open_batches(store, Progress())
    rows = stored_index(model, builder, EvaluationConfig(), Progress()).rows
    return [np.asarray(one).tobytes() for one in (*vars(builder.pieces).values(), rows)]


def do_read_run() -> Any:
    folder, store = RunFolder(FINISHED), open_store("store")
    data = folder.read_data()
    folder.check_same(config_of("finished", 0), store.identity)
    return data


def do_resume() -> Any:
    folder = train(config_of("stopped", 0), resume=True)
    summary = json.loads(folder.summary.read_text())
    weights = _bits(Model.from_pretrained(folder.model).state_dict())
    return weights, without_seconds(folder.metrics), summary["protocols"], summary["floors"], _table(folder.queries)


def do_evaluate() -> Any:
    folder = evaluate_run(FINISHED)
    summary = json.loads(folder.summary.read_text())
    return [summary[key] for key in ("identity", "queries", "protocols", "floors", "seen")], _table(folder.queries)


def do_recommend() -> Any:
    folder = RunFolder(FINISHED)
    turns = read_dialogue(Path("dialogue.json"))
    config = folder.read_config()
    store = folder.open_store()
    return recommend(Model.from_pretrained(folder.model), store, turns, 5, evaluation=config.evaluation)


def _bits(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: _bits(inner) for key, inner in value.items() if key != "seconds"}
    return [_bits(inner) for inner in value] if isinstance(value, list | tuple) else value


def _table(file: Path) -> Any:
    return pq.read_table(file, use_threads=False).to_pydict()


@dataclass(frozen=True)
class Kind:
    """What is done, files it reads, files it may change besides `KEPT`, and those whose content is the user's to change."""

    do: Callable[[], Any]
    reads: tuple[str, ...]
    owns: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


STORE = ("store/*.npy", "store/*.*")
CACHES = ("store/pieces/*.np*", "store/floors/*")
RUN = ("config.yaml", "data.json", "environment.json")
KINDS: Mapping[str, Kind] = {
    "store": Kind(do_read_store, STORE),
    "saved model": Kind(do_read_model, (f"{FINISHED}/model/*.json", f"{FINISHED}/model/*.safetensors")),
    "kept arrays": Kind(do_read_kept, ("store/pieces/*.npy", "store/vectors/*.npy", "store/*/*.npy.json")),
    "run folder": Kind(do_read_run, (f"{FINISHED}/config.yaml", f"{FINISHED}/data.json")),
    "train --resume": Kind(
        do_resume,
        (
            f"{STOPPED}/state/*", f"{STOPPED}/state/*", f"{STOPPED}/model/*", f"{STOPPED}/metrics.jsonl",
            *(f"{STOPPED}/{name}" for name in RUN), *STORE, *CACHES, "features.npy",
        ),
        (f"{STOPPED}/state/*", f"{STOPPED}/model/*", f"{STOPPED}/metrics.jsonl"),
    ),
    "evaluate": Kind(
        do_evaluate,
        (f"{FINISHED}/model/*", *(f"{FINISHED}/{name}" for name in RUN), *STORE, *CACHES, "features.npy"),
        free=(f"{FINISHED}/config.yaml",),
    ),
    "recommend": Kind(
        do_recommend,
        ("dialogue.json", "dialogue.json", f"{FINISHED}/model/*", f"{FINISHED}/config.yaml", *STORE, *CACHES,
         "store/vectors/*.np*", "features.npy"),
        free=("dialogue.json", "features.npy", f"{FINISHED}/config.yaml"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """What takes the place of a file, or None that it goes, and in words what it is."""

    file: Path
    content: bytes | None
    what: str


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "worked", "refused" or "not clean", and what was said."""

    how: str
    said: str = ""


class Shop:
    """A shop, what its kinds give when nothing is damaged, and copies of it to damage."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.scratch = make_shop(folder / "shop"), folder / "scratch"
        self.expected: dict[str, Any] = {}

    def files(self, *patterns: str) -> list[Path]:
        return sorted({file.relative_to(self.whole) for one in patterns for file in self.whole.glob(one)})

    def expect(self, kind: str) -> Any:
        if kind not in self.expected:
            with self.copied():
                self.expected[kind] = KINDS[kind].do()
        return self.expected[kind]

    @contextmanager
    def copied(self) -> Iterator[None]:
        """Work in a copy, always in the same place."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self.whole, self.scratch)
        with working_in(self.scratch):
            yield

    def mutations(self, kind: str) -> st.SearchStrategy[Mutation]:
        @st.composite
        def mutation(draw: st.DrawFn) -> Mutation:
            pattern = draw(st.sampled_from(KINDS[kind].reads))
            file = draw(st.sampled_from(self.files(pattern)))
            content = (self.whole / file).read_bytes()
            hows = ["flip", "flip", "bytes", "cut", "append", "empty", "swap", "gone"]
            if file.suffix == ".json":
                hows += ["json"] * 6 + ["twice"]
            if file.name == "data.json":  # imported runs, and those of earlier versions, have none
                hows.remove("gone")
            how = draw(st.sampled_from(hows))
            if how == "swap":
                others = [one for one in self.files("**/*.*") if one != file and (self.whole / one).is_file()]
                alike = [one for one in others if one.name == file.name]
                other = draw(st.sampled_from(alike or others) | st.sampled_from(others))
                return Mutation(file, (self.whole / other).read_bytes(), f"{other} in its place")
            return Mutation(file, draw(_damaged(how, content)), how)

        return mutation()

    def trial(self, kind: str, mutation: Mutation) -> Outcome:
        """Damage a copy, do what the kind does, and judge."""
        expected, given = self.expect(kind), KINDS[kind]
        with self.copied():
            if mutation.content is None:
                mutation.file.unlink()
            else:
                mutation.file.write_bytes(mutation.content)
            before = _contents()
            outcome = _judge(given, mutation, expected)
            faults = [
                f"{name} is {'changed' if name in now else 'lost'}"
                for now in [_contents()]
                for name, digest in before.items()
                if now.get(name) != digest and not _may_change(name, given)
            ]
        return Outcome("not clean", f"{outcome}; {'; '.join(faults)}") if faults else outcome


def _damaged(how: str, content: bytes) -> st.SearchStrategy[bytes | None]:
    place = st.integers(0, 2**40).map(lambda number: number % max(1, len(content)))  # anywhere alike
    damages: dict[str, Callable[[], st.SearchStrategy[bytes | None]]] = {
        "flip": lambda: st.builds(lambda at, bit: _flipped(content, at, bit), place, st.integers(0, 7)),
        "bytes": lambda: mutated_bytes(content),
        "cut": lambda: place.map(lambda at: content[:at]),
        "append": lambda: (st.binary(min_size=1, max_size=40) | st.just(content)).map(lambda more: content + more),
        "empty": lambda: st.just(b""),
        "gone": lambda: st.none(),
        "json": lambda: mutated_json(json.loads(content)).map(str.encode),
        "twice": lambda: st.tuples(st.sampled_from(sorted(_object(content))), json_values).map(
            lambda pair: b"{" + f"{json.dumps(pair[0])}: {dumps(pair[1])}, ".encode() + content.lstrip()[1:]
        ),
    }
    if how == "twice" and not _object(content):
        how = "json"
    return damages[how]()


def _object(content: bytes) -> dict[str, Any]:
    value = json.loads(content)
    return value if isinstance(value, dict) else {}


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] if content else b""


def _contents() -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in Path().rglob("*") if file.is_file()}


def _may_change(name: str, kind: Kind) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in (*KEPT, *kind.owns))


def _judge(kind: Kind, mutation: Mutation, expected: Any) -> Outcome:
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = kind.do()
    except Exception as error:
        said = failure(error)
        if said is None:
            return Outcome("not clean", f"{type(error).__name__}: {error}"[:2000])
        line = said[0]
        if not line or ("\n" in line and not isinstance(error, ConfigError)):
            return Outcome("not clean", f"no one line: {line!r}"[:2000])
        if not _names(line, mutation.file):
            return Outcome("not clean", f"names no file: {line}"[:2000])
        return Outcome("refused", line)
    if found == expected or any(fnmatch.fnmatch(str(mutation.file), pattern) for pattern in kind.free):
        return Outcome("worked")
    return Outcome("not clean", "another result, and nothing said")


def _names(line: str, file: Path) -> bool:
    """Whether a line names a file, or a folder that it is in."""
    return any(name in line for name in (file.name, file.stem, *map(str, list(file.parents)[:-1])))


Trial = Callable[[st.DataObject], Outcome]


def of_shop(shop: Shop, kind: str) -> Trial:
    """A trial of a kind, on what hypothesis draws."""

    def trial(data: st.DataObject) -> Outcome:
        mutation = data.draw(shop.mutations(kind))
        outcome = shop.trial(kind, mutation)
        return Outcome(outcome.how, f"{mutation.file}, {mutation.what}, {mutation.content!r:.200}: {outcome.said}")

    return trial


def of_others(folder: Path) -> dict[str, Trial]:
    """Trials of the modules that damage datasets, experiments, and the files of a run that a report reads."""
    from tests import test_config_values as experiments
    from tests import test_datasets_reading_mutated as datasets
    from tests import test_report_mutations as reports

    roots, valid = datasets.make_roots(folder / "datasets"), reports.make_valid(folder / "valid")

    def trial_of(one: Callable[[st.DataObject], bool]) -> Trial:
        def trial(data: st.DataObject) -> Outcome:
            try:
                return Outcome("worked" if one(data) else "refused")
            except Exception as error:
                return Outcome("not clean", f"{type(error).__name__}: {error}"[:2000])

        return trial

    def dataset(data: st.DataObject) -> bool:
        layout, name = data.draw(st.sampled_from([tuple(case.values) for case in datasets.CASES]))
        return datasets.check(roots[layout], name, data.draw(datasets.mutated(layout, name)))

    def experiment(data: st.DataObject) -> bool:
        file = folder / "mine.yaml"
        file.write_bytes(data.draw(experiments.wrong_bytes() | experiments.wrong_values()))
        return experiments.one_clear_outcome(str(file))

    def report(data: st.DataObject) -> bool:
        return reports.trial(data, valid, Path(tempfile.mkdtemp(dir=folder)))

    return {"dataset": trial_of(dataset), "experiment": trial_of(experiment), "report of a run": trial_of(report)}


def try_many(trial: Trial, count: int) -> list[Outcome]:
    """The outcomes of this many trials."""
    outcomes: list[Outcome] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        outcomes.append(trial(data))

    one()
    return outcomes


def main() -> None:
    """Every kind, and a line each."""
    torch.set_num_threads(1)
    count, together = int(sys.argv[1]) if len(sys.argv) > 1 else 200, Counter[str]()
    columns = ("refused", "worked", "not clean")
    with tempfile.TemporaryDirectory() as place:
        shop = Shop(Path(place))
        trials = {kind: of_shop(shop, kind) for kind in KINDS} | of_others(Path(place) / "others")
        print(f"{'':16} {'tried':>9} {'refused':>9} {'worked':>9} {'not clean':>9}", flush=True)
        for kind, trial in trials.items():
            outcomes = try_many(trial, -(-count // len(trials)))
            found = Counter(outcome.how for outcome in outcomes)
            together += found
            print(f"{kind:16} {len(outcomes):9} " + " ".join(f"{found[how]:9}" for how in columns), flush=True)
            for outcome in outcomes:
                if outcome.how == "not clean":
                    print(f"  {outcome.said}", flush=True)
        print(f"{'together':16} {together.total():9} " + " ".join(f"{together[how]:9}" for how in columns))


if __name__ == "__main__":
    main()
