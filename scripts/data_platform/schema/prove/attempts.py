"""Rows tried against the server: inserted, refused or accepted, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import psycopg

from data_platform.model.database import Database, Function, Name, Table
from data_platform.postgres.synthetic import Generator
from data_platform.schema.prove.tenancy import by_name
from data_platform.sql.text import Sql, identifier, identifiers, literal, qualified_name

Connection = psycopg.Connection[Any]
Row = Mapping[str, str | None]
"""Input texts by column."""

MAX_SET_ASIDE = 6
"""Other constraints that are dropped to see one refuse on its own."""


_FOLLOWERS = """
WITH RECURSIVE follows(follower, index) AS (
    SELECT i.inhrelid, i.inhparent FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhparent
     WHERE c.relkind = 'I' AND NOT c.relispartition
    UNION ALL
    SELECT i.inhrelid, f.index FROM pg_inherits AS i JOIN follows AS f ON f.follower = i.inhparent)
SELECT n.nspname, t.relname, c.relname, own.relname
  FROM follows AS f JOIN pg_class AS c ON c.oid = f.follower JOIN pg_class AS own ON own.oid = f.index
  JOIN pg_index AS x ON x.indexrelid = f.index JOIN pg_class AS t ON t.oid = x.indrelid
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
"""


@dataclass(frozen=True)
class Attempt:
    """What became of one INSERT; `sqlstate` None means it was accepted."""

    sqlstate: str | None
    constraint: str | None = None
    column: str | None = None
    message: str = ""

    @property
    def fits_no_partition(self) -> bool:
        """Whether it was refused because no partition takes the row."""
        return self.sqlstate == "23514" and self.constraint is None

    def broke(self, sqlstate: str, constraint: str) -> bool:
        """Whether that constraint refused it for that reason."""
        return self.sqlstate == sqlstate and self.constraint == constraint


@dataclass(frozen=True)
class Trials:
    """Makes and tries rows on one connection; `database` is the catalog that they must satisfy."""

    connection: Connection
    generator: Generator
    database: Database

    @cached_property
    def functions(self) -> Mapping[str, Sequence[Function]]:
        """By name without a schema."""
        return by_name(self.database.functions)

    @cached_property
    def followers(self) -> Mapping[Name, Mapping[str, str]]:
        """For each partitioned table the names of its partitions' indexes, and which of its own they follow."""
        found: dict[Name, dict[str, str]] = {}
        if any(table.partition_by for table in self.database.tables):
            for schema, table, follower, index in self.connection.execute(_FOLLOWERS):
                found.setdefault(Name(schema, table), {})[follower] = index
        return found

    def fresh(
        self, table: Table, pins: Row | None = None, below: frozenset[Name] = frozenset()
    ) -> Row | None:
        """One more valid row. Where every parent has its only child already, new parents are inserted for it.

        `below` are the tables that a parent is being made for: in a circle there is no first one.
        """
        row = self.generator.fresh(self.connection, table.name, pins or {})
        if row is not None or not table.foreign_keys:
            return row
        made: dict[str, str | None] = dict(pins or {})
        for key in table.foreign_keys:
            if set(key.columns) & set(made) or any(table.column(name).generated for name in key.columns):
                continue
            if key.target == table.name or key.target in below:
                return None
            parent = self.database.table(key.target)
            parent_row = self.fresh(parent, below=below | {table.name})
            if parent_row is None:
                return None
            returned = self.insert(parent, parent_row, key.target_columns)
            made |= dict(zip(key.columns, returned, strict=True))
        return self.generator.fresh(self.connection, table.name, made)

    def insert(self, table: Table, row: Row, returning: tuple[str, ...]) -> tuple[str, ...]:
        """INSERT the row for good (the caller rolls back); the input texts of the `returning` columns."""
        texts = ", ".join(f"{identifier(name)}::text" for name in returning)
        made = self.connection.execute(f"{insert_sql(table, row)} RETURNING {texts}".encode()).fetchone()
        assert made is not None
        return tuple(made)

    def attempt(self, table: Table, row: Row, expected: str | None = None) -> Attempt:
        """INSERT the row with its constraints checked at once, and take it back.

        If another constraint than the `expected` one refuses it first, that one is dropped (and with everything else
        taken back), so that each constraint is seen to refuse on its own.
        """
        with self.connection.transaction(force_rollback=True):
            for _ in range(MAX_SET_ASIDE):
                tried = self._named(table, try_statement(self.connection, insert_sql(table, row)))
                if expected is None or tried.constraint in (None, expected):
                    break
                if not self._set_aside(table, tried.constraint):
                    break
            return tried

    def _named(self, table: Table, tried: Attempt) -> Attempt:
        """With the table's own constraint, where the server names that of a partition."""
        followers = self.followers.get(table.name)
        if not followers or tried.constraint is None:
            return tried
        return replace(tried, constraint=followers.get(tried.constraint, tried.constraint))

    def _set_aside(self, table: Table, name: str) -> bool:
        """Drop another constraint or unique index of the table; False if it has none of that name."""
        if name in {constraint.name for constraint in table.constraints}:
            sql = f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(name)} CASCADE"
        elif name in {index.name for index in table.indexes}:
            sql = f"DROP INDEX {qualified_name(Name(table.name.schema, name))} CASCADE"
        else:
            return False
        self.connection.execute(sql.encode())
        return True


def insert_sql(table: Table, row: Row) -> str:
    """INSERT of input texts; an identity column accepts the given value."""
    values = ", ".join("NULL" if value is None else literal(value) for value in row.values())
    return (
        f"INSERT INTO {qualified_name(table.name)} ({identifiers(row)}) "  # noqa: S608 - quoted names and literals
        f"OVERRIDING SYSTEM VALUE VALUES ({values})"
    )


def own_rows(table: Table) -> Sql:
    """The table in FROM, without the tables that inherit from it: no key of its own spans their rows."""
    only = "" if table.partition_by else "ONLY "
    return Sql(f"{only}{qualified_name(table.name)}")


def try_statement(connection: Connection, sql: str) -> Attempt:
    """Run a statement with its constraints checked at once, and take it back."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.encode())
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        diag = error.diag
        return Attempt(
            error.sqlstate or "?", diag.constraint_name, diag.column_name, diag.message_primary or str(error)
        )
    return Attempt(None)
