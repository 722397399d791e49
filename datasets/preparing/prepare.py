"""Preparation of a store from the files of a corpus. After an interruption, a second call continues the first."""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semantic.datasets.preparing.dialogues import Limits, prepare_dialogues
from semantic.datasets.preparing.products import (
    JOURNAL,
    PHOTOS,
    TEXTS,
    ProductSettings,
    catalogue_digest,
    prepare_products,
)
from semantic.datasets.preparing.workers import Workers
from semantic.datasets.reading.corpus import Corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.reading.turns import file_names
from semantic.datasets.store.store import FILES, FORMAT, MANIFEST, VERSION, file_digest, read_manifest
from semantic.runtime.errors import DataError
from semantic.runtime.progress import Report, no_report

PARTIAL = "partial"
TEXT_BYTES = 512  # rough size of a product's name and text on disk
REPORT_EVERY = 1000  # files between two reports of progress while sizes are read
WORTH_WORKERS = 2000
"""With fewer products and dialogues than this, worker processes take longer to start than they save."""

_logger = logging.getLogger(__name__)


def prepare(
    corpus: Corpus,
    out: Path | str,
    *,
    missing_photo: str = "drop",
    on_error: str = "stop",
    limits: Limits | None = None,
    photo_size: int = 64,
    photo_resize: int = 72,
    overwrite: bool = False,
    workers: int = 0,
    progress: Report = no_report,
) -> dict[str, Any]:
    """Write the store of `corpus` into the folder `out` and return its manifest.

    Files are first written to `out/partial`: the products in blocks, with a journal, then the dialogues. When all are
    complete they move to `out`, the manifest last. An existing store of the same source and settings is left as it is.
    `workers` worker processes decode photos and read dialogues while this process writes; with 0 this process does
    everything. DataError where `out` holds anything else, where disk space is too small, where no split has an example,
    and, under `on_error="stop"`, for the first malformed file or unknown slot.
    """
    out, limits = Path(out), limits or Limits()
    products, faults = ProductSettings(missing_photo, photo_resize, photo_size), Faults(on_error)
    pool = Workers(workers)
    source, dialogues, dialogue_bytes = _source(corpus, progress)
    settings = {"source": source, "slots": list(corpus.slots), "limits": asdict(limits), **asdict(products)}
    finished = _finished_store(out, settings, overwrite)
    if finished is not None:
        _logger.info("%s: a store of the same source and settings is there; nothing to do", out)
        progress("already prepared", 1, 1)
        return finished
    partial = out / PARTIAL
    catalogue = len(corpus.product_names())
    if catalogue + dialogues < WORTH_WORKERS:
        pool = Workers(0)
    with _full_disk(out), closing(pool):
        partial.mkdir(parents=True, exist_ok=True)
        _take_back_photos(out)
        _check_disk(out, catalogue, dialogue_bytes, products)
        corpus.report_malformed_products(faults)
        prepared = prepare_products(corpus, partial, products, source["catalogue"], faults, progress, pool)
        splits = prepare_dialogues(corpus, partial, prepared.rows, limits, faults, progress, pool)
        pool.close()
        _check_examples(corpus, splits, prepared.counts, faults)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            **settings,
            "splits": splits,
            "products": prepared.counts,
            "rejected": dict(sorted(faults.counts.items())),
            "rejected_examples": faults.examples,
            "sizes": {name: (partial / name).stat().st_size for name in FILES},
            "checksums": _checksums(partial, progress),
        }
        _move_to_place(out, manifest)
    return manifest


