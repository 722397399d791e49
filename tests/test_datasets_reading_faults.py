"""Counting what is rejected."""

import pytest

from semantic.datasets.reading.faults import Faults
from semantic.runtime.errors import DataError


def test_notes_are_counted_under_both_policies() -> None:
    for policy in ("stop", "skip"):
        faults = Faults(policy)
        faults.note("null turn", "dialogue 'a' turn 3")
        faults.note("null turn", "dialogue 'b' turn 5", "odd")
        assert faults.counts == {"null turn": 2}
        assert faults.examples == [
            {"where": "dialogue 'a' turn 3", "reason": "null turn"},
            {"where": "dialogue 'b' turn 5", "reason": "null turn: odd"},
        ]


def test_a_fault_stops_or_is_counted() -> None:
    with pytest.raises(DataError, match=r"^here: expected this, found that$"):
        Faults("stop").fault("odd", "here", "expected this, found that")
    faults = Faults("skip")
    faults.fault("odd", "here", "expected this, found that")
    assert faults.counts == {"odd": 1}


def test_every_reason_keeps_its_first_ten_examples_and_all_together_a_hundred() -> None:
    faults = Faults()
    for reason in range(13):
        for place in range(11):
            faults.note(f"reason {reason}", str(place), "detail")
    assert sum(faults.counts.values()) == 13 * 11
    assert len(faults.examples) == 100
    assert [example["where"] for example in faults.examples[:10]] == [str(place) for place in range(10)]
    assert faults.examples[10] == {"where": "0", "reason": "reason 1: detail"}


def test_merging_parts_equals_counting_at_once() -> None:
    whole, first, second, merged = Faults(), Faults(), Faults(), Faults()
    for place in range(23):
        for faults in (whole, first if place < 7 else second):
            faults.note("odd", str(place))
    for part in (first, second):
        merged.merge(part.counts, part.examples)
    assert (merged.counts, merged.examples) == (whole.counts, whole.examples)


def test_another_policy_is_refused() -> None:
    with pytest.raises(DataError, match="on_error: expected one of stop, skip, found 'ignore'"):
        Faults("ignore")
