"""`--fix`: what it writes runs on the server, has nothing of what it fixed, and leaves the rest as it was."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.migration.files import Transaction, read_bytes
from data_platform.migration.lint.fix import fixed
from data_platform.postgres.server import Database
from migration.lint.linting import linted

SCHEMA = """
CREATE TABLE orders (id bigint PRIMARY KEY, total numeric, code text, customer_id bigint);
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE INDEX orders_code ON orders (code);
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(total) FROM orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer_id);
CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO orders SELECT g, g, g::text, NULL FROM generate_series(1, 20) g;
"""
MIGRATION = """-- first
ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0);  -- kept
CREATE INDEX ON orders (customer_id);
ALTER TABLE orders
  ALTER COLUMN code SET NOT NULL;
ALTER TABLE orders ADD note text, ADD CHECK (total < 100), ALTER total SET DEFAULT 1;
ALTER TABLE orders ADD more text, ADD CHECK (total < 200), ADD UNIQUE (code);
ALTER TABLE orders ADD UNIQUE (code), ADD last uuid DEFAULT gen_random_uuid();
ALTER TABLE orders ADD UNIQUE (code);
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
DROP INDEX orders_code;
REINDEX TABLE orders;
REFRESH MATERIALIZED VIEW totals;
ALTER TABLE events DETACH PARTITION events_1;
"""


def fix(text: str, transaction: Transaction = "as-written", version: int = 18) -> tuple[str, int]:
    made, count = fixed(linted(text, SCHEMA, transaction, version))
    return made.decode(), count


@pytest.mark.parametrize("version", [13, 18])
def test_what_is_written_runs_and_is_safe(database: Database, version: int) -> None:
    text, count = fix(MIGRATION, version=version)
    assert count == (11 if version >= 14 else 10)
    with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        for statement in read_bytes("m.sql", text.encode(), "as-written").statements:
            connection.execute(statement.sql.encode())
        valid = connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone()
        checks = connection.execute("SELECT count(*) FROM pg_constraint WHERE NOT convalidated").fetchone()
    assert valid == checks == (0,)
    assert "CONCURRENTLY" in text
    left = {
        finding.rule
        for finding in linted(text, SCHEMA, version=version).findings
        if finding.severity != "info"
    }
    assert left == {
        "unique-constraint-blocking",
        "access-exclusive-long",
        "add-column-volatile-default",
        "table-rewrite",
    }  # of the statement with a command that has no form in its place


def test_the_text_around_stays(database: Database) -> None:
    text, _ = fix(MIGRATION)
    assert text.startswith(
        "-- first\nSET lock_timeout = '400ms';\nALTER TABLE orders ADD CONSTRAINT positive CHECK"
    )
    assert "positive;  -- kept\n" in text
    assert "ALTER TABLE orders ADD UNIQUE (code), ADD last uuid DEFAULT gen_random_uuid();\n" in text


def test_concurrently_is_free_to_wait() -> None:
    text, _ = fix(
        "ALTER TABLE orders ADD note text;\nCREATE INDEX ON orders (code);\nALTER TABLE orders ADD c text;\n"
    )
    assert text == (
        "SET lock_timeout = '400ms';\nALTER TABLE orders ADD note text;\nRESET lock_timeout;\n"
        "CREATE INDEX CONCURRENTLY ON orders (code);\nSET lock_timeout = '400ms';\nALTER TABLE orders ADD c text;\n"
    )


def test_in_a_transaction_only_a_timeout_is_written() -> None:
    sql = "BEGIN;\nALTER TABLE orders ADD CHECK (total > 0);\nCREATE INDEX ON orders (code);\nCOMMIT;\n"
    text, count = fix(sql)
    assert (text, count) == (sql.replace("ALTER", "SET LOCAL lock_timeout = '400ms';\nALTER", 1), 1)


def test_what_is_fixed_stays_fixed() -> None:
    once, _ = fix(MIGRATION)
    again, count = fix(once)
    assert (again, count) == (once, 0)


def test_nothing_to_fix() -> None:
    assert fix("SELECT 1;") == ("SELECT 1;", 0)


def test_several_commands_become_one_each() -> None:
    text, _ = fix("ALTER TABLE orders ADD CONSTRAINT few CHECK (more <> ''), ADD more text;")
    assert text == (
        "SET lock_timeout = '400ms';\nALTER TABLE orders ADD COLUMN more text;\n"
        "ALTER TABLE orders ADD CONSTRAINT few CHECK (more <> '') NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT few;"
    )


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders ADD more uuid DEFAULT gen_random_uuid(), ADD CHECK (total < 200);",
        "ALTER TABLE orders ADD CHECK (total < 200), OWNER TO CURRENT_USER;",
    ],
)
def test_what_cannot_be_taken_apart_stays(sql: str) -> None:
    text, _ = fix(sql)
    assert text == f"SET lock_timeout = '400ms';\n{sql}"
