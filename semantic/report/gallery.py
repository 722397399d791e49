"""What a page shows of dialogues and products: photos as data URIs, speech bubbles, and test turns."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from semantic.datasets.store.store import Store
from semantic.report.explanations import Explanation, explanations_of_query
from semantic.runs.summary import NamedExplanation
from semantic.runtime.errors import DataError

JPEG_QUALITY = 80


@dataclass(frozen=True)
class Card:
    """A product as shown: `photo` is a data URI, or None where the store has no photo of it."""

    name: str
    text: str
    photo: str | None
    rank: str = ""
    score: float | None = None
    hit: bool = False


@dataclass(frozen=True)
class Bubble:
    """One turn as shown: its text, photos and gold state; `state` None where the turn carries none."""

    speaker: str
    text: str
    photos: tuple[Card, ...]
    state: tuple[tuple[str, str], ...] | None = None
    act: str = ""


@dataclass(frozen=True)
class Exhibit:
    """One test turn of the gallery."""

    why: str
    dialogue: str
    turn: int
    candidates: int
    ndcg: dict[str, float]
    bubbles: tuple[Bubble, ...]
    reply: str
    state: tuple[tuple[str, str], ...] | None
    gold: tuple[Card, ...]
    top: tuple[Card, ...]
    explanations: tuple[Explanation, ...]


def _uri(pixels: np.ndarray) -> str:
    """A photo as a data URI."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


class Showcase:
    """Cards and bubbles of a store's products and turns; each photo is encoded once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.photo = lru_cache(maxsize=None)(self._photo)

    def _photo(self, product: int) -> str | None:
        return _uri(np.asarray(self.store.photos[product])) if self.store.has_photo[product] else None

    def card(self, product: int, **shown: Any) -> Card:
        name, text = self.store.product_names[product], self.store.product_texts[product]
        return Card(name, text, self.photo(int(product)), **shown)

    def image(self, shown: int | np.ndarray) -> Card:
        """The card of a product, or of the pixels of a photo that is no product's."""
        return Card("own photo", "", _uri(shown)) if isinstance(shown, np.ndarray) else self.card(shown)

    def bubble(self, turn: int) -> Bubble:
        photos = tuple(self.card(product) for product in dict.fromkeys(self.store.turn_images(turn).tolist()))
        text, speaker = self.store.turn_texts[turn] or "", self.store.turn_speakers[turn]
        return Bubble(speaker, text, photos, self.state(turn), self.store.turn_acts[turn] or "")

    def state(self, turn: int) -> tuple[tuple[str, str], ...] | None:
        """(slot, value) of the slots that are set; None where the turn carries no state."""
        values = self.store.turn_states[turn]
        if (values < 0).all():
            return None
        pairs = zip(self.store.slots, values.tolist(), strict=True)
        return tuple((slot, self.store.state_values[value]) for slot, value in pairs if value > 0)

    def exhibit(
        self, query: dict[str, Any], why: str, context_turns: int, named: Sequence[NamedExplanation] = ()
    ) -> Exhibit:
        """A row of a run's queries.parquet as shown, with the `context_turns` turns before it and the explanations that
        the run's summary has `named`.

        Raises:
            DataError: the row is of another store, or its explanations have not one weight a label.
        """
        store, row, target = self.store, query["dialogue_row"], query["turn"]
        if row >= len(store.dialogue_names) or store.dialogue_names[row] != query["dialogue"]:
            raise DataError(
                f"{store.path}: expected dialogue {query['dialogue']!r} of the run's queries in row {row}, "
                "found another; the run was evaluated on another store"
            )
        first = int(store.dialogue_first_turn[row])
        turns = int(store.dialogue_turns[row])
        if not first <= target < first + turns:
            raise DataError(
                f"{store.path}: expected a turn of dialogue {query['dialogue']!r}, rows {first} to {first + turns - 1}, "
                f"in the run's queries, found {target}"
            )
        shown = max(query["positives"] + query["top_products"])
        if shown >= store.num_products:
            raise DataError(
                f"{store.path}: expected products below {store.num_products} in the run's queries, found {shown}"
            )
        gold = [
            self.card(product, rank=_rank(above, tied), score=score)
            for product, above, tied, score in zip(
                query["positives"], query["above"], query["tied"], query["positive_scores"], strict=True
            )
        ]
        marked = zip(query["top_products"], query["top_scores"], query["top_hit"], strict=True)
        top = [self.card(p, rank=str(i), score=s, hit=h) for i, (p, s, h) in enumerate(marked, 1)]
        return Exhibit(
            why=why,
            dialogue=query["dialogue"],
            turn=target - first + 1,
            candidates=query["candidates"],
            ndcg={protocol: query[f"{protocol}/ndcg@5"] for protocol in ("standard", "released")},
            bubbles=tuple(self.bubble(turn) for turn in range(max(first, target - context_turns), target)),
            reply=store.turn_texts[target] or "",
            state=self.state(target - 1) if target > first else None,
            gold=tuple(gold),
            top=tuple(top),
            explanations=explanations_of_query(named, query),
        )


def _rank(above: int, tied: int) -> str:
    return f"{above + 1:,}" if tied < 2 else f"{above + 1:,} to {above + tied:,}"
