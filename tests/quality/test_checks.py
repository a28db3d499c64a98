"""Each kind of check on good and bad rows, against Python's own idea of what is right."""

from __future__ import annotations

import math
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.pipeline.quality.predicates import good, text_format
from data_platform.postgres.quality.history import Kept, keep
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from data_platform.sql.text import Sql, literal, literals, phrase
from quality.running import failing, judged, quality

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SPACE = " \t\n\r\f\v"


def fill(database: Database, ddl: str, table: str, rows: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(database.conninfo) as connection:
        connection.execute(ddl.encode())
        if rows:
            with connection.cursor() as cursor:
                places = ", ".join(["%s"] * len(rows[0]))
                named = table.replace("%", "%%")
                cursor.executemany(f"INSERT INTO {named} VALUES ({places})".encode(), rows)


def is_email(text: str) -> bool:
    return bool(re.fullmatch(rf"[^@{SPACE}]+@[^@{SPACE}]+\.[^@{SPACE}]+", text))


def is_url(text: str) -> bool:
    return bool(re.fullmatch(rf"[Hh][Tt][Tt][Pp][Ss]?://[^/?#{SPACE}][^{SPACE}]*", text))


def is_uuid(text: str) -> bool:
    if not re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return False
    return str(uuid.UUID(text)) == text.lower()


def is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NEARLY = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "",
            " ",
            "'",
            "'; DROP TABLE t; --",
            "%",
            "_",
            "NULL",
            "a@b.c\n",
            "a@b@c.d",
            "@b.c",
            "a@.",
            "http://",
        ]
    ),
    st.emails(),
    st.uuids().map(str),
    st.uuids().map(lambda one: f"{{{one}}}"),
    st.uuids().map(lambda one: str(one)[:-1] + "g"),
    st.uuids().map(lambda one: f"{{{str(one)[:-2]}}}"),  # as long as one, and of its characters
    st.uuids().map(lambda one: "-".join(one.hex[n : n + 4] for n in range(0, 32, 4))[:36]),
    st.builds(
        "{}{}{}".format, st.sampled_from(["a@b.c", "http://a"]), st.sampled_from(" \t\n\r\f\v@/"), TEXT
    ),
    st.dates().map(str),
    st.sampled_from(
        ["2024-02-30", "2023-02-29", "2024-2-01", "2024-01-1 ", " 024-01-01", "24-01-01", "infinity"]
    ),
    st.builds("{}://{}".format, st.sampled_from(["http", "https", "ftp", "HTTP"]), TEXT),
)
FORMATS: Mapping[str, Callable[[str], bool]] = {
    "email": is_email,
    "url": is_url,
    "uuid": is_uuid,
    "date": is_date,
}


@FEW
@given(values=st.lists(st.one_of(st.none(), NEARLY), max_size=25))
def test_formats(database: Database, values: list[str | None]) -> None:
    fill(database, "DROP TABLE IF EXISTS t; CREATE TABLE t (v text)", "t", [(value,) for value in values])
    checks = [{"on": "t", "check": "format", "columns": ["v"], "format": name} for name in FORMATS]
    wrong = [[v for v in values if v is not None and not right(v)] for right in FORMATS.values()]
    found = judged(database, *checks)
    assert [one.failing for one in found] == [len(one) for one in wrong]
    for verdict, bad in zip(found, wrong, strict=True):
        assert [row["v"] for row in verdict.samples if row["v"] not in {b[:200] for b in bad}] == []
        assert bool(verdict.samples) == bool(bad)


@FEW
@given(values=st.lists(NEARLY, min_size=1, max_size=25))
def test_formats_on_a_server_that_asks_no_types(database: Database, values: list[str]) -> None:
    """Its conditions, asked of a server that does."""
    with psycopg.connect(database.conninfo) as connection:
        for name in ("email", "url", "uuid"):
            condition = text_format(name, 15)
            assert condition is not None
            assert "pg_input_is_valid" not in condition
            query = phrase(
                "SELECT v, {good} FROM unnest(ARRAY[{values}]::text[]) v",
                good=phrase(condition, v=Sql("v")),
                values=literals(values),
            )
            found = connection.execute(query.encode()).fetchall()
            assert found == [(value, FORMATS[name](value)) for value in values]
    assert text_format("date", 15) is None


