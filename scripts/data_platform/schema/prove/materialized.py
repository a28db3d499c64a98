"""Materialized views, in the order in which they can be refreshed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg

from data_platform.model.database import Name
from data_platform.sql.text import qualified_name

Connection = psycopg.Connection[Any]

_MATERIALIZED = """
WITH RECURSIVE reads(view, source) AS (
    SELECT w.ev_class, d.refobjid
      FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
), reaches(view, source) AS (
    SELECT view, source FROM reads
    UNION
    SELECT r.view, s.source FROM reaches AS r JOIN reads AS s ON s.view = r.source)
SELECT n.nspname, c.relname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND n.nspname <> ALL (%s)
 ORDER BY (SELECT count(*) FROM reaches AS r JOIN pg_class AS s ON s.oid = r.source
            WHERE r.view = c.oid AND s.relkind = 'm'), 1, 2
"""


def materialized_in_order(connection: Connection) -> tuple[Name, ...]:
    """The materialized views, each after those that it reads."""
    return tuple(
        Name(*row) for row in connection.execute(_MATERIALIZED, [["pg_catalog", "information_schema"]])
    )


def refresh_all(connection: Connection, views: tuple[Name, ...]) -> None:
    """With the rows that are there now, so that access patterns find some; one that fails is tried again later."""
    for view in views:
        with suppress(psycopg.DatabaseError), connection.transaction():
            connection.execute(f"REFRESH MATERIALIZED VIEW {qualified_name(view)}".encode())
