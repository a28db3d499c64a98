"""Longer texts become SQL only as the one query, script, condition or bound that they should be."""

from __future__ import annotations

import postgast
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_platform.sql import phrases, routines
from data_platform.sql.text import NotSql

DEEP = " + ".join(["a"] * 500)


def one(text: str) -> str:
    """What kind the single statement in `text` is."""
    (statement,) = postgast.parse(text).stmts
    return str(statement.stmt.WhichOneof("node"))


# --- queries and scripts ---


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "VALUES (1), (2)",
        "TABLE t",
        "(SELECT 1) UNION SELECT 2",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT ';' -- the end",
        "SELECT 1 /* ; */ FOR UPDATE",
    ],
)
def test_a_query_is_one_query_whatever_follows_it(text: str) -> None:
    made = phrases.query(text)
    assert one(f"CREATE MATERIALIZED VIEW v AS {made} WITH NO DATA") == "create_table_as_stmt"


def test_a_query_too_deep_to_read_is_taken_by_its_words() -> None:
    for text in (f"SELECT {DEEP} FROM t", f"(SELECT {DEEP})", f"WITH x AS (SELECT 1) SELECT {DEEP} FROM x"):
        assert phrases.query(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- nothing",
        "SELECT 1;",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 INTO t",
        "INSERT INTO t VALUES (1)",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "SELECT 1) AS x, (SELECT 2",
        "EXPLAIN SELECT 1",
        f"DELETE FROM t WHERE {DEEP} > 0",
        f"SELECT {DEEP}; DROP TABLE t",
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(NotSql):
        phrases.query(text)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("SELECT 1", "1;"),
        ("SELECT 1;", "1;"),
        ("SELECT 1 -- x", "x\n;"),
        ("SELECT 1; -- x", "x"),
        ("SELECT 1; SELECT 2", "2;"),
    ],
)
def test_a_script_ends_its_last_statement(text: str, ending: str) -> None:
    made = phrases.script(text)
    assert made.endswith(ending)
    assert len(postgast.parse(f"{made}\nSELECT 3").stmts) == len(postgast.parse(text).stmts) + 1


@pytest.mark.parametrize(
    "text",
    ["", "-- x", ";", "SELEC 1", "SELECT '", "COPY t FROM stdin", "SELECT 1; COPY t (a) FROM stdin CSV"],
)
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(NotSql):
        phrases.script(text)


def test_a_reader_sees_what_is_in_a_constant() -> None:
    for function in (phrases.query, phrases.script):
        assert "E'a\\u202Eb'" in function("SELECT 'a\u202eb' FROM t")
    assert phrases.condition("a = 'x\u200b'") == "a = E'x\\u200B'"


def test_a_rule_is_one_rule() -> None:
    rule = "CREATE RULE r AS ON INSERT TO v DO INSTEAD (SELECT 1; SELECT 2)"
    assert one(phrases.rule(rule)) == "rule_stmt"
    for text in (f"{rule}; DROP TABLE t", "DROP TABLE t"):
        with pytest.raises(NotSql, match="CREATE RULE"):
            phrases.rule(text)


# --- expressions ---


def test_too_deep_an_expression_is_taken_when_its_brackets_close() -> None:
    assert phrases.anything_or_deep(DEEP) == DEEP
    assert phrases.default(DEEP) == f"({DEEP})"
    assert phrases.condition(DEEP) == DEEP
    for bad in (f"{DEEP}) OR (true", f"{DEEP}; DROP TABLE t", f"{DEEP}, 1", f"{DEEP} -- x"):
        for function in (phrases.anything_or_deep, phrases.default, phrases.condition):
            with pytest.raises(NotSql):
                function(bad)


def test_a_condition_may_hold_a_subquery_but_no_parameter() -> None:
    assert phrases.condition("id IN (SELECT 1)") == "id IN (SELECT 1)"
    with pytest.raises(NotSql, match="parameter"):
        phrases.condition("id = $1")