def is_quickly(connection: psycopg.Connection[Any], name: str, value: str) -> bool:
    """Whether the quick condition of a format is true of a value, and raises no data error."""
    (check,) = quality({"on": "t", "check": "format", "columns": ["v"], "format": name}).checks
    query = phrase(
        "SELECT {good} FROM (SELECT {value}::text AS v) r",
        good=good(check, {"v": "text"}, 18, quick=True),
        value=literal(value),
    )
    try:
        with connection.transaction():
            row = connection.execute(query.encode()).fetchone()
    except psycopg.DataError:
        return False
    return row == (True,)


@FEW
@given(values=st.lists(NEARLY, min_size=1, max_size=25))
def test_quick_conditions_are_true_of_no_bad_value(database: Database, values: list[str]) -> None:
    with psycopg.connect(database.conninfo) as connection:
        for name, is_right in FORMATS.items():
            assert [one for one in values if is_quickly(connection, name, one) and not is_right(one)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "a@b.c"),
        ("url", "https://a/b?c#d"),
        ("uuid", "0190c0de-0000-7000-8000-00000000000f"),
        ("date", "2024-02-29"),
    ],
)
def test_quick_conditions_are_true_of_what_is_usual(database: Database, name: str, value: str) -> None:
    with psycopg.connect(database.conninfo) as connection:
        assert is_quickly(connection, name, value)


NUMBERS = st.one_of(st.none(), st.floats(), st.integers(-5, 5).map(float))


@FEW
@given(values=st.lists(NUMBERS, max_size=25), low=st.integers(-3, 3), high=st.integers(-3, 3))
def test_ranges_and_sets_of_numbers(
    database: Database, values: list[float | None], low: int, high: int
) -> None:
    fill(
        database,
        "DROP TABLE IF EXISTS t; CREATE TABLE t (v double precision)",
        "t",
        [(value,) for value in values],
    )
    there = [value for value in values if value is not None]

    def bad(right: Any) -> int:
        return sum(math.isnan(value) or not right(value) for value in there)

    common = {"on": "t", "columns": ["v"]}
    assert failing(
        database,
        {**common, "check": "not_null"},
        {**common, "check": "range", "name": "a", "min": low},
        {**common, "check": "range", "name": "b", "max": high},
        {**common, "check": "range", "name": "c", "above": low, "below": high},
        {**common, "check": "set", "values": sorted({low, high})},
        {**common, "check": "range", "name": "d", "min": low, "where": "v < 0"},
        {"on": "t", "check": "condition", "condition": f"v <> {high}"},
    ) == [
        len(values) - len(there),
        bad(lambda v: v >= low),
        bad(lambda v: v <= high),
        bad(lambda v: low < v < high),
        bad(lambda v: v in (low, high)),
        sum(v < 0 and v < low for v in there),
        sum(v == high for v in there),
    ]


KEYS = st.tuples(
    st.one_of(st.none(), st.integers(0, 3)), st.one_of(st.none(), st.sampled_from(["", "a", "A", "a'b"]))
)


@FEW
@given(rows=st.lists(KEYS, max_size=20), there=st.lists(KEYS, max_size=8))
def test_keys(database: Database, rows: list[tuple[Any, Any]], there: list[tuple[Any, Any]]) -> None:
    fill(database, "DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b text)", "t", rows)
    fill(database, "DROP TABLE IF EXISTS o; CREATE TABLE o (x int, y text)", "o", there)
    whole = [row for row in rows if None not in row]
    surplus = sum(count - 1 for count in Counter(whole).values())
    lost = [row for row in whole if row not in set(there)]
    reference = {
        "on": "t",
        "check": "reference",
        "columns": ["a", "b"],
        "to": {"table": "o", "columns": ["x", "y"]},
    }
    elsewhere = {**reference, "name": "elsewhere"}
    elsewhere["to"] = {**reference["to"], "dsn": "env:OTHER", "store": "Shop DB"}  # type: ignore[dict-item]
    found = judged(
        database,
        {"on": "t", "check": "unique", "columns": ["a", "b"]},
        reference,
        elsewhere,
        others={"env:OTHER": database},
    )
    assert [one.failing for one in found] == [surplus, len(lost), len(set(lost))]
    assert [bool(one.samples) for one in found] == [surplus > 0, bool(lost), bool(lost)]


