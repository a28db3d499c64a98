"""Up to how many rows that pass all are compared: where both ways are likely to cost the same."""

from __future__ import annotations

import numpy as np
import pytest

from data_platform.postgres.vectors.bench import Strategy
from data_platform.retrieval.metrics import Interval
from data_platform.retrieval.tuning.filters import FilterTrial, threshold

ROWS = 100_000


def tried(share: float, strategy: Strategy, cpu_ms: float, recall: float = 1.0) -> FilterTrial:
    return FilterTrial(share, strategy, Interval(recall, recall, recall, 40), 10, 10, cpu_ms)


def test_costs_that_follow_a_power_cross_where_they_are_equal() -> None:
    """Comparing costs 100 ms of the share, the index 0.04 ms over it: both 2 ms at 2 %."""
    trials = [
        tried(share, way, cost)
        for share in (0.2, 0.05, 0.01)
        for way, cost in (("prefilter", 100 * share), ("index", 0.04 / share))
    ]
    assert threshold(trials, ROWS, 0.95) == pytest.approx(2_000, abs=1)


def test_the_middle_where_recall_decides_or_the_index_was_not_tried() -> None:
    middle = round(ROWS * np.sqrt(0.05 * 0.01))
    trials = [tried(0.05, "prefilter", 5), tried(0.05, "index", 1), tried(0.01, "prefilter", 1)]
    assert threshold(trials, ROWS, 0.95) == middle
    assert threshold([*trials, tried(0.01, "index", 0.9, recall=0.5)], ROWS, 0.95) == middle


def test_one_way_that_is_better_everywhere() -> None:
    trials = [tried(0.2, "prefilter", 1), tried(0.2, "index", 2)]
    assert threshold(trials, ROWS, 0.95) == 20_000
    trials = [tried(0.01, "prefilter", 2), tried(0.01, "index", 1)]
    assert threshold(trials, ROWS, 0.95) == 500
