"""Random numbers that depend on the seed and on names only: another table or column does not change them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from math import gcd
from random import Random

MOST_RANKS = 100_000
"""A Zipf distribution over more values than this is cut: the tail gets nothing."""


def stream(seed: int, *names: str) -> Random:
    """The stream of random numbers of one thing."""
    digest = blake2b("\0".join((str(seed), *names)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return Random(int.from_bytes(digest))  # noqa: S311 - data, not secrets


class Permutation:
    """The numbers below `size` in a scattered order, each once; in constant memory."""

    def __init__(self, size: int, random: Random, *, in_order: bool = False) -> None:
        self._size = size
        self._start = 0 if in_order else random.randrange(size)
        self._stride = 1 if in_order else _stride(size)

    def __call__(self, first: int, count: int) -> list[int]:
        """Places `first` … `first + count - 1` of the order; they must be below `size`."""
        start, stride, size = self._start, self._stride, self._size
        return [(start + place * stride) % size for place in range(first, first + count)]


def _stride(size: int) -> int:
    """Near the golden section, and sharing no factor with `size`."""
    stride = max(1, int(size * 0.6180339887))
    while gcd(stride, size) != 1:
        stride += 1
    return stride


class Draw:
    """Random numbers below a size: uneven by weights or a Zipf exponent, uniform without."""

    def __init__(self, size: int, *, weights: Sequence[float] = (), skew: float = 0.0) -> None:
        self._size = size
        if not weights and skew > 0:
            weights = [rank**-skew for rank in range(1, min(size, MOST_RANKS) + 1)]
        self._sums = list(accumulate(weights))

    def __call__(self, random: Random, count: int) -> list[int]:
        draw, size = random.random, self._size
        if not self._sums:
            return [int(draw() * size) for _ in range(count)]
        sums, total = self._sums, self._sums[-1]
        last = len(sums) - 1
        return [min(last, bisect_left(sums, draw() * total)) for _ in range(count)]


class Rising:
    """Numbers below a size that grow over `rows` draws: the times of rows in the order in which they came."""

    def __init__(self, size: int, rows: int) -> None:
        self._size = size
        self._rows = max(1, rows)
        self._drawn = 0

    def __call__(self, random: Random, count: int) -> list[int]:
        first, last, step = self._drawn, self._size - 1, self._size / self._rows
        self._drawn += count
        return [min(last, int((place + random.random()) * step)) for place in range(first, first + count)]


def uneven(random: Random, size: int, count: int) -> list[int]:
    """Numbers below `size`, of which the first tenth is drawn about twice as often as its share."""
    draw = random.random
    return [int(draw() ** 1.5 * size) for _ in range(count)]
