"""One statement tried as a role, under settings, and taken back: what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import psycopg

from data_platform.sql.text import identifier, literal

Connection = psycopg.Connection[Any]

DENIED = "42501"
STATEMENT_MS = 20_000
"""For one statement of a trial."""


@dataclass(frozen=True)
class Identity:
    """As whom a statement runs: a role (None: the session's own) and the values of settings."""

    role: str | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sql(self) -> str:
        """What makes the current transaction one of theirs."""
        role = f"SET LOCAL ROLE {identifier(self.role)};" if self.role else ""
        return role + "".join(
            f"SELECT pg_catalog.set_config({literal(name)}, {literal(value)}, true);"
            for name, value in self.settings.items()
        )


@dataclass(frozen=True)
class Outcome:
    """What came of a statement; `sqlstate` None means that it ran. `after` is what a look afterwards found."""

    sqlstate: str | None = None
    message: str = ""
    rows: tuple[tuple[Any, ...], ...] = ()
    count: int = 0
    after: tuple[Any, ...] = ()
    context: str = ""
    constraint: str | None = None
    """The one that refused a row, where it was no code of the database's own that said so."""

    @property
    def denied(self) -> bool:
        """Whether it was refused for want of a privilege, or by row-level security."""
        return self.sqlstate == DENIED

    @property
    def said(self) -> tuple[str | None, str, tuple[tuple[Any, ...], ...]]:
        """Everything that whoever ran it has seen."""
        return self.sqlstate, self.message, self.rows


def tried(
    connection: Connection,
    identity: Identity,
    sql: str,
    *,
    look: Sequence[str] = (),
    prepare: Sequence[str] = (),
) -> Outcome:
    """Run the statement as `identity` and take it back.

    `prepare` runs before, and `look` after it, as the session's own role; what the last of `look` finds is `after`.
    """
    try:
        with connection.transaction(force_rollback=True):
            for statement in prepare:
                connection.execute(statement.encode())
            outcome = _run(connection, identity, sql)
            if look and outcome.sqlstate is None:
                outcome = replace(outcome, after=_looked(connection, look))
            return outcome
    except psycopg.Error as error:
        if connection.closed:
            raise
        return failed(error)


def _looked(connection: Connection, look: Sequence[str]) -> tuple[Any, ...]:
    connection.execute(b"SET LOCAL ROLE NONE")
    connection.execute(b"SET CONSTRAINTS ALL IMMEDIATE")
    for statement in look[:-1]:
        connection.execute(statement.encode())
    return connection.execute(look[-1].encode()).fetchone() or ()


def _run(connection: Connection, identity: Identity, sql: str) -> Outcome:
    if identity.sql:
        connection.execute(identity.sql.encode())
    cursor = connection.execute(sql.encode())
    rows = tuple(cursor.fetchall()) if cursor.description else ()
    return Outcome(rows=rows, count=max(cursor.rowcount, 0))


def failed(error: psycopg.Error) -> Outcome:
    """An error as an outcome."""
    message = error.diag.message_primary or str(error)
    context = error.diag.context or ""
    constraint = None if context else error.diag.constraint_name
    return Outcome(error.sqlstate or "?", message, context=context, constraint=constraint)


@contextmanager
def nothing_stays(connection: Connection) -> Iterator[None]:
    """A transaction whose end takes everything back, in which no statement takes long."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL statement_timeout TO {STATEMENT_MS}".encode())
        yield
