"""The least effort that reaches a recall, found with few measurements."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_platform.retrieval.tuning.effort import Measure, Reading, least, steps


def curve(needed: int, asked: list[int]) -> Measure:
    """A recall that grows with effort and is 0.95 at `needed`, the same for every query."""

    def measure(effort: int, queries: int) -> Reading:
        asked.append(effort)
        return Reading(np.full(queries, 1 - 0.05 * needed / effort), effort / 100)

    return measure


@given(st.integers(10, 900))
def test_it_is_found_within_two_steps_and_a_dozen_measurements(needed: int) -> None:
    asked: list[int] = []
    found = least(curve(needed, asked), steps(10, 1000), 0.95, 2000)
    assert found.effort is not None
    assert needed <= found.effort <= needed * 1.2 + 2
    assert len(asked) <= 14


@given(st.integers(1100, 5000))
def test_out_of_reach_is_said(needed: int) -> None:
    found = least(curve(needed, []), steps(10, 1000), 0.95, 500)
    assert found.effort is None
    assert found.reading.cpu_ms == 10.0


def test_the_least_is_taken_where_all_pass() -> None:
    assert least(curve(1, []), steps(10, 1000), 0.95, 1000).effort == 10


@given(st.integers(1, 500), st.integers(0, 800))
def test_steps_grow_from_end_to_end(lowest: int, more: int) -> None:
    found = steps(lowest, lowest + more)
    assert found[0] == lowest
    assert found[-1] == lowest + more
    assert all(a < b <= a * 1.08 + 1.5 for a, b in pairwise(found))
