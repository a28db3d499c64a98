"""Materialized views and summaries as a run sees them: what defines them, who may read them, how old they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.pipelines.followed import tables_below
from data_platform.postgres.pipelines.relations import create_schema, has_key, table_name
from data_platform.postgres.queries import query
from data_platform.sql.text import Sql, identifiers, phrase, qualified

_PROBE = "_dpe_view"
_KIND = "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)"
_GRANTS = """
SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, c.oid::regclass,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner
"""
_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(%s) AND NOT indisunique ORDER BY 1
"""
_WRITTEN = """
SELECT pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_deleted(c.oid)
  FROM (SELECT to_regclass(%s)::oid AS oid) c
"""
_TRIGGERS = """
SELECT count(*) FROM pg_trigger
 WHERE tgrelid = to_regclass(%s) AND tgfoid = to_regproc(%s) AND tgenabled IN ('O', 'A')
"""
_STRANGERS = """
SELECT tgname::text, tgrelid::regclass::text, tgfoid::regproc::text FROM pg_trigger
 WHERE NOT tgisinternal AND tgparentid = 0
   AND (tgfoid = to_regproc(%(function)s) AND tgrelid <> ALL (%(own)s::regclass[])
       OR tgrelid = to_regclass(%(table)s) AND tgname = ANY (%(names)s)
       AND tgfoid IS DISTINCT FROM to_regproc(%(function)s))
 ORDER BY 2, 1
"""


@dataclass(frozen=True)
class Refreshed:
    """A view's last refresh, as it was written down."""

    view: Name
    at: datetime
    age_seconds: float
    rows: int
    seconds: float
    beside: bool


def kind_of(connection: psycopg.Connection[Any], name: Name) -> str | None:
    """`m` for a materialized view, `v` for a view, `r` for a table …; None where nothing is called so."""
    row = connection.execute(_KIND, [table_name(name)]).fetchone()
    return str(row[0]) if row else None


def defined_so(connection: psycopg.Connection[Any], name: Name, sql: Sql) -> bool:
    """Whether the view is what the query says, as the server itself writes both."""
    with connection.transaction():
        connection.execute(phrase("CREATE TEMP VIEW {probe} AS {sql}", probe=Sql(_PROBE), sql=sql).encode())
        row = connection.execute(
            "SELECT pg_get_viewdef(to_regclass(%s)) = pg_get_viewdef(to_regclass(%s))",
            [table_name(name), qualified("pg_temp", _PROBE)],
        ).fetchone()
        connection.execute(phrase("DROP VIEW pg_temp.{probe}", probe=Sql(_PROBE)).encode())
    return bool(row and row[0])


@contextmanager
def naming(name: Name, sql: Sql, unique: Sequence[str]) -> Iterator[None]:
    """What the server says while the view is made or refreshed, with the view and what to look at: UsageProblem."""
    try:
        yield
    except (psycopg.errors.UniqueViolation, psycopg.errors.CardinalityViolation) as error:
        columns = identifiers(unique)
        counted = "SELECT {columns}, count(*) FROM ({sql}) AS v GROUP BY {columns} HAVING count(*) > 1;"
        look = phrase(counted, columns=columns, sql=sql)
        raise UsageProblem(
            f"{name} has several rows with the same {', '.join(unique)}",
            expected=f"one row for each {', '.join(unique)}: by `unique:` a refresh tells old rows from new ones",
            try_=f"more columns in `unique:`, or another GROUP BY; which they are: {look}",
        ) from error
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        raise UsageProblem(
            f"{name} cannot be made: {error.diag.message_primary}", expected=error.diag.message_hint
        ) from error


def create_view(connection: psycopg.Connection[Any], name: Name, sql: Sql, unique: Sequence[str]) -> None:
    """A materialized view without rows, with its unique index."""
    create_schema(connection, name.schema)
    made = "CREATE MATERIALIZED VIEW {name} AS {sql} WITH NO DATA"
    connection.execute(phrase(made, name=table_name(name), sql=sql).encode())
    make_unique(connection, name, unique)


