"""Which way to search, and with which weight of the words: chosen on one half of the judged queries, confirmed on a
part of the other, and told by the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.ask import Mode
from data_platform.retrieval.metrics import Difference, Interval, interval, paired

WEIGHTS = (0.25, 0.5, 0.75)
FEWEST_APART = 120
"""Queries of which a quarter is enough to tell what a choice is worth; of fewer what confirms it tells that too."""

Figures = NDArray[np.float64]
Way = tuple[Mode, float]
Measure = Callable[[Way], Sequence[float]]
"""nDCG of each query, for a way to search and the weight of the words."""


@dataclass(frozen=True)
class Fused:
    """The way that was chosen, what it is worth on queries that it was not chosen with, and against the best single.

    `apart` is whether these queries have not confirmed it either.
    """

    mode: Mode
    weight: float
    ndcg: Interval
    single: Mode
    difference: Difference
    tried: tuple[tuple[Mode, float, Interval], ...]
    apart: bool


def fused(measure: Measure) -> Fused:
    """The best on every second query; a single way where fusing both is not better there, or is worse on the others."""
    ways: list[Way] = [("vector", 0.0), ("keyword", 1.0), *(("hybrid", weight) for weight in WEIGHTS)]
    figures = {way: np.asarray(measure(way), dtype=np.float64) for way in ways}
    apart = len(next(iter(figures.values()))) >= FEWEST_APART
    deciding, telling = (slice(1, None, 4), slice(3, None, 4)) if apart else (slice(1, None, 2),) * 2
    choosing = {way: each[0::2] for way, each in figures.items()}
    single = max(ways[:2], key=lambda way: choosing[way].mean())
    best = max(ways, key=lambda way: choosing[way].mean())
    if paired(figures[best][deciding], figures[single][deciding]).high < 0:
        best = single
    return Fused(
        mode=best[0],
        weight=best[1],
        ndcg=interval(figures[best][telling]),
        single=single[0],
        difference=paired(figures[best][telling], figures[single][telling]),
        tried=tuple((mode, weight, interval(choosing[(mode, weight)])) for mode, weight in ways),
        apart=apart,
    )
