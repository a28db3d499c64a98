"""Parts of functions: none brings what belongs to another part, and each says the same on the server."""

from __future__ import annotations

import postgast
import psycopg
import pytest

from data_platform.postgres.server import Database
from data_platform.sql import routines
from data_platform.sql.text import NotSql

DEEP = " + ".join(["a"] * 500)


def one(text: str) -> str:
    """What kind the single statement in `text` is."""
    (statement,) = postgast.parse(text).stmts
    return str(statement.stmt.WhichOneof("node"))


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("", ""),
        ("integer", "integer"),
        ("a integer DEFAULT (1 + 2), b text = 'x, y'", "a integer, b text"),
        (
            "IN a integer, OUT b numeric(10, 2), VARIADIC c text[]",
            "IN a integer, OUT b numeric(10, 2), VARIADIC c text[]",
        ),
        ("a integer -- the first\n, b t.c%TYPE /* , c */", "a integer, b t.c%TYPE"),
        ('"DEFAULT" integer default 1', '"DEFAULT" integer'),
        ("a integer DEFAULT f(1, ARRAY[2, 3])", "a integer"),
    ],
)
def test_arguments_without_their_defaults(text: str, identity: str) -> None:
    made = routines.identity_arguments(text)
    assert " ".join(made.split()) == identity
    assert (
        one(f"CREATE FUNCTION f({routines.arguments(text)}) RETURNS int LANGUAGE sql")
        == "create_function_stmt"
    )
    assert one(f"COMMENT ON FUNCTION f({made}) IS 'x'") == "comment_stmt"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (routines.arguments, "a integer) LANGUAGE sql; DROP TABLE t; --"),
        (routines.arguments, "a integer) WINDOW"),
        (routines.arguments, "a integer) RETURNS (text"),
        (routines.returned, "integer LANGUAGE c"),
        (routines.returned, "integer AS 'x'"),
        (routines.returned, "integer; DROP TABLE t"),
        (routines.returned, "integer RETURN 1"),
        (routines.sql_body, "RETURN 1; DROP TABLE t"),
        (routines.sql_body, "IMMUTABLE RETURN 1"),
        (routines.sql_body, "AS 'x'"),
        (routines.sql_body, f"RETURN {DEEP}; DROP TABLE t"),
        (routines.sql_body, f"IMMUTABLE RETURN {DEEP}"),
    ],
)
def test_a_part_of_a_statement_brings_no_other(function, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotSql):
        function(text)


def test_what_may_follow_a_comment_is_on_its_own_line() -> None:
    for made in (
        routines.returned("integer -- x"),
        routines.sql_body("RETURN 1 -- x"),
        routines.arguments("a integer -- x"),
    ):
        assert made.endswith("x\n")


def test_a_standard_body_as_text_does_the_same(database: Database) -> None:
    with psycopg.connect(database.conninfo) as connection:
        for number, body in enumerate(("RETURN a + 1", "BEGIN ATOMIC SELECT 1; SELECT a + 1; END")):
            text = routines.body_as_text(body)
            for name, form in (("new", body), ("old", f"AS $${text}$$")):
                statement = f"CREATE FUNCTION {name}{number}(a int) RETURNS int LANGUAGE sql {form}"
                connection.execute(statement.encode())
            row = connection.execute(f"SELECT new{number}(2), old{number}(2)".encode()).fetchone()
            assert row == (3, 3)


@pytest.mark.parametrize(
    ("pair", "written"),
    [
        (("search_path", '"$user", public'), "search_path TO '$user', 'public'"),
        (("search_path", '""'), "search_path TO ''"),
        (("search_path", '"a,b", "c""d"'), "search_path TO 'a,b', 'c\"d'"),
        (("DateStyle", "ISO, MDY"), "\"DateStyle\" TO 'ISO, MDY'"),
        (("app.tenant", "it's"), "app.tenant TO 'it''s'"),
    ],
)
def test_a_setting(pair: tuple[str, str], written: str, database: Database) -> None:
    assert routines.setting(pair) == written
    with psycopg.connect(database.conninfo) as connection:
        connection.execute(f"SET {written}".encode())
