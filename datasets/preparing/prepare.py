"""Preparation of a store from the files of a corpus. After an interruption, a second call continues the first."""

import errno
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semantic.datasets.preparing.dialogues import Limits, prepare_dialogues
from semantic.datasets.preparing.photos import CROP, RESIZE
from semantic.datasets.preparing.products import (
    JOURNAL,
    JOURNAL_TEMPORARY,
    PHOTOS,
    TEXTS,
    ProductSettings,
    prepare_products,
)
from semantic.datasets.preparing.source import Survey, survey
from semantic.datasets.preparing.workers import Workers
from semantic.datasets.reading.corpus import Corpus
from semantic.datasets.reading.faults import Faults
from semantic.datasets.store.store import (
    FILES,
    FORMAT,
    MANIFEST,
    VERSION,
    file_digests,
    open_store,
    read_manifest,
    sealed,
)
from semantic.runtime.claims import claim
from semantic.runtime.errors import DataError
from semantic.runtime.files import remove_leftovers, sync, write_text
from semantic.runtime.progress import Report, no_report

PARTIAL = "partial"
TEXT_BYTES = 512  # rough size of a product's name and text on disk
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
    photo_size: int = CROP,
    photo_resize: int | None = None,
    slot_words: Mapping[str, str] | None = None,
    overwrite: bool = False,
    workers: int = 0,
    progress: Report = no_report,
) -> dict[str, Any]:
    """Write the store of `corpus` into the folder `out` and return its manifest.

    Files are first written to `out/partial`: the products in blocks, with a journal, then the dialogues. When all are
    complete and on disk they take their place in `out`, the manifest last; a preparation that was stopped in between does
    so at its next start. `workers` worker processes decode photos and read dialogues while this process writes; with 0 this
    process does everything.

    Photos are squares of `photo_size` pixels, cut from the middle of `photo_resize`, 72 for 64 where it is not given. An example
    keeps the first positives and negatives that are products of the store, as many as `limits` has. `slot_words` are what the keys
    of the user's own slots are embedded as; models find them in the store.

    An existing store of the same source and settings is left as it is: the source is the same where every file has the size
    and time it had, or else where a new store, made to compare, holds the same. A store of others is kept unless
    `overwrite` says that it may be replaced, and then until the new one is complete.

    Raises:
        DataError: `out` holds anything else; disk space is too small; no split has an example; the dataset changes while
            it is read; under `on_error="stop"`, the first malformed file or unknown slot.
        BusyError: another process prepares the same store.
    """
    out, limits = Path(out), limits or Limits()
    products = ProductSettings(missing_photo, photo_resize or round(photo_size * RESIZE / CROP), photo_size)
    faults, pool = Faults(on_error), Workers(workers)
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, found a file")
    with claim(out):
        found = survey(corpus, progress)
        words = None if slot_words is None else {slot: slot_words[slot] for slot in corpus.slots}
        settings = {"slots": list(corpus.slots), "slot_words": words, "limits": asdict(limits), **asdict(products)}
        source = {"layout": corpus.layout, "root": str(corpus.root.resolve()), **found.stamps}
        _tidy(out)
        old = None if overwrite else _store_to_keep(out, settings)
        if old is not None and old["source"] == source | {"root": old["source"]["root"]}:
            return _leave(out, old, progress)
        if overwrite and _journal_of(out / PARTIAL) not in (None, {"catalogue": found.products, **asdict(products)}):
            shutil.rmtree(out / PARTIAL)
        partial = out / PARTIAL
        catalogue = len(corpus.product_names())
        if catalogue + found.dialogue_files < WORTH_WORKERS:
            pool = Workers(0)
        with _full_disk(out), closing(pool), ThreadPoolExecutor(1) as beside:
            partial.mkdir(parents=True, exist_ok=True)
            _check_disk(out, catalogue, found.dialogue_bytes, products)
            corpus.report_malformed_products(faults)
            prepared = prepare_products(corpus, partial, products, found.products, faults, progress, pool)
            beside.submit(sync, partial / PHOTOS)  # the largest file, while dialogues are read
            splits = prepare_dialogues(corpus, partial, prepared.rows, limits, faults, progress, pool)
            pool.close()
            _check_examples(corpus, splits, prepared.counts, faults)
            still = beside.submit(_brought_to_disk, partial, corpus)
            checksums = file_digests(partial, FILES, progress)
            if still.result() != found:
                raise DataError(
                    f"{corpus.root}: expected files that stand still, found some changed meanwhile; prepare again"
                )
            manifest = sealed(
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "source": source,
                    **settings,
                    "splits": splits,
                    "products": prepared.counts,
                    "rejected": dict(sorted(faults.counts.items())),
                    "rejected_examples": faults.examples,
                    "sizes": {name: (partial / name).stat().st_size for name in FILES},
                    "checksums": checksums,
                }
            )
            if old is not None:  # of other sizes or times
                return _compare(out, old, manifest, progress)
            _write_manifest(partial, manifest)
            _move_to_place(out)
    return manifest


