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
    assert found.apart
    assert found.ndcg.queries == 50, "the others have chosen or confirmed it"


def test_the_queries_that_confirm_it_do_not_tell_its_worth() -> None:
    """What it is worth is seen on the last quarter alone, where it is worse here."""
    place = np.arange(200) % 4
    base = np.random.default_rng(1).uniform(0.2, 0.8, 200)

    def measure(way: Way) -> list[float]:
        return list(base + {"vector": 0.0, "keyword": -0.1}.get(way[0], np.where(place == 3, -0.1, 0.1)))

    found = fused(measure)
    assert found.mode == "hybrid"
    assert found.difference.high < 0


def test_of_few_queries_every_second_one_confirms_and_tells() -> None:
    found = fused(lambda way: figures(0.1)(way)[:60])
    assert not found.apart
    assert found.ndcg.queries == 30


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
