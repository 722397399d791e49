"""Filters as a command line gives them: what they keep, and what is no filter."""

import numpy as np
import pandas as pd
import pytest

from semantic.report.cases.filtering import Filters, Span
from semantic.runtime.errors import DataError
from tests.report_files import write_store

FACETS = pd.DataFrame(
    {"slots": [("color",), ("color", "type"), (), None], "turn": [2, 4, 6, 8], "positives": [1, 3, 2, 5]}
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("3", [3]), ("1-3", [1, 2, 3]), ("4-", [4, 5]), ("-2", [0, 1, 2]), ("2-2", [2]), ("0", [0]), ("0-1", [0, 1])],
)
def test_a_span_holds_both_its_ends(text, kept):
    span = Span.parse(text, "--turn")
    assert np.arange(6)[span.holds(np.arange(6))].tolist() == kept
    assert Span.parse(str(span), "--turn") == span


@pytest.mark.parametrize(
    "text", ["", "-", "a", "1-2-3", "1,2", "1.5", " 1", "1234567890", "1234567890123-", "²", "--2"]
)
def test_what_is_no_span_is_named(text):
    with pytest.raises(DataError, match=r"^--turn: expected a number or a span such as 3, 1-3, 2- or -3, found "):
        Span.parse(text, "--turn")


def test_a_span_that_ends_before_it_begins_is_named():
    with pytest.raises(
        DataError, match=r"^--positives: expected a span whose end is not below its beginning, found '3-1'"
    ):
        Filters.parse([], None, "3-1")


@pytest.mark.parametrize(
    ("slots", "turn", "positives", "kept"),
    [
        ((), None, None, [0, 1, 2, 3]),
        (("color",), None, None, [0, 1]),
        (("color", "type"), None, None, [1]),
        ((), "3-", None, [1, 2, 3]),
        ((), "-6", "2-", [1, 2]),
    ],
)
def test_a_query_passes_every_filter(slots, turn, positives, kept):
    filters = Filters.parse(slots, turn, positives)
    assert np.flatnonzero(filters.keep(FACETS)).tolist() == kept
    assert bool(filters) == (len(kept) < 4)


def test_filters_say_what_they_are_where_nothing_passes():
    filters = Filters.parse(["type"], "1-3", "2-")
    with pytest.raises(DataError, match="expected a query with slot type, turn 1-3, positives 2-, found none among 4"):
        filters.keep(FACETS)


def test_a_slot_that_the_store_has_not_is_named(tmp_path):
    store = write_store(tmp_path / "shop")
    Filters.parse(["color"], None, None).check_slots(store)
    with pytest.raises(DataError, match=r"^--slot: expected slots of .*shop \(color, type, price\), found 'colour'$"):
        Filters.parse(["color", "colour"], None, None).check_slots(store)
