"""The order of texts: by bytes on DuckDB and Spark, by the collation in PostgreSQL. What depends on it is told."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.pipeline.engines.dialects import write
from data_platform.postgres.server import Database
from pipeline.running import ask

TABLES = {"t": {"id": "bigint", "name": "text", "short": "varchar(10)", "day": "date"}}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT max(name) AS m, min(day) AS d FROM t", ['MAX("t"."name")']),
        ("SELECT id FROM t\nWHERE name > 'm' AND day > '2024-01-01'", ['"t"."name" > \'m\'']),
        ("SELECT id FROM t WHERE short BETWEEN 'a' AND 'c'", ["\"t\".\"short\" BETWEEN 'a' AND 'c'"]),
        ("SELECT row_number() OVER (ORDER BY name DESC) AS n FROM t", ['ORDER BY "t"."name" DESC']),
        ("SELECT id FROM t ORDER BY name LIMIT 3", ['ORDER BY "t"."name"']),
        ("SELECT DISTINCT ON (day) day, id FROM t ORDER BY day, name", ['ORDER BY "t"."name"']),
        ("SELECT DISTINCT ON (name) name, id FROM t ORDER BY name, day", []),
        ("SELECT greatest(name, short) AS g FROM t", ['GREATEST("t"."name", "t"."short")']),
        ("SELECT id FROM t ORDER BY name", []),
        ("SELECT DISTINCT name FROM t ORDER BY name", []),
        ("SELECT id FROM t WHERE name = 'a' OR short IN ('b')", []),
        ("SELECT max(id) AS m FROM t WHERE day >= '2024-01-01'", []),
        ("SELECT max(name COLLATE \"C\") || '!' AS m FROM t WHERE name COLLATE \"C\" > 'm'", []),
    ],
)
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_what_the_order_of_texts_decides(engine: str, sql: str, told: list[str]) -> None:
    written = write(sql, engine, TABLES)  # type: ignore[arg-type]
    assert not written.objections
    assert [one.text.replace(" NULLS FIRST", "") for one in written.collated] == told
    assert all(one.line == (2 if "\nWHERE" in sql else 1) for one in written.collated)
    assert "COLLATE" not in written.sql


def test_another_collation_is_refused() -> None:
    (objection,) = write('SELECT max(name COLLATE "de_DE") AS m FROM t', "duckdb", TABLES).objections
    assert objection.instead == 'COLLATE "C"'


def test_the_form_that_agrees(database: Database) -> None:
    duckdb = pytest.importorskip("duckdb")
    values = ", ".join(f"('{one}')" for one in ("Zoe", "anna", "Ärger", "zebra", "_", "Anna"))
    with psycopg.connect(database.conninfo) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * FROM (VALUES {values}) v (name)".encode())
    sql = 'SELECT max(name COLLATE "C") AS m, min(name COLLATE "C") AS n FROM t'
    written = write(sql, "duckdb", {"t": {"name": "text"}}).sql
    assert ask(database, sql) == duckdb.sql(f"WITH t (name) AS (VALUES {values}) {written}").fetchall()
