"""What the linter says of locks, rewrites and scans, beside what the server says of the same statement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_platform.migration.files import read_bytes
from data_platform.migration.lint.base import from_scripts
from data_platform.migration.lint.effects import READERS, Effects
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.session import Session
from data_platform.migration.lint.state import State
from data_platform.postgres.server import Server
from migration.lint.oracle import Oracle, oracle

SCHEMA = """
CREATE TABLE p (id bigint PRIMARY KEY, n int DEFAULT 1, s varchar(50) DEFAULT 'x', ch char(5), num numeric(10,2),
  ts timestamp, tstz timestamptz, ts3 timestamp(3), arr varchar(50)[], ci cidr, b bit(3), vb varbit(3), x text,
  iv interval(2), vchk varchar(50) CHECK (vchk <> 'a'), vidx varchar(50), vuni varchar(50) UNIQUE, tidx timestamp,
  tm time(3), j json, jb jsonb, ia int[], nchk int CHECK (nchk > 0), req text NOT NULL DEFAULT 'r',
  pro int DEFAULT 1, invalid int DEFAULT 1, i2 int, d date, f8 float8, un uuid, expr text);
CREATE INDEX ON p (vidx);
CREATE INDEX ON p (tidx);
CREATE INDEX ON p (lower(expr));
CREATE INDEX part ON p (id) WHERE i2 > 0;
CREATE UNIQUE INDEX n_key ON p (id, n);
CREATE UNIQUE INDEX req_key ON p (id, req);
ALTER TABLE p ADD CONSTRAINT pro_here CHECK (pro IS NOT NULL AND pro > 0);
ALTER TABLE p ADD CONSTRAINT invalid_here CHECK (invalid IS NOT NULL) NOT VALID;
INSERT INTO p (id, nchk) SELECT g, 1 FROM generate_series(1, 10) g;
CREATE TABLE f (id bigint PRIMARY KEY, pid bigint REFERENCES p, k int DEFAULT 1, v varchar(20) UNIQUE);
INSERT INTO f (id, pid) VALUES (1, 1);
ALTER TABLE f ADD CONSTRAINT later FOREIGN KEY (pid) REFERENCES p NOT VALID;
ALTER TABLE f ADD CONSTRAINT k_later CHECK (k > 0) NOT VALID;
CREATE TABLE g (v varchar(20) REFERENCES f (v));
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN free AS int;
CREATE DOMAIN words AS text;
CREATE FUNCTION inlined() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION inlined_volatile() RETURNS float8 LANGUAGE sql AS 'SELECT random()';
CREATE FUNCTION declared_volatile() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION declared_stable() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION with_set() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE log (id bigint, d date NOT NULL) PARTITION BY RANGE (d);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE log_2 (id bigint, d date NOT NULL);
CREATE TABLE log_3 (id bigint, d date NOT NULL, CHECK (d >= '2022-01-01' AND d < '2023-01-01'));
CREATE TABLE log_rest PARTITION OF log DEFAULT;
CREATE TABLE alone (id bigint, d date NOT NULL) PARTITION BY RANGE (d);
CREATE VIEW seen AS SELECT id FROM f;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM f;
CREATE UNIQUE INDEX ON kept (id);
CREATE TABLE d (a positive, z int);
INSERT INTO d VALUES (1, 1);
CREATE UNLOGGED TABLE u (a int);
CREATE SCHEMA elsewhere;
"""

STATEMENTS = """
ALTER TABLE p ADD c int
ALTER TABLE p ADD c int NOT NULL DEFAULT 3
ALTER TABLE p ADD c int CHECK (c > 0)
ALTER TABLE p ADD c int DEFAULT 1 CHECK (c > 0)
ALTER TABLE p ADD c positive
ALTER TABLE p ADD c positive DEFAULT 5
ALTER TABLE p ADD c free
ALTER TABLE p ADD c words DEFAULT 'a'
ALTER TABLE p ADD c int DEFAULT inlined()
ALTER TABLE p ADD c float8 DEFAULT inlined_volatile()
ALTER TABLE p ADD c int DEFAULT declared_volatile()
ALTER TABLE p ADD c int DEFAULT declared_stable()
ALTER TABLE p ADD c int DEFAULT with_set()
ALTER TABLE p ADD c timestamptz DEFAULT now()
ALTER TABLE p ADD c timestamptz DEFAULT now() + interval '1 day'
ALTER TABLE p ADD c timestamptz DEFAULT clock_timestamp()
ALTER TABLE p ADD c text DEFAULT current_user
ALTER TABLE p ADD c uuid DEFAULT gen_random_uuid()
ALTER TABLE p ADD c text DEFAULT md5(random()::text)
ALTER TABLE p ADD c text DEFAULT coalesce(NULL, timeofday())
ALTER TABLE p ADD c mood DEFAULT 'a'
ALTER TABLE p ADD c jsonb DEFAULT '{}'::jsonb
ALTER TABLE p ADD c serial
ALTER TABLE p ADD c bigint GENERATED ALWAYS AS IDENTITY
ALTER TABLE p ADD c int GENERATED ALWAYS AS (n + 1) VIRTUAL
ALTER TABLE p ADD c int GENERATED ALWAYS AS (n + 1) VIRTUAL NOT NULL
ALTER TABLE p ADD c int GENERATED ALWAYS AS (n + 1) STORED
ALTER TABLE p ADD c bigint REFERENCES f
ALTER TABLE p ADD c bigint DEFAULT 1 REFERENCES f
ALTER TABLE p ADD c int UNIQUE
ALTER TABLE p ADD c int, ADD CONSTRAINT cc CHECK (c > 0) NOT VALID
ALTER TABLE p ADD c int DEFAULT 1, ADD CONSTRAINT cc CHECK (c > 0)
ALTER TABLE p ADD c int DEFAULT 1, ALTER c SET NOT NULL
ALTER TABLE p ALTER n SET NOT NULL
ALTER TABLE p ALTER req SET NOT NULL
ALTER TABLE p ALTER pro SET NOT NULL
ALTER TABLE p ALTER invalid SET NOT NULL
ALTER TABLE p ALTER n SET DEFAULT 3
ALTER TABLE p ALTER n DROP NOT NULL
ALTER TABLE p ADD CONSTRAINT nn NOT NULL n
ALTER TABLE p ADD CONSTRAINT nn NOT NULL n NOT VALID
ALTER TABLE p ADD CONSTRAINT nn NOT NULL pro
ALTER TABLE p ADD CONSTRAINT ck CHECK (n > 0)
ALTER TABLE p ADD CONSTRAINT ck CHECK (n > 0) NOT VALID
ALTER TABLE p ADD CONSTRAINT ck CHECK (n > 0) NOT ENFORCED
ALTER TABLE p ADD UNIQUE (n, id)
ALTER TABLE p ADD CONSTRAINT uk UNIQUE USING INDEX n_key
ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE, ADD PRIMARY KEY USING INDEX req_key
ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE, ADD PRIMARY KEY USING INDEX n_key
ALTER TABLE f ADD CONSTRAINT ex EXCLUDE USING btree (k WITH =)
ALTER TABLE f ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p
ALTER TABLE f ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p NOT VALID
ALTER TABLE f ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p NOT ENFORCED
ALTER TABLE f VALIDATE CONSTRAINT later
ALTER TABLE f VALIDATE CONSTRAINT k_later
ALTER TABLE f DROP CONSTRAINT later
ALTER TABLE f DROP COLUMN pid
ALTER TABLE p DROP COLUMN x
ALTER TABLE p ALTER s TYPE varchar(100)
ALTER TABLE p ALTER s TYPE varchar(40)
ALTER TABLE p ALTER s TYPE varchar
ALTER TABLE p ALTER s TYPE text
ALTER TABLE p ALTER s TYPE text COLLATE "C"
ALTER TABLE p ALTER s TYPE varchar(200) USING s::varchar(200)
ALTER TABLE p ALTER s TYPE varchar(200) USING s::varchar(10)
ALTER TABLE p ALTER s TYPE text USING s::text
ALTER TABLE p ALTER s TYPE text USING s || ''
ALTER TABLE p ALTER s TYPE char(60)
ALTER TABLE p ALTER vchk TYPE varchar(100)
ALTER TABLE p ALTER vidx TYPE varchar(100)
ALTER TABLE p ALTER vidx TYPE text
ALTER TABLE p ALTER vidx TYPE text COLLATE "C"
ALTER TABLE p ALTER vuni TYPE text
ALTER TABLE p ALTER expr TYPE varchar
ALTER TABLE p ALTER i2 TYPE free
ALTER TABLE p ALTER i2 TYPE int
ALTER TABLE p ALTER i2 TYPE bigint
ALTER TABLE p ALTER i2 TYPE oid
ALTER TABLE p ALTER nchk TYPE int
ALTER TABLE p ALTER ch TYPE char(6)
ALTER TABLE p ALTER ch TYPE bpchar
ALTER TABLE p ALTER ch TYPE text
ALTER TABLE p ALTER num TYPE numeric(12,2)
ALTER TABLE p ALTER num TYPE numeric(12,3)
ALTER TABLE p ALTER num TYPE numeric(9,2)
ALTER TABLE p ALTER num TYPE numeric
ALTER TABLE p ALTER ts TYPE timestamptz
ALTER TABLE p ALTER tidx TYPE timestamptz
ALTER TABLE p ALTER tidx TYPE timestamp(6)
ALTER TABLE p ALTER ts3 TYPE timestamp
ALTER TABLE p ALTER ts3 TYPE timestamp(2)
ALTER TABLE p ALTER ts3 TYPE timestamptz
ALTER TABLE p ALTER ts3 TYPE timestamptz(2)
ALTER TABLE p ALTER tstz TYPE timestamp
ALTER TABLE p ALTER tstz TYPE date
ALTER TABLE p ALTER tm TYPE time(6)
ALTER TABLE p ALTER iv TYPE interval(4)
ALTER TABLE p ALTER iv TYPE interval(1)
ALTER TABLE p ALTER iv TYPE interval
ALTER TABLE p ALTER arr TYPE varchar(100)[]
ALTER TABLE p ALTER arr TYPE text[]
ALTER TABLE p ALTER ci TYPE inet
ALTER TABLE p ALTER b TYPE varbit
ALTER TABLE p ALTER b TYPE varbit(5)
ALTER TABLE p ALTER vb TYPE varbit(5)
ALTER TABLE p ALTER x TYPE words
ALTER TABLE p ALTER x TYPE varchar
ALTER TABLE p ALTER x TYPE varchar(20)
ALTER TABLE p ALTER n TYPE positive
ALTER TABLE p ALTER j TYPE jsonb
ALTER TABLE p ALTER j TYPE text
ALTER TABLE d ALTER a TYPE int
ALTER TABLE f ALTER v TYPE text
ALTER TABLE g ALTER v TYPE text
ALTER TABLE p ALTER num TYPE numeric(12,2), ALTER s TYPE text
ALTER TABLE p ADD c int DEFAULT 1, ADD c2 float8 DEFAULT random()
ALTER TABLE g SET UNLOGGED
ALTER TABLE d SET UNLOGGED
ALTER TABLE u SET UNLOGGED
ALTER TABLE u SET LOGGED
ALTER TABLE p SET (fillfactor = 90)
ALTER TABLE p ALTER n SET STATISTICS 100
ALTER TABLE p ALTER x SET STORAGE EXTERNAL
ALTER TABLE p REPLICA IDENTITY FULL
ALTER TABLE p SET ACCESS METHOD heap
ALTER TABLE p ENABLE ROW LEVEL SECURITY
ALTER TABLE f DISABLE TRIGGER ALL
ALTER TABLE f OWNER TO CURRENT_USER
ALTER TABLE f RENAME TO ff
ALTER TABLE f RENAME COLUMN k TO kk
ALTER TABLE f RENAME CONSTRAINT later TO late
ALTER TABLE f SET SCHEMA elsewhere
ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
ALTER TABLE log ATTACH PARTITION log_3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')
ALTER TABLE alone ATTACH PARTITION log_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
ALTER TABLE alone ATTACH PARTITION log_3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')
ALTER TABLE log DETACH PARTITION log_1
CREATE TABLE new PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
CREATE TABLE new PARTITION OF alone FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
CREATE TABLE new (id int PRIMARY KEY, p bigint REFERENCES p)
CREATE TABLE new (id int PRIMARY KEY, p bigint, FOREIGN KEY (p) REFERENCES p)
CREATE TABLE new AS SELECT * FROM f
CREATE TABLE new () INHERITS (g)
CREATE INDEX ON p (s)
CREATE INDEX ON ONLY log (id)
CREATE UNIQUE INDEX ON f (k)
DROP INDEX n_key
DROP TABLE log_1
DROP TABLE g
DROP TABLE f CASCADE
DROP VIEW seen
DROP MATERIALIZED VIEW kept
REINDEX INDEX n_key
REINDEX TABLE f
COMMENT ON TABLE p IS 'x'
COMMENT ON COLUMN p.n IS 'x'
COMMENT ON VIEW seen IS 'x'
CREATE STATISTICS st ON n, s FROM p
CREATE POLICY po ON p USING (true)
CREATE TRIGGER tg BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
CREATE RULE ru AS ON DELETE TO g DO NOTHING
CREATE OR REPLACE VIEW seen AS SELECT id, k FROM f
REFRESH MATERIALIZED VIEW kept
REFRESH MATERIALIZED VIEW CONCURRENTLY kept
TRUNCATE g
TRUNCATE f, g
LOCK TABLE p IN SHARE MODE
LOCK TABLE p, f IN EXCLUSIVE MODE
ALTER DOMAIN positive ADD CONSTRAINT more CHECK (VALUE > -5)
ALTER DOMAIN positive ADD CONSTRAINT more CHECK (VALUE > -5) NOT VALID
UPDATE p SET n = 2
DELETE FROM g
INSERT INTO g SELECT 'x' WHERE false
SELECT * FROM p FOR UPDATE
MERGE INTO g USING f ON g.v = f.v WHEN MATCHED THEN DELETE
""".strip().splitlines()

NOT_SHOWN = frozenset({"refresh", "domain check"})
"""Work of which the server's messages say nothing."""
UNLISTED = {
    "ALTER TABLE f DROP COLUMN pid": "the objects that go with it are not all followed",
    "ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE, ADD PRIMARY KEY USING INDEX req_key": "CASCADE takes keys along",
    "ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE, ADD PRIMARY KEY USING INDEX n_key": "CASCADE takes keys along",
    "DROP TABLE f CASCADE": "CASCADE takes keys along",
}
"""Statements whose further locks the linter does not know, and why."""


