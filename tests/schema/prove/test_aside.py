"""Triggers, rules and row-level security set aside: all of them, and each back as it was."""

from __future__ import annotations

import psycopg

from data_platform.postgres.filling.aside import switch_off, switch_on, switches
from data_platform.postgres.server import Database
from data_platform.schema.prove.result import Aside, counted

SETUP = """
CREATE TABLE t (a integer);
CREATE TABLE p (a integer) PARTITION BY LIST (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER origin BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER "of Replica" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER always BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER off BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE TRIGGER of_parts BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE t ENABLE REPLICA TRIGGER "of Replica", ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER off;
CREATE RULE nothing AS ON DELETE TO t DO INSTEAD NOTHING;
ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE p ENABLE ROW LEVEL SECURITY;
"""
STATE = """
SELECT array_agg(s ORDER BY s) FROM (
    SELECT (tgrelid::regclass, tgname, tgenabled)::text FROM pg_trigger
    UNION ALL SELECT (ev_class::regclass, rulename, ev_enabled)::text FROM pg_rewrite WHERE rulename = 'nothing'
    UNION ALL SELECT (relname, relrowsecurity, relforcerowsecurity)::text FROM pg_class WHERE relkind IN ('r', 'p')
              AND relnamespace = 'public'::regnamespace) AS state(s)
"""


def test_each_comes_back_as_it_was(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(SETUP)
        before = connection.execute(STATE).fetchone()
        found = switches(connection)
        switch_off(connection, found)
        assert switches(connection) == ()
        assert connection.execute("INSERT INTO t VALUES (1)").rowcount == 1
        assert connection.execute("DELETE FROM t").rowcount == 1
        switch_on(connection, found)
        assert connection.execute(STATE).fetchone() == before
        assert switches(connection) == found
    assert counted(found) == Aside(triggers=5, rules=1, forced=1)


def test_nothing_to_set_aside(database: Database) -> None:
    with psycopg.connect(database.conninfo) as connection:
        assert switches(connection) == ()
    assert counted(()) == Aside()
