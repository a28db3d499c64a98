"""Each rule on a hazard and on its twin: the same statement where schema, transaction or settings make it harmless."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from data_platform.migration.files import Transaction
from migration.lint.linting import found

SCHEMA = """
CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(10,2), status varchar(20), code text, customer_id bigint,
  at timestamp, checked int CHECK (checked IS NOT NULL), old text, data jsonb, span int4range);
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
CREATE UNIQUE INDEX orders_code ON orders (code);
CREATE INDEX orders_status ON orders (status);
ALTER TABLE orders ADD CONSTRAINT later FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(total) FROM orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer_id);
CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 (id bigint, at date NOT NULL, CHECK (at >= '2021-01-01' AND at < '2022-01-01'));
CREATE TABLE events_3 (id bigint, at date NOT NULL);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FUNCTION fixed() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE VIEW seen AS SELECT id FROM orders;
CREATE TABLE secret (id bigint);
CREATE POLICY own ON secret USING (true);
"""
NEW = "CREATE TABLE fresh (id bigint, code text, n int, parent bigint, span int4range);\n"


@dataclass(frozen=True)
class Way:
    """SQL and how it is run."""

    sql: str
    transaction: Transaction = "as-written"
    version: int = 18
    schema: str = field(default=SCHEMA)


def wrapped(sql: str) -> Way:
    return Way(sql, "wrapped")


def on(version: int, sql: str) -> Way:
    return Way(sql, version=version)


def unknown(sql: str) -> Way:
    """Nobody gave a schema."""
    return Way(sql, schema="")


TWINS: dict[str, tuple[list[Way], list[Way]]] = {
    "table-rewrite": (
        [
            Way("ALTER TABLE orders ALTER total TYPE numeric(10,3)"),
            Way("ALTER TABLE orders ADD n serial"),
            Way("ALTER TABLE orders SET UNLOGGED"),
            Way("VACUUM (FULL, ANALYZE) orders"),
            Way("CLUSTER orders USING orders_status"),
            Way("ALTER TABLE orders ADD t text GENERATED ALWAYS AS (code || status) STORED"),
            Way("ALTER TABLE orders SET TABLESPACE fast"),
            Way(
                "ALTER TABLE customers ADD g bigint GENERATED ALWAYS AS (id) STORED;"
                " ALTER TABLE customers ALTER g SET EXPRESSION AS (id + 1)"
            ),
            Way("DO $$ BEGIN IF true THEN ALTER TABLE orders ADD n bigserial; END IF; END $$"),
            Way("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD n ' || 'serial'; END $$"),
            Way("DO $$ BEGIN EXECUTE format('ALTER TABLE %I ADD n serial', 'orders'); END $$"),
            Way(
                "CREATE FUNCTION m() RETURNS void LANGUAGE sql AS 'ALTER TABLE orders ADD n serial'; SELECT m()",
            ),
        ],
        [
            Way("ALTER TABLE orders ALTER total TYPE numeric(12,2)"),
            Way(NEW + "ALTER TABLE fresh ADD k serial"),
            Way("ALTER TABLE orders ADD t text GENERATED ALWAYS AS (code || status) VIRTUAL"),
            Way("VACUUM (FULL false) orders"),
            Way("VACUUM ANALYZE orders"),
            Way("CREATE TEMP TABLE t (a int); INSERT INTO t SELECT 1; ALTER TABLE t ADD n serial"),
            Way("CREATE FUNCTION m() RETURNS void LANGUAGE sql AS 'ALTER TABLE orders ADD n serial'"),
            Way("ALTER TABLE IF EXISTS nowhere ADD n serial"),
        ],
    ),
    "add-column-volatile-default": (
        [
            Way("ALTER TABLE orders ADD k uuid DEFAULT gen_random_uuid()"),
            Way("ALTER TABLE orders ADD k timestamptz DEFAULT clock_timestamp()"),
            Way("ALTER TABLE orders ADD k text DEFAULT unheard_of()"),
            Way("ALTER TABLE orders ADD k text DEFAULT coalesce(NULL, md5(random()::text))"),
            on(10, "ALTER TABLE orders ADD k int DEFAULT 1"),
            Way(
                "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN END';"
                " ALTER TABLE orders ADD k int DEFAULT f()"
            ),
        ],
        [
            Way("ALTER TABLE orders ADD k int DEFAULT 1"),
            Way("ALTER TABLE orders ADD k timestamptz DEFAULT now()"),
            Way("ALTER TABLE orders ADD k timestamptz DEFAULT now() - interval '1 day'"),
            Way("ALTER TABLE orders ADD k int DEFAULT fixed()"),
            on(10, "ALTER TABLE orders ADD k int DEFAULT NULL"),
            Way("ALTER TABLE orders ADD k uuid; ALTER TABLE orders ALTER k SET DEFAULT gen_random_uuid()"),
            Way(
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE orders ADD k int DEFAULT f()"
            ),
            Way(NEW + "ALTER TABLE fresh ADD k uuid DEFAULT gen_random_uuid()"),
        ],
    ),
    "column-type-change": (
        [
            Way("ALTER TABLE orders ALTER id TYPE int"),
            Way("ALTER TABLE orders ALTER at TYPE timestamptz"),
            Way("SET timezone = 'Europe/Rome'; ALTER TABLE orders ALTER at TYPE timestamptz"),
            Way("ALTER TABLE orders ALTER status TYPE varchar(10)"),
            Way("ALTER TABLE orders ALTER status TYPE text USING lower(status)"),
            Way("ALTER TABLE orders ALTER checked TYPE int"),
            Way('ALTER TABLE orders ALTER status TYPE text COLLATE "C"'),
            unknown("ALTER TABLE orders ALTER status TYPE text"),
        ],
        [
            Way("ALTER TABLE orders ALTER status TYPE varchar(30)"),
            Way("ALTER TABLE orders ALTER status TYPE text"),
            Way("ALTER TABLE orders ALTER status TYPE text USING status::text"),
            Way("SET timezone = 'UTC'; ALTER TABLE orders ALTER at TYPE timestamptz"),
            Way("ALTER TABLE orders ALTER id TYPE bigint"),
            Way(NEW + "ALTER TABLE fresh ALTER n TYPE bigint"),
        ],
    ),
    "fk-not-valid-missing": (
        [
            Way("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers"),
            Way("ALTER TABLE orders ADD c bigint DEFAULT 1 REFERENCES customers"),
            wrapped(
                "ALTER TABLE orders ADD c bigint; ALTER TABLE orders ADD FOREIGN KEY (c) REFERENCES customers"
            ),
            Way(NEW + "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES fresh (id)"),
        ],
        [
            Way("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID"),
            Way("ALTER TABLE orders ADD c bigint REFERENCES customers"),
            Way(NEW + "ALTER TABLE fresh ADD FOREIGN KEY (parent) REFERENCES customers"),
            Way("CREATE TABLE n (c bigint REFERENCES customers)"),
            Way("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT ENFORCED"),
        ],
    ),
    "check-not-valid-missing": (
        [
            Way("ALTER TABLE orders ADD CHECK (total > 0)"),
            Way("ALTER TABLE orders ADD c int CHECK (c > 0)"),
            Way(
                "CREATE DOMAIN d AS int; ALTER TABLE orders ADD c d; ALTER DOMAIN d ADD CONSTRAINT p CHECK (VALUE > 0)"
            ),
            Way(
                "CREATE DOMAIN d AS int; ALTER TABLE orders ADD c d;"
                " ALTER DOMAIN d ADD CONSTRAINT p CHECK (VALUE > 0) NOT VALID; ALTER DOMAIN d VALIDATE CONSTRAINT p"
            ),
        ],
        [
            Way("ALTER TABLE orders ADD CHECK (total > 0) NOT VALID"),
            Way(NEW + "ALTER TABLE fresh ADD CHECK (n > 0)"),
            Way("CREATE TABLE IF NOT EXISTS t (n int CHECK (n > 0))"),
        ],
    ),
    "set-not-null-scan": (
        [
            Way("ALTER TABLE orders ALTER code SET NOT NULL"),
            on(11, "ALTER TABLE orders ALTER checked SET NOT NULL"),
            Way(
                "ALTER TABLE orders ADD CHECK (code IS NOT NULL) NOT VALID; ALTER TABLE orders ALTER code SET NOT NULL"
            ),
            Way(
                "ALTER TABLE orders ADD CHECK (code IS NOT NULL OR id > 0); ALTER TABLE orders ALTER code SET NOT NULL"
            ),
            Way("ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_code"),
            Way("ALTER TABLE secret ADD PRIMARY KEY (id)"),
            Way("ALTER TABLE orders ADD CONSTRAINT n NOT NULL code"),
            Way(
                "ALTER TABLE orders DROP CONSTRAINT orders_checked_check; ALTER TABLE orders ALTER checked SET NOT NULL"
            ),
        ],
        [
            Way("ALTER TABLE orders ALTER checked SET NOT NULL"),
            Way("ALTER TABLE orders ALTER id SET NOT NULL"),
            Way(
                "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0 AND code IS NOT NULL) NOT VALID;"
                " ALTER TABLE orders VALIDATE CONSTRAINT c; ALTER TABLE orders ALTER code SET NOT NULL"
            ),
            Way(
                "ALTER TABLE orders ADD CONSTRAINT n NOT NULL code NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT n;"
                " ALTER TABLE orders ALTER code SET NOT NULL"
            ),
            Way("ALTER TABLE orders ADD c int NOT NULL DEFAULT 1; ALTER TABLE orders ALTER c SET NOT NULL"),
            Way(NEW + "ALTER TABLE fresh ALTER n SET NOT NULL"),
        ],
    ),
    "unique-constraint-blocking": (
        [
            Way("ALTER TABLE orders ADD UNIQUE (code)"),
            Way("ALTER TABLE orders ADD c int UNIQUE"),
            Way("ALTER TABLE secret ADD PRIMARY KEY (id)"),
        ],
        [
            Way("ALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX orders_code"),
            Way(NEW + "ALTER TABLE fresh ADD PRIMARY KEY (id)"),
        ],
    ),
    "exclude-constraint-blocking": (
        [Way("ALTER TABLE orders ADD EXCLUDE USING gist (span WITH &&)")],
        [Way(NEW + "ALTER TABLE fresh ADD EXCLUDE USING gist (span WITH &&)")],
    ),
    "add-column-required": (
        [
            Way("ALTER TABLE orders ADD c int NOT NULL"),
            Way(NEW + "INSERT INTO fresh VALUES (1); ALTER TABLE fresh ADD c int NOT NULL"),
        ],
        [
            Way("ALTER TABLE orders ADD c int NOT NULL DEFAULT 1"),
            Way("ALTER TABLE orders ADD c bigserial NOT NULL"),
            Way(NEW + "ALTER TABLE fresh ADD c int NOT NULL"),
            Way("ALTER TABLE orders ADD COLUMN IF NOT EXISTS code text NOT NULL"),
        ],
    ),
    "index-not-concurrent": (
        [
            Way("CREATE INDEX ON orders (total)"),
            Way("CREATE INDEX ON events (id)"),
            Way("DROP INDEX orders_status"),
            Way("REINDEX TABLE orders"),
            Way("REINDEX (VERBOSE) INDEX orders_status"),
            unknown("DROP INDEX IF EXISTS i"),
        ],
        [
            Way("CREATE INDEX CONCURRENTLY ON orders (total)"),
            Way("CREATE INDEX ON ONLY events (id)"),
            Way(NEW + "CREATE INDEX ON fresh (n)"),
            Way("DROP INDEX CONCURRENTLY orders_status"),
            Way("DROP INDEX IF EXISTS never_was"),
            Way("REINDEX (CONCURRENTLY) TABLE orders"),
            Way("CREATE INDEX IF NOT EXISTS orders_status ON orders (status)"),
        ],
    ),
    "concurrently-in-transaction": (
        [
            wrapped("CREATE INDEX CONCURRENTLY ON orders (total)"),
            Way("BEGIN; DROP INDEX CONCURRENTLY orders_status; COMMIT"),
            wrapped("ALTER TABLE events DETACH PARTITION events_1 CONCURRENTLY"),
            wrapped("REINDEX INDEX CONCURRENTLY orders_status"),
            wrapped("VACUUM orders"),
            on(11, "BEGIN; ALTER TYPE mood ADD VALUE 'x'; COMMIT"),
            Way(
                "-- migrate:up transaction:false\nSET a.b = 1; CREATE INDEX CONCURRENTLY ON orders (total)",
                "auto",
            ),
        ],
        [
            Way("CREATE INDEX CONCURRENTLY ON orders (total)"),
            wrapped("COMMIT; CREATE INDEX CONCURRENTLY ON orders (total)"),
            wrapped("-- atlas:txmode none\nCREATE INDEX CONCURRENTLY ON orders (total)"),
            wrapped("REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
            wrapped("ANALYZE orders"),
            on(12, "BEGIN; ALTER TYPE mood ADD VALUE 'x'; COMMIT"),
            Way("-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ON orders (total)", "auto"),
        ],
    ),
    "concurrently-on-partitioned": (
        [Way("CREATE INDEX CONCURRENTLY ON events (id)")],
        [Way("CREATE INDEX CONCURRENTLY ON events_1 (id)")],
    ),
    "invalid-index-left": (
        [Way("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (total)")],
        [Way("DROP INDEX CONCURRENTLY IF EXISTS i; CREATE INDEX CONCURRENTLY i ON orders (total)")],
    ),
    "access-exclusive-long": (
        [
            wrapped("ALTER TABLE orders ADD c int; UPDATE customers SET name = 'x'"),
            wrapped(
                "ALTER TABLE orders ADD CONSTRAINT p CHECK (id > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT p"
            ),
            Way("BEGIN; ALTER TABLE orders ADD c int; SELECT count(*) FROM customers; COMMIT"),
            Way("ALTER TABLE events DETACH PARTITION events_1"),
            Way(
                "ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')"
            ),
            Way("REFRESH MATERIALIZED VIEW totals"),
            Way("ALTER TABLE orders ALTER code SET NOT NULL"),
            Way("ALTER TABLE orders ADD CONSTRAINT p CHECK (id > 0) NOT VALID, VALIDATE CONSTRAINT p"),
            Way("ALTER TABLE orders ADD c int, VALIDATE CONSTRAINT later"),
            Way(
                "ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers NOT VALID,"
                " VALIDATE CONSTRAINT k"
            ),
            wrapped("LOCK TABLE orders; INSERT INTO customers SELECT id, code FROM orders"),
            wrapped(
                "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW"
                " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
                " DELETE FROM secret"
            ),
        ],
        [
            Way("ALTER TABLE orders ADD c int; UPDATE customers SET name = 'x'"),
            wrapped("ALTER TABLE orders ADD c int; COMMIT; UPDATE customers SET name = 'x'"),
            wrapped("UPDATE customers SET name = 'x'; ALTER TABLE orders ADD c int"),
            Way("ALTER TABLE events DETACH PARTITION events_1 CONCURRENTLY"),
            Way(
                "ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')"
            ),
            Way("REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
            wrapped(NEW + "ALTER TABLE fresh ADD c int; SELECT count(*) FROM customers"),
            wrapped("ALTER TABLE orders ADD c int; UPDATE alembic_version SET version_num = 'b'"),
            Way("BEGIN; ALTER TABLE orders ADD c int; ROLLBACK; UPDATE customers SET name = 'x'"),
            Way("ALTER TABLE orders VALIDATE CONSTRAINT later"),
            wrapped("CREATE INDEX ON orders (total); CREATE INDEX ON customers (name)"),
        ],
    ),
    "multiple-access-exclusive": (
        [
            wrapped("ALTER TABLE orders ADD c int; ALTER TABLE customers ADD c int"),
            wrapped("DROP VIEW seen; TRUNCATE orders"),
        ],
        [
            Way("ALTER TABLE orders ADD c int; ALTER TABLE customers ADD c int"),
            wrapped("ALTER TABLE orders ADD c int; ALTER TABLE orders ADD d int"),
            wrapped("ALTER TABLE orders ADD c int; COMMIT; ALTER TABLE customers ADD c int"),
            wrapped("ALTER TABLE events ADD c int; ALTER TABLE events_1 ALTER c SET DEFAULT 1"),
            wrapped(NEW + "ALTER TABLE orders ADD c int; ALTER TABLE fresh ADD c int"),
            wrapped("ALTER TABLE orders ADD c int; ALTER TABLE customers SET (fillfactor = 90)"),
        ],
    ),
    "missing-lock-timeout": (
        [
            Way("ALTER TABLE orders ADD c int"),
            Way("SET statement_timeout = '5s'; ALTER TABLE orders ADD c int"),
            Way("SET lock_timeout = 0; ALTER TABLE orders ADD c int"),
            Way("SET lock_timeout = '0s'; ALTER TABLE orders ADD c int"),
            Way("SET LOCAL lock_timeout = '2s'; ALTER TABLE orders ADD c int"),
            Way("SET lock_timeout = '2s'; RESET lock_timeout; ALTER TABLE orders ADD c int"),
            Way("BEGIN; SET lock_timeout = '2s'; ROLLBACK; ALTER TABLE orders ADD c int"),
            Way("BEGIN; SET LOCAL lock_timeout = '2s'; COMMIT; ALTER TABLE orders ADD c int"),
            Way("SELECT set_config('lock_timeout', '2s', true); ALTER TABLE orders ADD c int"),
            Way("ALTER TABLE orders ADD c int; SET lock_timeout = '2s'"),
            Way("CREATE INDEX ON orders (total)"),
            Way("CREATE TABLE n (c bigint REFERENCES customers)"),
            Way("COMMENT ON TABLE orders IS 'x'"),
        ],
        [
            Way("SET lock_timeout = '2s'; ALTER TABLE orders ADD c int"),
            Way("SET Lock_Timeout TO 2000; ALTER TABLE orders ADD c int"),
            wrapped("SET LOCAL lock_timeout = '2s'; ALTER TABLE orders ADD c int"),
            wrapped("SELECT set_config('lock_timeout', '2s', true); ALTER TABLE orders ADD c int"),
            Way("SELECT set_config('lock_timeout', '2s', false); ALTER TABLE orders ADD c int"),
            Way("CREATE INDEX CONCURRENTLY ON orders (total)"),
            Way("ALTER TABLE orders VALIDATE CONSTRAINT later"),
            Way(NEW + "ALTER TABLE fresh ADD c int"),
            Way("UPDATE orders SET code = 'x' WHERE id = 1"),
            Way("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        ],
    ),
    "rename-breaks-clients": (
        [
            Way("ALTER TABLE orders RENAME TO o"),
            Way("ALTER TABLE orders RENAME code TO c"),
            Way("ALTER TABLE orders SET SCHEMA other"),
            Way("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"),
            Way("ALTER VIEW seen RENAME TO s"),
            Way("ALTER FUNCTION fixed() RENAME TO f"),
            Way("ALTER TABLE orders RENAME TO o; CREATE VIEW orders AS TABLE o"),
            Way("ALTER SCHEMA public RENAME TO p"),
        ],
        [
            wrapped("ALTER TABLE orders RENAME TO o; CREATE VIEW orders AS TABLE o"),
            Way(NEW + "ALTER TABLE fresh RENAME TO f; ALTER TABLE f RENAME n TO m"),
            Way("ALTER TABLE orders ADD c int; ALTER TABLE orders RENAME c TO d"),
            Way("ALTER INDEX orders_status RENAME TO i"),
            Way("ALTER TABLE orders RENAME CONSTRAINT later TO l"),
            wrapped("ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('a')"),
        ],
    ),
    "drop-breaks-clients": (
        [
            Way("DROP TABLE orders"),
            Way("ALTER TABLE orders DROP old"),
            Way("DROP VIEW seen"),
            Way("DROP FUNCTION fixed()"),
            Way("DROP TYPE mood"),
            Way("DROP SCHEMA public CASCADE"),
            Way("DROP EXTENSION hstore"),
            Way("DROP OWNED BY somebody"),
            unknown("DROP TABLE IF EXISTS t"),
        ],
        [
            Way(NEW + "ALTER TABLE fresh DROP n; DROP TABLE fresh"),
            Way("DROP TABLE IF EXISTS never_was"),
            Way("ALTER TABLE orders ADD c int; ALTER TABLE orders DROP c"),
            Way("ALTER TABLE orders DROP COLUMN IF EXISTS never_was"),
            wrapped("DROP VIEW seen; CREATE VIEW seen AS SELECT id, code FROM orders"),
            Way("DROP TRIGGER IF EXISTS t ON orders"),
            wrapped("DROP FUNCTION fixed(); CREATE FUNCTION fixed() RETURNS int LANGUAGE sql AS 'SELECT 2'"),
            wrapped("ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('a'); DROP TYPE old"),
        ],
    ),
    "row-security-without-policy": (
        [Way("ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON orders USING (true)")],
        [
            wrapped("ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON orders USING (true)"),
            Way("ALTER TABLE secret ENABLE ROW LEVEL SECURITY"),
        ],
    ),
    "constraint-loosened": (
        [Way("ALTER TABLE orders ALTER id DROP NOT NULL")],
        [Way(NEW + "ALTER TABLE fresh ALTER n DROP NOT NULL")],
    ),
    "data-loss": (
        [
            Way("TRUNCATE orders"),
            Way("DELETE FROM orders"),
            Way("DELETE FROM orders WHERE 1 = 1"),
            Way("DELETE FROM orders WHERE true OR id = 1"),
            Way("DROP TABLE orders"),
            Way("ALTER TABLE orders DROP old"),
            Way("ALTER TABLE orders ALTER total TYPE int"),
            Way("ALTER TABLE orders ALTER at TYPE date"),
            Way("ALTER TABLE orders ALTER code TYPE varchar(5) USING code::varchar(5)"),
            Way("DROP SCHEMA app CASCADE"),
            Way("DROP EXTENSION hstore CASCADE"),
            Way("DROP OWNED BY somebody"),
            Way("DROP DATABASE d"),
        ],
        [
            Way("DELETE FROM orders WHERE id = 1"),
            Way("DELETE FROM orders WHERE total > 100"),
            Way("DELETE FROM orders USING customers WHERE orders.customer_id = customers.id"),
            Way(NEW + "TRUNCATE fresh; DROP TABLE fresh"),
            Way("ALTER TABLE orders ALTER status TYPE text"),
            Way("DROP VIEW seen"),
            Way("DROP EXTENSION hstore"),
            Way("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); DELETE FROM t"),
        ],
    ),
    "update-all-rows": (
        [
            Way("UPDATE orders SET code = 'x'"),
            Way("UPDATE orders SET code = 'x' WHERE true"),
            Way("ALTER TABLE orders ADD flag int; UPDATE orders SET flag = 1 WHERE flag IS NULL"),
        ],
        [
            Way("UPDATE orders SET code = 'x' WHERE id = 1"),
            Way("UPDATE orders SET code = 'x' WHERE code IS NULL"),
            Way(NEW + "UPDATE fresh SET n = 1"),
        ],
    ),
    "enum-value-in-transaction": (
        [wrapped("ALTER TYPE mood ADD VALUE 'calm'; SELECT 'calm'::mood")],
        [
            Way("ALTER TYPE mood ADD VALUE 'calm'; SELECT 'calm'::mood"),
            wrapped("ALTER TYPE mood ADD VALUE 'calm'; SELECT 'sad'::mood"),
            wrapped("CREATE TYPE t AS ENUM ('a'); ALTER TYPE t ADD VALUE 'b'; SELECT 'b'::t"),
        ],
    ),
    "json-not-jsonb": ([Way("ALTER TABLE orders ADD j json")], [Way("ALTER TABLE orders ADD j jsonb")]),
    "serial-not-identity": (
        [Way("CREATE TABLE t (id serial)")],
        [Way("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY)"), Way("CREATE TEMP TABLE t (id serial)")],
    ),
    "timestamp-without-tz": (
        [Way("CREATE TABLE t (a timestamp(3))")],
        [Way("CREATE TABLE t (a timestamptz)")],
    ),
    "varchar-limit": (
        [Way("ALTER TABLE orders ADD v varchar(9)")],
        [Way("ALTER TABLE orders ADD v varchar")],
    ),
    "int-pk-overflow": (
        [Way("CREATE TABLE t (id int PRIMARY KEY)"), Way("CREATE TABLE t (a smallint)")],
        [Way("CREATE TABLE t (id bigint PRIMARY KEY)"), Way("CREATE TABLE t (ids int[])")],
    ),
    "syntax-error": ([Way("ALTER TABEL orders ADD c int; SELECT 1")], [Way("SELECT 1")]),
    "psql-command-not-read": ([Way("\\i other.sql\nSELECT 1")], [Way("SELECT '\\i'")]),
    "dynamic-sql-not-read": (
        [
            Way("DO $$ DECLARE t text; BEGIN EXECUTE 'DROP TABLE ' || t; END $$"),
            Way("DO LANGUAGE plpython3u 'x'"),
        ],
        [Way("DO $$ BEGIN EXECUTE 'SELECT 1'; END $$")],
    ),
    "suppression-without-reason": (
        [Way("-- dpe: ignore data-loss\nTRUNCATE orders"), Way("-- dpe: ignore\nTRUNCATE orders")],
        [Way("-- dpe: ignore data-loss it is a cache\nTRUNCATE orders"), Way("SELECT '-- dpe: ignore'")],
    ),
    "suppression-unused": (
        [Way("-- dpe: ignore data-loss it is a cache\nSELECT 1")],
        [Way("-- dpe: ignore data-loss it is a cache\nTRUNCATE orders")],
    ),
}

HAZARDS = [(rule, way) for rule, (hazards, _) in TWINS.items() for way in hazards]
SAFE = [(rule, way) for rule, (_, safe) in TWINS.items() for way in safe]


@pytest.mark.parametrize(
    ("rule", "way"), HAZARDS, ids=lambda one: one if isinstance(one, str) else one.sql[:60]
)
def test_hazard_is_found(rule: str, way: Way) -> None:
    assert rule in found(way.sql, way.schema, way.transaction, way.version)


@pytest.mark.parametrize(("rule", "way"), SAFE, ids=lambda one: one if isinstance(one, str) else one.sql[:60])
def test_safe_twin_is_passed_by(rule: str, way: Way) -> None:
    assert rule not in found(way.sql, way.schema, way.transaction, way.version)
