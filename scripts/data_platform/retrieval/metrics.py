"""How good an answer is, and how sure that figure is.

Recall is against exact search; nDCG, MRR and precision against judgements. Each metric gives one figure a query, so
that means, intervals and paired comparisons are the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Figures = NDArray[np.float64]

_RESAMPLES = 2000
_TOLERANCE = 1e-6
"""Relative: two rows that single precision cannot tell apart are equally near."""


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its two-sided 95 % interval."""

    value: float
    low: float
    high: float
    queries: int


# --- against exact search ---


def recall(found: NDArray[np.float64], truth: NDArray[np.float64]) -> Figures:
    """The share of the k nearest that each query got, by distance: a row as near as the k-th is as good as it.

    `found[i, j]` is the distance of the j-th row found (inf or nan where there was none), `truth[i]` the exact
    distances. Counting by distance instead of by id keeps duplicates from looking like misses (Aumüller et al.,
    ANN-Benchmarks, 2020).
    """
    farthest = truth[:, -1:]
    allowed = farthest + np.abs(farthest) * _TOLERANCE + 1e-12
    with np.errstate(invalid="ignore"):
        return np.asarray((found[:, : truth.shape[1]] <= allowed).sum(axis=1) / truth.shape[1])


# --- against judgements: grades by document, what was found in order ---


def precision(found: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Relevant ones among the first k, over k (TREC's P@k)."""
    return sum(grades.get(one, 0) > 0 for one in found[:k]) / k


def judged_recall(found: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Relevant ones among the first k, over all that are relevant; 0 where none is."""
    relevant = sum(grade > 0 for grade in grades.values())
    return sum(grades.get(one, 0) > 0 for one in found[:k]) / relevant if relevant else 0.0


def reciprocal_rank(found: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """One over the place of the first relevant one within k; 0 where there is none."""
    return next((1 / place for place, one in enumerate(found[:k], 1) if grades.get(one, 0) > 0), 0.0)


def ndcg(found: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Discounted gain over that of the best order (Järvelin and Kekäläinen, 2002), gain = grade as in trec_eval."""
    best = _discounted(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k])
    return _discounted([max(grades.get(one, 0.0), 0.0) for one in found[:k]]) / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


Metric = Literal["ndcg", "mrr", "precision", "recall"]
METRICS = {"ndcg": ndcg, "mrr": reciprocal_rank, "precision": precision, "recall": judged_recall}


# --- intervals ---


def interval(figures: Sequence[float] | Figures, *, seed: int = 1) -> Interval:
    """The mean with the interval of the bootstrap over queries (percentile, 2,000 resamples, the same for a seed).

    Where all figures are equal nothing varies; then the interval is that of one query more that got the
    opposite, so that a few perfect queries are no proof.
    """
    values = np.asarray(figures, dtype=np.float64)
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        other = len(values) + 1
        return Interval(mean, mean - mean / other, mean + max(0.0, 1 - mean) / other, len(values))
    chosen = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), (0.025, 0.975))
    return Interval(mean, float(low), float(high), len(values))


def lower_bound(figures: Sequence[float] | Figures) -> float:
    """What the true mean is above with 95 % confidence (one-sided, normal, one query that got nothing added)."""
    values = np.append(np.asarray(figures, dtype=np.float64), 0.0)
    return float(np.mean(values) - 1.645 * np.std(values, ddof=1) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Difference:
    """How much better the first is than the second on the same queries; significant when zero is outside."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        return self.low > 0 or self.high < 0


def paired(first: Sequence[float] | Figures, second: Sequence[float] | Figures) -> Difference:
    """The mean difference, query by query, with its 95 % interval."""
    found = interval(np.asarray(first) - np.asarray(second))
    return Difference(found.value, found.low, found.high)
