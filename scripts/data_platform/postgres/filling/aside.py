"""What is switched off while rows are made and constraints tried: triggers, rules, row-level security for the owner.

COPY does not work under row-level security, and a trigger or a rule may refuse a row or change it; so none of them
could be told from the constraint that is tried. Each goes back to the state it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.model.database import Name

_SWITCHES = """
WITH relation AS (
    SELECT c.oid, n.nspname, c.relname, c.relforcerowsecurity
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
SELECT 'triggers' AS kind, r.nspname, r.relname, t.tgname,
       format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', r.oid::regclass, t.tgname) AS off,
       format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', r.oid::regclass,
              CASE t.tgenabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, t.tgname) AS on
  FROM pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
 UNION ALL
SELECT 'rules', r.nspname, r.relname, w.rulename, format('ALTER TABLE %s DISABLE RULE %I', r.oid::regclass, w.rulename),
       format('ALTER TABLE %s ENABLE %s RULE %I', r.oid::regclass,
              CASE w.ev_enabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, w.rulename)
  FROM pg_rewrite AS w JOIN relation AS r ON r.oid = w.ev_class WHERE w.ev_enabled <> 'D'
 UNION ALL
SELECT 'forced', r.nspname, r.relname, '', format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', r.oid::regclass),
       format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', r.oid::regclass)
  FROM relation AS r WHERE r.relforcerowsecurity
 ORDER BY 1, 2, 3, 4
"""


@dataclass(frozen=True)
class Switch:
    """One thing that can be switched off and on again; the statements are the server's own wording."""

    kind: str
    table: Name
    name: str
    off: str
    on: str


def switches(connection: psycopg.Connection[Any]) -> tuple[Switch, ...]:
    """Everything that is switched on now, in all tables of the database."""
    return tuple(
        Switch(kind, Name(schema, table), name, off, on)
        for kind, schema, table, name, off, on in connection.execute(_SWITCHES)
    )


def switch_off(connection: psycopg.Connection[Any], found: Sequence[Switch]) -> None:
    """All of them, or none."""
    with connection.transaction():
        for switch in found:
            connection.execute(switch.off.encode())


def switch_on(connection: psycopg.Connection[Any], found: Sequence[Switch]) -> None:
    """All of them, each as it was."""
    with connection.transaction():
        for switch in found:
            connection.execute(switch.on.encode())


@contextmanager
def aside(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """All of them are off while the block runs, and then as they were."""
    found = switches(connection)
    switch_off(connection, found)
    yield
    switch_on(connection, found)