@pytest.mark.parametrize(
    ("type_", "values", "wrong"),
    [
        ("int", ["1", " 2 ", "", "x", "1.5", None], 3),
        ("numeric(4, 2)", ["1.234", "123.4", "NaN", "infinity"], 2),
        ("timestamptz", ["2024-01-01", "now", "2024-13-01", "x"], 2),
        ("jsonb", ["{}", "{", "'; DROP TABLE t"], 2),
    ],
)
def test_types(database: Database, type_: str, values: list[str | None], wrong: int) -> None:
    fill(database, "CREATE TABLE t (v text)", "t", [(value,) for value in values])
    assert failing(database, {"on": "t", "check": "type", "columns": ["v"], "type": type_}) == [wrong]


def test_names_with_quotes_and_values_with_sql(database: Database) -> None:
    fill(
        database,
        'CREATE SCHEMA "s""; x"; CREATE TABLE "s""; x"."t%s{" ("v""\'--" text)',
        '"s""; x"."t%s{"',
        [("'; DROP TABLE t; --",), ("%s",), ("{v}",), (None,)],
    )
    on, column = '"s""; x"."t%s{"', "v\"'--"
    found = judged(
        database,
        {"on": on, "check": "set", "columns": [column], "values": ["'; DROP TABLE t; --", "%s"]},
        {"on": on, "check": "format", "columns": [column], "pattern": "^%|'|\\{"},
        {"on": on, "check": "unique", "columns": [column]},
        {"on": on, "check": "reference", "columns": [column], "to": {"table": on}},
        {
            "on": on,
            "check": "reference",
            "name": "there",
            "columns": [column],
            "to": {"table": on, "dsn": "env:O", "store": "Shop DB"},
        },
        others={"env:O": database},
    )
    assert [(one.state, one.failing) for one in found] == [("failed", 1), *[("passed", 0)] * 4]
    assert found[0].samples == ({column: "{v}"},)


def test_tolerance_and_where(database: Database) -> None:
    fill(database, "CREATE TABLE t (v int, k text)", "t", [(n, "a" if n < 50 else "b") for n in range(100)])
    common = {"on": "t", "check": "range", "columns": ["v"], "min": 10}
    found = judged(
        database,
        {**common, "name": "1", "tolerance": {"rows": 10}},
        {**common, "name": "2", "tolerance": {"rows": 9}},
        {**common, "name": "3", "tolerance": {"share": 0.1}},
        {**common, "name": "4", "tolerance": {"share": 0.1}, "where": "k = 'a'"},
        {**common, "name": "5", "where": "k = 'b'"},
    )
    assert [one.state for one in found] == ["passed", "failed", "passed", "failed", "passed"]
    assert [one.rows for one in found] == [100, 100, 100, 50, 50]


def test_unique_by_an_index_reads_no_row(database: Database) -> None:
    fill(
        database,
        "CREATE TABLE t (a int PRIMARY KEY, b int, c int, UNIQUE (c, b))",
        "t",
        [(1, 1, 1), (2, 1, 2)],
    )
    found = judged(
        database,
        {"on": "t", "check": "unique", "columns": ["a"]},
        {"on": "t", "check": "unique", "columns": ["b", "c"]},
        {"on": "t", "check": "unique", "columns": ["b"]},
    )
    assert [one.state for one in found] == ["passed", "passed", "failed"]
    assert ["no row was read" in one.told for one in found] == [True, True, False]
    assert found[2].samples == ({"b": 1, "n": 2},)


