"""Metrics against their definitions and against hand computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.retrieval.metrics import (
    interval,
    judged_recall,
    lower_bound,
    ndcg,
    paired,
    precision,
    recall,
    reciprocal_rank,
)

GRADES = {"a": 3.0, "b": 2.0, "c": 0.0, "d": 1.0}


def test_ndcg_by_hand() -> None:
    gained = 2 / math.log2(2) + 3 / math.log2(4)
    best = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(["b", "c", "a"], GRADES, 3) == pytest.approx(gained / best)


def test_the_others_by_hand() -> None:
    assert precision(["x", "a", "b", "c"], GRADES, 4) == 0.5
    assert judged_recall(["x", "a", "b", "c"], GRADES, 4) == pytest.approx(2 / 3)
    assert reciprocal_rank(["x", "c", "d"], GRADES, 10) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x"], GRADES, 10) == judged_recall([], {}, 10) == ndcg([], {}, 10) == 0.0


@given(st.permutations(sorted(GRADES)), st.integers(1, 6))
def test_no_order_beats_the_best_one(order: list[str], k: int) -> None:
    best = sorted(GRADES, key=lambda one: -GRADES[one])
    assert ndcg(order, GRADES, k) <= ndcg(best, GRADES, k) == pytest.approx(1)


def test_a_row_as_near_as_the_kth_is_no_miss() -> None:
    truth = np.array([[0.1, 0.2, 0.2]])
    assert recall(np.array([[0.1, 0.2, 0.2]]), truth)[0] == 1
    assert recall(np.array([[0.1, 0.2, 0.3]]), truth)[0] == pytest.approx(2 / 3)
    assert recall(np.array([[0.1, np.inf, np.inf]]), truth)[0] == pytest.approx(1 / 3)


def test_an_interval_holds_the_true_mean_about_95_times_of_100() -> None:
    drawn = np.random.default_rng(3)
    hits = 0
    for seed in range(200):
        found = interval(drawn.binomial(10, 0.95, 200) / 10, seed=seed)
        hits += found.low <= 0.95 <= found.high
    assert 178 <= hits <= 200


def test_a_few_perfect_queries_are_no_proof() -> None:
    assert interval([1.0] * 9).low == pytest.approx(0.9)
    assert lower_bound([1.0] * 9) < 0.95 < lower_bound([1.0] * 200)


def test_paired_differences_are_significant_where_every_query_gains() -> None:
    base = np.linspace(0, 0.9, 50)
    assert paired(base + 0.05 + base / 100, base).significant
    noise = np.where(np.arange(50) % 2, 0.2, -0.2)
    assert not paired(base + noise, base).significant