@pytest.fixture(scope="module")
def asked(server: Server) -> Iterator[Oracle]:
    with server.scratch_database() as database, oracle(database.admin_conninfo, SCHEMA) as found:
        yield found


@pytest.fixture(scope="module")
def known() -> State:
    return from_scripts([read_bytes("schema.sql", SCHEMA.encode(), "as-written")])


def said_by_us(statement: str, state: State) -> Effects:
    script = read_bytes("m.sql", statement.encode(), "as-written")
    (one,) = script.statements
    session = Session(settings={"timezone": "UTC"})
    effects = Effects(state.copy(), session, 18, "m.sql")
    kind = one.node.WhichOneof("node") or ""
    READERS[kind](effects, getattr(one.node, kind))
    return effects


@pytest.mark.parametrize("statement", STATEMENTS)
def test_work_is_what_the_server_says(statement: str, asked: Oracle, known: State) -> None:
    said, ours = asked.ask(statement), said_by_us(statement, known)
    found = {
        kind: {work.table.name for work in ours.work if work.kind == kind and work.cause not in NOT_SHOWN}
        for kind in ("rewrite", "verify", "index")
    }
    found["index"] -= found["rewrite"]
    assert found["rewrite"] == said.rewrite
    if not statement.startswith("CREATE TABLE"):  # the server reads the default partition without a word
        assert found["verify"] == said.verify
    if not statement.startswith(("REFRESH", "TRUNCATE")):  # it builds the indexes of what it has emptied
        assert found["index"] == said.index
    assert any(work.kind == "validate" for work in ours.work) == said.validates


@pytest.mark.parametrize("statement", [one for one in STATEMENTS if one not in UNLISTED])
def test_locks_are_what_the_server_says(statement: str, asked: Oracle, known: State) -> None:
    said, ours = asked.ask(statement), said_by_us(statement, known)
    strong = {table: mode for table, mode in said.locks.items() if mode >= Mode.SHARE_UPDATE_EXCLUSIVE}
    found = {lock.table.name: ours.strongest(lock.table) for lock in ours.locks}
    assert {
        table: mode for table, mode in found.items() if mode and mode >= Mode.SHARE_UPDATE_EXCLUSIVE
    } == strong
