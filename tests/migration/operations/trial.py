"""A plan run on tables with rows, there and back: what the server read under a lock, and what the rows are then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from data_platform.migration.formats.session import stands_alone
from data_platform.migration.plan.step import Step
from data_platform.migration.prove import state
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.session import own_extensions
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Script, load
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server

Rows = Mapping[int, state.Rows]
_STRONG = """
SELECT c.relname FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.granted
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
_FILLED = "SELECT relname FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm') AND pg_relation_size(oid) > 0"


@dataclass
class Trial:
    """A session that hears what the server reads, builds and rewrites, and a superuser's, from whom no policy hides a
    row. `kept_out` is told as `step: message`.
    """

    connection: psycopg.Connection[Any]
    admin: psycopg.Connection[Any]
    kept_out: list[str] = field(default_factory=list)
    _heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection.autocommit = self.admin.autocommit = True
        self.connection.execute("SET client_min_messages = debug1")
        self.connection.add_notice_handler(lambda notice: self._heard.append(notice.message_primary or ""))

    def rows(self) -> Rows:
        return state.rows(self.admin)

    def ask(self, query: str) -> list[Any]:
        return self.admin.execute(query.encode()).fetchall()

    def up(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._run(step, step.up, watched=step.blocks is None)

    def down(self, steps: Sequence[Step]) -> None:
        for step in reversed(steps):
            self._run(step, step.down, watched=False)

    def _run(self, step: Step, statements: Sequence[str], *, watched: bool) -> None:
        if step.transaction:
            filled = self._filled()
            with self.connection.transaction():
                for statement in statements:
                    self._one(step, statement, filled if watched else frozenset())
            return
        for statement in statements:
            self._one(step, statement, self._filled() if watched else frozenset())

    def _filled(self) -> frozenset[str]:
        """The tables that have rows, as others see them."""
        return frozenset(name for (name,) in self.ask(_FILLED))

    def _one(self, step: Step, statement: str, filled: frozenset[str]) -> None:
        self._heard.clear()
        apart = statement.startswith(("CREATE EXTENSION", "DROP EXTENSION"))  # not every extension is trusted
        (self.admin if apart else self.connection).execute(statement.encode())
        work = [line for line in self._heard if line.startswith(("rewriting", "verifying", "building index"))]
        if work and not stands_alone(statement):
            if "VALIDATE CONSTRAINT" in statement:  # reads under a lock that keeps nobody out
                filled &= {name for (name,) in self.connection.execute(_STRONG)}
            found = (line for line in work if any(f'"{name}"' in line for name in filled))
            self.kept_out += [f"{step.name}: {line}" for line in found]


@contextmanager
def filled(server: Server, schema: str, rows: str) -> Iterator[Database]:
    """The schema with rows, to be copied."""
    with server.scratch_database() as source:
        load(source, [Script("base.sql", schema)])
        own_extensions(source)
        with connect(source.conninfo, read_only=False) as owner:
            owner.execute(rows.encode())
        yield source


@contextmanager
def trial(server: Server, source: Database) -> Iterator[Trial]:
    """A copy that a plan may do anything to."""
    copies = Copies(server.conninfo, server.version_num, disposable=False)
    with (
        copies.copy(source) as copy,
        connect(copy.admin_conninfo, read_only=False) as admin,
        connect(copy.conninfo, read_only=False) as owner,
    ):
        yield Trial(owner, admin)


def told(name: str, steps: Sequence[Step]) -> bool:
    """Whether a step says that it is lost, comes back otherwise, or keeps what it was filled with."""
    table, _, column = name.rpartition(".")
    lost = {one for step in steps for one in step.lost}
    said = [step.one_way for step in steps if step.one_way]
    return bool(lost & {name, table}) or any(
        f"{column} as " in one or "the values stay" in one for one in said
    )
