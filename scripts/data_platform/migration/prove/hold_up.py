"""Locks of statements that run outside transactions: held up at their first table, so that what they ask for is seen.

CREATE INDEX CONCURRENTLY on a small table is over before anybody has looked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from data_platform.migration.prove.run import Seen
from data_platform.migration.prove.watch import INTERVAL, Held, Watch
from data_platform.sql.text import qualified

Connection = psycopg.Connection[Any]

_SECONDS = 2.0
_LOOKING = "ACCESS SHARE"


@dataclass
class HoldUp:
    """Holds every table while a statement begins. `asked` is what each statement then waited for, by its number."""

    holder: Connection
    watch: Watch
    asked: dict[int, Held] = field(default_factory=dict)

    def __call__(self, run: Callable[[], Seen]) -> Seen:
        """Run the statement; it goes on as soon as it was seen waiting."""
        found: list[Seen] = []
        failed: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                found.append(run())
            except BaseException as error:
                failed.append(error)
            done.set()

        thread = threading.Thread(target=work, name="dpe held up", daemon=True)
        with self._locked("SHARE UPDATE EXCLUSIVE"):
            with self._locked("ACCESS EXCLUSIVE"):
                thread.start()
                asked = self._asked(done)
            # VACUUM only looks at its table first; what it then does there is still held up.
            if {mode for _, mode in asked} == {_LOOKING}:
                asked |= self._asked(done, but=asked)
        thread.join()
        if failed:
            raise failed[0]
        self.asked[found[0].statement.number] = asked
        return found[0]

    @contextmanager
    def _locked(self, mode: str) -> Iterator[None]:
        """Every table, until the block ends."""
        with self.holder.transaction(force_rollback=True):
            tables = self._tables()
            if tables:
                self.holder.execute(f"LOCK TABLE {tables} IN {mode} MODE".encode())
            yield

    def _tables(self) -> str:
        names = [r for r in self.watch.relations().values() if r.kind in ("table", "partitioned table")]
        return ", ".join(qualified(relation.schema, relation.name) for relation in names)

    def _asked(self, done: threading.Event, but: Held = frozenset()) -> Held:
        deadline = time.monotonic() + _SECONDS
        while not done.is_set() and time.monotonic() < deadline:
            asked = self.watch.asked_for() - but
            if asked:
                return asked
            time.sleep(INTERVAL)
        return frozenset()
