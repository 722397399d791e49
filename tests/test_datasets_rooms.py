"""Imports between the rooms of datasets/ point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "datasets"
BELOW = {
    "": set(),
    "reading": set(),
    "store": set(),
    "preparing": {"reading", "store"},
    "batches": {"store"},
    "simulator/catalogue": set(),
    "simulator/dialogue": {"simulator/catalogue"},
    "simulator": {"simulator/catalogue", "simulator/dialogue"},
}
FROM_SEMANTIC = {"semantic.runtime.errors", "semantic.runtime.progress"}
FILES = sorted(FOLDER.rglob("*.py"))


def module(file: Path) -> str:
    names = file.relative_to(FOLDER).with_suffix("").parts
    return ".".join(("semantic", "datasets", *(name for name in names if name != "__init__")))


ROOMS = {module(file): file.parent.relative_to(FOLDER).as_posix().removeprefix(".") for file in FILES}


def imported(file: Path) -> set[str]:
    """The modules of this project that a file imports; of `from a import b`, a.b where that is a module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in ROOMS else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "semantic"}


def test_every_room_is_named_here() -> None:
    assert set(ROOMS.values()) == set(BELOW)


@pytest.mark.parametrize("file", FILES, ids=module)
def test_a_room_imports_only_the_rooms_below_it(file: Path) -> None:
    room = ROOMS[module(file)]
    allowed = BELOW[room] | {room}

    for name in imported(file):
        assert name in FROM_SEMANTIC if name not in ROOMS else ROOMS[name] in allowed, f"{module(file)} imports {name}"


@pytest.mark.parametrize("name", ["semantic.datasets.store.store", "semantic.datasets.reading.corpus"])
def test_the_two_lowest_rooms_load_no_other(name: str, tmp_path: Path) -> None:
    """In a fresh interpreter: what is loaded, not only what is written."""
    code = f"import sys, {name}\nprint(*(m for m in sys.modules if m.startswith('semantic.datasets.')))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert {ROOMS[each] for each in ran.stdout.split()} == {ROOMS[name]}
