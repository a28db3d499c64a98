"""The pure parts: patterns, names, key sizes, type names that each target's own grammar reads."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from data_platform.model.database import Name
from data_platform.schema.dialects import TARGETS, Dialect, render
from data_platform.schema.dialects.keysizes import key_sizes
from data_platform.schema.dialects.names import Names
from data_platform.schema.dialects.patterns import (
    NotPortable,
    OneClass,
    as_glob,
    like_pieces,
    portable_regex,
    regex_as_glob,
    regex_of_one_class,
)
from data_platform.schema.dialects.spellings import SPELLINGS
from data_platform.schema.dialects.types import Types
from schema.designs import design


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("^[A-Z]{3}$", r"^[A-Z]{3}\z"),
        ("a.b", "(?s)a.b"),
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}\z"),
        ("^(a|b)?c*$", r"^(a|b)?c*\z"),
        ("^(?:x)+?y$", r"^(?:x)+?y\z"),
        (r"\d{3}-\d{4}", r"\d{3}-\d{4}"),
        ("[]a]", "[]a]"),
    ],
)
def test_portable_regular_expressions(pattern: str, wanted: str) -> None:
    assert portable_regex(pattern, end=r"\z").pattern == wanted


@pytest.mark.parametrize(
    "pattern",
    [
        r"\mword\M",
        "(?=a)",
        "(?i)a",
        "[[:alpha:]]",
        "[[.a.]]",
        "***=a",
        "*a",
        r"(a)\1",
        r"\Aa",
        "[a&&b]",
        "a{",
    ],
)
def test_patterns_that_engines_read_differently(pattern: str) -> None:
    with pytest.raises(NotPortable):
        portable_regex(pattern, end="$")


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [
        ("^[A-Z]{3}$", "[A-Z][A-Z][A-Z]"),
        ("^ab-[0-9]$", "ab-[0-9]"),
        (r"^a\*$", "a[*]"),
        ("^[^x]$", "[^x]"),
        ("^a+$", None),
        ("a", None),
        ("^a.$", None),
        ("^a|b$", None),
    ],
)
def test_regular_expressions_of_a_fixed_length(pattern: str, glob: str | None) -> None:
    assert regex_as_glob(pattern) == glob


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("^[a-z]{2,9}$", OneClass("*[^a-z]*", 2, 9)),
        ("^[a-z]+$", OneClass("*[^a-z]*", 1, None)),
        ("^[^ ]*$", OneClass("*[ ]*", 0, None)),
        ("^[a-z]{2,}$", OneClass("*[^a-z]*", 2, None)),
        ("^[a-z]+x$", None),
        ("^[a-z]{2}$", None),
    ],
)
def test_regular_expressions_of_one_class(pattern: str, wanted: OneClass | None) -> None:
    assert regex_of_one_class(pattern) == wanted


def test_like_as_glob() -> None:
    assert as_glob(r"a%b_c\%[*") == "a*b?c%[[][*]"
    with pytest.raises(NotPortable):
        like_pieces("a\\")


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("mysql", "ends with a space "),
        ("mysql", "\N{GRINNING FACE}"),
        ("sqlite", "sqlite_stat"),
        ("bigquery", "a.b"),
        ("spark", "a`b"),
        ("duckdb", "a\nb"),
        ("snowflake", "\u202e"),
        ("mysql", "x" * 65),
    ],
)
def test_names_that_a_target_cannot_hold(dialect: Dialect, name: str) -> None:
    assert Names(TARGETS[dialect]).problem(name)


@pytest.mark.parametrize("dialect", TARGETS)
def test_names_are_quoted_as_sqlglot_reads_them(dialect: Dialect) -> None:
    names = Names(TARGETS[dialect])
    for name in ("order", 'a"b', "a`b", "back\\slash", "UPPER", "it's"):
        tree = sqlglot.parse_one(f"SELECT {names.quoted(name)}", read=dialect)
        column = tree.expressions[0]
        assert (column.name, type(column)) == (names.node(name).name, exp.Column)


def test_snowflake_folds_what_postgresql_folds() -> None:
    names = Names(TARGETS["snowflake"])
    assert (names.quoted("orders"), names.quoted("Orders")) == ('"ORDERS"', '"Orders"')


def test_names_that_differ_in_case_only_collide() -> None:
    text = "tables: {Orders: {columns: {a: int}}, orders: {columns: {a: int, A: int}}}"
    for dialect in TARGETS:
        left_out = [
            f.object for f in render(design(text), dialect, "dpe").findings if "the same name" in f.message
        ]
        assert left_out == (
            # There `orders` is ORDERS, and `a` is A.
            ["public.orders.A"] if dialect == "snowflake" else ["public.orders"]
        )


@given(st.text(min_size=1, max_size=80))
def test_a_fresh_name_is_short_and_free(name: str) -> None:
    names = Names(TARGETS["mysql"])
    made = [names.fresh(name, "here") for _ in range(3)]
    assert len({one.casefold() for one in made}) == 3
    assert max(map(len, made)) <= 64


@pytest.mark.parametrize("dialect", TARGETS)
def test_the_names_of_types_are_types_there(dialect: Dialect) -> None:
    for spelling in SPELLINGS.values():
        text = getattr(spelling, dialect)
        tree = sqlglot.parse_one(f"CREATE TABLE t (c {text})", read=dialect)
        assert isinstance(tree, exp.Create), text
        assert tree.find(exp.DataType), text


KEYS = """
tables:
  parent:
    columns: {code: {type: text, primary_key: true}}
  t:
    columns:
      a: {type: text}
      b: {type: varchar(100)}
      c: {type: varchar(2000)}
      d: {type: text, nullable: true}
      e: {type: text, references: {table: parent, on_delete: restrict}}
      long1: varchar(9000)
      long2: varchar(9000)
    primary_key: [a, b]
    unique: [[a, c, d]]
"""


def test_texts_of_keys_fit_into_mysql() -> None:
    subject = design(KEYS)
    target = TARGETS["mysql"]
    types = Types(subject, target, Names(target))
    table = subject.database.table(Name("public", "t"))
    sizes = key_sizes(target, types, table, [])
    texts = {c.name: sizes.fitted(c.name, types.mapped(c.type)).text for c in table.columns}
    assert texts == {
        "a": "VARCHAR(255)",
        "b": "VARCHAR(100)",
        "c": "VARCHAR(256)",
        "d": "VARCHAR(255)",
        "e": "VARCHAR(255)",
        "long1": "LONGTEXT",
        "long2": "VARCHAR(9000)",
    }


def test_a_shorter_key_is_said(mysql: object) -> None:
    made = render(design(KEYS), "mysql", "dpe")
    for statement in made.statements:
        mysql.execute(statement)  # type: ignore[attr-defined]
    messages = [f.message for f in made.findings if f.object == "public.t.c"]
    assert messages == [
        "varchar(2000) as VARCHAR(256): the column is in a key, and so has at most 256 characters"
    ]
