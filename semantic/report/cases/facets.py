"""What a query is like: the facets by which results are broken down and cases are chosen."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from semantic.datasets.store.store import Store
from semantic.runtime.errors import DataError
from semantic.runtime.terminal import visible

GARMENT_SLOTS = ("product_category", "category", "type")
"""Slots of a state that say which garment is asked for: the first that a store has. MMD's `types` is something else."""

KEYS = ["dialogue_row", "turn_row"]
"""What a query is known by: its dialogue and its turn, as rows of the store."""

NOT_SET = "(not set)"
NO_STATE = "(no state)"
EDGES = {
    "turn": (1, 3, 5, 7, 9, 13),
    "recommendation": (1, 2, 3, 4, 5),
    "photos": (0, 1, 3, 6, 11),
    "positives": (1, 2, 3, 4, 5),
}
"""The first number of each bin of the facets that are counts; the last bin has no end."""

TITLES = {
    "slot": "Slot set in the gold state",
    "turn": "Turn of the dialogue",
    "recommendation": "Recommendation turn of the dialogue",
    "garment": "Garment asked for, by the gold state",
    "photos": "Photos in the context",
    "positives": "Positives",
    "shown_before": "A positive was shown before",
}
"""The facets, as people read them."""


def query_facets(store: Store, queries: Sequence[tuple[int, int]], context_turns: int) -> pd.DataFrame:
    """The facets of queries, each given as (dialogue row, turn row), a line a query in their order, indexed by `KEYS`:

    - `dialogue`: its name; `turn`: which merged turn of it recommends, from 1, as pages say it; `recommendation`: which of
      the dialogue's examples in the store this is, from 1 (turns that `prepare` rejected do not count).
    - `slots`: the slots that the gold state of the last user turn sets, in the store's order; None where that turn
      carries no state. `garment`: that state's value of the first of `GARMENT_SLOTS` that the store has, else `NOT_SET` or
      `NO_STATE`. It is what the shopper asked for, exactly as annotated. Product texts name garments too, but in the words
      of each catalogue, and nothing is read from these.
    - `photos`: how many photos the `context_turns` merged turns before show, repeated ones too, of products that have one.
      A model may read fewer (`data.photos_per_turn`).
    - `positives`: how many there are; `shown_before`: whether any earlier turn of the dialogue, in the context or not, shows
      one.

    Raises:
        DataError: a query is not an example of the store.
    """
    examples = _example_rows(store, queries)
    recommendation = _recommendations(store)
    garment_slot = next((store.slots.index(slot) for slot in GARMENT_SLOTS if slot in store.slots), None)
    lines = []
    for (dialogue, turn), example in zip(queries, examples, strict=True):
        first = int(store.dialogue_first_turn[dialogue])
        values = store.turn_states[turn - 1] if turn > first else np.full(len(store.slots), -1)
        stated = bool((values >= 0).any())
        positives = store.positives(example)
        context = _images(store, max(first, turn - context_turns), turn)
        lines.append(
            {
                "dialogue": store.dialogue_names[dialogue],
                "turn": turn - first + 1,
                "recommendation": int(recommendation[example]),
                "slots": tuple(np.array(store.slots)[values > 0].tolist()) if stated else None,
                "garment": _garment(store, values, garment_slot) if stated else NO_STATE,
                "photos": int(store.has_photo[context].sum()),
                "positives": len(positives),
                "shown_before": bool(np.isin(positives, _images(store, first, turn)).any()),
            }
        )
    return pd.DataFrame(lines, pd.MultiIndex.from_tuples(list(queries), names=KEYS))


def facet_values(facets: pd.DataFrame, slots: Iterable[str]) -> dict[str, dict[str, np.ndarray]]:
    """Facet -> value -> which queries have it, bool [query]; values without a query are left out.

    A query has one value of each facet, but of "slot" every slot that is set. Counts are binned by `EDGES`.
    """
    filled = facets["slots"]
    found: dict[str, dict[str, np.ndarray]] = {
        "slot": {
            **{slot: _mask(slot in (own or ()) for own in filled) for slot in slots},
            NOT_SET: _mask(own == () for own in filled),
            NO_STATE: _mask(own is None for own in filled),
        }
    }
    for facet in TITLES:
        if facet in EDGES:
            found[facet] = _binned(facets[facet].to_numpy(), EDGES[facet])
    found["garment"] = {
        value: (facets["garment"] == value).to_numpy() for value in facets["garment"].value_counts(sort=True).index
    }
    before = facets["shown_before"].to_numpy(dtype=bool)
    found["shown_before"] = {"no": ~before, "yes": before}
    return {
        facet: {value: mask for value, mask in found[facet].items() if mask.any()} for facet in TITLES if facet in found
    }


def _example_rows(store: Store, queries: Sequence[tuple[int, int]]) -> np.ndarray:
    known = pd.MultiIndex.from_arrays(np.asarray(store.example_turns).T)
    rows = known.get_indexer(pd.MultiIndex.from_tuples(list(queries)))
    if (rows < 0).any():
        dialogue, turn = queries[int((rows < 0).argmax())]
        raise DataError(
            f"{store.path}: expected an example of dialogue row {dialogue}, turn row {turn}, for a run's queries name it, "
            "found none"
        )
    return rows


def _recommendations(store: Store) -> np.ndarray:
    """Of each example, which one of its dialogue it is, from 1, int [example]."""
    turns = pd.DataFrame(np.asarray(store.example_turns), columns=["dialogue", "turn"])
    return turns.groupby("dialogue")["turn"].rank(method="first").astype(int).to_numpy()


def _images(store: Store, start: int, stop: int) -> np.ndarray:
    """The products that the turns `start` to `stop` (excluded) show, repeated ones too."""
    offsets = store.turn_image_offsets
    return np.asarray(store.turn_image_values[offsets[start] : offsets[stop]])


def _garment(store: Store, values: np.ndarray, slot: int | None) -> str:
    return visible(store.state_values[values[slot]]) if slot is not None and values[slot] > 0 else NOT_SET


def _mask(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, dtype=bool)


def _binned(values: np.ndarray, edges: Sequence[int]) -> dict[str, np.ndarray]:
    """The masks of bins that begin at the edges: "1-2", "3", "4+"."""
    bins = {}
    for low, after in zip(edges, [*edges[1:], None], strict=True):
        if after is None:
            bins[f"{low}+"] = values >= low
        else:
            name = str(low) if after == low + 1 else f"{low}-{after - 1}"
            bins[name] = (values >= low) & (values < after)
    return bins