def _source(corpus: Corpus, progress: Report) -> tuple[dict[str, str], int, int]:
    """The manifest's `source`, with hashes that change with the data; the number and bytes of the dialogue files."""
    digest, done, total = hashlib.sha256(), 0, 0
    names = {split: file_names(corpus.folders[split]) for split in corpus.splits}
    files = sum(map(len, names.values()))
    for split in names:
        for name in names[split]:
            size = os.stat(corpus.folders[split] / name).st_size
            digest.update(f"{split} {name} {size}\n".encode())
            total += size
            done += 1
            if done % REPORT_EVERY == 0:
                progress("looking for changes", done, files)
    source = {
        "layout": corpus.layout,
        "root": str(corpus.root.resolve()),
        "catalogue": catalogue_digest(corpus.product_names()),
        "dialogues": digest.hexdigest(),
    }
    return source, files, total


def _finished_store(out: Path, settings: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The manifest of the store in `out` if it has these settings; None where a store may be written.

    DataError for anything else in `out`; with `overwrite`, a store there is deleted.
    """
    if overwrite:
        # The manifest is deleted first: without it, what an interruption leaves is no store.
        for name in (MANIFEST, *FILES):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        return None
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, found a file")
    if (out / MANIFEST).exists():
        manifest = read_manifest(out)
        changed = [key for key, value in settings.items() if manifest.get(key) != value]
        if changed:
            raise DataError(
                f"{out}: expected no store or one of the same source and settings, found one that differs in "
                f"{', '.join(changed)}; choose another folder or pass --overwrite"
            )
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        return manifest
    if out.is_dir() and any(out.iterdir()) and not (out / PARTIAL).is_dir():
        names = ", ".join(sorted(path.name for path in out.iterdir())[:5])
        raise DataError(f"{out}: expected an empty folder or a store, found {names}; choose another folder")
    return None


def _take_back_photos(out: Path) -> None:
    """Move photos that were in their final place already back to `partial`; the other files are written again."""
    if (out / PHOTOS).exists() and (out / PARTIAL / JOURNAL).exists():
        (out / PHOTOS).replace(out / PARTIAL / PHOTOS)


def _check_disk(out: Path, products: int, dialogue_bytes: int, settings: ProductSettings) -> None:
    """DataError where the disk has too little space for the files. The estimate is high: it takes all photos to decode."""
    present = sum(path.stat().st_size for path in (out / PARTIAL).iterdir())
    # Dialogues take less space in the store than in their files. Texts are on disk twice until the files move.
    needed = products * (settings.photo_size**2 * 3 + 2 * TEXT_BYTES) + dialogue_bytes - present
    free = shutil.disk_usage(out).free
    if needed > free:
        raise DataError(f"{out}: expected {needed / 1e9:.2f} GB free to prepare, found {free / 1e9:.2f} GB")


def _check_examples(
    corpus: Corpus, splits: dict[str, dict[str, int]], products: dict[str, int], faults: Faults
) -> None:
    if any(counts["examples"] for counts in splits.values()):
        return
    read = ", ".join(f"{name} {counts['dialogues']} dialogues" for name, counts in splits.items())
    why = "; ".join(f"{reason} {count}" for reason, count in sorted(faults.counts.items())) or "nothing was rejected"
    raise DataError(
        f"{corpus.root}: expected a recommendation with a positive and a negative, found no example in any split: "
        f"{read}; {products['total']} of {products['catalogue']} products kept; {why}"
    )


def _checksums(folder: Path, progress: Report) -> dict[str, str]:
    checksums = {}
    progress("checksums", 0, len(FILES))
    for done, name in enumerate(FILES, 1):
        checksums[name] = file_digest(folder / name)
        progress("checksums", done, len(FILES))
    return checksums


def _move_to_place(out: Path, manifest: dict[str, Any]) -> None:
    partial = out / PARTIAL
    temporary = partial / MANIFEST
    temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in FILES:
        (partial / name).replace(out / name)
    temporary.replace(out / MANIFEST)
    for name in (JOURNAL, TEXTS):
        (partial / name).unlink()
    partial.rmdir()


@contextmanager
def _full_disk(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"{out}: expected room to write, found the disk full; what was written is kept: free some space and "
            f"prepare again to go on"
        ) from error
