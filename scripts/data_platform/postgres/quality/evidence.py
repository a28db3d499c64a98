"""What speaks for a check before it is proposed: of how many rows a pattern or reference holds, how often rows come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.quality.asking import Session, Table, one_row
from data_platform.postgres.quality.profiling import Profile
from data_platform.sql.text import Sql, identifier, joined, literal, phrase

_PARENTS = """
SELECT a.attname, n.nspname, c.relname, k.attname FROM pg_attribute a
  JOIN pg_index i ON i.indisprimary AND i.indnkeyatts = 1
  JOIN pg_class c ON c.oid = i.indrelid AND c.relkind IN ('r', 'p')
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT LIKE 'pg\\_%%'
  JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = i.indkey[0]
   AND (k.atttypid = a.atttypid OR k.atttypid = ANY (%s::regtype[]) AND a.atttypid = ANY (%s::regtype[]))
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
   AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.convalidated
                      AND f.conkey = ARRAY[a.attnum])
 ORDER BY a.attnum, c.relpartbound IS NOT NULL, n.nspname, c.relname
"""
_WHOLE_NUMBERS = ["smallint", "integer", "bigint"]


@dataclass(frozen=True)
class Parent:
    """A table whose primary key has the type of `column`, which no foreign key ensures to be in it."""

    column: str
    table: Name
    key: str


def parents(session: Session, table: Table) -> list[Parent]:
    """Of each column every table that it could refer to."""
    found = session.execute(_PARENTS, [_WHOLE_NUMBERS, _WHOLE_NUMBERS, table.name])
    return [Parent(column, Name(schema, name), key) for column, schema, name, key in found]


def found_in(session: Session, profile: Profile, parent: Parent) -> int:
    """How many rows have a key in the other table."""
    query = phrase(
        "SELECT count(*) FROM {source} WHERE EXISTS (SELECT FROM {other} o WHERE o.{key} = r.{column})",
        source=profile.source,
        other=table_name(parent.table),
        key=identifier(parent.key),
        column=identifier(parent.column),
    )
    return int(one_row(session, query)[0])


def matching(session: Session, profile: Profile, patterns: Mapping[str, str]) -> dict[str, int]:
    """By column how many values match its pattern, in one scan."""
    if not patterns:
        return {}
    counts = [
        Sql(f"count(*) FILTER (WHERE r.{identifier(name)} ~ {literal(pattern)})")
        for name, pattern in patterns.items()
    ]
    query = phrase("SELECT {counts} FROM {source}", counts=joined(", ", counts), source=profile.source)
    return dict(zip(patterns, one_row(session, query), strict=True))


@dataclass(frozen=True)
class Arrivals:
    """Of times of rows, in seconds: since the newest, the longest between two in order, from the first to the last."""

    age: float
    pause: float
    span: float


def arrivals(session: Session, profile: Profile, column: str) -> Arrivals | None:
    """Of a column of times; None where there are not two of them."""
    query = phrase(
        "SELECT extract(epoch FROM now() - max(p.at)), extract(epoch FROM max(p.at - p.before)),"
        " extract(epoch FROM max(p.at) - min(p.at)) FROM (SELECT d.at, lag(d.at) OVER (ORDER BY d.at) AS before"
        " FROM (SELECT DISTINCT r.{column}::timestamptz AS at FROM {source}"
        " WHERE r.{column} IS NOT NULL AND isfinite(r.{column})) d) p",
        column=identifier(column),
        source=profile.source,
    )
    age, pause, span = one_row(session, query)
    return None if pause is None else Arrivals(float(age), float(pause), float(span))
