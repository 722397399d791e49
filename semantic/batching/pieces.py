"""Every text of a store as word pieces, tokenised once for a tokenizer and kept beside the store."""

import hashlib

import numpy as np
from tokenizers import Tokenizer

from semantic.batching.cache import cached_rows
from semantic.batching.inputs import InputSpec
from semantic.datasets.batches.builder import Pieces
from semantic.datasets.store.store import Store
from semantic.encoders.vocabulary import tokenise
from semantic.runtime.progress import Progress

BLOCK = 65_536


def read_pieces(tokenizer: Tokenizer, store: Store, spec: InputSpec, progress: Progress, *, dialogues: bool) -> Pieces:
    """The word pieces of a store's products, turns and slot values, memory-mapped; without `dialogues` no turns."""
    # Most vocabularies fit into 15 bits, and a turn is read as often as anything. Numbers may have gaps.
    dtype = np.int16 if max(tokenizer.get_vocab().values(), default=0) <= np.iinfo(np.int16).max else np.int32
    text = tokenizer.to_str()

    def read(table: str, column: str, length: int) -> np.ndarray:
        known = f"{text} {length} {np.dtype(dtype)} {store.manifest['checksums'][f'{table}.parquet']}"
        return cached_rows(
            store.path / "pieces" / f"{table}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.npy",
            store.rows(table),
            (length,),
            dtype,
            lambda start, stop: tokenise(tokenizer, store.texts(table, column, start, stop), length),
            block=BLOCK,
            progress=progress,
            what=f"word pieces of {table.replace('_', ' ')}",
        )

    return Pieces(
        products=read("products", "text", spec.product_tokens),
        turns=read("turns", "text", spec.turn_tokens) if dialogues else np.zeros((0, spec.turn_tokens), dtype),
        values=read("state_values", "value", spec.value_tokens),
    )
