"""Every translated expression gives on each engine, row by row, what PostgreSQL gives; what could not is refused."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from data_platform.ddl import statements
from data_platform.model.design import Design
from data_platform.postgres.server import Server
from data_platform.schema.dialects import TARGETS, Dialect
from data_platform.schema.dialects.columns import plan
from data_platform.schema.dialects.keysizes import KeySizes
from data_platform.schema.dialects.ledger import Ledger, Place
from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.names import Names
from data_platform.schema.dialects.types import Types
from data_platform.schema.dialects.work import Work
from schema.designs import design
from schema.dialects.engines import EXECUTED, Engine, opened

TABLE = """
types:
  state: {enum: [new, paid, sent]}
tables:
  t:
    columns:
      n: integer
      a: {type: integer, nullable: true}
      b: {type: integer, nullable: true}
      price: {type: "numeric(12,2)", nullable: true}
      s: {type: text, nullable: true}
      u: {type: text, nullable: true}
      v: {type: varchar(20), nullable: true}
      ok: {type: boolean, nullable: true}
      st: {type: state, nullable: true}
      d: {type: date, nullable: true}
      at: {type: timestamp, nullable: true}
      till: {type: timestamp, nullable: true}
      j: {type: jsonb, nullable: true}
"""
ROWS = (
    "1, 7, -2, 10.50, 'ABC', 'abc', 'a_b', true, 'new', '2020-01-01', "
    "'2020-01-01 10:00:00', '2020-01-01 09:00:00', '{\"k\": \"v\"}'",
    "2, -7, 2, -0.01, 'abc', 'ABC', 'a%b', false, 'paid', '2021-12-31', "
    "'2020-01-01 00:00:00', '2020-01-01 00:00:00', '[1]'",
    "3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "4, 0, 3, 0.00, '', 'x', 'aXb', true, 'sent', '1999-02-28', "
    "'1999-02-28 23:59:59', '2000-01-01 00:00:00', '{}'",
    "5, 5, 2, 99.99, 'ABCD', E'AB\\nC', 'it''s', false, 'new', '2020-01-01', "
    "NULL, '2020-01-01 00:00:00', '{\"k\": null}'",
    "6, 1, NULL, 1.00, E'a\\nb', E'ABC\\n', E'back\\\\slash', NULL, NULL, NULL, NULL, NULL, '\"text\"'",
)
ALIKE = (
    "a > 0 AND b < 0 OR price IS NULL",
    "NOT (a = 7)",
    "NOT a = 7 OR ok",
    "a IN (7, 5)",
    "a NOT IN (7, 5)",
    "s IN ('ABC', 'it''s')",
    "s = ANY (ARRAY['ABC'::text, 'x'::text])",
    "v::text = ANY ((ARRAY['a_b'::character varying, 'aXb'::character varying])::text[])",
    "s <> ALL (ARRAY['ABC', 'x'])",
    "a BETWEEN 0 AND 5",
    "a NOT BETWEEN 0 AND 5",
    "a IS DISTINCT FROM b",
    "a IS NOT DISTINCT FROM b",
    "(a = 7) = (b IS NOT NULL)",
    "(ok IS NULL) = (st IS NULL)",
    "ok IS TRUE",
    "ok IS NOT TRUE",
    "ok IS FALSE",
    "ok IS UNKNOWN",
    "ok",
    "ok = true",
    "ok = 'f'",
    "st = 'new'",
    "st <> 'new'::state",
    "st IN ('new', 'sent')",
    "st::text = 'paid'",
    "d >= '2020-01-01'",
    "d = '2020-01-01'::date",
    "at >= till",
    "at < '2020-01-01 09:30:00'::timestamp",
    "s LIKE 'A%'",
    "s LIKE 'a%'",
    "s NOT LIKE '_B%'",
    "v LIKE 'a\\_b'",
    "v LIKE 'a\\%b'",
    "v LIKE '%\\\\%'",
    "v LIKE '%''%'",
    "s LIKE '%[A]%'",
    "s ILIKE 'AB%'",
    "s = u",
    "lower(s) = lower(u)",
    "upper(u) = 'ABC'",
    "length(s) <= 3",
    "char_length(s) BETWEEN 1 AND 3",
    "s || 'x' = 'ABCx'",
    "s || u IS NULL",
    "coalesce(a, b, 0) = 0",
    "nullif(a, 7) IS NULL",
    "abs(b) = 2",
    "num_nonnulls(a, b) = 1",
    "num_nulls(a, b, s) >= 1",
    "CASE WHEN a > 0 THEN true WHEN a < 0 THEN false END",
    "CASE WHEN st = 'new' THEN a ELSE 0 END > 0",
    "substr(s, 2) = 'BC'",
    "substring(s, 1, 2) = 'AB'",
    "replace(s, 'B', '') = 'AC'",
    "btrim(' ' || s || ' ') = s",
    "-a = 7",
    "a + b * 2 = 3",
    "(a + b) * 2 = 10",
    "a - b - 1 = 8",
    "a - (b - 1) = 10",
    "price * 2 > 20",
    "price = 99.99",
    "price > 10::numeric",
    "s COLLATE \"C\" = 'ABC'",
    "s = E'a\\nb'",
    "U&'\\0041BC' = s",
    "jsonb_typeof(j) = 'object'",
    "jsonb_typeof(j) <> 'array'",
)
NO_ZERO = ("a / 2 = 3", "a / -2 = 3", "-7 / 2 = -3", "a % 3 = 1", "a % 3 = -1")
REGEX = (
    "s ~ '^[A-Z]{3}$'",
    "u ~ '^[A-Z]{3}$'",
    "s !~ '^[A-Z]{3}$'",
    "s ~ '^[a-z]+$'",
    "v ~ '^[a-zA-Z]{1,3}$'",
)
SEARCH = (
    "s ~ 'B'",
    "s ~ 'a.b'",
    "s ~* 'ab'",
    "s ~ '^(AB|x)C?D*$'",
    "s ~ '[^A-Z\\n]'",
    "v ~ '\\\\'",
    "s ~ '\\w'",
)
REFUSED = (
    "foo(a) > 1",
    "to_tsvector('english', s) IS NOT NULL",
    "a::text = '7'",
    "j @> '{}'",
    "j ? 'k'",
    "a ^ 2 > 3",
    "a # b = 1",
    "s < 'x' COLLATE \"de-x-icu\"",
    "s ~ '\\mword'",
    "s ~ '(?=x)'",
    "s ~ '[[:alpha:]]'",
    "s ~ u",
    "s LIKE u",
    "a = s::integer",
    "at - till > interval '1 day'",
    "extract(year from at) = 2020",
    "date_trunc('day', at) = at",
    "d + 1 > d",
    "current_user = s",
    "j = '{}'",
    "s SIMILAR TO 'a%'",
    "(SELECT 1) = a",
    "a = ANY (ARRAY[1, 2]) IS NOT DISTINCT FROM j",
    "d = 'infinity'",
    "d = 'today'",
    "concat(s, u) = 'x'",
    "a > ALL (ARRAY[1])",
)


def work_of(design_: Design, dialect: Dialect) -> tuple[Work, Any]:
    target = TARGETS[dialect]
    names = Names(target)
    work = Work(design_, target, names, Types(design_, target, names), Ledger(design_))
    return work, plan(work, design_.database.tables[0], KeySizes({}))


@pytest.fixture(scope="module")
def subject() -> Design:
    return design(TABLE)


@pytest.fixture(scope="module")
def postgres(server: Server, subject: Design) -> Any:
    with (
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        for statement in statements(subject):
            connection.execute(statement.sql.encode())
        for row in ROWS:
            connection.execute(f"INSERT INTO t VALUES ({row})".encode())
        yield connection


def filled(engine: Engine, subject: Design) -> Engine:
    """The same rows. The engine's own constants are written by the driver's quoting of nothing: plain SQL texts."""
    engine.load(subject)
    for row in ROWS:
        text = row.replace("E'", "'")
        if engine.dialect != "mysql":
            text = text.replace("\\n", "\n").replace("\\\\", "\\")
        engine.run([f"INSERT INTO t VALUES ({text})"])
    return engine


@pytest.fixture(params=EXECUTED)
def engine(request: pytest.FixtureRequest, subject: Design) -> Engine:
    return filled(opened(request.param, request), subject)


def as_truth(rows: list[tuple[Any, ...]]) -> dict[int, bool | None]:
    return {number: None if value is None else bool(value) for number, value in rows}


def answers(engine: Engine, subject: Design, expression: str) -> dict[int, bool | None]:
    work, planned = work_of(subject, engine.dialect)
    made = work.translate(expression, planned.scope(), Place("t"))
    name = "`n`" if engine.dialect == "mysql" else '"n"'
    return as_truth(engine.rows(f"SELECT {name}, {made.text} FROM t"))


def wanted(postgres: psycopg.Connection[Any], expression: str) -> dict[int, bool | None]:
    return as_truth(postgres.execute(f"SELECT n, {expression} FROM t".encode()).fetchall())


def test_what_is_translated_means_the_same(engine: Engine, subject: Design, postgres: Any) -> None:
    expressions = [*ALIKE, *NO_ZERO, *REGEX, *(() if engine.dialect == "sqlite" else SEARCH)]
    different = {
        expression: (wanted(postgres, expression), found)
        for expression in expressions
        if (found := answers(engine, subject, expression)) != wanted(postgres, expression)
    }
    assert different == {}


@pytest.mark.parametrize("dialect", TARGETS)
@pytest.mark.parametrize("expression", REFUSED)
def test_what_would_mean_something_else_is_refused(
    dialect: Dialect, expression: str, subject: Design
) -> None:
    work, planned = work_of(subject, dialect)
    with pytest.raises(Untranslatable):
        work.translate(expression, planned.scope(), Place("t"))


@pytest.mark.parametrize("dialect", TARGETS)
def test_an_order_of_texts_is_remarked(dialect: Dialect, subject: Design) -> None:
    work, planned = work_of(subject, dialect)
    before = len(work.ledger.findings)
    work.translate("s < 'm'", planned.scope(), Place("public.t.check"))
    new = [finding for finding in work.ledger.findings if finding.object == "public.t.check"]
    assert len(work.ledger.findings) == before + 1
    assert "code point" in new[0].message


def test_integer_division_drops_the_rest_or_is_refused(subject: Design) -> None:
    for dialect in ("bigquery", "snowflake", "spark"):
        work, planned = work_of(subject, dialect)
        with pytest.raises(Untranslatable):
            work.translate("a / 2 > 1", planned.scope(), Place("t"))
