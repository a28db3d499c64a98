"""The least effort that reaches a recall: bisection over ef_search, probes or candidates.

Recall grows with effort, so a coarse bisection on few queries finds the place, and single steps on all queries make
sure. What was measured once is not measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.retrieval.metrics import lower_bound

Figures = NDArray[np.float64]
_STEP = 1.08
_COARSE = 150


@dataclass(frozen=True)
class Reading:
    """Recall of each query and processor time of a search at one effort."""

    figures: Figures
    cpu_ms: float


Measure = Callable[[int, int], Reading]
"""An effort and how many queries → what came of it."""


@dataclass(frozen=True)
class Least:
    """`effort` is None where even the greatest does not reach it; `reading` is then that of the greatest."""

    effort: int | None
    reading: Reading


def steps(lowest: int, highest: int) -> list[int]:
    """Efforts worth trying: whole numbers from lowest to highest, each about 8 % above the one before."""
    found = [lowest]
    while found[-1] < highest:
        found.append(min(highest, max(found[-1] + 1, round(found[-1] * _STEP))))
    return found


def least(
    measure: Measure, efforts: Sequence[int], target: float, queries: int, *, sure: bool = True
) -> Least:
    """The least of the efforts whose recall is `target`: of all queries, and `sure` its lower bound.

    Without `sure` the mean on some 150 queries is enough.
    """
    coarse = min(_COARSE, queries)
    low = _bisected(lambda effort: float(measure(effort, coarse).figures.mean()) >= target, efforts)
    if low == len(efforts):
        low -= 1
    if not sure:
        reading = measure(efforts[low], coarse)
        return Least(efforts[low] if reading.figures.mean() >= target else None, reading)
    return _settled(measure, efforts, low, target, queries)


def _bisected(passes: Callable[[int], bool], efforts: Sequence[int]) -> int:
    """The place of the first effort that passes; their number if none does."""
    low, high = 0, len(efforts)
    while low < high:
        middle = (low + high) // 2
        if passes(efforts[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _settled(measure: Measure, efforts: Sequence[int], place: int, target: float, queries: int) -> Least:
    """From the coarse place up until the lower bound passes; or down as long as it does."""

    def passes(reading: Reading) -> bool:
        # So few queries may be that even all of them perfect prove nothing; more than perfect there is not.
        return lower_bound(reading.figures) >= target or reading.figures.min() == 1

    reading = measure(efforts[place], queries)
    if passes(reading):
        while place > 0 and passes(below := measure(efforts[place - 1], queries)):
            place, reading = place - 1, below
        return Least(efforts[place], reading)
    while place < len(efforts) - 1:
        place += 1
        reading = measure(efforts[place], queries)
        if passes(reading):
            return Least(efforts[place], reading)
    return Least(None, reading)
