"""Queries of checks on a session that only reads. What the server refuses is a `NotRun`, and spoils no other check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.relations import Relation, has_key, read_relation, table_name
from data_platform.sql.text import Sql, identifier, identifiers, joined, literal, literals, phrase

SCAN_TIMEOUT_MS = 3_600_000
_KEYS_AT_ONCE = 10_000
_PRIMARY = """
SELECT array_agg(a.attname::text ORDER BY k.n) FROM pg_index i
 CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = to_regclass(%s) AND i.indisprimary
"""
_SIZE = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)"
MASK = "•••"
EVERY = Sql("true")
_QUOTED = re.compile(r'".*"', re.DOTALL)

Session = psycopg.Connection[Any]


class NotRun(Exception):
    """The server refuses a query; the text is what it says."""

    def said(self, sensitive: frozenset[str]) -> str:
        """The text; where there are sensitive columns and a value is what the server refuses, without that."""
        about_value = isinstance(self.__cause__, psycopg.DataError)
        return _QUOTED.sub(f'"{MASK}"', str(self)) if sensitive and about_value else str(self)


@dataclass(frozen=True)
class Table:
    """What a table is, as far as checks need it. `key` is its primary key, `rows` the server's estimate or -1."""

    name: Sql
    relation: Relation
    key: tuple[str, ...]
    rows: int
    server: int


@contextmanager
def reading(conninfo: str) -> Iterator[Session]:
    """A read-only session whose queries may take an hour, all of them over one snapshot."""
    with connect(conninfo, read_only=True, statement_timeout_ms=SCAN_TIMEOUT_MS, autocommit=False) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield session


@contextmanager
def refusals(session: Session) -> Iterator[None]:
    """Within a savepoint; the server's refusal becomes a `NotRun`."""
    try:
        with session.transaction():
            yield
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.errors.QueryCanceled) as error:
        raise NotRun(error.diag.message_primary or str(error)) from error


def table_of(session: Session, name: Name, quoted: Sql | None = None) -> Table:
    """The table, view or temporary table of that name. NotRun where there is none."""
    found = table_name(name) if quoted is None else quoted
    relation = read_relation(session, found)
    if relation is None:
        raise NotRun(
            f"there is no table {name.schema}.{name.name}" if name.schema else "there is no such table"
        )
    key = session.execute(_PRIMARY, [found]).fetchone()
    size = session.execute(_SIZE, [found]).fetchone()
    return Table(
        found,
        relation,
        tuple(key[0] or ()) if key else (),
        int(size[0]) if size else -1,
        session.info.server_version // 10_000,
    )


def is_ensured_unique(session: Session, table: Table, columns: Sequence[str]) -> bool:
    """Whether a valid unique index ensures it, so that no row has to be looked at."""
    return has_key(session, table.name, columns)


def one_row(session: Session, query: Sql) -> tuple[Any, ...]:
    """The only row of a query."""
    with refusals(session):
        row = session.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)


def rows_of(session: Session, query: Sql) -> list[tuple[Any, ...]]:
    """All rows of a query that gives few."""
    with refusals(session):
        return session.execute(query.encode()).fetchall()


def scan(session: Session, table: Table, wanted: Sequence[Sql], where: Sql = EVERY) -> tuple[Any, ...]:
    """Aggregates over the table's rows `r`, all of them in one scan."""
    query = phrase(
        "SELECT {wanted} FROM {table} r WHERE {where}",
        wanted=joined(", ", list(wanted)),
        table=table.name,
        where=where,
    )
    return one_row(session, query)


def shown_row(table: Table, columns: Sequence[str], sensitive: frozenset[str]) -> Sql:
    """The key and these columns of `r` as an object; a sensitive value does not leave the server."""
    names = list(dict.fromkeys((*table.key, *columns)))[:40]
    parts = []
    for name in names:
        value = phrase("left(r.{name}::text, 200)", name=identifier(name))
        if name in sensitive:
            value = phrase("CASE WHEN {value} IS NOT NULL THEN {mask} END", value=value, mask=literal(MASK))
        parts.append(Sql(f"{literal(name)}, {value}"))
    return Sql(f"jsonb_build_object({joined(', ', parts)})")


# --- keys of another server ---


def keys(session: Session, table: Sql, columns: Sequence[str], where: Sql) -> Iterator[list[tuple[Any, ...]]]:
    """Distinct keys without NULL, in blocks, as texts."""
    nulls = [Sql(f"r.{identifier(name)} IS NOT NULL") for name in columns]
    texts = [Sql(f"r.{identifier(name)}::text") for name in columns]
    query = phrase(
        "SELECT DISTINCT {texts} FROM {table} r WHERE {nulls} AND ({where})",
        texts=joined(", ", texts),
        table=table,
        nulls=joined(" AND ", nulls),
        where=where,
    )
    with refusals(session), session.cursor(name="dpe_keys") as cursor:
        cursor.itersize = _KEYS_AT_ONCE
        cursor.execute(query.encode())
        while block := list(islice(cursor, _KEYS_AT_ONCE)):
            yield block


def missing_keys(
    session: Session, table: Table, columns: Sequence[str], block: Sequence[tuple[Any, ...]], where: Sql
) -> list[tuple[Any, ...]]:
    """Those keys of a block that the table does not have; texts become what its columns are."""
    types = [table.relation.columns[name] for name in columns]
    lists = [literals(row[number] for row in block) for number in range(len(columns))]
    names = [Sql(f"k{number}") for number in range(len(columns))]
    same = [
        Sql(f"o.{identifier(name)} = k.k{number}::{type_}")
        for number, (name, type_) in enumerate(zip(columns, types, strict=True))
    ]
    query = phrase(
        "SELECT {names} FROM unnest({lists}) k ({names}) WHERE NOT EXISTS"
        " (SELECT FROM (SELECT {columns} FROM {table} WHERE ({where})) o WHERE {same})",
        names=joined(", ", names),
        lists=joined(", ", [Sql(f"ARRAY[{one}]") for one in lists]),
        columns=identifiers(columns),
        table=table.name,
        where=where,
        same=joined(" AND ", same),
    )
    with refusals(session):
        return session.execute(query.encode()).fetchall()
