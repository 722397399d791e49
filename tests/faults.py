"""Rows of the fault table: a command on a damaged copy of a folder, what it says, and what must be there still.

As a program it shows what the rows say: `python -m tests.faults [WORD OF A ROW'S NAME]`.
"""

import ctypes
import errno
import fnmatch
import hashlib
import importlib
import json
import os
import pkgutil
import platform
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import semantic
from tests.forked import WRITING, Ended, run

SECONDS = 30
"""A command that takes longer hangs."""

WORDS = {
    "RUN": "runs/tiny/base/seed_0",
    "TRAIN": "train tiny.yaml --set variant=new --set training.epochs=1",
    "PREPARE": "prepare mmd data --out new --workers 0",
    "RECOMMEND": "recommend runs/tiny/base/seed_0 --dialogue dialogue.json",
}
"""What stands for more in a row's command line."""

KEPT = tuple(f"store/{folder}*" for folder in ("pieces", "features", "vectors", "floors", "verified"))
"""What commands keep beside a store, and compute anew where it is gone."""

PREPARED = ("new", "new/*")
"""What the row's word PREPARE makes."""

UNFINISHED = ("new", "new/partial", "new/partial/*")
"""What it leaves where it is stopped, to go on from."""

COMPARED = ("store/partial", "store/partial/*")
"""What it leaves where it made a store to compare, for --overwrite to take."""

Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """What is done, what is said, and what must be there still.

    `says` is the whole of standard error, but for "semantic: "; `...` in it stands for any text. Every file is there
    afterwards as it was, but those that `changed` names, and nothing is new but what `new` names: patterns of paths.
    `inside` is done in the process of the command, before it.
    """

    name: str
    command: str
    says: str
    damages: tuple[Damage, ...] = ()
    code: int = 2
    inside: Callable[[], object] | None = None
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    prints: str = "..."


def row(name: str, command: str, says: str, *damages: Damage, **more: Any) -> Row:
    return Row(name, command, says, damages, **more)


def words_of(command: str) -> list[str]:
    for word, meaning in WORDS.items():
        command = re.sub(rf"\b{word}\b", lambda _, meaning=meaning: meaning, command)
    return shlex.split(command)


def carry_out(folder: Path, command: str, inside: Callable[[], object] | None = None) -> Ended:
    """Give a command in the folder, in a process that a clock ends."""

    def first() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        if inside is not None:
            inside()

    return run(folder, *words_of(command), first=first)


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below a folder: what kind it is, and the digest of a file."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = f"link to {os.readlink(path)}"
            elif path.is_file():
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[key] = "folder" if path.is_dir() else "other"
    return found


def differences(row: Row, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is not there any more, changed, or new, and the row does not allow."""

    def allowed(key: str, patterns: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(key, pattern) for pattern in (*KEPT, *patterns))

    lost = [f"lost: {key}" for key in before if key not in after and not allowed(key, row.changed)]
    changed = [
        f"changed: {key}"
        for key in before
        if after.get(key, before[key]) != before[key] and not allowed(key, row.changed)
    ]
    new = [f"new: {key}" for key in after if key not in before and not allowed(key, row.new)]
    return sorted(lost + changed + new)[:7]


def matches(pattern: str, text: str) -> bool:
    """Whether a text is the pattern's, in which `...` stands for any text."""
    first, *others = pattern.split("...")
    if not others:
        return text == pattern
    *middle, last = others
    if not text.startswith(first) or not text.endswith(last):
        return False
    place, stop = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, place, stop)
        if found < 0:
            return False
        place = found + len(piece)
    return place <= stop


def faults(row: Row, ended: Ended, changes: list[str]) -> list[str]:
    """What is wrong with the end of a row's command."""
    said = ended.err.removeprefix("semantic: ").removesuffix("\n")
    found = []
    if ended.code != row.code:
        found.append(f"exit code {ended.code}, expected {row.code}")
    if "Traceback" in ended.err + ended.out:
        found.append("a traceback")
    if row.code in (1, 2) and row.says and not ended.err.startswith("semantic: "):
        found.append("no word of the command's own")
    if not matches(row.says, said):
        found.append("another message")
    if said.count("\n") != row.says.count("\n"):
        found.append(f"{said.count(chr(10)) + 1} lines")
    if set(said + ended.out) & set(map(chr, (*range(9), *range(11, 32), 127))):
        found.append("control characters")
    if not matches(row.prints, ended.out):
        found.append(f"printed {ended.out[-300:]!r}")
    found += changes
    return [*found, f"said: {ended.err[-3000:]}"] if found else []


def try_row(row: Row, shop: Path, folder: Path) -> tuple[Ended, list[str]]:
    """Do what a row says on a copy of the shop, `folder`; how the command ended, and what was wrong."""
    shutil.copytree(shop, folder, symlinks=True)
    for damage in row.damages:
        damage(folder)
    before = snapshot(folder)
    ended = carry_out(folder, row.command, row.inside)
    return ended, faults(row, ended, differences(row, before, snapshot(folder)))


