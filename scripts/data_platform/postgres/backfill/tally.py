"""What a run did, and what it says while it does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from data_platform.postgres.backfill.place import Kept

Tell = Callable[[str, float], None]
"""What is being done, and the share that is done, 0 … 1."""


def silent(_what: str, _share: float) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Pause:
    """How often and how long one reason held the run up."""

    reason: str
    times: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Filled:
    """One job as this run left it. `rows_before` are those of earlier runs."""

    what: str
    rows: int
    seconds: float
    batches: int
    rows_before: int = 0
    pauses: tuple[Pause, ...] = ()
    resumed: bool = False
    already_done: bool = False
    left: bool | None = None
    """Whether rows still need it after the end; None where that could not be looked at."""
    notes: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0


@dataclass
class Tally:
    """What adds up while a job runs."""

    what: str
    began: float
    rows_before: int = 0
    rows: int = 0
    batches: int = 0
    seen: int = 0
    held_up: dict[str, tuple[int, float]] = field(default_factory=dict)

    def batch(self, rows: int, seen: int) -> None:
        self.rows += rows
        self.batches += 1
        self.seen += seen

    def pause(self, reason: str, seconds: float) -> None:
        times, total = self.held_up.get(reason, (0, 0.0))
        self.held_up[reason] = (times + 1, total + seconds)

    def line(self, kept: Kept, now: float) -> str:
        """Rows, rate and time left, for the terminal."""
        seconds = max(now - self.began, 1e-6)
        said = f"{self.what} · {kept.rows:,} rows · {self.rows / seconds:,.0f} rows/s"
        return f"{said} · {spoken(left)} left" if (left := self.left_s(kept, seconds)) is not None else said

    def left_s(self, kept: Kept, seconds: float) -> float | None:
        """Seconds until the end of the table at the pace of this run; None before it can be said."""
        if self.batches < 3 or not self.seen:
            return None
        return max(0, kept.total - kept.seen) * seconds / self.seen

    def pauses(self) -> tuple[Pause, ...]:
        return tuple(Pause(reason, times, seconds) for reason, (times, seconds) in self.held_up.items())


def share(kept: Kept) -> float:
    """How much of the table is behind the place."""
    return min(1.0, kept.seen / kept.total) if kept.total else 1.0


def spoken(seconds: float) -> str:
    """A duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
