"""Nothing gets out: whatever a text is, it becomes SQL only as the one name, value, type or expression it should be."""

from __future__ import annotations

import postgast
import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_platform.model.database import Name
from data_platform.postgres.server import Database
from data_platform.sql import text
from data_platform.sql.templates import render
from data_platform.sql.text import NotSql, Sql

pb = postgast.pg_query_pb2

ANY = st.text(st.characters(exclude_categories=[]), max_size=30)  # lone surrogates and NUL as well
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "(",
            ")",
            "[",
            "]",
            "'",
            '"',
            "''",
            '""',
            "--",
            "/*",
            "*/",
            ";",
            ",",
            "$$",
            "$a$",
            "$1",
            ":x",
            "::",
            ".",
            "*",
            "=",
            "&&",
            "<=>",
            "-",
            "+",
            "@",
            "\\",
            "E'",
            "U&'",
            "\n",
            " ",
            "\t",
            "\xa0",
            "\x00",
            "\x1b",
            "\x85",
            "\u200d",
            "\u202e",
            "é",
            "0",
            "1.5",
            "'x'",
            "a",
            "b",
            "int",
            "text",
            "numeric(1,2)",
            "SELECT",
            "FROM",
            "WHERE",
            "AS",
            "NULL",
            "NOT",
            "OR",
            "IN",
            "LIKE",
            "UNION",
            "INTO",
            "LIMIT",
            "OVER",
            "COLLATE",
            "CAST",
            "ARRAY",
            "ROW",
            "SETOF",
            "DEFAULT",
            "f(",
            "OPERATOR(",
            "CHECK",
            "DROP TABLE t",
            "pg_catalog.",
            "BETWEEN",
            "CASE",
            "WHEN",
            "END",
            "VALUES",
            "TABLE t",
            "FOR UPDATE",
        ]
    ),
    max_size=12,
).map(" ".join) | st.lists(st.sampled_from(list("()[]'\";,$-/*.ab1=: \n\\é\r\x7f\u2066")), max_size=14).map(
    "".join
)
HOSTILE = ANY | FRAGMENTS

HIDDEN = [*map(chr, (*range(1, 9), 11, 12, *range(14, 32), *range(0x7F, 0xA0))), "\u061c", "\ufeff"]
HIDDEN += map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)))

TYPES = [
    "int",
    "numeric(10, 2)",
    "text[]",
    "int[3][]",
    "double precision",
    "timestamp (3) with time zone",
    "vector(384)",
]
TYPES += [
    "interval day to second(3)",
    '"We""ird"',
    'shop."Type"(1)[]',
    "bit varying(5)",
    "geometry(Point, 4326)",
    '"char"',
]
TYPES += ["numeric(10,-2)", "national character varying(3)"]

EXPRESSIONS = [
    "1",
    "'x'",
    "a",
    "a > 0 AND b < 1",
    "f(a, b)",
    "(a, b) < (1, 2)",
    "ROW(1, 2)",
    "a::text",
    "ARRAY[1, 2]",
]
EXPRESSIONS += [
    "a[1:2]",
    "CASE WHEN a THEN 1 ELSE 2 END",
    "a IN (1, 2)",
    "a BETWEEN 1 AND 2",
    "now()",
    "CURRENT_TIMESTAMP",
]
EXPRESSIONS += [
    "'a' || 'b'",
    "a IS NOT NULL",
    "E'\\\\n'",
    "$$ ) -- $$",
    "'--'",
    'a COLLATE "C"',
    "a OPERATOR(public.=) b",
]
EXPRESSIONS += ["x AT TIME ZONE 'UTC'"]

OPERATORS = ["=", "&&", "-|-", "<=>", "OPERATOR(public.=)", "!~~*"]


@st.composite
def _spoilt(draw: st.DrawFn, good: list[str]) -> str:
    """Something good with something hostile put into it: more of it gets past the first check."""
    chosen, added = draw(st.sampled_from(good)), draw(HOSTILE)
    place = draw(st.integers(0, len(chosen)))
    return chosen[:place] + added + chosen[draw(st.integers(place, len(chosen))) :]