def import_everything() -> None:
    """Import all modules, so that forked commands need not."""
    for module in pkgutil.walk_packages(semantic.__path__, "semantic."):
        if module.name != "semantic.__main__":
            importlib.import_module(module.name)
    importlib.import_module("torch._dynamo")  # a second and more; the first step of an optimiser imports it


# Damages: what is done to the folder before the command.


def write(path: str, content: str | bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def append(path: str, content: str) -> Damage:
    return lambda folder: (folder / path).write_text((folder / path).read_text() + content)


def replace(path: str, old: str, new: str) -> Damage:
    """Replace text, which must be there."""

    def damage(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new))

    return damage


def cut(path: str, share: float = 0.5) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / path).read_bytes()
        (folder / path).write_bytes(content[: int(len(content) * share)])

    return damage


def flip(path: str, place: float = 0.99) -> Damage:
    """One bit of a file."""

    def damage(folder: Path) -> None:
        content = bytearray((folder / path).read_bytes())
        content[int(len(content) * place)] ^= 1
        (folder / path).write_bytes(content)

    return damage


def remove(path: str) -> Damage:
    return lambda folder: shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()


def make(path: str) -> Damage:
    return lambda folder: (folder / path).mkdir(parents=True)


def pipe(path: str) -> Damage:
    """A named pipe, that nobody writes to, in the place of a file."""

    def damage(folder: Path) -> None:
        (folder / path).unlink(missing_ok=True)
        os.mkfifo(folder / path)

    return damage


def link(path: str, to: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / path).unlink(missing_ok=True)
        (folder / path).symlink_to(to)

    return damage


def copy(source: str, path: str) -> Damage:
    def damage(folder: Path) -> None:
        (shutil.copytree if (folder / source).is_dir() else shutil.copy)(folder / source, folder / path)

    return damage


def move(source: str, path: str) -> Damage:
    return lambda folder: (folder / source).rename(folder / path)


def mode(path: str, bits: int) -> Damage:
    return lambda folder: (folder / path).chmod(bits)


def change(path: str, edit: Callable[[Any], Any]) -> Damage:
    """The JSON of a file, edited in place or replaced by what `edit` returns."""

    def damage(folder: Path) -> None:
        value = json.loads((folder / path).read_text())
        edited = edit(value)
        (folder / path).write_text(json.dumps(value if edited is None else edited))

    return damage


def done(command: str) -> Damage:
    """A command that succeeds."""

    def damage(folder: Path) -> None:
        ended = carry_out(folder, command)
        assert ended.code == 0, ended

    return damage


# What is done in the process of the command.


def environment(**variables: str) -> Callable[[], object]:
    return lambda: os.environ.update(variables)


def no_reader() -> None:
    """Standard output is a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    _print_to(writing)


def full_output() -> None:
    """Standard output is a file on a full disk."""
    _print_to(os.open("/dev/full", os.O_WRONLY))


def _print_to(descriptor: int) -> None:
    os.dup2(descriptor, 1)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)


def ascii_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii", errors="strict")  # type: ignore[union-attr]


def file_limit(size: int) -> Callable[[], object]:
    """No file may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def full_disk(opened: int, number: int = errno.ENOSPC) -> Callable[[], object]:
    """Every file that Python opens to write, from the `opened`-th on, fails; a file without a name, by which filelock asks what
    the disk can do, is not counted.
    """

    def inside() -> None:
        folder, count = os.getcwd(), 0
        nameless = getattr(os, "O_TMPFILE", -1)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if event != "open" or not isinstance(arguments[2], int) or not arguments[2] & WRITING:
                return
            if arguments[2] & nameless == nameless:
                return
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(path)).startswith(folder):
                count += 1
                if count >= opened:
                    raise OSError(number, os.strerror(number), os.fsdecode(path))

        sys.addaudithook(watch)

    return inside


def no_memory() -> None:
    """The first linear layer finds no memory."""
    import torch

    def exhausted(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory")

    torch.nn.Linear.forward = exhausted  # type: ignore[method-assign,assignment]


def ordinary_user() -> None:
    """Take root's privilege to read and write everything, so that the mode of a file counts for it too."""
    if os.geteuid() or platform.system() != "Linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):  # none effective, none permitted, none inherited
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    """Try rows and print what they say."""
    import torch

    from tests.kills import make_shop
    from tests.test_faults_table import ROWS

    torch.set_num_threads(1)
    import_everything()
    with tempfile.TemporaryDirectory() as place:
        shop, wrong = make_shop(Path(place) / "shop"), 0
        chosen = [one for one in ROWS if not sys.argv[1:] or any(word in one.name for word in sys.argv[1:])]
        for number, one in enumerate(chosen):
            started = time.monotonic()
            ended, bad = try_row(one, shop, Path(place) / str(number) / "shop")
            wrong += bool(bad)
            shown = f"{time.monotonic() - started:.1f}s {one.name}: {one.command}\n  {ended.code} {ended.err!r}\n"
            print(shown + "".join(f"  ! {each}\n" for each in bad[:-1]), end="", flush=True)
        print(f"{len(chosen)} rows, {wrong} not as they should be")


if __name__ == "__main__":
    main()
