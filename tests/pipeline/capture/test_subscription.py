"""The recipe of the reference page, on two servers: a copy, a conflict, a column that only the source has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from data_platform.pipeline.prove.following import LOGICAL
from data_platform.postgres.server import Database, embedded_server

PAGE = Path(__file__).parents[3] / "references" / "pipeline-patterns-capture.md"
TABLE = "CREATE TABLE bins (id bigint PRIMARY KEY, note text)"


def on(database: Database, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
        rows: list[tuple[object, ...]] = []
        for statement in text.split(";"):
            if statement.strip():
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_follows_stops_at_a_conflict_and_goes_on() -> None:
    subscribe, look, mend = re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with (
        embedded_server(settings=LOGICAL) as one,
        embedded_server() as two,
        one.scratch_database() as source,
        two.scratch_database() as target,
    ):
        on(
            source,
            f"{TABLE}; CREATE PUBLICATION warehouse FOR TABLE bins; INSERT INTO bins VALUES (1, 'one')",
        )
        on(target, TABLE)
        try:
            on(target, subscribe.replace("service=warehouse", source.admin_conninfo))

            def same() -> bool:
                query = "SELECT id, note FROM bins ORDER BY id"
                return on(source, query) == on(target, query)

            def stopped() -> bool:
                return on(target, look)[0][1] is False

            until(same)
            on(target, "INSERT INTO bins VALUES (7, 'mine')")
            on(source, "INSERT INTO bins VALUES (7, 'theirs'), (8, 'eight')")
            until(stopped)
            on(target, mend)
            until(same)
            on(source, "ALTER TABLE bins ADD COLUMN aisle text; INSERT INTO bins VALUES (9, 'nine', 'a')")
            until(stopped)
            on(target, "ALTER TABLE bins ADD COLUMN aisle text; ALTER SUBSCRIPTION warehouse ENABLE")
            until(same)
        finally:
            on(target, "DROP SUBSCRIPTION IF EXISTS warehouse")
        assert on(source, "SELECT FROM pg_replication_slots") == []
