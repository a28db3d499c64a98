"""From a few sizes to production's: how a time grows with rows, and what it would be, as an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 0.01
"""A time below this says nothing about growth: it is the clients' and the machine's own."""
_MARGIN = 0.15
"""Of the estimate, at least: two runs on one machine differ by as much."""


@dataclass(frozen=True)
class Extrapolated:
    """A time at a size that was not run."""

    seconds: float
    low: float
    high: float


def extrapolate(measured: Sequence[tuple[int, float]], rows: int) -> Extrapolated | None:
    """What the time would be at `rows`, from (rows, seconds) at smaller sizes; None if nothing grew.

    A power of the rows through the sizes, between what linear and n log n growth say; the interval covers these, each
    size's own rate, and the distance from the points to the curve.
    """
    points = sorted({(n, s) for n, s in measured if n > 0 and s >= SHORTEST})
    if not points or points[-1][0] >= rows:
        return None
    most, longest = points[-1]
    exponent = _exponent(points)
    scale = rows / most
    guesses = [longest * scale**exponent, longest * scale, longest * scale * _logarithm(most, rows)]
    guesses += [seconds * rows / n for n, seconds in points[1:-1]]
    center = guesses[0]
    miss = max((abs(s / (longest * (n / most) ** exponent) - 1) for n, s in points), default=0.0)
    margin = max(_MARGIN, min(miss, 0.9))
    return Extrapolated(center, min(*guesses, center * (1 - margin)), max(*guesses, center * (1 + margin)))


def _exponent(points: Sequence[tuple[int, float]]) -> float:
    """The slope on logarithmic axes, kept to what a scan, a sort or an index build can be."""
    if len(points) < 2:
        return 1.0
    xs = [math.log(n) for n, _ in points]
    ys = [math.log(s) for _, s in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((value - x) ** 2 for value in xs)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 1.0
    return min(1.2, max(1.0, slope))


def _logarithm(most: int, rows: int) -> float:
    return math.log(rows) / math.log(max(most, 2))
