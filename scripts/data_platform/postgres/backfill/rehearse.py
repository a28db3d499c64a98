"""A few batches run and taken back: what a backfill would do, and about how long it would take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from data_platform.postgres.backfill.job import Job, Limits
from data_platform.postgres.backfill.pace import Pace, Throttle
from data_platform.postgres.backfill.place import Kept, Places
from data_platform.postgres.backfill.session import HINDERED, Connection, as_problem, checked, session
from data_platform.postgres.backfill.tally import Tell, silent
from data_platform.postgres.backfill.way import Place, Way

_MOST_BATCHES = 8
_MOST_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What was measured of one job: `filled` of `seen` rows in `seconds`; `to_see` are those left to look at."""

    what: str
    statement: str
    batches: int
    seen: int
    filled: int
    seconds: float
    to_see: int
    resumed: bool
    done: bool
    max_rate: float | None

    @property
    def rows(self) -> int:
        """Rows that would be filled, if the rest is like those that were tried."""
        return round(self.to_see * self.filled / self.seen) if self.seen else 0

    @property
    def estimate_s(self) -> float | None:
        """Seconds that it would take."""
        if not self.seen:
            return None
        at_least = self.rows / self.max_rate if self.max_rate else 0.0
        return max(self.to_see * self.seconds / self.seen, at_least)


def rehearse(
    conninfo: str, jobs: Sequence[Job], limits: Limits, *, schema: str = "public", tell: Tell = silent
) -> tuple[Rehearsed, ...]:
    """What `backfill` would do. Every batch is rolled back, and no table of places is made.

    Raises UsageProblem or EnvironmentProblem, as `backfill` does.
    """
    with session(conninfo, limits) as connection:
        ways = [checked(connection, job) for job in jobs]
        places = Places(connection, schema)
        there = places.exists()
        return tuple(
            _tried(connection, job, way, places.read(mark) if there else None, limits, tell)
            for job, (way, mark) in zip(jobs, ways, strict=True)
        )


def _tried(
    connection: Connection, job: Job, way: Way, kept: Kept | None, limits: Limits, tell: Tell
) -> Rehearsed:
    tell(f"{job.what}: trying", 0.0)
    try:
        end = kept.end if kept else way.end(connection)
        total = kept.total if kept else way.total(connection)
        done = kept is not None and kept.done
        tried = (0, 0, 0, 0.0) if end is None or done else _batches(connection, job, way, kept, end, limits)
    except psycopg.Error as error:
        raise as_problem(error, job.what, connection) from None
    batches, seen, filled, seconds = tried
    return Rehearsed(
        what=job.what,
        statement=str(job.statement(way.rows(None, end))) if end else "",
        batches=batches,
        seen=seen,
        filled=filled,
        seconds=seconds,
        to_see=0 if end is None or done else max(seen, total - (kept.seen if kept else 0)),
        resumed=kept is not None,
        done=done,
        max_rate=limits.max_rate,
    )


def _batches(
    connection: Connection, job: Job, way: Way, kept: Kept | None, end: Place, limits: Limits
) -> tuple[int, int, int, float]:
    """Batches, rows seen and filled, and the seconds of them all."""
    pace = Pace(limits.batch_s, largest=Throttle(limits.max_rate).most())
    after = kept.after if kept else None
    began, tries, batches, seen, filled, seconds = time.monotonic(), 0, 0, 0, 0, 0.0
    while tries < _MOST_BATCHES and time.monotonic() - began < _MOST_SECONDS:
        tries += 1
        started = time.monotonic()
        try:
            with connection.transaction(force_rollback=True):
                stretch = way.next(connection, after, end, pace.size)
                if stretch is None:
                    break
                rows = connection.execute(job.statement(way.rows(after, stretch.upto))).rowcount
        except HINDERED:
            pace = pace.hindered()
            continue
        took = time.monotonic() - started
        pace, after = pace.after(stretch.seen, took), stretch.upto
        batches, seen, filled, seconds = batches + 1, seen + stretch.seen, filled + rows, seconds + took
    return batches, seen, filled, seconds
