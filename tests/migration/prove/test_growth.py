"""Times at sizes that were not run, from sizes that were."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_platform.migration.prove.growth import SHORTEST, extrapolate

SIZES = (100_000, 300_000, 1_000_000)


@given(st.floats(1e-7, 1e-5), st.integers(2, 1000))
def test_what_grows_with_the_rows_is_multiplied(rate: float, times: int) -> None:
    assume(rate * SIZES[0] > SHORTEST)
    made = extrapolate([(n, rate * n) for n in SIZES], SIZES[-1] * times)
    assert made is not None
    assert made.seconds == pytest.approx(rate * SIZES[-1] * times, rel=0.01)
    assert made.low < made.seconds < made.high


@given(st.floats(1e-7, 1e-5), st.integers(2, 100))
def test_the_interval_holds_what_a_sort_takes(rate: float, times: int) -> None:
    rows = SIZES[-1] * times

    def sort(n: int) -> float:
        return rate * n * math.log(n)

    assume(sort(SIZES[0]) > SHORTEST)
    made = extrapolate([(n, sort(n)) for n in SIZES], rows)
    assert made is not None
    assert made.low <= sort(rows) <= made.high


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 100)), max_size=6), st.integers(1, 10**9))
def test_the_interval_is_always_around_the_estimate(points: list[tuple[int, float]], rows: int) -> None:
    made = extrapolate(points, rows)
    if made is not None:
        assert 0 < made.low <= made.seconds <= made.high < math.inf


def test_what_takes_no_time_is_not_extrapolated() -> None:
    assert extrapolate([(n, 0.002) for n in SIZES], 10**9) is None


def test_a_size_that_was_run_is_not_estimated() -> None:
    assert extrapolate([(n, n / 1e6) for n in SIZES], SIZES[-1]) is None
