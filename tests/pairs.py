"""Every pair of commands at once in one folder: each ends whole, or is refused in one line that says why.

As a program it makes the whole study: `python -m tests.pairs`.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import torch

from semantic.datasets.store.store import open_store
from semantic.runtime.errors import DataError
from tests.forked import Ended, Running, run
from tests.kills import DEEDS, GONE_ON, content, files, make_shop, make_whole

REFUSED = (
    "expected no other process at work there",
    "found that it was replaced meanwhile",
    "found an unfinished store without one",
    "found another in its place",
    *GONE_ON.values(),
)
"""What a command may say that met another."""

PAIRS = tuple(combinations_with_replacement(DEEDS, 2))


def make_wholes(shop: Path, folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The shop after each of the commands alone."""
    return {
        name: make_whole(name, shop, folder)[0].rename(folder / f"whole-{name.replace(' ', '-')}") for name in names
    }


def faults_of_a_pair(shop: Path, wholes: dict[str, Path], names: tuple[str, str], folder: Path) -> list[str]:
    """What is wrong after two commands at once, and after those that were refused were given again; nothing, or a line each."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(shop, scratch, symlinks=True)
    both = [Running(scratch, *DEEDS[name].words) for name in names]
    found = []
    for name, ended in zip(names, [one.wait() for one in both], strict=True):
        if not ended.code:
            continue
        found += _wrong(name, ended)
        again = run(scratch, *DEEDS[name].again)
        if again.code and not any(word in again.err for word in GONE_ON.values()):
            found.append(f"{name}, given again alone: {again.code}, {again.err}")
    found += [
        f"left behind: {name}" for name in files(scratch) if re.search(r"/?\.[^/]*\.(partial|building|replaced)", name)
    ]
    found += [f"left behind: {path.name}" for path in scratch.rglob(".*.lock")]
    for store in ("store", "prepared"):
        if (scratch / store).exists():
            try:
                open_store(scratch / store).verify()
            except DataError as error:
                found.append(str(error))
    if "prepare again" not in names and "report" not in names:  # what these leave depends on who was first
        for name in names:
            found += list(_unlike(scratch, wholes[name], shop))
    return found


def _wrong(name: str, ended: Ended) -> list[str]:
    one_line = ended.err.startswith("semantic: ") and ended.err.count("\n") == 1
    if one_line and ended.code in (1, 2) and any(word in ended.err for word in REFUSED):
        return []
    return [f"{name}: {ended.code}, {ended.err}"]


def _unlike(scratch: Path, whole: Path, shop: Path) -> Iterator[str]:
    """The files that a command alone makes or changes, and that are not as it makes them."""
    there, before = files(scratch), files(shop)
    for name, file in files(whole).items():
        if name not in before or content(before[name]) != content(file):
            if name not in there:
                yield f"not there: {name}"
            elif content(there[name]) != content(file):
                yield f"another: {name}"


def main() -> None:
    """All pairs, and a line for each that is not whole."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shop, wrong = make_shop(folder / "shop"), 0
        wholes = make_wholes(shop, folder, DEEDS)
        for names in PAIRS:
            faults = faults_of_a_pair(shop, wholes, names, folder)
            wrong += bool(faults)
            for fault in faults:
                print(f"{' and '.join(names)}: {fault}", flush=True)
        print(f"{len(PAIRS)} pairs, {wrong} not whole")


if __name__ == "__main__":
    main()
