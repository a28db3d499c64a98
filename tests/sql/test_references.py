"""What texts refer to and make, by PostgreSQL's own grammar."""

from __future__ import annotations

import pytest

from data_platform.sql.makes import made_by
from data_platform.sql.references import (
    Reference,
    of_body,
    of_expression,
    of_script,
    of_signature,
    of_type,
)


def shown(references: tuple[Reference, ...], *kinds: str) -> set[str]:
    """`kind schema.name` of those kinds, or of all."""
    return {
        f"{found.kind} {found.schema + '.' if found.schema else ''}{found.name}"
        for found in references
        if not kinds or found.kind in kinds
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("integer", set()),
        ("text", {"type text"}),
        ("app.mood[]", {"type app.mood"}),
        ('"My app"."T"(3)', {"type My app.T"}),
    ],
)
def test_types(text: str, expected: set[str]) -> None:
    assert shown(of_type(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app.f(x) + g(1)", {"function app.f", "function g", "operator +"}),
        ("a OPERATOR(app.===) b", {"operator app.==="}),
        ("a = ANY (SELECT 1)", {"operator ="}),
        ("'x'::app.mood", {"type app.mood"}),
        ('a COLLATE app."G"', {"collation app.G"}),
        ("nextval('app.s')", {"function nextval", "relation app.s"}),
        (
            "nextval('app.s'::text::regclass)",
            {"function nextval", "relation app.s", "type text", "type regclass"},
        ),
        ('\'"My"."T"\'::regclass', {"relation My.T", "type regclass"}),
        ("'app.f'::regproc", {"function app.f", "type regproc"}),
        ("'app.f(integer)'::regprocedure", {"function app.f", "type regprocedure"}),
        ("'app.mood[]'::regtype", {"type app.mood", "type regtype"}),
        ("'app.c'::regcollation", {"collation app.c", "type regcollation"}),
        ("to_tsvector('app.en', t)", {"function to_tsvector", "text search app.en"}),
        (
            "to_tsquery('app.en'::regconfig, t)",
            {"function to_tsquery", "text search app.en", "type regconfig"},
        ),
        ("ts_lexize('app.d', 'x')", {"function ts_lexize", "text search app.d"}),
        ("'not a ; name'::regclass", {"type regclass"}),
        ("pg_catalog.lower(t)", set()),
        ("count(*)", {"function count"}),
    ],
)
def test_expressions(text: str, expected: set[str]) -> None:
    assert shown(of_expression(text)) == expected


def test_queries_leave_out_their_own_names() -> None:
    text = "WITH c AS (SELECT * FROM app.t) SELECT * FROM c JOIN u USING (id) JOIN app.c USING (id)"
    assert shown(of_script(text)) == {"relation app.t", "relation u", "relation app.c"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CREATE INDEX ON app.t USING gin (a COLLATE app.c app.o)",
            {"operator class app.o", "collation app.c"},
        ),
        ("CREATE TABLE a (b int) PARTITION BY LIST (b app.o)", {"operator class app.o"}),
        ("CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION app.f()", {"function app.f"}),
        ("CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION app.f()", {"function app.f"}),
        ("CREATE AGGREGATE app.a(int) (SFUNC = app.f, STYPE = app.y)", {"function app.f", "type app.y"}),
        ("CREATE OPERATOR app.=== (LEFTARG = app.y, FUNCTION = app.f)", {"function app.f", "type app.y"}),
        (
            "CREATE CAST (app.a AS app.b) WITH FUNCTION app.f(app.a)",
            {"function app.f", "type app.a", "type app.b"},
        ),
        (
            "CREATE OPERATOR CLASS app.o FOR TYPE app.y USING btree FAMILY app.p AS FUNCTION 1 app.f(app.y, app.y)",
            {"function app.f", "type app.y", "operator family app.p"},
        ),
        ("CREATE TEXT SEARCH CONFIGURATION app.c (PARSER = app.p)", {"text search app.p"}),
        (
            "ALTER TEXT SEARCH CONFIGURATION app.c ADD MAPPING FOR word WITH app.d, e",
            {"text search app.c", "text search app.d", "text search e"},
        ),
        ("CREATE LANGUAGE x HANDLER app.h", {"function app.h"}),
        ("CREATE ACCESS METHOD x TYPE INDEX HANDLER app.h", {"function app.h"}),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE x SUPPORT app.s AS 'y'", {"language x", "function app.s"}),
        (
            "CREATE RULE r AS ON INSERT TO app.v DO ALSO INSERT INTO app.t SELECT app.f()",
            {"relation app.v", "relation app.t", "function app.f"},
        ),
        ("SELECT 1 ORDER BY 1 USING OPERATOR(app.<<<)", {"operator app.<<<"}),
    ],
)
def test_statements(text: str, expected: set[str]) -> None:
    assert expected <= shown(of_script(text))


