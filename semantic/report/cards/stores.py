"""The card of a prepared store: what it was made from, what is in it, and what was left out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import DatasetCardData

from semantic.datasets.simulator.writer import is_simulated
from semantic.datasets.store.store import FILES, Store
from semantic.report.cards.rendering import render
from semantic.runtime.terminal import visible

GENERATIONS = {
    "mmd-v1": "MMD, first generation",
    "mmd-v2": "MMD v2, dialogues without states",
    "mmd-v3": "MMD v3, dialogues with states",
    "mmd-v3+v2": "MMD v3 with states, and dialogues of v2 without",
    "simmc": "the SIMMC layout",
}
"""By the layouts that `prepare` tells apart."""

SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
"""The hub's words for a number of rows."""

ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class SplitRow:
    """A split as a row of the paper's Table 1; None where there is nothing to take a mean of.

    Recommendation turns are those of the source, a mean over dialogues. Positives and negatives are means over examples:
    recommendation turns with a turn before them, and a positive and a negative in the catalogue.
    """

    name: str
    dialogues: int
    share: float | None
    with_states: int
    turns: int
    examples: int
    recommendation_turns: float | None
    positives: float | None
    negatives: float | None


@dataclass(frozen=True)
class SlotRow:
    """A slot: in how many of the turns with a state it is set, and to how many values."""

    name: str
    turns: int
    share: float | None
    values: int


def store_card(store: Store) -> str:
    """The card of a store.

    Raises:
        DataError: a file of the store is damaged.
    """
    manifest = store.manifest
    rejected = [
        (reason, count, next((one["where"] for one in manifest["rejected_examples"] if _of(one, reason)), None))
        for reason, count in manifest["rejected"].items()
    ]
    slots, with_state = slot_rows(store)
    source = manifest["source"]
    return render(
        "dataset_card.md",
        _front_matter(store),
        name=store.path.resolve().name,
        store=store,
        manifest=manifest,
        layout=source["layout"],
        generation=GENERATIONS.get(source["layout"], source["layout"]),
        source=Path(source["root"]).name,
        simulated=is_simulated(Path(source["root"])),
        splits=split_rows(manifest["splits"]),
        slots=slots,
        with_state=with_state,
        rejected=rejected,
        without_photo=store.num_products - int(np.count_nonzero(store.has_photo)),
        limits=manifest.get("limits", {}),
        files=[(name, manifest["sizes"][name], manifest["checksums"].get(name, "")) for name in FILES],
    )


def split_rows(splits: dict[str, dict[str, int]]) -> list[SplitRow]:
    """The splits of a manifest in their order."""
    everything = sum(counts["dialogues"] for counts in splits.values())
    return [
        SplitRow(
            name=name,
            dialogues=counts["dialogues"],
            share=_mean(counts["dialogues"], everything),
            with_states=counts.get("dialogues_with_states", 0),
            turns=counts["turns"],
            examples=counts["examples"],
            recommendation_turns=_mean(counts.get("recommendation_turns", 0), counts["dialogues"]),
            positives=_mean(counts.get("positives", 0), counts["examples"]),
            negatives=_mean(counts.get("negatives", 0), counts["examples"]),
        )
        for name, counts in splits.items()
    ]


def slot_rows(store: Store) -> tuple[list[SlotRow], int]:
    """Each slot of a store, and the number of turns that have a state."""
    slots = len(store.slots)
    taken = np.zeros((slots, len(store.state_values)), dtype=bool)
    turns, with_state = np.zeros(slots, dtype=np.int64), 0
    for start in range(0, len(store.turn_states), ROWS_AT_ONCE):
        states = np.asarray(store.turn_states[start : start + ROWS_AT_ONCE])
        with_state += int((states >= 0).all(axis=1).sum())
        turns += (states > 0).sum(axis=0)
        for slot in range(slots):
            taken[slot, np.unique(states[:, slot][states[:, slot] > 0])] = True
    rows = zip(store.slots, turns.tolist(), taken.sum(axis=1).tolist(), strict=True)
    return [SlotRow(name, count, _mean(count, with_state), values) for name, count, values in rows], with_state


def _front_matter(store: Store) -> DatasetCardData:
    """What the hub reads: a name, tags, the number of examples; and no viewer, as its tables are no rows to look at."""
    examples = len(store.example_turns)
    size = next((word for most, word in SIZES if examples < most), "10M<n<100M")
    return DatasetCardData(
        pretty_name=visible(store.path.resolve().name),
        tags=["conversational-recommendation", "multimodal", "fashion", "semantic-store"],
        size_categories=[size],
        viewer=False,
    )


def _of(example: dict[str, Any], reason: str) -> bool:
    return example["reason"].split(": ")[0] == reason


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None
