"""Rows out of another PostgreSQL as COPY writes them, in windows of a cursor.

A cursor of kind `xid8` keeps the transaction that wrote a row. Everything below the oldest transaction that is still
running has been committed or never will be, so a window that ends there misses nothing that commits late. A `value`
(a time, a number) is given when a statement runs and seen when its transaction commits: rows can fall behind it. It
needs a key in the target, since rows at its end, without a value, and of a time to come are read each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.relations import read_relation, refuse_hidden, table_name
from data_platform.postgres.pipelines.sessions import TEXTS, telling
from data_platform.postgres.pipelines.staging import Stream
from data_platform.sql.text import Sql, identifier, joined, literal, phrase

EVERYTHING = Sql("true")
_NUMERIC_INFINITY = 140_000
_TEXTUAL = ("text", "character varying")
_WHOLE = frozenset({"smallint", "integer", "bigint", "int2", "int4", "int8", "int"})
_QUERY_COLUMNS = "SELECT * FROM ({query}) q LIMIT 0"


@dataclass(frozen=True)
class Extract:
    """What is read of a database: a table or a query, those of its columns that are wanted, with a condition.

    `columns` are the types that are wanted, `found` those that are there, by name.
    """

    conninfo: str
    table: Name | None
    query: Sql | None
    columns: Mapping[str, Sql]
    found: Mapping[str, Sql]
    condition: Sql = EVERYTHING


@dataclass(frozen=True)
class Window:
    """What a cursor has not read yet. `until` is kept as the next window's `after`; None is before everything."""

    condition: Sql
    until: str | None