def test_freshness_rows_and_sums(database: Database) -> None:
    fill(
        database,
        "CREATE TABLE t (at timestamptz, v numeric); INSERT INTO t SELECT now() - interval '1 hour', g"
        " FROM generate_series(1, 10) g; CREATE TABLE lines (v int); INSERT INTO lines VALUES (50), (4);"
        "CREATE TABLE empty (at timestamptz, v int)",
        "t",
        [],
    )
    to = {"table": "lines", "measure": "sum(v)"}
    found = judged(
        database,
        {"on": "t", "check": "freshness", "columns": ["at"], "within": "2 hours"},
        {"on": "t", "check": "freshness", "name": "old", "columns": ["at"], "within": "10 minutes"},
        {"on": "empty", "check": "freshness", "columns": ["at"], "within": "10 minutes"},
        {"on": "t", "check": "rows", "min": 10, "max": 10},
        {"on": "t", "check": "rows", "name": "few", "min": 11},
        {"on": "t", "check": "rows", "name": "part", "max": 3, "where": "v <= 3"},
        {"on": "t", "check": "reconcile", "name": "off", "measure": "sum(v)", "to": to},
        {"on": "t", "check": "reconcile", "name": "near", "measure": "sum(v)", "to": to, "change": 0.02},
        {
            "on": "t",
            "check": "reconcile",
            "name": "half",
            "measure": "sum(v)",
            "to": {**to, "where": "v = 50"},
            "ratio": 1.1,
        },
        {
            "on": "empty",
            "check": "reconcile",
            "name": "both",
            "measure": "sum(v)",
            "to": {**to, "where": "v = 0"},
        },
        {"on": "empty", "check": "reconcile", "name": "one", "measure": "sum(v)", "to": to},
        {"on": "t", "check": "sql", "sql": "SELECT v FROM t WHERE v > 8"},
    )
    assert [one.state for one in found] == [
        "passed", "failed", "failed", "passed", "failed", "passed", "failed", "passed", "passed", "passed", "failed",
        "failed",
    ]  # fmt: skip
    assert found[-1].samples == ({"v": 9}, {"v": 10})


def test_drift_is_of_what_was_kept(database: Database) -> None:
    fill(database, "CREATE TABLE t (v int)", "t", [(n,) for n in range(100)])
    checks = [
        {"on": "t", "check": "drift", "name": "mean", "measure": "avg(v)", "change": 0.1},
        {"on": "t", "check": "rows", "name": "rows", "change": 0.1},
    ]
    assert [one.state for one in judged(database, *checks)] == ["no history"] * 2
    for rows in (98, 102):
        keep(
            database.conninfo,
            "dpe_quality",
            "q",
            [Kept("mean", "passed", None, rows, 49.0), Kept("rows", "passed", None, rows, rows)],
        )
    assert [one.state for one in judged(database, *checks)] == ["passed"] * 2
    fill(database, "INSERT INTO t SELECT 1000 FROM generate_series(1, 50)", "t", [])
    assert [one.state for one in judged(database, *checks)] == ["failed"] * 2


def test_one_that_cannot_be_run_spoils_no_other(database: Database) -> None:
    fill(database, "CREATE TABLE t (v int)", "t", [(1,), (-1,)])
    found = judged(
        database,
        {"on": "t", "check": "range", "columns": ["v"], "min": 0},
        {"on": "t", "check": "range", "name": "x", "columns": ["v"], "min": "abc"},
        {"on": "t", "check": "condition", "condition": "v / 0 > 1"},
        {"on": "t", "check": "not_null", "columns": ["w"]},
        {"on": "u", "check": "not_null", "columns": ["w"]},
        {"on": "t", "check": "sql", "sql": "SELECT nothing"},
        {"on": "t", "check": "rows", "max": 2},
    )
    assert [one.state for one in found] == ["failed", *["not run"] * 5, "passed"]


