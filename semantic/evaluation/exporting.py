"""Rankings as files that other tools read: TREC's run format, or CSV with names."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import numpy as np
import torch

from semantic.datasets.batches.tensors import NONE
from semantic.datasets.store.store import Store
from semantic.runtime.errors import UserError
from semantic.runtime.files import replacing

TREC = (".trec", ".run")
"""What a file in TREC's run format ends in."""

COLUMNS = ("dialogue", "turn", "rank", "product", "score", "positive")


def query_name(store: Store, row: int) -> str:
    """DIALOGUE:TURN, a query's name in TREC's files."""
    dialogue, turn = store.example_turns[row]
    return f"{trec_name(store.dialogue_names[dialogue])}:{turn - store.dialogue_first_turn[dialogue]}"


def trec_name(name: str) -> str:
    """A name without white space, which parts TREC's columns: that, and `%`, as percent-encoded UTF-8."""
    return "".join(quote(character) if character.isspace() or character == "%" else character for character in name)


class Rankings:
    """Rankings of queries, written as they come: the best `depth` candidates of each, or all; equal scores by product."""

    def __init__(self, file: TextIO, *, trec: bool, depth: int | None, tag: str) -> None:
        self.file, self.trec, self.depth, self.tag = file, trec, depth, tag
        self.lines: Any = csv.writer(file, lineterminator="\n")
        if not trec:
            self.lines.writerow(COLUMNS)

    def add(
        self,
        store: Store,
        rows: np.ndarray,
        ids: np.ndarray,
        scores: torch.Tensor,
        positive: torch.Tensor,
        keep: torch.Tensor,
    ) -> None:
        """Queries' candidates `ids` [query, candidate] with their scores."""
        del keep
        for row, products, own, right in zip(
            rows.tolist(), ids, scores.cpu().numpy(), positive.cpu().numpy(), strict=True
        ):
            real = products != NONE
            order = np.lexsort((products[real], -own[real]))[: self.depth]
            names = store.product_column("name", products[real][order].tolist())
            found = zip(names, own[real][order].tolist(), right[real][order].tolist(), strict=True)
            dialogue, turn = store.example_turns[row]
            query = query_name(store, row)
            for rank, (name, score, is_positive) in enumerate(found, 1):
                if self.trec:
                    self.file.write(f"{query} Q0 {trec_name(name)} {rank} {score!r} {self.tag}\n")
                else:
                    place = int(turn - store.dialogue_first_turn[dialogue])
                    self.lines.writerow((store.dialogue_names[dialogue], place, rank, name, score, int(is_positive)))


@contextmanager
def writing_rankings(path: Path, *, depth: int | None = None, tag: str = "semantic") -> Iterator[Rankings]:
    """Rankings that become the file `path` when the block ends: `.csv` with the columns dialogue, turn, rank, product, score,
    positive; `.trec` or `.run` in TREC's run format, `QUERY Q0 PRODUCT RANK SCORE TAG`, QUERY being DIALOGUE:TURN.

    Raises:
        UserError: a name that ends otherwise.
    """
    if path.suffix not in (".csv", *TREC):
        raise UserError(
            f"{path}: expected a file .csv, .trec or .run for rankings, got {path.suffix or 'no such ending'}"
        )
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield Rankings(file, trec=path.suffix != ".csv", depth=depth, tag=trec_name(tag))


def write_qrels(path: Path, store: Store, rows: np.ndarray) -> None:
    """The positives of queries in TREC's format, `QUERY 0 PRODUCT 1`, for trec_eval and its like."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for row in rows.tolist():
            query = query_name(store, row)
            for name in store.product_column("name", store.positives(row).tolist()):
                file.write(f"{query} 0 {trec_name(name)} 1\n")
