"""How to search with a filter: compare all rows that pass, or read the index on until k have passed. Measured for
common and rare values; where the two cost the same is the number of rows that decides at run time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.postgres.vectors.bench import Bench, Strategy
from data_platform.postgres.vectors.settings import Distance, Search
from data_platform.retrieval.exact import Matrix, distances, nearest
from data_platform.retrieval.metrics import Interval, interval, recall

SHARES = (0.2, 0.05, 0.01, 0.001)
_QUERIES = 40
_FEWER = 12
_HOPELESS = 4.0
"""Where one way costs so many times the other, rarer values are not tried with it any more."""


@dataclass(frozen=True)
class FilterTrial:
    """One way to search among a share of the rows. `rows` are the fewest that came."""

    share: float
    strategy: Strategy
    recall: Interval
    rows: int
    wanted: int
    cpu_ms: float


@dataclass(frozen=True)
class Filtering:
    """What was tried, and up to how many passing rows all of them are compared."""

    trials: tuple[FilterTrial, ...]
    prefilter_rows: int

    def chosen(self, rows: int) -> tuple[FilterTrial, ...]:
        """Of each share, the way that the threshold takes."""
        return tuple(
            one
            for one in self.trials
            if one.strategy == ("prefilter" if one.share * rows <= self.prefilter_rows else "index")
        )


@dataclass(frozen=True)
class Ground:
    """What is searched: rows with the part that each is in, and queries."""

    values: Matrix
    parts: NDArray[np.int64]
    queries: Matrix
    distance: Distance
    search: Search
    k: int


def filtering(table: Bench, ground: Ground, target: float, tell: Callable[[str, float], None]) -> Filtering:
    """Measure both ways for every share that leaves any row."""
    trials: list[FilterTrial] = []
    given_up = False
    count = min(_QUERIES, len(ground.queries))
    for share in SHARES:
        passing = np.flatnonzero(ground.parts < round(share * 1000))
        if not len(passing):
            continue
        tell(f"with a filter that leaves {share:.1%}", 0.95)
        truth = nearest(ground.queries[:count], ground.values[passing], ground.distance, ground.k).distances
        all_ = _tried(table, ground, "prefilter", share, truth)
        trials.append(all_)
        if not given_up:
            on = _tried(table, ground, "index", share, truth if share >= 0.05 else truth[:_FEWER])
            trials.append(on)
            given_up = on.cpu_ms > _HOPELESS * all_.cpu_ms
    return Filtering(tuple(trials), threshold(trials, len(ground.values), target))


def _tried(
    table: Bench, ground: Ground, strategy: Strategy, share: float, truth: NDArray[np.float64]
) -> FilterTrial:
    found = table.filtered(ground.search, strategy, share, k=ground.k, count=len(truth))
    got = np.array(
        [
            np.where(row >= 0, distances(query, ground.values[np.maximum(row, 0)], ground.distance), np.inf)
            for query, row in zip(ground.queries, found.ids, strict=False)
        ]
    )
    fewest = int((found.ids >= 0).sum(axis=1).min())
    return FilterTrial(
        share, strategy, interval(recall(got, truth)), fewest, truth.shape[1], found.cpu_ms_per_query
    )


def threshold(trials: list[FilterTrial], rows: int, target: float) -> int:
    """Between the largest share at which comparing all is better and the smallest at which the index is."""
    by_share = {
        share: {t.strategy: t for t in trials if t.share == share} for share in {t.share for t in trials}
    }
    compare = [s for s, ways in by_share.items() if _compared(ways, target)]
    index = [s for s, ways in by_share.items() if not _compared(ways, target)]
    if not index:
        return round(max(compare, default=1.0) * rows)
    if not compare:
        return round(min(index) * rows / 2)
    return round(rows * _crossing(by_share, max(compare), min(index)))


def _crossing(by_share: Mapping[float, Mapping[Strategy, FilterTrial]], less: float, more: float) -> float:
    """The share at which both ways are likely to cost the same: between two shares costs follow a power of it. The
    middle where the costs do not cross, so that something else decided.
    """
    below, above = (_advantage(by_share[share]) for share in (less, more))
    part = below / (below - above) if below is not None and above is not None and below > 0 > above else 0.5
    return float(less * (more / less) ** part)


def _advantage(ways: Mapping[Strategy, FilterTrial]) -> float | None:
    """Of comparing all, as a logarithm; None where the index was not tried."""
    on = ways.get("index")
    return None if on is None else math.log(on.cpu_ms / ways["prefilter"].cpu_ms)


def _compared(ways: Mapping[Strategy, FilterTrial], target: float) -> bool:
    """Whether comparing all is the better way: it is cheaper, or the index misses the target or gives too few."""
    on = ways.get("index")
    return (
        on is None or on.cpu_ms >= ways["prefilter"].cpu_ms or on.recall.value < target or on.rows < on.wanted
    )
