"""Processes of their own: what they return, how they fail, and whose memory is measured."""

import numpy as np
import pytest

from semantic.bench.alone import BenchError, alone
from work_elsewhere import double, fail, hold, vanish

pytestmark = pytest.mark.slow

MIB = 1 << 20


def test_work_returns_its_result_and_has_the_threads_it_was_given():
    assert alone("doubling", 1, double, 21) == (42, 1)
    assert alone("doubling", 2, double, 21) == (42, 2)


def test_an_error_there_is_one_line_here():
    with pytest.raises(BenchError, match=r"^failing: expected a result .*, found ValueError: no such thing$"):
        alone("failing", 1, fail)


def test_a_process_that_is_killed_is_one_line_here():
    with pytest.raises(BenchError, match=r"^vanishing: expected a result .*ended by code -9 \(killed for memory\?\)$"):
        alone("vanishing", 1, vanish)


def test_a_peak_is_of_the_process_alone():
    """The memory of the process that waits is not in it, nor that of an earlier one."""
    small, _, _ = alone("holding", 1, hold, 1)
    mine = np.ones(500 * MIB, dtype=np.uint8)
    before, added, _ = alone("holding", 1, hold, 300)
    after, _, _ = alone("holding", 1, hold, 1)

    assert mine.nbytes == 500 * MIB
    assert abs(before - small) < 50 * MIB
    assert abs(after - small) < 50 * MIB
    assert 250 * MIB < added < 350 * MIB