def _target(sql: str) -> pb.Node:
    """The only expression of a SELECT that is nothing but that expression."""
    (statement,) = postgast.parse(sql).stmts
    select = statement.stmt.select_stmt
    assert {field.name for field, _ in select.ListFields()} <= {"target_list", "limit_option", "op"}
    (target,) = select.target_list
    assert not target.res_target.name
    return target.res_target.val


def _column_definition(sql: str) -> pb.ColumnDef:
    (statement,) = postgast.parse(sql).stmts
    (element,) = statement.stmt.create_stmt.table_elts
    return element.column_def


def _made(what: str, raw: str) -> Sql | None:
    """The SQL that a filter makes of `raw`; None if it refuses, which is always a good answer here."""
    try:
        made: Sql = getattr(text, what)(raw)
    except NotSql:
        return None
    assert isinstance(made, Sql)
    return made


# --- identifiers ---


@given(HOSTILE)
def test_an_identifier_is_that_name_and_nothing_else(raw: str) -> None:
    name = _made("identifier", raw)
    if name is None:
        return
    fields = _target(f"SELECT {name}").column_ref.fields
    assert [field.string.sval for field in fields] == [raw]


@given(
    st.sampled_from(
        ["orders", "order", "Order", "user", "select", "table", "position", "timestamp", "int", "year"]
    )
)
def test_an_identifier_is_that_name_where_a_table_a_column_and_a_label_stand(raw: str) -> None:
    name = text.identifier(raw)
    (statement,) = postgast.parse(
        f"CREATE TABLE {name} ({name} int, CONSTRAINT {name} UNIQUE ({name}))"
    ).stmts
    create = statement.stmt.create_stmt
    assert create.relation.relname == raw
    assert create.table_elts[0].column_def.colname == raw
    assert create.table_elts[1].constraint.conname == raw


@pytest.mark.parametrize("raw", ["", "a\0b", "\ud800", "x" * 64, "é" * 32])
def test_what_cannot_be_a_name_is_refused(raw: str) -> None:
    with pytest.raises(NotSql):
        text.identifier(raw)


@pytest.mark.parametrize("raw", ["a", "_a1", "value", "comment", "x" * 63])
def test_a_plain_name_stays_bare(raw: str) -> None:
    assert text.identifier(raw) == raw


@pytest.mark.parametrize("raw", ["A", "order", "1a", "a b", "a-b", "é", 'a"b', "int", "coalesce", "$a", "a$"])
def test_any_other_name_is_quoted(raw: str) -> None:
    assert text.identifier(raw).startswith('"')


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_a_list_of_names_has_as_many(raw: list[str]) -> None:
    try:
        names = text.identifiers(raw)
    except NotSql:
        assume(False)
    (statement,) = postgast.parse(f"CREATE INDEX ON t ({names})").stmts
    assert [param.index_elem.name for param in statement.stmt.index_stmt.index_params] == raw


# --- values ---


@given(HOSTILE)
def test_a_literal_is_that_text(raw: str) -> None:
    value = _made("literal", raw)
    if value is None:
        return
    assert _target(f"SELECT {value}").a_const.sval.sval == raw


@given(HOSTILE)
def test_a_literal_is_that_text_whatever_standard_conforming_strings_is(raw: str) -> None:
    value = _made("literal", raw)
    if value is None:
        return
    if "\\" in raw or any(character in raw for character in ["\r", *HIDDEN]):
        assert value.startswith("E'"), "a plain constant would mean something else when the setting is off"
    else:
        assert value == "'" + raw.replace("'", "''") + "'"


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_a_list_of_literals_has_as_many(raw: list[str]) -> None:
    try:
        values = text.literals(raw)
    except NotSql:
        assume(False)
    (statement,) = postgast.parse(f"CREATE TYPE t AS ENUM ({values})").stmts
    assert [value.string.sval for value in statement.stmt.create_enum_stmt.vals] == raw


