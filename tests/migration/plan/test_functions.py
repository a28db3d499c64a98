"""Functions and procedures: there and back on a real server."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan import functions
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.postgres.server import Database
from migration.plan.harness import Reached, reach


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    yield from functions.steps(pair)
    yield from functions.late(pair)
    yield from functions.gone(pair)


def arrives(reached: Reached) -> None:
    assert reached.refused == ()
    assert reached.up.equal, reached.up
    assert reached.down is None or reached.down.equal, reached.down


def test_new_and_gone(database: Database) -> None:
    before = """CREATE FUNCTION old(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT a';
        COMMENT ON FUNCTION old(int, text) IS 'it was'; REVOKE EXECUTE ON FUNCTION old(int, text) FROM public;
        CREATE FUNCTION same(a int) RETURNS int LANGUAGE sql AS 'SELECT a';"""
    after = """CREATE FUNCTION same(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
        CREATE FUNCTION same(a bigint) RETURNS bigint LANGUAGE sql AS 'SELECT a';
        CREATE FUNCTION whole(a int) RETURNS int RETURN same(a) + 1;
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE PROCEDURE clean(days int) LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
        COMMENT ON PROCEDURE clean(int) IS 'c';"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [step.phase for step in reached.steps] == ["expand"] * 4 + ["contract"]


def test_a_body_may_name_what_comes_later(database: Database) -> None:
    after = """CREATE TABLE later (n int);
        CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM later';"""
    reached = reach(database, "", after, steps)
    assert reached.up.added == ("column public.later.n", "table public.later")


def test_replaced(database: Database) -> None:
    before = """CREATE FUNCTION f(int, OUT x int, OUT y int) LANGUAGE sql AS 'SELECT 1, 2';
        REVOKE EXECUTE ON FUNCTION f FROM public;
        CREATE VIEW v AS SELECT * FROM f(1);"""
    after = """CREATE FUNCTION f(a int DEFAULT 1, OUT x int, OUT y int) STABLE SET search_path TO pg_catalog, public
        LANGUAGE sql AS 'SELECT 3, a'; REVOKE EXECUTE ON FUNCTION f FROM public; CREATE VIEW v AS SELECT * FROM f(1);"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [step.name for step in reached.steps] == ["replace_function_f"]


def test_made_again_with_what_depends_on_it(database: Database) -> None:
    table = "CREATE TABLE t (id int); CREATE ROLE_; ".replace("CREATE ROLE_; ", "")
    over = """CREATE VIEW v AS SELECT id FROM t WHERE id = (f(id)); COMMENT ON VIEW v IS 'v';
        GRANT SELECT ON v TO public;"""
    policy = "CREATE POLICY p ON t USING (id = f(id));"
    before = f"""{table}CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
        GRANT EXECUTE ON FUNCTION f TO public; {over}{policy}"""
    after = f"""{table}CREATE FUNCTION f(b int) RETURNS int LANGUAGE sql AS 'SELECT b';
        REVOKE EXECUTE ON FUNCTION f FROM public; {over}{policy}"""
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [(step.name, step.phase, step.ends_old) for step in reached.steps] == [
        ("remake_function_f", "contract", True)
    ]


def test_a_table_with_more_columns_comes_early(database: Database) -> None:
    before = "CREATE FUNCTION f() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1';"
    after = "CREATE FUNCTION f() RETURNS TABLE (a int, b text) LANGUAGE sql AS $$SELECT 1, 'x'$$;"
    reached = reach(database, before, after, steps)
    arrives(reached)
    assert [step.phase for step in reached.steps] == ["expand"]


def test_what_a_default_calls_is_refused(database: Database) -> None:
    before = (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE t (n bigint DEFAULT f());"
    )
    after = """CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
        CREATE TABLE t (n bigint DEFAULT f());"""
    reached = reach(database, before, after, steps)
    assert [refusal.what for refusal in reached.refused] == ["function f"]
    assert "the default of t.n" in reached.refused[0].why
