"""What belongs to no table, and comments: there and back on a real server."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan import functions, sequences, types, whole
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach, roles


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    yield from whole.steps(pair)
    yield from types.steps(pair)
    yield from sequences.steps(pair)
    yield from functions.steps(pair)
    yield from functions.late(pair)
    yield from whole.last(pair)


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_schemas_and_extensions(database: Database) -> None:
    before = """CREATE SCHEMA gone; COMMENT ON SCHEMA gone IS 'g'; GRANT USAGE ON SCHEMA gone TO public;
        CREATE EXTENSION hstore; CREATE SCHEMA two;
        CREATE EXTENSION pg_trgm; COMMENT ON SCHEMA two IS 'two';"""
    after = """CREATE SCHEMA one; COMMENT ON SCHEMA one IS 'o'; CREATE SCHEMA two;
        CREATE EXTENSION pg_trgm WITH SCHEMA two;
        CREATE EXTENSION citext WITH SCHEMA one;"""
    arrives(reach(database, before, after, steps))


def test_collations_and_servers(database: Database) -> None:
    wrapper = "CREATE EXTENSION postgres_fdw;"
    before = f"""{wrapper} CREATE SERVER old FOREIGN DATA WRAPPER postgres_fdw; COMMENT ON SERVER old IS 's';
        GRANT USAGE ON FOREIGN SERVER old TO public;
        CREATE SERVER kept FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'a', port '1');
        CREATE COLLATION gone (provider = libc, locale = 'C'); COMMENT ON COLLATION gone IS 'c';"""
    after = f"""{wrapper} CREATE SERVER kept VERSION '2' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'b',
        dbname 'd');
        CREATE SERVER made TYPE 'x' FOREIGN DATA WRAPPER postgres_fdw;
        CREATE COLLATION made (provider = libc, locale = 'C', deterministic = true);"""
    arrives(reach(database, before, after, steps))


def test_publications(database: Database) -> None:
    base = "CREATE SCHEMA s; CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY);"
    before = f"""{base} CREATE PUBLICATION gone FOR TABLE a; COMMENT ON PUBLICATION gone IS 'p';
        CREATE PUBLICATION p FOR TABLE a WITH (publish = 'insert');
        CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION q FOR TABLE b;"""
    after = f"""{base} CREATE PUBLICATION made FOR TABLES IN SCHEMA s; CREATE PUBLICATION q;
        CREATE PUBLICATION p FOR TABLE a (id), b WHERE (id > 3) WITH (publish_via_partition_root = true);
        CREATE PUBLICATION everything FOR TABLE a;"""
    arrives(reach(database, before, after, steps))


def test_event_triggers(database: Database) -> None:
    function = "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    before = f"""{function} CREATE EVENT TRIGGER gone ON ddl_command_end EXECUTE FUNCTION watch();
        COMMENT ON EVENT TRIGGER gone IS 'e';
        CREATE EVENT TRIGGER kept ON ddl_command_end EXECUTE FUNCTION watch(); ALTER EVENT TRIGGER kept DISABLE;"""
    after = f"""{function} CREATE EVENT TRIGGER made ON sql_drop EXECUTE FUNCTION watch();
        CREATE EVENT TRIGGER kept ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION watch();"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert {step.phase for step in reached.steps} == {"contract"}


def test_what_has_no_form_of_its_own(database: Database) -> None:
    base = """CREATE FUNCTION eq(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE TYPE pair AS (a int);
        CREATE FUNCTION of_pair(pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.a::text';"""
    one = """CREATE OPERATOR === (FUNCTION = eq, LEFTARG = int, RIGHTARG = text);
        CREATE AGGREGATE most(int) (SFUNC = int4larger, STYPE = int);
        CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
        CREATE CAST (pair AS text) WITH FUNCTION of_pair(pair) AS ASSIGNMENT;
        COMMENT ON AGGREGATE most(int) IS 'm'; CREATE TABLE t (id int PRIMARY KEY); COMMENT ON INDEX t_pkey IS 'i';
        CREATE AGGREGATE every_row(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');"""
    other = """CREATE TABLE t (id int PRIMARY KEY); CREATE AGGREGATE most(int) (SFUNC = int4smaller, STYPE = int);
        CREATE TEXT SEARCH DICTIONARY own (TEMPLATE = simple); COMMENT ON INDEX t_pkey IS 'j';"""
    arrives(reach(database, base + one, base + other, steps))


def test_comments(database: Database) -> None:
    parts = """CREATE TABLE t (id int PRIMARY KEY, n int CONSTRAINT low CHECK (n > 0)); CREATE INDEX t_n ON t (n);
        CREATE VIEW v AS SELECT id FROM t;
        CREATE TYPE pair AS (a int); CREATE DOMAIN d AS int CONSTRAINT c CHECK (VALUE > 0);
        CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS 'SELECT 1';
        CREATE POLICY p ON t; CREATE STATISTICS s ON id, n FROM t; CREATE SEQUENCE q;
        CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();"""
    objects = (
        "TABLE t",
        "COLUMN t.n",
        "CONSTRAINT low ON t",
        "INDEX t_n",
        "VIEW v",
        "COLUMN v.id",
        "TYPE pair",
        "COLUMN pair.a",
        "DOMAIN d",
        "CONSTRAINT c ON DOMAIN d",
        "FUNCTION f(int)",
        "POLICY p ON t",
        "STATISTICS s",
        "SEQUENCE q",
        "TRIGGER g ON t",
        "SCHEMA public",
        "CONSTRAINT t_pkey ON t",
    )
    said = [f"COMMENT ON {name} IS 'about {number}';" for number, name in enumerate(objects)]
    before = parts + " ".join(said[::2]) + f" COMMENT ON {objects[1]} IS 'it''s old';"
    reached = reach(database, before, parts + " ".join(said[1:]), whole.last)
    arrives(reached)
    assert [step.name for step in reached.steps] == ["comments"]


def test_comments_of_roles(database: Database) -> None:
    with roles(database, "dpe_test_reader"):
        given = "CREATE TABLE t (id int); GRANT SELECT ON t TO dpe_test_reader;"
        reached = reach(database, given, given, whole.last)
        assert reached.steps == ()
