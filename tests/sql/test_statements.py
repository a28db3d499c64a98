"""Whole statements: parameters, tables, columns."""

from __future__ import annotations

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.sql import statements
from data_platform.sql.statements import Relation, number_parameters, only_statement
from data_platform.sql.text import NotSql

pb = postgast.pg_query_pb2


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("SELECT :a", "SELECT $1"),
        ("SELECT :b, :a, :b", "SELECT $2, $1, $2"),
        ("SELECT :a::int", "SELECT $1::int"),
        ("SELECT x::a", "SELECT x::a"),
        ("SELECT ':a', \":a\", $$:a$$, E'\\':a'", "SELECT ':a', \":a\", $$:a$$, E'\\':a'"),
        ("SELECT 1 -- :a\n, :b", "SELECT 1 -- :a\n, $2"),
        ("SELECT /* :a */ :b", "SELECT /* :a */ $2"),
        ("SELECT 'é', :a, '名'", "SELECT 'é', $1, '名'"),
        ("SELECT x[1:2], x[:a:2], x[1:n]", "SELECT x[1:2], x[$1:2], x[1:n]"),
        ("SELECT :a+:b", "SELECT $1+$2"),
        ("SELECT : a", "SELECT : a"),
        ("SELECT (:a,:b)", "SELECT ($1,$2)"),
        ("", ""),
    ],
)
def test_parameters_are_numbered(text: str, numbered: str) -> None:
    assert number_parameters(text, ["a", "b"]) == numbered


@pytest.mark.parametrize(("text", "offset"), [("SELECT :c", 7), ("SELECT 'é', :c", 12), ("SELECT :A", 7)])
def test_a_parameter_that_is_not_declared_is_refused_where_it_stands(text: str, offset: int) -> None:
    with pytest.raises(NotSql, match="not under `parameters:`") as caught:
        number_parameters(text, ["a", "b"])
    assert caught.value.offset == offset


_PIECES = st.sampled_from(
    ["a", "'x:a'", '"q:a"', "1", "x::int", "$$:a$$", "f(1)", "'é'", "arr[1:2]", "-- :a\n 1"]
)


@given(
    st.lists(
        _PIECES | st.sampled_from(["a", "b", "value"]).map(lambda name: f":{name}"), min_size=1, max_size=8
    )
)
def test_only_parameters_change(pieces: list[str]) -> None:
    names = ["a", "b", "value"]
    expected = [f"${names.index(piece[1:]) + 1}" if piece.startswith(":") else piece for piece in pieces]
    assert number_parameters("SELECT " + ", ".join(pieces), names) == "SELECT " + ", ".join(expected)


ANY = st.text(st.characters(exclude_categories=[]), max_size=40)
LIKE_SQL = st.lists(
    st.sampled_from(
        [
            "SELECT",
            "INSERT",
            "INTO",
            "t",
            "VALUES",
            "(",
            ")",
            ";",
            ",",
            "a",
            "*",
            "FROM",
            "WHERE",
            "=",
            ":x",
            "$1",
            "'x'",
            "'",
            '"',
            "--",
            "/*",
            "*/",
            "WITH",
            "AS",
            "UPDATE",
            "SET",
            "DELETE",
            "DROP",
            "TABLE",
            "CREATE",
            "RETURNING",
            "\x00",
            "COPY",
            "TO",
            "PROGRAM",
            "'sh'",
            "DO",
            "$$",
            "BEGIN;",
            "COMMIT",
            "EXPLAIN",
            "ANALYZE",
            "MERGE",
            "USING",
            "ON",
        ]
    ),
    max_size=12,
).map(" ".join)


