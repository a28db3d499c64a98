"""How many rows a batch has, and when the next may begin: pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_platform.postgres.backfill.pace import LARGEST, Pace, Throttle

seconds = st.floats(0, 1000)
sizes = st.integers(1, LARGEST)


@given(sizes, sizes, seconds, seconds)
def test_a_size_is_bounded_and_slower_is_never_larger(size: int, rows: int, one: float, other: float) -> None:
    pace = Pace(0.1, size)
    rows = min(rows, size)
    fast, slow = pace.after(rows, min(one, other)), pace.after(rows, max(one, other))
    assert 1 <= slow.size <= fast.size <= min(LARGEST, 2 * size)


@given(st.floats(1e-6, 0.02), sizes)
def test_it_settles_where_batches_take_the_target(row_s: float, size: int) -> None:
    pace = Pace(0.1, size)
    for _ in range(60):
        pace = pace.after(pace.size, pace.size * row_s)
    wanted = min(LARGEST, 0.1 / row_s)
    assert abs(pace.size - wanted) <= max(1.01, 0.05 * wanted)


@given(st.lists(st.sampled_from(["hindered", "waited_for"]), min_size=20), sizes)
def test_trouble_leads_down_to_one_row_and_no_further(troubles: list[str], size: int) -> None:
    pace = Pace(0.1, size)
    for trouble in troubles:
        smaller: Pace = getattr(pace, trouble)()
        assert smaller.size < pace.size or smaller.size == 1
        pace = smaller
    assert pace.size == 1


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 2)), min_size=1), st.floats(1, 10_000))
def test_no_stretch_of_time_has_more_rows_than_the_rate_allows(
    batches: list[tuple[int, float]], rate: float
) -> None:
    throttle, now, done = Throttle(rate), 5.0, 0
    for rows, took in batches:
        began = now
        done += rows
        now = max(now + took, throttle.due(rows, began))
        assert done <= rate * (now - 5.0) * 1.000001 + 1e-6


def test_a_pause_is_not_saved_up() -> None:
    throttle = Throttle(100)
    assert throttle.due(50, 0.0) == 0.5
    assert throttle.due(50, 10.0) == 10.5
    assert Throttle(None).due(50, 3.0) == 3.0
    assert Throttle(100).most() == 100
