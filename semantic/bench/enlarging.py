"""A store made larger by writing the dialogues of a split again and again: valid, of any size, in seconds."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from semantic.datasets.store.arrays import GrowingArray
from semantic.datasets.store.store import FILES, FORMAT, MANIFEST, VERSION, Store, file_digests, open_store, sealed

KEPT = ("products.parquet", "photos.npy", "has_photo.npy", "state_values.parquet")
"""Files of the catalogue, which are shared."""


def dialogue_bytes(store: Store, split: str) -> int:
    """Bytes on disk of one repetition of the split, about: its share of the examples of the files that are written anew."""
    share = len(store.split(split)) / max(1, len(store.example_turns))
    return int(share * sum(store.manifest["sizes"][name] for name in FILES if name not in KEPT))


def enlarge(store: Store, folder: Path, split: str, repeats: int) -> Store:
    """A store in the new `folder` whose only split holds the dialogues of `split` so many times, over the same products."""
    folder.mkdir(parents=True)
    for name in KEPT:
        os.symlink((store.path / name).resolve(), folder / name)
    if (store.path / "features").is_dir():
        os.symlink((store.path / "features").resolve(), folder / "features")
    dialogues, turns, examples = _ranges(store, split)
    table = pq.read_table(store.path / "turns.parquet").slice(turns.start, len(turns))
    pq.write_table(pa.concat_tables([table] * repeats), folder / "turns.parquet", row_group_size=65_536)
    table = pq.read_table(store.path / "dialogues.parquet").slice(dialogues.start, len(dialogues))
    first = table.column("first_turn").to_numpy() - turns.start
    first = (first + len(turns) * np.arange(repeats)[:, None]).reshape(-1)
    table = pa.concat_tables([table] * repeats)
    place = table.column_names.index("first_turn")
    table = table.set_column(place, "first_turn", pa.array(first))
    pq.write_table(table, folder / "dialogues.parquet", row_group_size=65_536)

    _write(folder / "turn_states.npy", store.turn_states[turns.start : turns.stop], repeats)
    digests = np.arange(len(dialogues) * repeats, dtype=np.uint64)  # repetitions are dialogues of their own
    np.save(folder / "dialogue_digests.npy", digests)
    targets = np.asarray(store.example_turns[examples.start : examples.stop]) - (dialogues.start, turns.start)
    _write(folder / "example_turns.npy", targets, repeats, step=np.array([len(dialogues), len(turns)]))
    _write_lists(folder, "turn_images", store.turn_image_values, store.turn_image_offsets, turns, repeats)
    _write_lists(folder, "positives", store.positive_values, store.positive_offsets, examples, repeats)
    _write_lists(folder, "negatives", store.negative_values, store.negative_offsets, examples, repeats)
    _write_manifest(store, folder, split, repeats)
    return open_store(folder)


def _ranges(store: Store, split: str) -> tuple[range, range, range]:
    """The rows of the split's dialogues, turns and examples; a store holds split after split."""
    column = pq.read_table(store.path / "dialogues.parquet", columns=["split"]).column(0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(column == split)
    dialogues = range(int(rows[0]), int(rows[-1]) + 1)
    last = dialogues[-1]
    stop = int(store.dialogue_first_turn[last] + store.dialogue_turns[last])
    return dialogues, range(int(store.dialogue_first_turn[dialogues.start]), stop), store.split(split).examples


def _write(file: Path, block: np.ndarray, repeats: int, step: Any = 0) -> None:
    """The block again and again, the values of each repetition `step` above those of the one before."""
    array = GrowingArray(file, block.dtype, block.shape[1:])
    try:
        for repeat in range(repeats):
            array.append(block + repeat * step if np.any(step) else block)
        array.close()
    finally:
        array.release()


def _write_lists(folder: Path, name: str, values: np.ndarray, offsets: np.ndarray, rows: range, repeats: int) -> None:
    bounds = np.asarray(offsets[rows.start : rows.stop + 1])
    _write(folder / f"{name}.npy", values[bounds[0] : bounds[-1]], repeats)
    lengths = np.tile(np.diff(bounds), repeats)
    _write(folder / f"{name}_offsets.npy", np.concatenate([[0], np.cumsum(lengths)]), 1)


def _write_manifest(store: Store, folder: Path, split: str, repeats: int) -> None:
    kept = {name: store.manifest["checksums"][name] for name in KEPT}
    made = file_digests(folder, [name for name in FILES if name not in kept])
    manifest = store.manifest | {
        "format": FORMAT,
        "version": VERSION,
        "splits": {split: {name: count * repeats for name, count in store.manifest["splits"][split].items()}},
        "sizes": {name: (folder / name).stat().st_size for name in FILES},
        "checksums": kept | made,
    }
    (folder / MANIFEST).write_text(json.dumps(sealed(manifest)), encoding="utf-8")