@given(HOSTILE.filter(lambda raw: "\0" not in raw) | st.text("$abody123", max_size=20))
def test_a_body_is_that_text(raw: str) -> None:
    try:
        raw.encode()
    except UnicodeEncodeError:
        assume(False)
    assert _target(f"SELECT {text.body(raw)}").a_const.sval.sval == raw


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=5), HOSTILE, min_size=1, max_size=3))
def test_storage_parameters_are_as_many_and_hold_that_text(raw: dict[str, str]) -> None:
    try:
        made = text.options(raw.items())
    except NotSql:
        assume(False)
    (statement,) = postgast.parse(f"CREATE INDEX ON t (a) WITH ({made})").stmts
    assert [item.def_elem.defname for item in statement.stmt.index_stmt.options] == list(raw)


# --- what nobody would see ---


@pytest.mark.parametrize(
    ("raw", "made"),
    [
        ("a\u202eb", r'U&"a\202Eb"'),
        ('\\"\n', r'U&"\\""\000A"'),
        ("\t", r'U&"\0009"'),
        ("\x9f\ufeff", r'U&"\009F\FEFF"'),
        ('\\"', r'"\"""'),
        ("\u2028é", '"\u2028é"'),
    ],
)
def test_a_name_shows_what_is_in_it(raw: str, made: str) -> None:
    assert text.identifier(raw) == made


@pytest.mark.parametrize(
    ("raw", "made"),
    [
        ("a\u202eb", r"E'a\u202Eb'"),
        ("\\'\x1b", r"E'\\''\u001B'"),
        ("\r\n\t", "E'\\u000D\n\t'"),
        ("a\n\tb", "'a\n\tb'"),
        ("\\", r"E'\\'"),
    ],
)
def test_a_value_shows_what_is_in_it(raw: str, made: str) -> None:
    assert text.literal(raw) == made


@given(HOSTILE)
def test_no_name_and_no_value_hides_anything(raw: str) -> None:
    for made in (_made("identifier", raw), _made("literal", raw)):
        assert made is None or not any(character in made for character in HIDDEN)


@pytest.mark.parametrize("what", ["type_name", "expression", "operator", "default_clause"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_author_cannot_hide_anything(what: str, hidden: str) -> None:
    raw = {"type_name": ' "a{}"', "operator": "={}="}.get(what, " 1 +{} 1 ").format(hidden)
    with pytest.raises(NotSql) as caught:
        getattr(text, what)(raw)
    name = f"U+{ord(hidden):04X}"
    assert str(caught.value) == f"an invisible character ({name}) is not allowed here; write it as an escape"
    assert caught.value.offset == raw.index(hidden)


@pytest.mark.parametrize("hidden", sorted(set(HIDDEN) - {"\0"}))
def test_what_a_constant_or_a_name_hides_is_shown(hidden: str) -> None:
    code = f"{ord(hidden):04X}"
    made = text.expression(f"'it''s {hidden}' || \"a{hidden}\"")
    assert made == f"E'it''s \\u{code}' || U&\"a\\{code}\""
    assert text.default_clause(f"'{hidden}'") == f"E'\\u{code}'"


@pytest.mark.parametrize("raw", [r"E'\u202E'", r"U&'\202E'", r'U&"\202E" > 0', "a\n\t\r+ 1", "'\u00a0'"])
def test_the_author_can_write_it_as_an_escape(raw: str) -> None:
    assert text.expression(raw) == raw


def test_what_a_server_printed_can_be_read() -> None:
    assert text.expression_tree('"\u202e" IS NOT NULL').HasField("null_test")


def test_hidden_characters_come_back_from_the_server(database: Database) -> None:
    raw = "\\'\"\t\n\r" + "".join(HIDDEN)
    names = [f"{place}{raw[at : at + 15]}" for place, at in enumerate(range(0, len(raw), 15))]
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        for conforming in ("on", "off"):
            connection.execute(f"SET standard_conforming_strings = {conforming}".encode())
            with connection.transaction(force_rollback=True):
                row = connection.execute(f"SELECT {text.literal(raw)}".encode()).fetchone()
                assert row == (raw,)
                for name in names:
                    table = text.qualified(name, name)
                    connection.execute(f"CREATE SCHEMA {text.identifier(name)}".encode())
                    connection.execute(f"CREATE TABLE {table} ({text.identifier(name)} int)".encode())
                    query = "SELECT attname FROM pg_attribute WHERE attnum > 0 AND attrelid = {}::regclass"
                    found = connection.execute(query.format(text.relation_literal(Name(name, name))).encode())
                    assert found.fetchall() == [(name,)]


@given(HOSTILE)
def test_a_relation_literal_is_two_quoted_names(raw: str) -> None:
    try:
        made = text.relation_literal(Name("public", raw))
    except NotSql:
        return
    assert _target(f"SELECT {made}").a_const.sval.sval == '"public"."' + raw.replace('"', '""') + '"'


# --- types ---


@given(HOSTILE | _spoilt(TYPES))
def test_a_type_is_one_type(raw: str) -> None:
    made = _made("type_name", raw)
    if made is None:
        return
    target = _target(f"SELECT NULL::{made}")
    assert target.HasField("type_cast")
    assert target.type_cast.arg.a_const.isnull
    column = _column_definition(f"CREATE TABLE t (a {made})")
    assert column.type_name.SerializeToString() is not None
    assert not column.constraints, "the text brought a constraint along"


@pytest.mark.parametrize("raw", [*TYPES, "  int  "])
def test_types_are_accepted_as_written(raw: str) -> None:
    assert text.type_name(raw) == raw.strip()


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "int x",
        "int, int",
        "int NOT NULL",
        "int DEFAULT 1",
        "int)",
        "int) , (a int",
        "SETOF int",
        "int = 1",
        'int COLLATE "C"',
        "a.b.c",
        "int -- x",
        "int /* x */",
        "int;",
        "numeric((SELECT 1))",
        "numeric(f(1))",
        "int::text",
        "int FROM t",
        "int UNION SELECT 1",
        "int LIMIT 1",
        "int AS x",
        "1",
        "'int'",
        "t.c%TYPE",
        "int\x00",
        "\ud800",
        "int[",
    ],
)
def test_what_is_no_type_is_refused(raw: str) -> None:
    with pytest.raises(NotSql):
        text.type_name(raw)