@pytest.mark.parametrize(
    "text",
    [
        "DEFAULT; DROP TABLE t",
        "DEFAULT PARTITION BY LIST (a)",
        "FOR VALUES IN (1) WITH (fillfactor = 10)",
        "(a WITH OPTIONS NOT NULL) DEFAULT",
    ],
)
def test_what_is_more_than_a_bound_is_refused(text: str) -> None:
    with pytest.raises(NotSql):
        phrases.bound(text)


def test_what_follows_a_comment_is_on_a_line_of_its_own() -> None:
    assert phrases.bound("DEFAULT -- x") == "DEFAULT -- x\n"
    assert phrases.closed("a -- b\n, c") == "a -- b\n, c"


# --- names and numbers ---


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("C", '"C"'),
        ("en-x-icu", '"en-x-icu"'),
        ("C.UTF-8", '"C.UTF-8"'),
        ('app."German"', 'app."German"'),
        ('"my app"."a.b"', '"my app"."a.b"'),
        ('x" y"', '"x"" y"""'),
        ('a."b"; DROP TABLE "t"', '"a.""b""; DROP TABLE ""t"""'),
    ],
)
def test_a_collation(text: str, written: str) -> None:
    assert phrases.collation(text) == written


def test_granted_is_one_object() -> None:
    assert phrases.granted("table", 'app."Orders"') == 'app."Orders"'
    assert phrases.granted("function", "app.f(integer, text)") == "app.f(integer, text)"
    for text in ("a, b", "a TO public; DROP TABLE t", "a TO b --", "a TO b /*", "", "ALL TABLES IN SCHEMA a"):
        with pytest.raises(NotSql):
            phrases.granted("table", text)


@pytest.mark.parametrize(
    ("value", "written"), [(7, "7"), (-7, "-7"), (0.5, "0.5"), (1e20, "1e+20"), (100.0, "100")]
)
def test_a_number(value: float, written: str) -> None:
    assert phrases.number(value) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(NotSql):
        phrases.number(value)


def test_options_of_each_kind() -> None:
    assert phrases.storage_options((("fillfactor", "70"), ("toast.autovacuum_enabled", "false"))) == (
        "fillfactor = 70, toast.autovacuum_enabled = 'false'"
    )
    assert phrases.storage_options((("not.toast.x", "1"),)) == '"not.toast.x" = 1'
    assert phrases.foreign_options((("port", "5432"), ("a b", "it's"))) == "port '5432', \"a b\" 'it''s'"
    assert phrases.text_options((("locale", "1"),)) == "locale = '1'"
    assert phrases.columns_with_period(("a", "b c")) == 'a, PERIOD "b c"'
    assert phrases.columns_with_period(("b",)) == "PERIOD b"
    assert (phrases.role("public"), phrases.role("Public")) == ("PUBLIC", '"Public"')


@given(st.text(max_size=30))
@example("a TO b")
@example("SELECT.0")
@example("\x85")  # white space to Python, a letter to PostgreSQL
def test_nothing_leaves_its_place(text: str) -> None:
    """Whatever a text is: if it is taken, the statement around it is still the one that it was."""
    frames = [
        (phrases.query, "CREATE VIEW v AS {};", "view_stmt"),
        (phrases.bound, "ALTER TABLE a ATTACH PARTITION b {};", "alter_table_stmt"),
        (routines.arguments, "CREATE FUNCTION f({}) RETURNS int LANGUAGE sql;", "create_function_stmt"),
        (routines.returned, "CREATE FUNCTION f() RETURNS {} LANGUAGE sql;", "create_function_stmt"),
        (phrases.condition, "CREATE POLICY p ON t USING ({});", "create_policy_stmt"),
        (phrases.collation, "CREATE TABLE t (a text COLLATE {});", "create_stmt"),
        (lambda t: phrases.granted("table", t), "GRANT ALL ON TABLE {} TO a;", "grant_stmt"),
        (lambda t: routines.setting(("search_path", t)), "SET {};", "variable_set_stmt"),
        (phrases.rule, "{}", "rule_stmt"),
    ]
    for function, frame, kind in frames:
        try:
            made = function(text)
        except NotSql:
            continue
        assert one(frame.format(made)) == kind