@given(ANY | LIKE_SQL)
def test_any_text_is_one_query_or_refused(text: str) -> None:
    try:
        only_statement(number_parameters(text, ["x"]))
    except NotSql:
        return
    assert "\0" not in text
    (statement,) = postgast.parse(number_parameters(text, ["x"])).stmts
    assert statement.stmt.WhichOneof("node") in {
        "select_stmt",
        "insert_stmt",
        "update_stmt",
        "delete_stmt",
        "merge_stmt",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "DROP TABLE t",
        "COPY t TO PROGRAM 'sh'",
        "DO $$ BEGIN END $$",
        "CALL f()",
        "EXPLAIN SELECT 1",
        "BEGIN",
        "SET x = 1",
        "SELEC 1",
        "SELECT 'x",
        "PREPARE p AS SELECT 1",
        "TRUNCATE t",
        "LOCK t",
        "SELECT 1 \x00; DROP TABLE t",
        "SELECT '\ud800'",
        "SELECT " + "+".join("1" * 300),
    ],
)
def test_what_is_not_one_query_is_refused(text: str) -> None:
    with pytest.raises(NotSql):
        only_statement(text)


def test_the_place_of_an_error_counts_characters() -> None:
    with pytest.raises(NotSql) as caught:
        only_statement("SELECT 'éé名' FROM FROM t")
    assert caught.value.offset == 18


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1", set()),
        ("SELECT a FROM t", {Relation(None, "t", "t")}),
        ("SELECT a FROM s.t AS x, u", {Relation("s", "t", "x"), Relation(None, "u", "u")}),
        ("SELECT a FROM t JOIN t AS y USING (a)", {Relation(None, "t", "t"), Relation(None, "t", "y")}),
        ("WITH c AS (SELECT a FROM t) SELECT a FROM c", {Relation(None, "t", "t")}),
        (
            "WITH c AS (SELECT a FROM t) SELECT a FROM s.c",
            {Relation(None, "t", "t"), Relation("s", "c", "c")},
        ),
        ("INSERT INTO t SELECT a FROM u", {Relation(None, "t", "t"), Relation(None, "u", "u")}),
        ("UPDATE t SET a = 1 FROM u", {Relation(None, "t", "t"), Relation(None, "u", "u")}),
        ("DELETE FROM t USING u", {Relation(None, "t", "t"), Relation(None, "u", "u")}),
        ("SELECT (SELECT max(a) FROM t)", {Relation(None, "t", "t")}),
        ('SELECT a FROM "T"."U" "V"', {Relation("T", "U", "V")}),
    ],
)
def test_relations(text: str, found: set[Relation]) -> None:
    assert set(statements.relations(only_statement(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT a, t.b, s.t.c, *, t.*, 1, f(d) FROM t", {("a",), ("t", "b"), ("s", "t", "c"), ("d",)}),
        ("SELECT 1", set()),
    ],
)
def test_column_references(text: str, found: set[tuple[str, ...]]) -> None:
    assert set(statements.column_references(only_statement(text))) == found


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("a = $1", {(1, ("a",))}),
        ("$1 = t.a", {(1, ("t", "a"))}),
        ("a = ANY ($1)", {(1, ("a",))}),
        ("a::text = $1::text", {(1, ("a",))}),
        ("a BETWEEN $1 AND $2", {(1, ("a",)), (2, ("a",))}),
        ("a IN ($1, $2)", {(1, ("a",)), (2, ("a",))}),
        ("a > $1 + 1", {(1, ("a",))}),
        ("lower(a) = $1", set()),
        ("a = b", set()),
        ("(a, b) > ($1, $2)", {(1, ("a",)), (2, ("b",))}),
    ],
)
def test_compared_columns(where: str, found: set[tuple[int, tuple[str, ...]]]) -> None:
    assert set(statements.compared_columns(only_statement(f"SELECT a FROM t WHERE {where}"))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("INSERT INTO t (a, b) VALUES ($1, $2), ($3, 1)", [(1, "a", True), (2, "b", True), (3, "a", True)]),
        ("INSERT INTO t (a, b) VALUES (lower($1), $2::int)", [(2, "b", True)]),
        ("INSERT INTO t (a) SELECT $1", []),
        ("UPDATE t SET a = $1, b = b + $2 WHERE c = $3", [(1, "a", False)]),
        ("SELECT $1", []),
    ],
)
def test_assigned_columns(text: str, found: list[tuple[int, str, bool]]) -> None:
    assert list(statements.assigned_columns(only_statement(text))) == found
