"""Whether a dataset stood still: names, sizes and times of the files it is read from, none of which is opened."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from semantic.datasets.reading.corpus import Corpus
from semantic.runtime.progress import Report

WORTH_SAYING = 1000  # files, before progress is reported


@dataclass(frozen=True)
class Survey:
    """Digests of the names, sizes and times of a dataset's files, and the number and bytes of those with dialogues."""

    products: str  # of the catalogue's tables, texts and photos
    dialogues: str
    dialogue_files: int
    dialogue_bytes: int

    @property
    def stamps(self) -> dict[str, str]:
        """For the manifest."""
        return {"products": self.products, "dialogues": self.dialogues}


def survey(corpus: Corpus, progress: Report) -> Survey:
    """Look at every file that a corpus reads."""
    products, dialogues = hashlib.sha256(), hashlib.sha256()
    files = size = done = 0
    folders = [corpus.folders[split] for split in corpus.splits]
    for places, digest in ((corpus.product_sources(), products), (folders, dialogues)):
        for place in places:
            for found in _folders(os.fspath(place), os.path.relpath(place, corpus.root)):
                lines = [f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n" for name, stat in found]
                digest.update("".join(lines).encode(errors="surrogateescape"))
                done += len(found)
                if digest is dialogues:
                    files += len(found)
                    size += sum(stat.st_size for _, stat in found)
                if done >= WORTH_SAYING:
                    progress("looking for changes", done, done)
    return Survey(products.hexdigest(), dialogues.hexdigest(), files, size)


def _folders(place: str, name: str) -> Iterator[list[tuple[str, os.stat_result]]]:
    """The regular files of a folder and of each below it, in order, or the one at a place; `name` is the place's.

    Hidden ones are read by nobody.
    """
    if not os.path.isdir(place):
        if os.path.isfile(place):
            yield [(name, os.stat(place))]
        return
    with os.scandir(place) as entries:
        found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    files: list[tuple[str, os.stat_result]] = []
    folders = []
    for entry in found:
        with suppress(OSError):  # a link that leads nowhere, or to itself
            if entry.is_file():
                files.append((f"{name}/{entry.name}", entry.stat()))
            elif entry.is_dir():
                folders.append(entry)
    yield files
    for folder in folders:
        yield from _folders(folder.path, f"{name}/{folder.name}")
