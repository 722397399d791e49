"""Counting what is rejected."""

import pytest

from semantic.datasets.reading.faults import Faults, Found, kind, one_line, shown
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


def test_messages_and_examples_are_one_printable_line_of_bounded_length() -> None:
    odd = "a\nb\x1b[31m\ud800"
    with pytest.raises(DataError, match=r"^a\\nb\\x1b\[31m\\ud800: a\\nb"):
        Faults().fault("odd", odd, odd)
    faults = Faults("skip")
    faults.fault("odd", odd, "x" * 10_000)
    (example,) = faults.examples
    assert example["where"] == r"a\nb\x1b[31m\ud800"
    assert len(example["reason"]) < 1010
    assert one_line("caf\u00e9 \u00df") == "caf\u00e9 \u00df"


def test_values_are_shown_in_short() -> None:
    for value in ("x" * 10_000, 10**4000, [[[[1]]]] * 1000, {"a": {"b": {"c": 1}}}, "\n"):
        assert len(shown(value)) < 200
        assert "\n" not in shown(value)
    assert [kind(value) for value in (None, True, 1, 1.5, "", [], {})] == [
        "null", "a truth value", "a number", "a number", "a string", "a list", "an object"
    ]  # fmt: skip


def test_what_is_found_before_there_is_a_policy_is_handed_on_in_its_order() -> None:
    found, faults = Found(), Faults("skip")
    found.note("first", "here")
    found.fault("second", "there", "odd")
    found.report(faults)
    found.report(faults)
    assert faults.counts == {"first": 2, "second": 2}
    with pytest.raises(DataError, match=r"^there: odd$"):
        found.report(Faults())
