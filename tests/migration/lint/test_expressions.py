"""Volatility, columns and proofs in expressions; the list of functions is the server's own."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.migration.lint.expressions import (
    Routine,
    built_in,
    columns_in,
    proves_not_null,
    volatility,
)
from data_platform.postgres.server import Server
from data_platform.sql.text import expression_tree

ROUTINES = {
    "stable_one": Routine("stable_one", "s", "plpgsql", "", False),
    "inlined": Routine("inlined", "v", "sql", "SELECT 1 + 2", True),
    "through": Routine("through", "v", "sql", "SELECT inlined()", True),
    "random_one": Routine("random_one", "v", "sql", "SELECT random()", True),
    "with_table": Routine("with_table", "v", "sql", "SELECT a FROM t", True),
    "endless": Routine("endless", "v", "sql", "SELECT endless()", True),
}


def test_the_list_of_functions_is_the_servers(server: Server) -> None:
    """Regenerate functions.txt from this query when it fails on a new major version."""
    query = """SELECT proname, bool_or(provolatile = 'v') FROM pg_proc
                WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 GROUP BY 1"""
    with psycopg.connect(server.conninfo) as connection:
        found = dict(connection.execute(query).fetchall())
    volatile, others = built_in()
    assert volatile == {name for name, is_volatile in found.items() if is_volatile}
    assert others == {name for name, is_volatile in found.items() if not is_volatile}


@pytest.mark.parametrize(
    ("text", "volatile", "certain"),
    [
        ("1", False, True),
        ("'a'::text::varchar", False, True),
        ("current_timestamp", False, True),
        ("now() - interval '1 day'", False, True),
        ("random()", True, True),
        ("pg_catalog.random()", True, True),
        ("CASE WHEN true THEN 1 ELSE random() END", True, True),
        ("ARRAY[1, (random() * 2)::int]", True, True),
        ("nextval('s')", True, True),
        ("uuid_generate_v4()", True, True),
        ("uuid_nil()", False, True),
        ("who_knows()", True, False),
        ("app.who_knows()", True, False),
        ("stable_one()", False, True),
        ("inlined()", False, True),
        ("through()", False, True),
        ("random_one()", True, True),
        ("with_table()", True, True),
        ("endless()", True, True),
    ],
)
def test_volatility(text: str, volatile: bool, certain: bool) -> None:
    verdict = volatility(expression_tree(text), ROUTINES)
    assert (verdict.volatile, verdict.certain) == (volatile, certain)


def test_columns_in() -> None:
    assert columns_in(expression_tree("lower(a) || t.b = 'c'")) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "proven"),
    [
        ("a IS NOT NULL", {"a"}),
        ("a IS NOT NULL AND (b > 0 AND c IS NOT NULL)", {"a", "c"}),
        ("NOT (a IS NULL)", {"a"}),
        ("a IS NOT NULL OR b > 0", set()),
        ("a > 0", set()),
        ("lower(a) IS NOT NULL", set()),
        ("NOT (a > 0)", set()),
    ],
)
def test_proofs(text: str, proven: set[str]) -> None:
    assert proves_not_null(expression_tree(text)) == proven
