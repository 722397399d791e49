"""Krippendorff's alpha on the worked examples of its author, and where it is not known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic.metrics.agreement import krippendorff_alpha, pairwise_agreement


def units(*judges):
    """Units from what each judge said of them, `.` where a judge said nothing."""
    return [[value for value in unit if value != "."] for unit in zip(*judges, strict=True)]


@pytest.mark.parametrize(
    ("judges", "alpha"),
    [
        # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A, B and C.
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_the_worked_examples_of_the_source(judges, alpha):
    assert krippendorff_alpha(units(*judges)) == pytest.approx(alpha, abs=5e-4)


def test_the_formula_by_hand():
    # Pairs of unequal values: 2 in (a, b), none in (a, a): D = 2. Of 4 values 3 are a: E = 2 * 3 * 1.
    assert krippendorff_alpha(["ab", "aa"]) == pytest.approx(1 - 3 * 2 / 6)
    assert krippendorff_alpha(["ab", "aa", "b"]) == krippendorff_alpha(["ab", "aa"])  # one value is no pair


@pytest.mark.parametrize("given_units", [[], ["a"], ["aa", "aaa"]])
def test_without_pairs_or_without_two_values_it_is_not_known(given_units):
    assert math.isnan(krippendorff_alpha(given_units))


@given(st.lists(st.lists(st.sampled_from("wtl"), min_size=2, max_size=5), min_size=1, max_size=7))
def test_it_is_one_exactly_where_all_agree_and_the_order_of_judges_does_not_count(drawn):
    alpha = krippendorff_alpha(drawn)
    assert math.isnan(alpha) or alpha <= 1
    assert (alpha == 1) == (pairwise_agreement(drawn) == 1 and not math.isnan(alpha))
    mirrored = krippendorff_alpha([unit[::-1] for unit in drawn])
    assert mirrored == pytest.approx(alpha, nan_ok=True)


def test_pairwise_agreement_counts_pairs():
    assert pairwise_agreement(["aab", "bb", "c"]) == (1 + 1) / (3 + 1)
    assert math.isnan(pairwise_agreement(["a", ""]))
