"""Texts of utterances, products and state values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic.datasets.reading.text import TextError, product_text, state_text, state_value_text, utterance_text


def test_utterances_lose_curly_quotation_marks_and_case_and_keep_punctuation() -> None:
    assert utterance_text("  \u2018What do you  FEEL about it?\u2019 ") == "what do you feel about it?"


def test_a_mapping_reads_key_value_without_missing_values_and_ignored_keys() -> None:
    product = {
        "taxonomy": "Shoes/Women (Flats)",
        "name": "unk",
        "brand": "UNK",
        "material": " ",
        "color": "",
        "gender": "women",
        "details": "Rubber sole",
        "available_sizes": "7",
        "bestSellerRank": "3",
        "review": "good",
        "care": "wash",
        "avgStars": "4",
        "reviewStars": "5",
    }
    assert product_text(product) == "taxonomy shoes women flats gender women"


def test_a_mapping_keeps_lists_and_numbers_and_drops_what_is_nested() -> None:
    assert product_text({"sizes": ["S", "M"], "price": 10, "views": {"a": "b"}, "none": None}) == "sizes s m price 10"


def test_a_string_is_normalised_as_a_mapping_is() -> None:
    assert product_text("Type: blouse, size=[XS]; a/b <c>") == "type blouse size xs a b c"


@pytest.mark.parametrize("nothing", ["", "  ", "()", {}, {"name": "unk"}, {"details": "x"}])
def test_a_product_of_which_nothing_is_left_has_no_text(nothing: str | dict[str, object]) -> None:
    assert product_text(nothing) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("['XL', 'S']", "xl s"),
        (["XL", "S"], "xl s"),
        ("[not a list", "not a list"),
        ("", ""),
        (None, ""),
        (4.5, "4.5"),
        ("Blue, White", "blue white"),
        (["Patagonia "], "patagonia"),
        (True, "true"),
        (["a", None, [["b"]], 7], "a b 7"),
        ("['\\d', 'x']", "\\d x"),
    ],
)
def test_state_values(value: object, text: str) -> None:
    assert state_value_text(value) == text


@given(st.text())
def test_normalised_text_stays_as_it_is_and_has_no_punctuation_left(text: str) -> None:
    once = state_text(text)
    assert state_text(once) == once
    assert not set(once) & set("()[]<>,=:;")
    assert "  " not in once


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1}, "found an object"),
        ([{}], "found an object"),
        ("[{1, 2}]", "found set"),
        (float("nan"), "expected a finite number, found nan"),
        ([float("inf")], "expected a finite number, found inf"),
        ("\ud800", "lone surrogate"),
        ("['\\ud800']", "lone surrogate"),
        (f"[0x{'f' * 5000}]", "thousands of digits"),
    ],
)
def test_what_is_no_value_of_a_state_is_refused(value: object, found: str) -> None:
    with pytest.raises(TextError, match=found):
        state_value_text(value)


def test_texts_that_utf8_cannot_hold_are_refused() -> None:
    for read in (
        utterance_text,
        product_text,
        lambda text: product_text({text: "x"}),
        lambda text: product_text({"x": [text]}),
    ):
        with pytest.raises(TextError, match=r"expected text that UTF-8 can hold, found a lone surrogate: "):
            read("a\ud800")
    assert utterance_text("\U0001f600") == "\U0001f600"


def test_numbers_that_are_none_are_missing_values_of_a_product() -> None:
    assert product_text({"price": float("nan"), "sizes": [float("inf"), 7], "new": True}) == "sizes 7 new true"
