"""How files come to be: written beside under another name, on disk before they are renamed; no reader sees half of one.

After a kill or a power cut a file, or a folder made by `building`, is either the one before or the whole new one. What a
killed process left beside is removed by the next one that claims the place (`semantic.runtime.claims`).
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.partial")
"""Names of unfinished files: no two processes, on whatever hosts, draw the same one."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of `path` when the block ends; after an error nothing changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text`, with one newline at its end, atomically."""
    with replacing(path) as partial:
        partial.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write to, which takes its place when the block ends; after an error nothing changed.

    The caller has claimed `folder`, and decided that what is there may go.
    """
    new, old = (folder.with_name(f".{folder.name}.semantic-{word}") for word in ("building", "replaced"))
    if old.exists() and not folder.exists():  # a kill between the two renames below
        os.replace(old, folder)
    _remove(new, old)
    new.mkdir(parents=True)
    try:
        yield new
        for place, _, names in os.walk(new, topdown=False):
            for name in names:
                sync(Path(place, name))
            sync(Path(place))
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
        sync(folder.parent)
    finally:
        _remove(new, old)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's names, are on the disk itself."""
    if path.is_dir() and os.name == "nt":  # which has no such call for folders
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left unfinished of a file, or in a folder and those below it. The caller has claimed it."""
    own = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{12}}\.partial")
    left = [one for one in path.parent.glob(".*.partial") if own.fullmatch(one.name)]
    for place, _, names in os.walk(path):
        left += [Path(place, name) for name in names if LEFTOVER.fullmatch(name)]
    for file in left:
        file.unlink(missing_ok=True)
