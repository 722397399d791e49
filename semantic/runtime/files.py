"""Files that are whole at any moment: written under another name in the same folder, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; it becomes `path` when the block ends well, and nothing changes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` and a final newline."""
    with replacing(path) as partial:
        partial.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
