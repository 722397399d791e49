"""Files of a corpus -> a prepared store. Safe to interrupt: a second call goes on where the first one was."""

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
TEXT_BYTES = 512  # a product's name and text on disk, roughly
REPORT_EVERY = 1000  # files whose size is asked for
WORTH_WORKERS = 2000
"""Products and dialogues below which other processes would take longer to start than they save."""

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
    """Write the store of `corpus` into the folder `out`; its manifest is returned.

    Work goes into `out/partial`: photos by blocks with a journal, then the dialogues. Files move to their place when
    all are whole, the manifest last. A store of the same source and settings that is there already is left as it is.
    `workers` processes read dialogues and decode photos while this one writes; with 0 it does both.
    DataError: a store of something else in `out`, too little disk, no example in any split, and under
    `on_error="stop"` the first malformed file or unknown slot.
    """
    out, limits = Path(out), limits or Limits()
    products, faults = ProductSettings(missing_photo, photo_resize, photo_size), Faults(on_error)
    team = Workers(workers)
    source, dialogues, dialogue_bytes = _source(corpus, progress)
    settings = {"source": source, "slots": list(corpus.slots), "limits": asdict(limits), **asdict(products)}
    finished = _take_place(out, settings, overwrite)
    if finished is not None:
        _logger.info("%s: a store of the same source and settings is there; nothing to do", out)
        progress("already prepared", 1, 1)
        return finished
    partial = out / PARTIAL
    catalogue = len(corpus.product_names())
    if catalogue + dialogues < WORTH_WORKERS:
        team = Workers(0)
    with _full_disk(out), closing(team):
        partial.mkdir(parents=True, exist_ok=True)
        _keep_photos(out)
        _check_disk(out, catalogue, dialogue_bytes, products)
        corpus.report_malformed_products(faults)
        prepared = prepare_products(corpus, partial, products, source["catalogue"], faults, progress, team)
        splits = prepare_dialogues(corpus, partial, prepared.rows, limits, faults, progress, team)
        team.close()
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
    """Where the data comes from, with fingerprints of catalogue and dialogue files; the latter's number and bytes."""
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


def _take_place(out: Path, settings: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The manifest of a finished store that is just what was asked for, else None with the way free."""
    if overwrite:
        # The manifest goes first: without it the rest is no store.
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


def _keep_photos(out: Path) -> None:
    """Take photos that had already moved to their place back into the work: the rest is written anew."""
    if (out / PHOTOS).exists() and (out / PARTIAL / JOURNAL).exists():
        (out / PHOTOS).replace(out / PARTIAL / PHOTOS)


def _check_disk(out: Path, products: int, dialogue_bytes: int, settings: ProductSettings) -> None:
    """DataError where the disk cannot hold what is still to be written (an estimate from above: all photos decode)."""
    present = sum(path.stat().st_size for path in (out / PARTIAL).iterdir())
    # Integers take half the room of their digits; texts are kept once more while the work goes on.
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
