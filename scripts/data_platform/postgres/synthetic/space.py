"""Indexed sets of values: a space gives number 0, 1, 2 … below its size different PostgreSQL input texts.

Everything else follows from that: random values are random numbers, unique values are different numbers, a foreign
key's values are the numbers of its parents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from data_platform.postgres.synthetic.linear import Scale

HUGE = 2**62
"""A size that no table reaches."""


class Space(Protocol):
    """`size` values in all, of which the first `natural` are the plausible ones that draws choose from."""

    @property
    def size(self) -> int: ...

    @property
    def natural(self) -> int: ...

    def texts(self, numbers: Sequence[int]) -> list[str]:
        """The values with these numbers."""
        ...


@dataclass(frozen=True)
class Listed:
    """These values; weights, if given, one for each."""

    values: tuple[str, ...]
    weights: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def natural(self) -> int:
        return len(self.values)

    def texts(self, numbers: Sequence[int]) -> list[str]:
        values = self.values
        return [values[number] for number in numbers]


@dataclass(frozen=True)
class Linear:
    """The ticks `low` to `high` of a scale, every `step`th; number 0 is `first`, after `high` comes `low`."""

    scale: Scale
    low: int
    high: int
    first: int
    natural: int
    step: int = 1

    @property
    def _count(self) -> int:
        return (self.high - self.low) // self.step + 1

    @property
    def size(self) -> int:
        return min(HUGE, self._count)

    def ticks(self, numbers: Sequence[int]) -> list[int]:
        """The ticks with these numbers."""
        first, low, step, count = self.first, self.low, self.step, self._count
        start = (first - low) // step
        if step == 1 and max(numbers, default=0) < count - start:
            return [first + number for number in numbers]
        return [low + (start + number) % count * step for number in numbers]

    def texts(self, numbers: Sequence[int]) -> list[str]:
        return self.scale.write(self.ticks(numbers))


@dataclass(frozen=True)
class Written:
    """Values made by a function of their number."""

    size: int
    write: Callable[[int], str]

    @property
    def natural(self) -> int:
        return self.size

    def texts(self, numbers: Sequence[int]) -> list[str]:
        return list(map(self.write, numbers))


@dataclass(frozen=True)
class Phrases:
    """Pairs of beginnings and ends; from the second round on a number stands between them."""

    heads: tuple[str, ...]
    tails: tuple[str, ...]
    gap: str = " "
    size: int = HUGE

    @property
    def natural(self) -> int:
        return min(self.size, len(self.heads))

    def texts(self, numbers: Sequence[int]) -> list[str]:
        heads, tails, gap, count = self.heads, self.tails, self.gap, len(self.heads)
        return [
            f"{heads[n]}{tails[n]}"
            if n < count
            else f"{heads[n % count]}{gap}{n // count + 1}{tails[n % count]}"
            for n in numbers
        ]


@dataclass(frozen=True)
class Later:
    """Another space from number `first` on."""

    space: Space
    first: int

    @property
    def size(self) -> int:
        return self.space.size - self.first

    @property
    def natural(self) -> int:
        return max(1, self.space.natural - self.first)

    def texts(self, numbers: Sequence[int]) -> list[str]:
        return self.space.texts([number + self.first for number in numbers])


@dataclass(frozen=True)
class Joined:
    """Combinations of one value from each part, joined by `write`; only the last part leaves its natural values."""

    parts: tuple[Space, ...]
    write: Callable[[tuple[str, ...]], str]

    @property
    def size(self) -> int:
        return min(HUGE, prod(part.natural for part in self.parts[:-1]) * self.parts[-1].size)

    @property
    def natural(self) -> int:
        return min(HUGE, prod(part.natural for part in self.parts))

    def texts(self, numbers: Sequence[int]) -> list[str]:
        columns: list[list[str]] = []
        rest: Sequence[int] = numbers
        for part in self.parts[:-1]:
            radix = part.natural
            columns.append(part.texts([number % radix for number in rest]))
            rest = [number // radix for number in rest]
        columns.append(self.parts[-1].texts(rest))
        return list(map(self.write, zip(*columns, strict=True)))


@dataclass(frozen=True)
class Mixed:
    """Values of several spaces that have none in common, in turn."""

    spaces: tuple[Space, ...]

    @property
    def size(self) -> int:
        return min(HUGE, len(self.spaces) * min(space.size for space in self.spaces))

    @property
    def natural(self) -> int:
        return min(HUGE, len(self.spaces) * min(space.natural for space in self.spaces))

    def texts(self, numbers: Sequence[int]) -> list[str]:
        count = len(self.spaces)
        parts = [
            iter(space.texts([number // count for number in numbers if number % count == place]))
            for place, space in enumerate(self.spaces)
        ]
        return [next(parts[number % count]) for number in numbers]