def test_a_signature_and_a_body() -> None:
    found = of_signature(
        "a app.t, b app.u.c%TYPE DEFAULT app.f()", "SETOF app.v", "RETURN (SELECT 1 FROM app.w)"
    )
    assert {"type app.t", "relation app.u", "function app.f", "type app.v", "relation app.w"} <= shown(found)
    assert shown(of_signature("", None, None), "type", "relation", "function") == set()
    assert shown(of_body("SELECT * FROM app.t")) == {"relation app.t"}
    assert of_body("BEGIN this is no SQL") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE AGGREGATE app.a(int) (SFUNC = f, STYPE = int)", {"function app.a"}),
        ("CREATE OPERATOR app.=== (LEFTARG = int, FUNCTION = f)", {"operator app.==="}),
        ("CREATE TYPE app.y", {"type app.y"}),
        ("CREATE TYPE app.y (INPUT = a, OUTPUT = b)", {"type app.y"}),
        ("CREATE TYPE app.y AS RANGE (SUBTYPE = int)", {"type app.y"}),
        ("CREATE TYPE app.y AS ENUM ()", {"type app.y"}),
        ("CREATE TYPE app.y AS (a int)", {"type app.y", "relation app.y"}),
        ("CREATE DOMAIN app.y AS int", {"type app.y"}),
        ('CREATE COLLATION app.c FROM "C"', {"collation app.c"}),
        ("CREATE TEXT SEARCH DICTIONARY app.d (TEMPLATE = simple)", {"text search app.d"}),
        (
            "CREATE OPERATOR CLASS app.o FOR TYPE int USING btree AS STORAGE int",
            {"operator class app.o", "operator family app.o"},
        ),
        ("CREATE OPERATOR FAMILY app.p USING btree", {"operator family app.p"}),
        ("CREATE FOREIGN DATA WRAPPER w", {"foreign data wrapper w"}),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", {"server s"}),
        ("CREATE LANGUAGE l HANDLER h", {"language l"}),
        ("CREATE ACCESS METHOD m TYPE TABLE HANDLER h", {"access method m"}),
        (
            "CREATE TABLE app.t (a int); CREATE INDEX i ON app.t (a)",
            {"relation app.t", "type app.t", "relation app.i"},
        ),
        ("CREATE FOREIGN TABLE app.t (a int) SERVER s", {"relation app.t", "type app.t"}),
        ("CREATE VIEW v AS SELECT 1", {"relation v", "type v"}),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", {"relation v", "type v"}),
        ("CREATE SEQUENCE app.s", {"relation app.s"}),
        ("CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS ''", {"function app.f"}),
        ("CREATE SCHEMA s", {"schema s"}),
        ("COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO a", set()),
        ("CREATE CAST (a AS b) WITHOUT FUNCTION", set()),
    ],
)
def test_what_statements_make(text: str, expected: set[str]) -> None:
    assert shown(made_by(text)) == expected


def test_a_tree_too_deep_to_read_refers_to_nothing() -> None:
    deep = " + ".join(["app.f(a)"] * 500)
    assert of_expression(deep) == of_script(f"SELECT {deep}") == of_body(f"SELECT {deep}") == ()
    assert made_by(f"CREATE VIEW v AS SELECT {deep}") == ()