def test_sensitive_values_are_masked(database: Database) -> None:
    fill(database, "CREATE TABLE t (id int PRIMARY KEY, email text)", "t", [(1, "secret"), (2, "a@b.org")])
    found = judged(
        database,
        {"on": "t", "check": "format", "columns": ["email"], "format": "email"},
        {"on": "t", "check": "sql", "sql": "SELECT email FROM t"},
        {
            "on": "t",
            "check": "reference",
            "columns": ["email"],
            "to": {"table": "t", "columns": ["email"], "where": "id > 1"},
        },
        sensitive=["email"],
    )
    assert [one.samples[0] for one in found] == [
        {"id": "1", "email": "•••"},
        {"email": "•••"},
        {"id": "1", "email": "•••"},
    ]


def test_no_way_around_a_mask(database: Database) -> None:
    fill(database, "CREATE TABLE t (id int PRIMARY KEY, email text)", "t", [(1, "secret"), (2, "secret")])
    found = judged(
        database,
        {"on": "t", "check": "condition", "condition": "email::int > 0"},
        {"on": "t", "check": "sql", "name": "cast", "sql": "SELECT id FROM t WHERE email::int > 1"},
        {
            "on": "t",
            "check": "sql",
            "name": "renamed",
            "sql": "SELECT id, upper(email) AS e FROM t",
            "tolerance": {"share": 0.5},
        },
        {"on": "t", "check": "sql", "name": "whole", "sql": "SELECT to_jsonb(t) AS whole FROM t"},
        {"on": "t", "check": "unique", "columns": ["email"]},
        sensitive=["email"],
    )
    assert [one.state for one in found] == ["not run", "not run", *["failed"] * 3]
    assert "secret" not in str([(one.told, one.samples) for one in found]).lower()
    assert found[0].told == 'the server refuses: invalid input syntax for type integer: "•••"'
    assert found[2].samples[0] == {"id": 1, "e": "•••"}


def test_a_row_that_is_bad_in_two_ways_counts_for_both(database: Database) -> None:
    rows = [(1, None, -1), (2, "x", -1), (3, None, 1), (4, "x", 1), (5, "x", None)]
    fill(database, "CREATE TABLE t (id int, a text, n int)", "t", rows)
    found = judged(
        database,
        {"on": "t", "check": "not_null", "columns": ["a"]},
        {"on": "t", "check": "range", "columns": ["n"], "min": 0},
        {"on": "t", "check": "range", "name": "some", "columns": ["n"], "min": 0, "where": "id > 1"},
        {"on": "t", "check": "rows", "min": 5},
        {"on": "t", "check": "not_null", "columns": ["id"]},
    )
    assert [(one.failing, one.rows) for one in found] == [(2, 5), (2, 5), (1, 4), (None, 5), (0, 5)]


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({"on": "t", "check": "range", "columns": ["v"]}, "needs one of"),
        ({"on": "t", "check": "set", "columns": ["v"]}, "needs `values:`"),
        ({"on": "t", "check": "unique", "columns": ["v"], "min": 1}, "has no `min:`"),
        ({"on": "t", "check": "condition", "condition": "1); DROP TABLE t; --"}, "closes nothing"),
        ({"on": "t", "check": "sql", "sql": "DELETE FROM t"}, "expected one SELECT"),
        ({"on": "t", "check": "not_null", "columns": ["v"], "action": "quarantine"}, "quarantine"),
        (
            {"on": "t", "check": "reference", "columns": ["v"], "to": {"table": "o", "dsn": "env:X"}},
            "whose data",
        ),
        ({"on": "t", "check": "freshness", "columns": ["v"], "within": "soon"}, "is no duration"),
        ({"on": "t", "check": "nul", "columns": ["v"]}, "not_null"),
    ],
)
def test_what_no_check_is(check: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecProblem, match=re.escape(told)) as raised:
        quality(check)
    assert "q.yaml:" in str(raised.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(SpecProblem, match="is here twice"):
        quality(*[{"on": "t", "check": "not_null", "name": "n", "columns": ["v"]}] * 2)
