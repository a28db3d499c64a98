"""Constraints that a server has and never held against all of its rows: NOT VALID and NOT ENFORCED ones, as checks."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import Name
from data_platform.postgres.quality.asking import Session
from data_platform.spec.checks import Check, Other
from data_platform.sql.text import Sql

_UNPROVEN = """
SELECT c.contype, c.conname, n.nspname, r.relname, pg_get_expr(c.conbin, c.conrelid), tn.nspname, t.relname,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.confrelid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
 WHERE NOT c.convalidated AND c.contype IN ('c', 'f', 'n') ORDER BY n.nspname, r.relname, c.conname
"""


def promises(session: Session) -> tuple[Check, ...]:
    """A check for each constraint that may be broken by rows which were there before it."""
    return tuple(_checks(session))


def _checks(session: Session) -> Iterator[Check]:
    for kind, name, schema, table, expression, other_schema, other, own, theirs in session.execute(_UNPROVEN):
        on = Name(schema, table)
        told = f"{schema}.{table} {name}"
        if kind == "c":
            # What the server prints of its own constraint; it names columns bare, and `r` is the only relation.
            yield Check(kind="condition", name=told, table=on, condition=Sql(expression))
        elif kind == "n":
            yield Check(kind="not_null", name=told, table=on, columns=tuple(own))
        else:
            to = Other(table=Name(other_schema, other), columns=tuple(theirs))
            yield Check(kind="reference", name=told, table=on, columns=tuple(own), to=to)
