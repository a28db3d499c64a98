"""A few batches run and taken back: what a backfill would do, and about how long it would take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import psycopg

from data_platform.postgres.backfill.job import Job, Limits
from data_platform.postgres.backfill.pace import Pace, Throttle
from data_platform.postgres.backfill.place import Kept, Places
from data_platform.postgres.backfill.session import HINDERED, Connection, as_problem, checked, session
from data_platform.postgres.backfill.tally import Tell, silent
from data_platform.postgres.backfill.way import Place, Way

_MOST_SECONDS = 3.0


@dataclass(frozen=True)
class Tried:
    """One batch that was taken back."""

    seen: int
    filled: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What was measured of one job; `to_see` are the rows that are left to look at, as the planner estimates them."""

    what: str
    statement: str
    tried: tuple[Tried, ...]
    to_see: int
    resumed: bool
    done: bool
    max_rate: float | None

    @property
    def seen(self) -> int:
        return sum(one.seen for one in self.tried)

    @property
    def filled(self) -> int:
        return sum(one.filled for one in self.tried)

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.tried)

    @property
    def rows(self) -> int:
        """Rows that would be filled: each place that was tried counts alike, however large its batch was."""
        return round(self.to_see * fmean(one.filled / one.seen for one in self.tried)) if self.tried else 0

    @property
    def estimate_s(self) -> float | None:
        """Seconds that it would take."""
        if not self.tried:
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
        tried = () if end is None or done else tuple(_batches(connection, job, way, kept, end, limits))
    except psycopg.Error as error:
        raise as_problem(error, job.what, connection) from None
    return Rehearsed(
        what=job.what,
        statement=str(job.statement(way.rows(None, end))) if end else "",
        tried=tried,
        to_see=0 if end is None or done else max(0, total - (kept.seen if kept else 0)),
        resumed=kept is not None,
        done=done,
        max_rate=limits.max_rate,
    )


def _batches(
    connection: Connection, job: Job, way: Way, kept: Kept | None, end: Place, limits: Limits
) -> Iterator[Tried]:
    """Batches at the place where it would go on, and at others all over the table."""
    pace = Pace(limits.batch_s, largest=Throttle(limits.max_rate).most())
    begin = kept.after if kept else None
    places = [begin, begin, *way.samples(connection, begin, end)]
    began = time.monotonic()
    for after in places:
        if time.monotonic() - began > _MOST_SECONDS:
            break
        started = time.monotonic()
        try:
            with connection.transaction(force_rollback=True):
                stretch = way.next(connection, after, end, pace.size)
                if stretch is None:
                    continue
                rows = connection.execute(job.statement(way.rows(after, stretch.upto))).rowcount
        except HINDERED:
            pace = pace.hindered()
            continue
        took = time.monotonic() - started
        pace = pace.after(stretch.seen, took)
        yield Tried(stretch.seen, rows, took)