def _brought_to_disk(partial: Path, corpus: Corpus) -> Survey:
    """What the dataset looks like once the store's files are on the disk itself."""
    for name in FILES:
        sync(partial / name)
    return survey(corpus, no_report)


def _tidy(out: Path) -> None:
    """Move a store that was complete when its preparation was stopped to its place. DataError where others' files are."""
    partial = out / PARTIAL
    if (partial / MANIFEST).exists():
        _move_to_place(out)
    if partial.exists():
        remove_leftovers(partial)
    _refuse_others(partial, {*FILES, MANIFEST, JOURNAL, JOURNAL_TEMPORARY, TEXTS})
    if not (out / MANIFEST).exists():
        _refuse_others(out, {PARTIAL})


def _store_to_keep(out: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of the store in `out`, None where there is none. DataError where it has other settings."""
    if not (out / MANIFEST).exists():
        return None
    manifest = read_manifest(out)
    changed = [key for key, value in settings.items() if manifest.get(key) != value]
    if changed:
        raise _other_store(out, changed)
    return manifest


def _compare(out: Path, old: dict[str, Any], new: dict[str, Any], progress: Report) -> dict[str, Any]:
    """The old store's manifest with the times of today, where the new store in `partial` holds the same; else DataError."""
    if new["identity"] != old["identity"]:
        raise _other_store(out, ["source"])
    manifest = sealed(old | {"source": new["source"]})
    _write_manifest(out, manifest)
    return _leave(out, manifest, progress)


def _leave(out: Path, manifest: dict[str, Any], progress: Report) -> dict[str, Any]:
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    _logger.info("%s: a store of the same source and settings is there; nothing to do", out)
    progress("already prepared", 1, 1)
    return manifest


def _other_store(out: Path, changed: list[str]) -> DataError:
    return DataError(
        f"{out}: expected no store or one of the same source and settings, found one that differs in "
        f"{', '.join(changed)}; choose another folder or pass --overwrite"
    )


def _refuse_others(folder: Path, ours: set[str]) -> None:
    """DataError where a folder holds what no preparation put there."""
    names = sorted({path.name for path in folder.iterdir()} - ours) if folder.is_dir() else []
    if names:
        raise DataError(
            f"{folder}: expected an empty folder or a store, found {', '.join(names[:5])}; choose another folder"
        )


def _journal_of(partial: Path) -> Any:
    """What an unfinished store is of: the first line of its journal."""
    try:
        return json.loads((partial / JOURNAL).read_text(encoding="utf-8").partition("\n")[0])
    except (OSError, ValueError):
        return None


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


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1))


def _move_to_place(out: Path) -> None:
    """Move a complete store from `out/partial` to `out`; where it was stopped it goes on."""
    partial = out / PARTIAL
    (out / MANIFEST).unlink(missing_ok=True)  # while old and new files mix, the folder is no store
    sync(out)
    for name in FILES:
        if (partial / name).exists():
            (partial / name).replace(out / name)
    (partial / MANIFEST).replace(out / MANIFEST)
    sync(out)
    shutil.rmtree(partial)
    open_store(out).record_verified()


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
