"""Which way to search: fusing where it helps, a single way where it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_platform.retrieval.tuning.hybrid import Way, fused


def figures(gain: float) -> Callable[[Way], list[float]]:
    base = np.random.default_rng(1).uniform(0.2, 0.8, 200)

    def measure(way: Way) -> list[float]:
        mode, weight = way
        worth = {"vector": 0.0, "keyword": -0.1}.get(mode, gain - abs(weight - 0.5) / 10)
        return list(np.clip(base + worth, 0, 1))

    return measure


def test_the_best_weight_is_taken_and_confirmed() -> None:
    found = fused(figures(0.1))
    assert (found.mode, found.weight, found.single) == ("hybrid", 0.5, "vector")
    assert found.difference.low > 0
    assert found.ndcg.queries == 100


def test_where_fusing_hurts_the_single_way_stays() -> None:
    found = fused(figures(-0.2))
    assert (found.mode, found.single) == ("vector", "vector")
    assert found.difference.value == 0


def test_what_is_worse_on_the_other_queries_is_not_taken() -> None:
    base = np.random.default_rng(1).uniform(0.2, 0.8, 200)
    luck = np.where(np.arange(200) % 2 == 0, 0.1, -0.1)

    def measure(way: Way) -> list[float]:
        return list(base + {"vector": 0.0, "keyword": -0.1}.get(way[0], luck))

    found = fused(measure)
    assert (found.mode, found.weight) == ("vector", 0.0)
    assert found.difference.value == 0