# --- expressions ---


@given(HOSTILE | _spoilt(EXPRESSIONS))
def test_an_expression_is_one_expression_wherever_it_stands(raw: str) -> None:
    made = _made("expression", raw)
    if made is None:
        return
    alone = _target(f"SELECT ({made})")
    assert not list(postgast.find_nodes(alone, pb.SubLink))
    (check,) = postgast.parse(f"ALTER TABLE t ADD CONSTRAINT c CHECK ({made})").stmts
    (command,) = check.stmt.alter_table_stmt.cmds
    assert getattr(command.alter_table_cmd, "def").constraint.raw_expr.WhichOneof("node") == alone.WhichOneof(
        "node"
    )
    (index,) = postgast.parse(f"CREATE INDEX ON t (({made})) WHERE ({made})").stmts
    assert len(index.stmt.index_stmt.index_params) == 1
    column = _column_definition(f"CREATE TABLE t (a int GENERATED ALWAYS AS ({made}) STORED)")
    assert len(column.constraints) == 1


@given(HOSTILE | _spoilt(EXPRESSIONS))
def test_a_default_is_one_default(raw: str) -> None:
    made = _made("default_clause", raw)
    if made is None:
        return
    column = _column_definition(f"CREATE TABLE t (a int DEFAULT {made} NOT NULL)")
    kinds = [constraint.constraint.contype for constraint in column.constraints]
    assert kinds == [pb.CONSTR_DEFAULT, pb.CONSTR_NOTNULL]
    assert not column.HasField("coll_clause")


