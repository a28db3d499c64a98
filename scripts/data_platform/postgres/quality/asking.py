"""Queries of checks on a session that only reads. What the server refuses is a `NotRun`, and spoils no other check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import psycopg

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.relations import Relation, has_key, read_relation, table_name
from data_platform.sql.text import Sql, identifier, identifiers, joined, literal, literals, phrase

SCAN_TIMEOUT_MS = 3_600_000
_KEYS_AT_ONCE = 10_000
_WHOLE = frozenset({"smallint", "integer", "bigint"})
_PRIMARY = """
SELECT array_agg(a.attname::text ORDER BY k.n) FROM pg_index i
 CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = to_regclass(%s) AND i.indisprimary
"""
_TYPES = """
WITH RECURSIVE of (name, place, type, mod) AS (
  SELECT attname, attnum, atttypid, atttypmod FROM pg_attribute
   WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT of.name, of.place, t.typbasetype, t.typtypmod FROM of JOIN pg_type t ON t.oid = of.type WHERE t.typtype = 'd')
SELECT of.name, format_type(of.type, of.mod), format_type(of.type, -1)
  FROM of JOIN pg_type t ON t.oid = of.type WHERE t.typtype <> 'd' ORDER BY of.place
"""
_HEIRS = """
SELECT EXISTS (SELECT FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent
                WHERE c.oid = to_regclass(%s) AND c.relkind <> 'p')
"""
_GENERATED = """
SELECT g.attname FROM pg_attribute g
  JOIN pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = g.attrelid
   AND (d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid
        OR d.classid = 'pg_class'::regclass AND d.objid = g.attrelid AND d.objsubid = g.attnum)
  JOIN pg_attribute o ON o.attrelid = g.attrelid AND o.attnum = d.refobjsubid
 WHERE g.attrelid = to_regclass(%s) AND g.attgenerated <> '' AND o.attname = ANY (%s)
"""
_ORIGINS = "SELECT attrelid, attnum, attname FROM pg_attribute WHERE attrelid = ANY (%s)"
_SIZE = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)"
MASK = "•••"
EVERY = Sql("true")
_QUOTED = re.compile(r'".*"', re.DOTALL)

_OF_THE_QUERY = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
"""Operational errors that are about one query and not about the server."""

Session = psycopg.Connection[Any]


class NotRun(Exception):
    """The server refuses a query; the text is what it says."""

    def said(self, sensitive: frozenset[str]) -> str:
        """The text; where there are sensitive columns, without what may be a value of theirs.

        An error with a place in the query is about the query. Of any other the quoted part may be a value, and what a
        function raises may hold one anywhere.
        """
        cause = self.__cause__
        if not sensitive or not isinstance(cause, psycopg.Error):
            return str(self)
        if "at RAISE" in (cause.diag.context or ""):
            return f"a function raises an error ({cause.sqlstate}); its text may hold a masked value"
        about_value = isinstance(cause, psycopg.DataError) or cause.diag.statement_position is None
        return _QUOTED.sub(f'"{MASK}"', str(self)) if about_value else str(self)


@dataclass(frozen=True)
class Table:
    """What a table is, as far as checks need it. `key` is its primary key, `rows` the server's estimate or -1.

    Columns have the type beneath a domain; `unlimited` are the same types without length, precision or scale.
    """

    name: Sql
    relation: Relation
    key: tuple[str, ...]
    rows: int
    server: int
    unlimited: Mapping[str, str]


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
    except psycopg.DatabaseError as error:
        if isinstance(error, psycopg.OperationalError) and not isinstance(error, _OF_THE_QUERY):
            raise
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
    types = session.execute(_TYPES, [found]).fetchall()
    columns = {name: type_ for name, type_, _ in types if name in relation.columns}
    return Table(
        found,
        replace(relation, columns=columns),
        tuple(key[0] or ()) if key else (),
        int(size[0]) if size else -1,
        session.info.server_version // 10_000,
        {name: unlimited for name, _, unlimited in types},
    )


def is_ensured_unique(session: Session, table: Table, columns: Sequence[str]) -> bool:
    """Whether a valid unique index ensures it, so that no row has to be looked at.

    An index is of one table: of rows in tables that inherit from it, it says nothing.
    """
    if not has_key(session, table.name, columns):
        return False
    row = session.execute(_HEIRS, [table.name]).fetchone()
    return row is not None and not row[0]


def generated_from(session: Session, table: Table, columns: frozenset[str]) -> frozenset[str]:
    """Columns that the server makes of these."""
    found = session.execute(_GENERATED, [table.name, list(columns)]).fetchall()
    return frozenset(name for (name,) in found)


def origins(session: Session, query: Sql) -> list[tuple[str, str | None]]:
    """Of each column that a query gives: its name, and that of the table's column that it is; None of anything else."""
    with refusals(session):
        result = session.execute(phrase("SELECT * FROM ({query}) q LIMIT 0", query=query).encode()).pgresult
    assert result is not None
    places = [(result.ftable(n), result.ftablecol(n)) for n in range(result.nfields)]
    known = session.execute(_ORIGINS, [[table for table, _ in places]]).fetchall()
    names = {(table, number): name for table, number, name in known}
    given = [(result.fname(n) or b"").decode(session.info.encoding) for n in range(result.nfields)]
    return list(zip(given, (names.get(place) for place in places), strict=True))


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


def _as(text: Sql, type_: str) -> Sql:
    """A key's text as a value of that type. A whole number may come from a numeric column, as 5.00; 5.50 is none."""
    if type_ not in _WHOLE:
        return Sql(f"{text}::{type_}")
    number = phrase("({text}::numeric)", text=text)
    return phrase(
        "(CASE WHEN {n} = trunc({n}) AND {n} BETWEEN -9223372036854775808 AND 9223372036854775807"
        " THEN {n}::bigint END)",
        n=number,
    )


def missing_keys(
    session: Session, table: Table, columns: Sequence[str], block: Sequence[tuple[Any, ...]], where: Sql
) -> list[tuple[Any, ...]]:
    """Those keys of a block that the table does not have; texts become what its columns are."""
    # A cast to varchar(3) or numeric(10, 2) would cut or round the text until it is equal.
    types = [table.unlimited[name] for name in columns]
    lists = [literals(row[number] for row in block) for number in range(len(columns))]
    names = [Sql(f"k{number}") for number in range(len(columns))]
    same = [
        Sql(f"o.{identifier(name)} = {_as(Sql(f'k.k{number}'), type_)}")
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
