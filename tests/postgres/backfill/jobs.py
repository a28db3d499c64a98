"""Jobs for the tests, and rows that count how often they were filled."""

from __future__ import annotations

from collections.abc import Callable

from data_platform.model.database import Name
from data_platform.postgres.backfill.job import EVERY_ROW, Job
from data_platform.sql.text import Sql

COUNTED = """
CREATE TABLE counted (id bigint PRIMARY KEY, note text NOT NULL, times integer NOT NULL DEFAULT 0);
INSERT INTO counted SELECT n * 7, repeat('x', 50) FROM generate_series(1, {rows}) AS n;
"""
UNFINISHED = Sql("times = 0")


def updating(table: str, assignment: str, needed: Sql = EVERY_ROW) -> Callable[[Sql], Sql]:
    return lambda rows: Sql(f"UPDATE {table} SET {assignment} WHERE {rows} AND ({needed})")


def counting(needed: Sql = EVERY_ROW, key: tuple[str, ...] = (), table: str = "counted") -> Job:
    """Adds one to each row's `times`."""
    return Job(
        table=Name("public", table),
        what=f"{table}: times",
        statement=updating(table, "times = times + 1", needed),
        needed=needed,
        key=key,
    )
