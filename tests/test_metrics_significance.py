"""Paired permutation tests and Holm's correction: counted by hand, by enumeration, and on data of known difference."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.metrics.significance import FLIPS, difference_tests, holm, paired_test, paired_tests


def enumerated(differences):
    """The share of all patterns of signs whose sum is as far from zero as the observed one."""
    patterns = list(itertools.product((1, -1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    return sum(total >= abs(sum(differences)) - 1e-12 for total in sums) / len(patterns)


def test_few_dialogues_are_counted_exactly():
    # Two dialogues, differences 1 and 1: ++ and -- of four patterns reach |2|.
    assert paired_test([1.0, 1.0], [0.0, 0.0], ["x", "y"]) == 2 / 4
    # The same queries in one dialogue flip together: both patterns reach it.
    assert paired_test([1.0, 1.0], [0.0, 0.0], ["x", "x"]) == 1.0
    # 3, 1, 1: only +++ and --- reach |5|. 1, 1, -1: a sum of three odd numbers is never below |1|.
    assert paired_test([3.0, 1.0, 1.0], [0.0] * 3, [0, 1, 2]) == 2 / 8
    assert paired_test([1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0, 1, 2]) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=7))
def test_small_cases_agree_with_enumeration(differences):
    # Tenths are not exact in binary: sums that are equal on paper must count as equal.
    values = [difference / 10 for difference in differences]
    p = paired_test(values, [0.0] * len(values), range(len(values)))
    assert p == pytest.approx(enumerated(differences))


def test_many_dialogues_are_sampled_and_no_p_is_below_the_smallest():
    size = 14  # 2^14 patterns are more than FLIPS
    assert 2**size > FLIPS
    p = paired_test(np.ones(size), np.zeros(size), range(size))
    assert 1 / (1 + FLIPS) <= p <= 2 / 2**size + 5 * math.sqrt(2 / 2**size / FLIPS)
    assert paired_test(np.ones(211), np.zeros(211), range(211)) == 1 / (1 + FLIPS)


def test_a_sampled_p_is_near_the_exact_one():
    values = np.random.default_rng(3).normal(0.2, 1, 11)
    exact = paired_test(values, np.zeros(11), range(11))
    sampled = paired_test(values, np.zeros(11), range(11), flips=2**11 - 1)  # one too few to take each pattern once
    assert exact == pytest.approx(enumerated(values))
    assert sampled == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 2**11))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 12)), min_size=1, max_size=23))
def test_the_test_is_symmetric_repeatable_and_a_probability(rows):
    first, second, groups = (list(column) for column in zip(*rows, strict=True))
    p = paired_test(first, second, groups, flips=101)
    assert p == paired_test(second, first, groups, flips=101) == paired_test(first, second, groups, flips=101)
    assert 1 / 102 <= p <= 1


def test_methods_that_are_equal_do_not_differ():
    values = np.random.default_rng(0).random(23)
    assert paired_test(values, values, range(23)) == 1.0


def test_every_pair_of_methods_is_compared():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 31, 83).tolist()
    noise = generator.normal(0, 0.1, (3, 83))
    values = {"a": noise[0], "b": noise[1], "c": noise[2] + 0.5}

    found = paired_tests(values, groups)

    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (one, two), p in found.items():
        assert p == paired_test(values[one], values[two], groups)
    assert found["a", "c"] == found["b", "c"] == 1 / (1 + FLIPS)
    assert found["a", "b"] > 0.05
    assert paired_tests({"a": noise[0]}, groups) == {}


def test_ten_variants_on_1200_dialogues_take_seconds():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(1200), 5)
    values = {name: generator.random(len(groups)) for name in "abcdefghij"}
    start = time.process_time()
    assert len(paired_tests(values, groups)) == 10 * 9 / 2
    assert time.process_time() - start < 30  # about 1 s on an idle core


def test_values_that_are_not_paired_are_refused():
    with pytest.raises(ValueError, match="1: expected 3 values, one a query, got 2"):
        paired_test(np.zeros(3), np.zeros(2), [0, 1, 2])
    with pytest.raises(ValueError, match="a: expected 3 differences, one a query, got 2"):
        difference_tests({"a": np.zeros(2)}, [0, 1, 2])


def test_a_value_that_is_no_number_has_no_p():
    with pytest.raises(ValueError, match=r"\(0, 1\): expected finite differences, got nan"):
        paired_test([1.0, math.nan], [0.0, 0.0], [0, 1])
    with pytest.raises(ValueError, match="a: expected finite differences, got inf"):
        difference_tests({"a": [0.0, math.inf]}, [0, 1])


def test_differences_are_tested_each_by_itself():
    generator = np.random.default_rng(0)
    groups, one, two = [0, 0, 1, 2, 3], generator.normal(size=5), generator.normal(size=5)
    found = difference_tests({"one": one, "two": two}, groups)
    assert found == {"one": paired_test(one, np.zeros(5), groups), "two": paired_test(two, np.zeros(5), groups)}


def test_holm_on_a_worked_case():
    assert holm({"x": 0.01, "y": 0.04, "z": 0.03}) == pytest.approx({"x": 3 * 0.01, "z": 2 * 0.03, "y": 2 * 0.03})
    assert holm({"x": 0.9, "y": 0.8}) == {"x": 1.0, "y": 1.0}
    assert holm({}) == {}
