"""What PostgreSQL itself says that a statement does: its debug messages, and the locks held before the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from data_platform.migration.lint.locks import Mode

_SAID = {
    "rewrite": re.compile(r'rewriting table "(\w+)"'),
    "verify": re.compile(r'verifying table "(\w+)"'),
    "index": re.compile(r'building index "\w+" on table "(\w+)"'),
}
_VALIDATES = re.compile(r'validating foreign key constraint "(\w+)"')
_LOCKS = """
SELECT relation, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = ANY (%s)
"""
_MODES = {str(mode).title().replace(" ", "") + "Lock": mode for mode in Mode}


@dataclass(frozen=True)
class Said:
    """Tables by what was done to them, and the strongest lock on each that was there before."""

    rewrite: frozenset[str]
    verify: frozenset[str]
    index: frozenset[str]
    validates: bool
    locks: dict[str, Mode]


class Oracle:
    """One database with a schema; every question is rolled back."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.messages: list[str] = []
        connection.add_notice_handler(lambda notice: self.messages.append(notice.message_primary or ""))
        found = connection.execute(
            "SELECT oid, relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
        )
        self.there = dict(found.fetchall())

    def ask(self, statement: str, before: str = "") -> Said:
        """What the statement does; `before` runs first in the same transaction."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("SET LOCAL timezone TO 'UTC'")
            if before:
                self.connection.execute(before.encode())
            taken = self._locks()
            self.connection.execute("SET LOCAL client_min_messages TO debug1")
            self.messages.clear()
            self.connection.execute(statement.encode())
            said = list(self.messages)
            locks = {
                table: mode for table, mode in self._locks().items() if not before or taken.get(table) != mode
            }
        return _understood(said, locks, set(self.there.values()))

    def _locks(self) -> dict[str, Mode]:
        found: dict[str, Mode] = {}
        for oid, mode in self.connection.execute(_LOCKS, [list(self.there)]).fetchall():
            table = self.there[oid]
            found[table] = max(_MODES[mode], found.get(table, Mode.ACCESS_SHARE))
        return found


def _understood(said: list[str], locks: dict[str, Mode], there: set[str]) -> Said:
    tables = {
        kind: frozenset(match[1] for text in said if (match := pattern.match(text))) & there
        for kind, pattern in _SAID.items()
    }
    if tables["rewrite"]:  # a rewrite builds every index again
        tables["index"] -= tables["rewrite"]
    validates = any(_VALIDATES.match(text) for text in said)
    return Said(tables["rewrite"], tables["verify"], tables["index"], validates, locks)


@contextmanager
def oracle(conninfo: str, schema: str) -> Iterator[Oracle]:
    """A connection to a database with this schema."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(schema.encode())
        yield Oracle(connection)
