"""Kill every command before its acts on the disk, run it again, and compare what is there with a run never killed.

As a program it makes the whole study: `python -m tests.kills [KILLS A COMMAND]`.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml

from semantic.datasets.store.store import open_store
from tests.case_files import write_answers
from tests.forked import Ended, run
from tests.released import released_state
from tests.worlds import STATELESS, colour_features, tiny_values

CHANGING = {"seconds", "peak_memory_mb", "started", "command", "git", "root", "seal", "stamp"}
"""Keys of JSON that runs in two folders, or at two times, do not share."""


@dataclass(frozen=True)
class Deed:
    """A command as it is given first, and as it is given again after a kill."""

    words: tuple[str, ...]
    again: tuple[str, ...]


def deed(*words: str, again: tuple[str, ...] = ()) -> Deed:
    return Deed(words, (*words, *again))


TRAIN = ("train", "tiny.yaml", "--set", "training.epochs=2", "--set", f"data.unlabelled=[{STATELESS}]")
DEEDS: Mapping[str, Deed] = {
    "simulate": deed("simulate", "more", "--dialogues", "3", "--products", "9"),
    "prepare": deed("prepare", "mmd", "data", "--out", "prepared", "--workers", "0"),
    "prepare again": deed(
        "prepare", "mmd", "data", "--out", "store", "--missing-photo", "mask", "--overwrite", "--workers", "0"
    ),
    "verify": deed("verify", "store"),
    "inspect": deed("inspect", "store"),
    "train": deed(*TRAIN, "--set", "variant=killed", again=("--resume",)),
    "folds": deed(
        "train",
        "tiny.yaml",
        "--set",
        "training.epochs=1",
        "--set",
        "variant=folds",
        "--folds",
        "3",
        again=("--resume",),
    ),
    "evaluate": deed("evaluate", "runs/tiny/base/seed_0", "--split", STATELESS, "--seen", "keep", "--out", "result"),
    "evaluate again": deed(
        "evaluate", "runs/tiny/base/seed_0", "--split", "valid", "--seen", "keep", "--out", "evaluated", "--overwrite"
    ),
    "report": deed("report", "runs", "--out", "report", "--turns", "2"),
    "analyse": deed("analyse", "runs/tiny/base/seed_0"),
    "compare": deed("compare", "runs/tiny/base/seed_0", "twin", "--turns", "3"),
    "judge": deed("judge", "runs/tiny/base/seed_0", "twin", "--out", "form", "--turns", "2"),
    "report judgements": deed("report", "judged", "--out", "judgements"),
    "report experiment": deed("report", "tiny.yaml", "--out", "experiment", "--turns", "2"),
    "import": deed("import-released", "released.pth", "--out", "imported"),
    "recommend": deed(
        "recommend", "runs/tiny/base/seed_0", "--dialogue", "dialogue.json", "--html", "page.html", "--top", "3"
    ),
    "card of a run": deed("card", "runs/tiny/base/seed_0"),
    "card of a store": deed("card", "store"),
}
GONE_ON = {
    "simulate": "found files in it",
    "train": "no run there yet",
    "evaluate": "no result there yet",
    "import": "found files in it",
}
"""What a command that had done its work before the kill says when it is given again."""


def make_shop(folder: Path) -> Path:
    """A folder in which every command has something to work on."""
    folder.mkdir(parents=True)

    def done(*words: str) -> None:
        ended = run(folder, *words)
        assert ended.code == 0, ended

    done("simulate", "data", "--dialogues", "8", "--products", "24", "--seed", "3", "--unlabelled", "3")
    done("prepare", "mmd", "data", "--out", "store", "--workers", "0")
    store = open_store(folder / "store")
    colour_features(store, folder / "features.npy")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_values(Path("store"), Path("features.npy"))))
    (folder / "dialogue.json").write_text(json.dumps([{"speaker": "user", "text": "show me a red dress"}]))
    file = folder.with_name("released.pth")  # 45 MB, of which each copy of the folder has a link
    torch.save({"context_text_encoder": released_state()}, file)
    (folder / "released.pth").symlink_to(file)
    done(*TRAIN, "--keep-state")
    done("evaluate", "runs/tiny/base/seed_0", "--split", "valid", "--seen", "keep", "--out", "evaluated")
    shutil.copytree(folder / "runs" / "tiny" / "base" / "seed_0", folder / "twin")
    done("judge", "runs/tiny/base/seed_0", "twin", "--out", "judged", "--turns", "2")
    write_answers(folder / "judged", "Ann", {"1": "A", "2": "tie"})
    return folder


def content(file: Path) -> Any:
    """What two files must have alike: all, but for times and memory."""
    if file.suffix == ".jsonl":
        return [_lasting(json.loads(line)) for line in file.read_text().splitlines()]
    if file.suffix == ".json":
        return _lasting(json.loads(file.read_text()))
    if file.suffix == ".parquet":
        return pq.read_table(file)
    if file.suffix == ".pt":
        return json.dumps(_lasting(_plain(torch.load(file, weights_only=True))), sort_keys=True)
    if file.suffix == ".html":
        return re.sub(r"\d+(\.\d+)? (s|min|MB|MiB)\b|\d{4}-\d\d-\d\dT[\d:+]+", "", file.read_text())
    return file.read_bytes()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(inner) for key, inner in value.items() if key not in CHANGING}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def files(folder: Path) -> dict[str, Path]:
    """Every file by its place, but TensorBoard's, of which each start leaves one, and notes of which files were verified."""
    found = {
        str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    }
    return {name: path for name, path in found.items() if "tfevents" not in name and "/verified/" not in name}