def make_unique(connection: psycopg.Connection[Any], name: Name, unique: Sequence[str]) -> None:
    """The unique index that a refresh beside readers needs, where it is not there."""
    if not has_key(connection, table_name(name), unique):
        made = "CREATE UNIQUE INDEX ON {name} ({columns})"
        connection.execute(phrase(made, name=table_name(name), columns=identifiers(unique)).encode())


def grants(connection: psycopg.Connection[Any], name: Name) -> tuple[Sql, ...]:
    """Statements that give others again what rights they have on it."""
    return tuple(Sql(row[0]) for row in connection.execute(_GRANTS, [table_name(name)]))


def indexes(connection: psycopg.Connection[Any], name: Name) -> tuple[Sql, ...]:
    """Statements that make again what indexes it has, but for those by which rows are told apart."""
    return tuple(Sql(row[0]) for row in connection.execute(_INDEXES, [table_name(name)]))


def catalog_rows(
    connection: psycopg.Connection[Any], names: Iterable[Name]
) -> Iterator[tuple[Name, dict[str, Any]]]:
    """What the catalog says of these materialized views, in the order of refreshing."""
    wanted = set(names)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            query("materialized_views"), {"schemas": [one.schema for one in wanted]}
        ).fetchall()
    for row in found:
        name = Name(row.pop("schema"), row.pop("name"))
        if name in wanted:
            yield name, row


@contextmanager
def written(connection: psycopg.Connection[Any], name: Name) -> Iterator[list[int]]:
    """Within a transaction: rows inserted into it and deleted from it by the block, which are there at its end."""
    before = connection.execute(_WRITTEN, [table_name(name)]).fetchone() or (0, 0)
    counted: list[int] = []
    yield counted
    after = connection.execute(_WRITTEN, [table_name(name)]).fetchone() or (0, 0)
    counted += [(new or 0) - (old or 0) for new, old in zip(after, before, strict=True)]


def triggers_on(connection: psycopg.Connection[Any], table: Sql, function: Sql) -> int:
    """How many triggers of the table call the function and are on."""
    row = connection.execute(_TRIGGERS, [table, function]).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True)
class Trigger:
    """One that is there: its name, and its table and function as the server writes them."""

    name: str
    table: str
    function: str


def strangers(
    connection: psycopg.Connection[Any], table: Sql, function: Sql, names: Sequence[str] = ()
) -> tuple[Trigger, ...]:
    """Triggers of other tables that call the function, and those of the table under these names that call another.

    Its partitions, and what inherits from it, are no other tables.
    """
    own = [table, *tables_below(connection, table)]
    given = {"table": table, "own": own, "function": function, "names": list(names)}
    return tuple(Trigger(*row) for row in connection.execute(_STRANGERS, given))


def count(connection: psycopg.Connection[Any], relation: Sql) -> int:
    """Rows, of a table, a view or a query in parentheses."""
    row = connection.execute(
        phrase("SELECT count(*) FROM {relation} AS r", relation=relation).encode()
    ).fetchone()
    assert row is not None
    return int(row[0])


def refreshed(
    connection: psycopg.Connection[Any], schema: str, names: Iterable[Name]
) -> Mapping[Name, Refreshed]:
    """The last refresh of each that was ever refreshed by a run."""
    table = qualified(schema, "refreshes")
    if connection.execute(_KIND, [table]).fetchone() is None:
        return {}
    text = (
        "SELECT view_schema, view_name, refreshed_at, extract(epoch FROM clock_timestamp() - refreshed_at)::float8,"
        " rows, seconds, beside FROM {table}"
    )
    rows = connection.execute(phrase(text, table=table).encode()).fetchall()
    wanted = set(names)
    found = (Refreshed(Name(row[0], row[1]), *row[2:]) for row in rows)
    return {one.view: one for one in found if one.view in wanted}


def refuse_other(kind: str | None, name: Name, wanted: str) -> None:
    """UsageProblem where something else has the name."""
    if kind is not None and kind != wanted:
        what = {"r": "a table", "p": "a partitioned table", "v": "a view", "m": "a materialized view"}
        raise UsageProblem(
            f"{name} is {what.get(kind, 'something else')} already", try_="another name in the spec"
        )
