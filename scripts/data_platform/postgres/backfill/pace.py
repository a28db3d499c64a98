"""How many rows a batch has so that it takes a given time, and when the next one may begin. Knows no server."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIRST = 200
LARGEST = 50_000
_GROWTH = 2.0
_CUT = 4
_FASTEST = 1e-6


@dataclass(frozen=True)
class Pace:
    """The size of the next batch, from what the last ones took."""

    target_s: float
    size: int = FIRST
    largest: int = LARGEST

    def after(self, rows: int, seconds: float) -> Pace:
        """After a batch that had `rows` of `size`: half the way to what would have met the target.

        At most twice as many rows as before, and fewer at once where it took twice the target or more.
        """
        fitting = max(rows, 1) * self.target_s / max(seconds, _FASTEST)
        if fitting >= self.size and rows < self.size:
            return self  # a short batch at the end of something says nothing about long ones
        wanted = fitting if fitting < self.size / 2 else (self.size + fitting) / 2
        return self._sized(min(wanted, self.size * _GROWTH))

    def hindered(self) -> Pace:
        """After a batch that did not get a lock, or ran into its time limit: down to the one row that is held."""
        return self._sized(self.size // _CUT)

    def waited_for(self) -> Pace:
        """After a batch that a client waited for."""
        return self._sized(self.size // 2)

    def _sized(self, wanted: float) -> Pace:
        return replace(self, size=max(1, min(self.largest, round(wanted))))


@dataclass
class Throttle:
    """Keeps a number of rows a second: `due(rows, now)` is when the next batch may begin.

    Time that was not used is not saved up, so that a pause is not followed by a rush.
    """

    rate: float | None
    _free: float = 0.0

    def due(self, rows: int, began: float) -> float:
        if self.rate is None:
            return began
        self._free = max(self._free, began) + rows / self.rate
        return self._free

    def most(self) -> int:
        """Rows in a batch, so that none is more than a second's."""
        return LARGEST if self.rate is None else max(1, min(LARGEST, int(self.rate)))