def differences(found: Path, expected: Path) -> list[str]:
    """The names of files that are in one folder alone, or not alike."""
    left, right = files(found), files(expected)
    names = [f"only {'killed' if name in left else 'whole'}: {name}" for name in left.keys() ^ right.keys()]
    return sorted(names + [name for name in left.keys() & right.keys() if content(left[name]) != content(right[name])])


def _attempt(shop: Path, deed: Deed, scratch: Path, kill_before: int) -> Ended:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(shop, scratch, symlinks=True)
    return run(scratch, *deed.words, kill_before=kill_before)


def trial(shop: Path, whole: Path, name: str, scratch: Path, kill_before: int) -> list[str]:
    """Kill a command before an act, give it again until it ends; what is then wrong, or nothing."""
    given = DEEDS[name]
    killed = _attempt(shop, given, scratch, kill_before)
    if killed.code >= 0:
        return [f"ended with {killed.code} before act {kill_before}: {killed.err}"]
    ended = run(scratch, *given.again)
    if ended.code and not any(word in ended.err for key, word in GONE_ON.items() if name.startswith(key)):
        return [f"given again: {ended.code}, {ended.err}"]
    return differences(scratch, whole)


def make_whole(name: str, shop: Path, folder: Path) -> tuple[Path, int]:
    """The shop after a command that nobody killed, and how many acts on the disk that had. It worked where those that are
    killed do: some files name their folder.
    """
    shutil.copytree(shop, folder / "scratch", symlinks=True)
    ended = run(folder / "scratch", *DEEDS[name].words)
    assert ended.code == 0, ended
    return (folder / "scratch").rename(folder / "whole"), ended.acts


def study(name: str, shop: Path, folder: Path, kills: int) -> dict[int, list[str]]:
    """Trials of a command: act -> what was wrong. `kills` of its acts, evenly spread."""
    whole, acts = make_whole(name, shop, folder)
    kills = min(kills, acts)
    chosen = [1 + (2 * place + 1) * acts // (2 * kills) for place in range(kills)]
    found = {act: trial(shop, whole, name, folder / "scratch", act) for act in chosen}
    for part in (whole, folder / "scratch"):
        shutil.rmtree(part)
    return found


def main() -> None:
    """All commands, and a line each."""
    torch.set_num_threads(1)
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as place:
        shop, total, wrong = make_shop(Path(place) / "shop"), 0, 0
        for name in DEEDS:
            found = study(name, shop, Path(place) / name.replace(" ", "-"), kills)
            bad = {act: faults for act, faults in found.items() if faults}
            total, wrong = total + len(found), wrong + len(bad)
            print(f"{name}: {len(found)} kills, {len(bad)} not as a run never killed", flush=True)
            for act, faults in bad.items():
                print(f"  act {act}: {faults}", flush=True)
        print(f"together: {total} kills, {wrong} not as a run never killed")


if __name__ == "__main__":
    main()