@pytest.mark.parametrize(
    ("raw", "clause"),
    [
        ("0", "0"),
        ("-1.5", "-1.5"),
        ("'x'", "'x'"),
        ("now()", "now()"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("'{}'::jsonb", "'{}'::jsonb"),
        ("now() AT TIME ZONE 'UTC'", "(now() AT TIME ZONE 'UTC')"),
        ("1 + 1", "(1 + 1)"),
        ("true AND false", "(true AND false)"),
        ("'a' COLLATE \"C\"", "('a' COLLATE \"C\")"),
        ("NULL", "NULL"),
        ("ARRAY[1]", "(ARRAY[1])"),
    ],
)
def test_a_default_is_bare_where_the_grammar_allows_it(raw: str, clause: str) -> None:
    assert text.default_clause(raw) == clause


@pytest.mark.parametrize("raw", EXPRESSIONS)
def test_expressions_are_accepted_as_written(raw: str) -> None:
    assert text.expression(f" {raw}\n") == raw


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        ("", None),
        ("a, b", 1),
        ("a) OR (b", 1),
        ("é) OR (b", 1),
        ("a; DROP TABLE t", 1),
        ("a -- b", 2),
        ("a /* b */", 2),
        ("(a", None),
        ("a]", 1),
        ("(a]", 2),
        ("a AS b", None),
        ("a b", None),
        ("SELECT 1", None),
        ("(SELECT 1)", None),
        ("a = ANY (SELECT 1)", None),
        ("EXISTS (TABLE t)", None),
        ("$1", None),
        ("DEFAULT", None),
        ("'a", None),
        ("a +", None),
        ("a FROM t", 2),
        ("a\0", 1),
        ("é \ud800", 2),
        ("NOT " * 100 + "a", None),
        ("+".join("1" * 200), None),
        ("f(" * 9_000 + ")" * 9_000, None),
    ],
)
def test_what_is_no_expression_is_refused(raw: str, offset: int | None) -> None:
    with pytest.raises(NotSql) as caught:
        text.expression(raw)
    if offset is not None:
        assert caught.value.offset == offset


def test_only_what_the_server_skips_is_stripped() -> None:
    assert text.expression(" \t\n\r\f\v a \v") == "a"
    assert text.expression("\u00a0a") == "\u00a0a", "to the server a no-break space is a letter of the name"


# --- operators ---


@given(HOSTILE | _spoilt(OPERATORS) | st.text("+-*/<>=~!@#%^&|`?.ab 1", max_size=6))
def test_an_operator_is_one_operator(raw: str) -> None:
    made = _made("operator", raw)
    if made is None:
        return
    target = _target(f"SELECT a {made} b")
    assert target.a_expr.kind == pb.AEXPR_OP
    (statement,) = postgast.parse(f"ALTER TABLE t ADD EXCLUDE USING gist (a WITH {made})").stmts
    (command,) = statement.stmt.alter_table_stmt.cmds
    assert len(getattr(command.alter_table_cmd, "def").constraint.exclusions) == 1


@pytest.mark.parametrize("raw", [*OPERATORS, " = "])
def test_operators_are_accepted(raw: str) -> None:
    assert text.operator(raw) == raw.strip()


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "x",
        "= b.",
        ".x =",
        "= b =",
        "+ 1 -",
        "LIKE",
        "IN",
        "IS",
        "= ANY",
        "), b WITH (=",
        "=;",
        "=--",
        "IS DISTINCT FROM",
        "AND",
        "= -",
    ],
)
def test_what_is_no_operator_is_refused(raw: str) -> None:
    with pytest.raises(NotSql):
        text.operator(raw)


# --- the small ones ---


@given(HOSTILE)
def test_keywords_are_words(raw: str) -> None:
    made = _made("keyword", raw)
    assert made is None or all(
        word.isalpha() and word.isascii() and word.isupper() for word in made.split(" ")
    )


@given(HOSTILE)
def test_dotted_names_are_names(raw: str) -> None:
    made = _made("dotted", raw)
    if made is None:
        return
    assert [field.string.sval for field in _target(f"SELECT {made}").column_ref.fields] == raw.split(".")


@pytest.mark.parametrize(
    ("value", "clause"),
    [
        ("not deferrable", ""),
        ("initially immediate", " DEFERRABLE"),
        ("initially deferred", " DEFERRABLE INITIALLY DEFERRED"),
    ],
)
def test_deferral(value: str, clause: str) -> None:
    assert text.deferral(value) == clause


def test_a_template_prints_nothing_that_no_filter_made_sql() -> None:
    with pytest.raises(TypeError, match="which no filter has made SQL"):
        render("ddl/comment.sql.j2", kind="table", object="t; DROP TABLE t", text="x")
    made = render(
        "ddl/comment.sql.j2",
        kind="table",
        object=text.identifier("t; DROP TABLE t"),
        text="'; DROP TABLE t; --",
    )
    assert len(postgast.parse(made).stmts) == 1
