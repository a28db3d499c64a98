"""Tables that triggers follow: what lies below them, and what a trigger sees otherwise than a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.errors import UsageProblem
from data_platform.sql.text import Sql, phrase, qualified

_BELOW = """
WITH RECURSIVE below AS (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s) AND NOT inhdetachpending
    UNION ALL
    SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.inhrelid AND NOT i.inhdetachpending
)
SELECT DISTINCT n.nspname, c.relname FROM below b JOIN pg_class c ON c.oid = b.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') ORDER BY 1, 2
"""
_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"
_VIRTUAL = """
SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
  JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 'v' ORDER BY a.attnum
"""
_NULLABLE = """
SELECT attname::text FROM pg_attribute
 WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND NOT attnotnull
"""
_KINDS = """
WITH RECURSIVE own AS (
    SELECT attname::text AS name, atttypid AS type, atttypmod AS modifier, attcollation AS collation FROM pg_attribute
     WHERE attrelid = to_regclass(%(table)s) AND attname = ANY (%(columns)s) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT o.name, t.typbasetype, t.typtypmod, o.collation FROM own o JOIN pg_type t ON t.oid = o.type
     WHERE t.typtype = 'd'
)
SELECT o.name, format_type(o.type, o.modifier), cn.nspname, c.collname, coalesce(n.nspname, 'pg_catalog')
  FROM own o JOIN pg_type t ON t.oid = o.type AND t.typtype <> 'd'
  LEFT JOIN pg_collation c ON c.oid = o.collation AND c.collname <> 'default'
  LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace
  LEFT JOIN pg_opclass k ON k.opcintype = t.oid AND k.opcdefault
        AND k.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
  LEFT JOIN pg_amop x ON x.amopfamily = k.opcfamily AND x.amopstrategy = 3
        AND x.amoplefttype = k.opcintype AND x.amoprighttype = k.opcintype
  LEFT JOIN pg_operator p ON p.oid = x.amopopr
  LEFT JOIN pg_namespace n ON n.oid = p.oprnamespace
"""
_PROBE = Sql("_dpe_condition")


@dataclass(frozen=True)
class Kind:
    """What a column is at bottom: its type without a domain, its collation, the schema of the operators of the type."""

    type: Sql
    collation: Sql | None
    schema: str


def tables_below(connection: psycopg.Connection[Any], table: Sql) -> tuple[Sql, ...]:
    """Its partitions, or the tables that inherit from it, at any depth."""
    return tuple(qualified(*row) for row in connection.execute(_BELOW, {"table": table}))


def is_partitioned(connection: psycopg.Connection[Any], table: Sql) -> bool:
    """Row triggers of such a table are those of its partitions too."""
    row = connection.execute(_PARTITIONED, [table]).fetchone()
    return bool(row and row[0])


def virtual_columns(connection: psycopg.Connection[Any], table: Sql) -> Mapping[str, Sql]:
    """Generated columns that are not stored, each with its expression over the others: in triggers they are NULL."""
    if connection.info.server_version < 180_000:
        return {}
    return {name: Sql(text) for name, text in connection.execute(_VIRTUAL, [table])}


def nullable(connection: psycopg.Connection[Any], table: Sql) -> frozenset[str]:
    """Columns that may be NULL."""
    return frozenset(row[0] for row in connection.execute(_NULLABLE, [table]))


def kinds(connection: psycopg.Connection[Any], table: Sql, columns: Sequence[str]) -> Mapping[str, Kind]:
    """Of those of these columns that the table has."""
    rows = connection.execute(_KINDS, {"table": table, "columns": list(columns)})
    return {
        name: Kind(Sql(type_), qualified(schema, collation) if collation else None, operators)
        for name, type_, schema, collation, operators in rows
    }


def row_condition(connection: psycopg.Connection[Any], table: Sql, where: Sql) -> Sql:
    """The condition with every name in full, as the server reads it now.

    UsageProblem, with what the server says, for one that cannot be that of an index: it must be the same whoever asks,
    and whenever.
    """
    made = phrase(
        "CREATE INDEX {probe}_idx ON pg_temp.{probe} ((1)) WHERE {where}", probe=_PROBE, where=where
    )
    with connection.transaction(force_rollback=True):
        connection.execute(
            phrase("CREATE TEMP TABLE {probe} (LIKE {table})", probe=_PROBE, table=table).encode()
        )
        try:
            connection.execute(made.encode())
        except (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.DataError) as error:
            raise UsageProblem(str(error.diag.message_primary)) from error
        connection.execute("SET LOCAL search_path = pg_catalog")
        row = connection.execute(
            "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indrelid = to_regclass(%s)",
            [qualified("pg_temp", _PROBE)],
        ).fetchone()
    return Sql(row[0]) if row and row[0] else where


def is_any_row_in(connection: psycopg.Connection[Any], tables: Sequence[Sql]) -> bool:
    """Whether one of these tables has a row."""
    return any(
        connection.execute(phrase("SELECT FROM {table} LIMIT 1", table=one).encode()).fetchone() is not None
        for one in tables
    )
