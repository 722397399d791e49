"""The facets of queries: by hand on a fabricated store, and against a plain loop on a simulated one."""

import numpy as np
import pytest

from semantic.datasets.store.store import open_store
from semantic.report.cases.facets import GARMENT_SLOTS, NO_STATE, NOT_SET, facet_values, query_facets
from semantic.runtime.errors import DataError
from tests.report_files import DIALOGUES, SLOTS, write_store


def test_the_facets_of_a_turn_by_hand(tmp_path):
    store = write_store(tmp_path / "shop")
    facets = query_facets(store, [(2, 11), (0, 3)], context_turns=5)
    assert facets.index.tolist() == [(2, 11), (0, 3)]
    first = facets.iloc[0].to_dict()
    assert first == {
        "dialogue": "d2",
        "turn": 4,
        "recommendation": 1,
        "slots": ("color", "type"),
        "garment": "dress",
        "photos": 1,  # products 0 and 4 are shown, and 4 has no photo
        "positives": 1,
        "shown_before": False,
    }


@pytest.mark.parametrize(("turns", "photos"), [(1, 0), (2, 1), (5, 1)])
def test_photos_are_those_of_the_context(tmp_path, turns, photos):
    store = write_store(tmp_path / "shop")
    assert query_facets(store, [(1, 7)], turns)["photos"].tolist() == [photos]


def test_a_positive_that_was_shown_anywhere_before_is_known(tmp_path):
    write_store(tmp_path / "shop")
    np.save(tmp_path / "shop" / "turn_images.npy", np.array([0, 1, 1] * DIALOGUES, np.int32))
    facets = query_facets(open_store(tmp_path / "shop"), [(1, 7)], context_turns=1)
    assert facets["shown_before"].tolist() == [True]
    assert facets["photos"].tolist() == [0]


def test_a_state_without_slots_and_no_state_are_two_things(tmp_path):
    write_store(tmp_path / "shop")
    states = np.array([[-1] * 3, [-1] * 3, [1, 0, 0], [-1] * 3] * DIALOGUES, np.int32)
    states[2], states[6] = 0, -1
    np.save(tmp_path / "shop" / "turn_states.npy", states)
    facets = query_facets(open_store(tmp_path / "shop"), [(0, 3), (1, 7), (2, 11)], 5)
    assert facets["slots"].tolist() == [(), None, ("color",)]
    assert facets["garment"].tolist() == [NOT_SET, NO_STATE, NOT_SET]
    masks = facet_values(facets, SLOTS)["slot"]
    assert {value: mask.tolist() for value, mask in masks.items()} == {
        "color": [False, False, True],
        NOT_SET: [True, False, False],
        NO_STATE: [False, True, False],
    }


def test_a_query_that_the_store_has_not_is_named(tmp_path):
    store = write_store(tmp_path / "shop")
    with pytest.raises(DataError, match=r"shop: expected an example of dialogue row 3, turn row 14, .* found none"):
        query_facets(store, [(0, 3), (3, 14)], 5)


def test_counts_are_binned_without_gaps_or_overlaps(tmp_path):
    store = write_store(tmp_path / "shop")
    facets = query_facets(store, [tuple(row) for row in store.example_turns.tolist()], 5)
    for facet in ("turn", "recommendation", "photos", "positives"):
        numbered = facets.assign(**{facet: np.arange(DIALOGUES) * 4 + 1})
        bins = facet_values(numbered, SLOTS)[facet]
        assert np.sum(list(bins.values()), axis=0).tolist() == [1] * DIALOGUES
    assert list(facet_values(facets.assign(turn=[1, 2, 3, 9, 40]), SLOTS)["turn"]) == ["1-2", "3-4", "9-12", "13+"]


def test_the_facets_of_simulated_dialogues_are_those_of_a_plain_loop(shop):
    queries = [tuple(row) for row in shop.example_turns.tolist()]
    facets = query_facets(shop, queries, context_turns=3)
    garment = next(slot for slot in GARMENT_SLOTS if slot in shop.slots)
    seen: dict[int, int] = {}
    for example, (dialogue, turn) in enumerate(queries):
        first = int(shop.dialogue_first_turn[dialogue])
        seen[dialogue] = seen.get(dialogue, 0) + 1
        state = {
            slot: shop.state_values[value]
            for slot, value in zip(shop.slots, shop.turn_states[turn - 1].tolist(), strict=True)
            if value > 0
        }
        shown = [p for t in range(max(first, turn - 3), turn) for p in shop.turn_images(t).tolist()]
        before = {p for t in range(first, turn) for p in shop.turn_images(t).tolist()}
        positives = shop.positives(example).tolist()
        stated = bool((shop.turn_states[turn - 1] >= 0).all())
        assert facets.iloc[example].drop("dialogue").to_dict() == {
            "turn": turn - first + 1,
            "recommendation": seen[dialogue],
            "slots": tuple(state) if stated else None,
            "garment": state.get(garment, NOT_SET) if stated else NO_STATE,
            "photos": sum(bool(shop.has_photo[p]) for p in shown),
            "positives": len(positives),
            "shown_before": bool(before & set(positives)),
        }
    assert facets["shown_before"].any()
    assert facets["recommendation"].max() > 1
