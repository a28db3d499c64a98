"""The loop: batch after batch, each with its place in one transaction, until the table's end of when it began.

Killed at any point, the next run finds the place of the last batch that was committed: no row is left out, none is
filled twice. It ends however many rows come meanwhile, since those have their values from whoever writes them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.backfill.job import Job, Limits
from data_platform.postgres.backfill.pace import Pace, Throttle
from data_platform.postgres.backfill.place import Kept, Places
from data_platform.postgres.backfill.session import HINDERED, as_problem, checked, session
from data_platform.postgres.backfill.tally import Filled, Tally, Tell, share, silent
from data_platform.postgres.backfill.watch import Watch, blind, reason, watching
from data_platform.postgres.backfill.way import Way
from data_platform.postgres.queries import query
from data_platform.sql.templates import render

Connection = psycopg.Connection[Any]

_MOST_PASSES = 5
_LOOK_AGAIN_S = 0.2
_LOOK_LONGER = "SET LOCAL statement_timeout = '60s'"


def backfill(
    conninfo: str,
    jobs: Sequence[Job],
    limits: Limits,
    *,
    schema: str = "public",
    again: bool = False,
    tell: Tell = silent,
) -> tuple[Filled, ...]:
    """Fill what each job says, in order; all of them are checked before the first begins.

    `schema` has the table of places. A job that was done by an earlier run is left alone unless `again`.
    Raises UsageProblem or EnvironmentProblem; what was filled until then is kept, with its place.
    """
    with session(conninfo, limits) as connection:
        ways = [checked(connection, job) for job in jobs]
        places = Places(connection, schema)
        places.make()
        with watching(conninfo, connection.info.backend_pid) as watch:
            return tuple(
                _Run(connection, places, watch, limits, job, way, mark, tell).run(again)
                for job, (way, mark) in zip(jobs, ways, strict=True)
            )


class _Run:
    """One job from its place to the end."""

    def __init__(  # noqa: PLR0913, PLR0917  what a run consists of
        self,
        connection: Connection,
        places: Places,
        watch: Watch,
        limits: Limits,
        job: Job,
        way: Way,
        mark: str,
        tell: Tell,
    ) -> None:
        self._connection = connection
        self._places = places
        self._watch = watch
        self._limits = limits
        self._job = job
        self._way = way
        self._mark = mark
        self._tell = tell
        self._throttle = Throttle(limits.max_rate)
        self._pace = Pace(limits.batch_s, largest=self._throttle.most())
        self._hindered_since: float | None = None

    def run(self, again: bool) -> Filled:
        self._places.take(self._mark, self._job.what)
        try:
            with self._told(self._job.what):
                kept = self._places.read(self._mark)
                if kept is not None and kept.done and not again:
                    return self._nothing_to_do(kept)
                return self._to_the_end(kept if kept is not None and not kept.done else None)
        finally:
            if not self._connection.closed:
                self._places.give(self._mark)

    def _nothing_to_do(self, kept: Kept) -> Filled:
        return Filled(
            what=self._job.what, rows=0, seconds=0.0, batches=0, rows_before=kept.rows, already_done=True
        )

    def _to_the_end(self, earlier: Kept | None) -> Filled:
        tally = Tally(self._job.what, time.monotonic(), earlier.rows if earlier else 0)
        with self._kept_on_interruption(tally):
            kept = earlier or self._from_the_start(tally)
            while kept is not None and not kept.done:
                self._tell(tally.line(kept, time.monotonic()), share(kept))
                kept = self._step(kept, tally)
        return Filled(
            what=self._job.what,
            rows=tally.rows,
            seconds=time.monotonic() - tally.began,
            batches=tally.batches,
            rows_before=tally.rows_before,
            pauses=tally.pauses(),
            resumed=earlier is not None,
            left=self._left(),
            notes=blind(self._watch.signs, self._limits),
        )

    def _from_the_start(self, tally: Tally) -> Kept | None:
        """A new place; None where there is no row."""
        while True:
            began = time.monotonic()
            try:
                return self._begun()
            except HINDERED as error:
                self._hindered(error, began, tally)

    def _begun(self) -> Kept | None:
        with self._connection.transaction():
            end = self._way.end(self._connection)
            if end is None:
                return None
            kept = Kept(after=None, end=end, total=self._way.total(self._connection))
            self._places.begin(self._mark, self._job.what, kept)
            return kept

    # --- one batch ---

    def _step(self, kept: Kept, tally: Tally) -> Kept:
        began = time.monotonic()
        try:
            new = self._batch(kept)
        except HINDERED as error:
            self._hindered(error, began, tally)
            return kept
        self._hindered_since = None
        if new.batches > kept.batches:
            rows, seen, seconds = new.rows - kept.rows, new.seen - kept.seen, time.monotonic() - began
            tally.batch(rows, seen)
            self._pace = self._pace.after(seen, seconds)
            self._give_way(seconds, tally)
            self._wait(share(new), tally)
            time.sleep(max(0.0, self._throttle.due(rows, began) - time.monotonic()))
        return new

    def _batch(self, kept: Kept) -> Kept:
        """The next rows and the place after them, committed together."""
        with self._connection.transaction():
            stretch = self._way.next(self._connection, kept.after, kept.end, self._pace.size)
            if stretch is None:
                new = self._turned(kept)
            else:
                rows = self._way.rows(kept.after, stretch.upto)
                filled = self._connection.execute(self._job.statement(rows)).rowcount
                new = replace(
                    kept,
                    after=stretch.upto,
                    rows=kept.rows + filled,
                    found=kept.found + filled,
                    seen=kept.seen + stretch.seen,
                    batches=kept.batches + 1,
                )
            self._places.write(self._mark, kept, new)
        return new

    def _turned(self, kept: Kept) -> Kept:
        """At the end of the table: done, or once more from its start where rows may have moved behind us."""
        end = self._way.end(self._connection) if self._way.again and kept.found else None
        if end is None or kept.number >= _MOST_PASSES:
            return replace(kept, done=True)
        total = self._way.total(self._connection)
        return replace(kept, after=None, end=end, number=kept.number + 1, found=0, seen=0, total=total)

    # --- waiting ---

    def _hindered(self, error: psycopg.Error, began: float, tally: Tally) -> None:
        """Somebody holds a row, or the batch took too long: fewer rows next time, a moment later."""
        self._pace = self._pace.hindered()
        self._hindered_since = self._hindered_since or began
        if began - self._hindered_since > self._limits.patience_s:
            raise EnvironmentProblem(
                f"{self._job.what}: {error.diag.message_primary}, for {self._limits.patience_s:g} s"
                f"{self._oldest()}",
                try_="end what holds the rows, then run the same command again: it goes on where it stopped",
            ) from None
        time.sleep(random.uniform(0.5, 1.5) * max(self._limits.batch_s, 0.05))  # noqa: S311
        tally.pause("rows held by others", time.monotonic() - began)

    def _oldest(self) -> str:
        """The longest open transaction, which is the first to be suspected."""
        found = self._connection.execute(query("oldest_transaction")).fetchone()
        return (
            f"; the oldest open transaction is that of process {found[0]} ({found[1]}, {found[2]} s)"
            if found
            else ""
        )

    def _give_way(self, seconds: float, tally: Tally) -> None:
        """Let those go on who waited for the batch, and hold fewer rows next time."""
        if self._watch.waited():
            if seconds > self._limits.batch_s / 4:
                self._pace = self._pace.waited_for()
            time.sleep(min(seconds, 1.0))
            tally.pause("clients waiting", min(seconds, 1.0))

    def _wait(self, done: float, tally: Tally) -> None:
        """While replicas lag behind or the server is busy; `done` is the share for the terminal."""
        since = time.monotonic()
        why = None
        while (now := reason(self._watch.signs, self._limits)) is not None:
            why = now
            self._tell(f"{self._job.what} · waiting: {why}", done)
            time.sleep(_LOOK_AGAIN_S)
        if why is not None:
            tally.pause(why, time.monotonic() - since)

    # --- endings ---

    def _left(self) -> bool | None:
        """Whether any row still needs it, as far as the server says so in time."""
        if not self._job.tells_done:
            return None
        try:
            left = render("backfill/any_left.sql.j2", table=self._job.table, needed=self._job.needed)
            with self._connection.transaction():
                self._connection.execute(_LOOK_LONGER)
                found = self._connection.execute(left).fetchone()
        except HINDERED:
            return None
        return bool(found and found[0])

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise as_problem(error, what, self._connection) from None

    @contextmanager
    def _kept_on_interruption(self, tally: Tally) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt as interruption:
            done = tally.rows_before + tally.rows
            raise type(interruption)(
                f"{done:,} rows of {self._job.what} are filled and the place is kept; "
                "the same command goes on from there"
            ) from None
