"""A live server's schema and statistics, without a row: pg_dump's statements, and how many rows each table has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.migration.prove.options import Base
from data_platform.model.database import Name
from data_platform.model.design import DataHint
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.connect import connect, resolve_dsn
from data_platform.postgres.load import Script

_ROWS = """
WITH RECURSIVE leaf(root, oid) AS (
    SELECT c.oid, c.oid FROM pg_catalog.pg_class AS c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    UNION ALL
    SELECT leaf.root, i.inhrelid FROM leaf JOIN pg_catalog.pg_inherits AS i ON i.inhparent = leaf.oid
      JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid AND child.relispartition)
SELECT n.nspname, r.relname, sum(greatest(c.reltuples, 0))::bigint
  FROM leaf JOIN pg_catalog.pg_class AS c ON c.oid = leaf.oid AND c.relkind = 'r'
  JOIN pg_catalog.pg_class AS r ON r.oid = leaf.root JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 GROUP BY 1, 2 HAVING sum(greatest(c.reltuples, 0)) > 0
"""
_NULLS = """
SELECT s.schemaname, s.tablename, s.attname, s.null_frac FROM pg_catalog.pg_stats AS s
 WHERE s.schemaname !~ '^pg_' AND s.schemaname <> 'information_schema' AND NOT s.inherited
"""


def live_base(dsn: str) -> Base:
    """What is to be proven against: schema, row counts and shares of NULL of a live server, which is only read.

    Raises UsageProblem or EnvironmentProblem when it cannot be reached or read.
    """
    with connect(resolve_dsn(dsn), read_only=True) as connection:
        text = _dumped(connection)
        rows = {Name(schema, table): count for schema, table, count in connection.execute(_ROWS)}
        hints = _hints(connection)
        what = connection.info.dbname
    return Base(
        scripts=(Script("pg_dump", text),), what=f"the live database {what}", production=rows, hints=hints
    )


def _hints(connection: psycopg.Connection[Any]) -> Mapping[tuple[Name, str], DataHint]:
    """Shares of NULL alone: other statistics hold values of rows."""
    return {
        (Name(schema, table), column): DataHint(null_fraction=float(share))
        for schema, table, column, share in connection.execute(_NULLS)
    }


def _dumped(connection: psycopg.Connection[Any]) -> str:
    address = {
        key: str(value)
        for key, value in conninfo_to_dict(connection.info.dsn).items()
        if key not in ("options", "password")
    }
    password = {"PGPASSWORD": connection.info.password} if connection.info.password else {}
    program = find_programs(server_account()) / "pg_dump"
    done = subprocess.run(
        [program, "--schema-only", "--lock-wait-timeout=2000", f"--dbname={make_conninfo(**address)}"],
        capture_output=True,
        text=True,
        env={**os.environ, **password, "PGCLIENTENCODING": "UTF8"},
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise EnvironmentProblem(f"pg_dump could not read the schema: {said[0]}")
    return done.stdout