@contextmanager
def _session(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that writes values as every other server reads them, whatever its database is set to."""
    with (
        closing(connect(conninfo, read_only=True, statement_timeout_ms=0)) as connection,
        telling(conninfo),
    ):
        connection.execute(TEXTS)
        yield connection


def columns_of(conninfo: str, table: Name | None, query: Sql | None) -> dict[str, Sql]:
    """Names and types of what is there. UsageProblem where there is no such table."""
    with _session(conninfo) as connection:
        if table is not None:
            found = read_relation(connection, table_name(table))
            if found is None:
                raise UsageProblem(f"there is no table {table}", expected="a table that this role may read")
            refuse_hidden(
                connection, table, "where the rows that this role sees are all that is meant: query:"
            )
            return {name: Sql(type_) for name, type_ in found.columns.items()}
        assert query is not None
        cursor = connection.execute(phrase(_QUERY_COLUMNS, query=query).encode())
        described = [(column.name, column.type_code, column._fmod) for column in cursor.description or ()]
        names = [name for name, _, _ in described]
        types = connection.execute(
            "SELECT format_type(t.oid, t.modifier)"
            " FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY t (oid, modifier, n) ORDER BY n",
            [[oid for _, oid, _ in described], [modifier for _, _, modifier in described]],
        ).fetchall()
        return {name: Sql(type_) for name, (type_,) in zip(names, types, strict=True)}


def stream(extract: Extract) -> Stream:
    """The rows, read once for each time that the stream is opened, in one snapshot."""
    return Stream(
        columns=tuple(extract.columns), options=Sql("(FORMAT text)"), blocks=lambda: _blocks(extract)
    )


def _blocks(extract: Extract) -> Iterator[bytes]:
    source = (
        table_name(extract.table) if extract.table else phrase("({query})", query=extract.query or Sql(""))
    )
    casts = [
        phrase("{value} AS {name}", value=_value(n, extract.found[n], t), name=identifier(n))
        for n, t in extract.columns.items()
    ]
    copy = phrase(
        "COPY (SELECT {columns} FROM {source} q WHERE {condition}) TO STDOUT (FORMAT text)",
        columns=joined(", ", casts),
        source=source,
        condition=extract.condition,
    )
    with (
        _session(extract.conninfo) as connection,
        connection.cursor() as cursor,
        cursor.copy(copy.encode()) as rows,
    ):
        for block in rows:
            yield bytes(block)


def _value(name: str, found: Sql, wanted: Sql) -> Sql:
    """A column in a form that its wanted type reads; a value that it has not is then told of its row, not of all.

    A text is read as it is, and a whole number as its digits; a cast here would stop at the first one that is none.
    """
    column = phrase("q.{name}", name=identifier(name))
    if found == wanted or found.startswith(_TEXTUAL):
        return column
    if wanted in _WHOLE and found in _WHOLE:
        return column
    if wanted in _WHOLE and found.startswith("numeric"):
        return phrase("CASE WHEN {c} = trunc({c}) THEN trunc({c}) ELSE {c} END", c=column)
    return phrase("{c}::{type}", c=column, type=wanted)


def window(
    conninfo: str, table: Name, column: str, kind: str, after: str | None, lag_seconds: float, *, keyed: bool
) -> Window:
    """What is new behind `after`. `keyed`: rows may come again.

    UsageProblem where a cursor of kind xid8 is of another type, or has rows without a value that cannot come again.
    """
    name = identifier(column)
    with _session(conninfo) as connection:
        type_ = _cursor_type(connection, table, column)
        if kind == "xid8":
            if not keyed:
                _refuse_untold(connection, name, table)
            behind = _xid_window(connection, name, type_, table, after)
            if not keyed:
                return behind
            return Window(
                phrase("({behind} OR q.{name} IS NULL)", behind=behind.condition, name=name), behind.until
            )
        query = "SELECT max({name}) FILTER (WHERE {reached})::text FROM {table}"
        reached = _reached(connection, name, type_)
        until = _one(connection, phrase(query, name=name, reached=reached, table=table_name(table)))
        if after is None:
            return Window(EVERYTHING, until)
        start = phrase("{after}::{type}{lag}", after=literal(after), type=type_, lag=_lag(type_, lag_seconds))
        # From the last value on, not after it: rows of the same value may have come since.
        return Window(
            phrase("(q.{name} >= {start} OR q.{name} IS NULL)", name=name, start=start), until or after
        )


def _reached(connection: psycopg.Connection[Any], name: Sql, type_: Sql) -> Sql:
    """Whether a value can be the place that the next window begins at.

    Of a time to come, infinity or NaN all that is written later would be behind it. A time without a zone may be of the
    zone that is furthest ahead.
    """
    if type_.startswith("timestamp"):
        ahead = "now()" if "with time zone" in type_ else "localtimestamp + interval '14 hours'"
        return phrase("{name} <= {ahead}", name=name, ahead=Sql(ahead))
    if type_ == "date":
        return phrase("{name} <= current_date + 1", name=name)
    if type_.startswith(("numeric", "real", "double precision")):
        knows_infinity = (
            not type_.startswith("numeric") or connection.info.server_version >= _NUMERIC_INFINITY
        )
        return phrase("{name} < {end}", name=name, end=literal("Infinity" if knows_infinity else "NaN"))
    return EVERYTHING


def _xid_window(
    connection: psycopg.Connection[Any], name: Sql, type_: Sql, table: Name, after: str | None
) -> Window:
    if type_ != "xid8":
        raise UsageProblem(
            f"the cursor {name} of {table} is {type_}",
            expected="xid8, filled by DEFAULT pg_current_xact_id() and by a trigger on UPDATE",
            try_="cursor: {column: …, kind: value} with a lag",
        )
    until = _one(connection, Sql("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
    assert until is not None
    below = phrase("q.{name} < {until}::xid8", name=name, until=literal(until))
    if after is None:
        return Window(below, until)
    if int(until) < int(after):
        raise UsageProblem(
            f"the source of {table} is at transaction {until}; the last run read up to {after}",
            expected="the server cluster that was read before, not a copy restored by its rows",
            try_=phrase(
                "there: UPDATE {table} SET {name} = pg_current_xact_id(); then dpe pipeline run --reload, which with a"
                " key doubles nothing",
                table=table_name(table),
                name=name,
            ),
        )
    return Window(
        phrase("{below} AND q.{name} >= {after}::xid8", below=below, name=name, after=literal(after)), until
    )


def _refuse_untold(connection: psycopg.Connection[Any], name: Sql, table: Name) -> None:
    """UsageProblem where rows have no value: nothing says which of them were read."""
    query = phrase("SELECT FROM {table} WHERE {name} IS NULL LIMIT 1", table=table_name(table), name=name)
    if connection.execute(query.encode()).fetchone() is not None:
        mend = (
            "UPDATE {table} SET {name} = pg_current_xact_id() WHERE {name} IS NULL;"
            " ALTER TABLE {table} ALTER {name} SET NOT NULL;"
        )
        raise UsageProblem(
            f"rows of {table} have no {name}, and without a key nothing says which of them were read",
            expected=f"a value of {name} in every row, or a `key:` in the target, with which they are read each time",
            try_="there: " + phrase(mend, table=table_name(table), name=name),
        )


def between(conninfo: str, table: Name, column: str, since: str | None, until: str | None) -> Sql:
    """A condition for the part of a table from `since` on and before `until`. UsageProblem where that is no part."""
    name = identifier(column)
    with _session(conninfo) as connection:
        type_ = _cursor_type(connection, table, column)
        values = {"--since": since, "--until": until}
        typed = {
            option: _typed(connection, option, value, type_) for option, value in values.items() if value
        }
        if since and until:
            order = phrase("SELECT ({since} < {until})::text", since=typed["--since"], until=typed["--until"])
            if _one(connection, order) != "true":
                raise UsageProblem(
                    f"nothing is from {since} on and before {until}", expected="--since before --until"
                )
    parts = [phrase("q.{name} >= {value}", name=name, value=typed["--since"])] if since else []
    parts += [phrase("q.{name} < {value}", name=name, value=typed["--until"])] if until else []
    return joined(" AND ", parts or [Sql("true")])


def _typed(connection: psycopg.Connection[Any], option: str, value: str, type_: Sql) -> Sql:
    found = phrase("{value}::{type}", value=literal(value), type=type_)
    try:
        connection.execute(phrase("SELECT {found}", found=found).encode())
    except psycopg.DataError as error:
        raise UsageProblem(
            f"{option} {value}: {error.diag.message_primary}",
            expected=f"a value of the cursor, which is {type_}",
        ) from None
    return found


def _cursor_type(connection: psycopg.Connection[Any], table: Name, column: str) -> Sql:
    """UsageProblem where there is no such table or column."""
    found = read_relation(connection, table_name(table))
    if found is None:
        raise UsageProblem(f"there is no table {table}", expected="a table that this role may read")
    if column not in found.columns:
        raise UsageProblem(
            f"there is no column {column} in {table}, which is the cursor",
            expected=f"one of: {', '.join(found.columns)}",
        )
    return Sql(found.columns[column])


def _lag(type_: Sql, seconds: float) -> Sql:
    if not seconds:
        return Sql("")
    if type_.startswith(("timestamp", "time ")):
        return Sql(f" - interval '{seconds} seconds'")
    if type_ == "date":
        return Sql(f" - {-(-int(seconds) // 86_400)}")
    raise UsageProblem(
        f"a lag is a time, and the cursor is {type_}", try_="leave out the lag, or take a time"
    )


def _one(connection: psycopg.Connection[Any], query: Sql) -> str | None:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def key_stream(extract: Extract, key: tuple[str, ...]) -> Stream:
    """The keys alone, to see which rows the source has no more."""
    only = {name: type_ for name, type_ in extract.columns.items() if name in key}
    return stream(replace(extract, columns=only))
