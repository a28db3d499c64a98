"""The operation `backfill` of a change: what is read, and every mistake at its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.model.database import Name
from data_platform.spec.backfill import EXAMPLE, Backfill, read_backfills
from data_platform.spec.document import SpecProblem, parse
from strategies import HOSTILE


def read(*operations: str) -> tuple[Backfill, ...]:
    text = "kind: change\noperations:\n" + "".join(f"  - {operation}\n" for operation in operations)
    return read_backfills(parse(text.encode(), "c.yaml"))


def test_all_of_it() -> None:
    (one,) = read(
        'backfill: {table: app.orders, set: {a: 1, b: "(SELECT max(x) FROM t)"}, '
        "where: a IS NULL, key: [id], into: copies}"
    )
    assert one == Backfill(
        table=Name("app", "orders"),
        values=(("a", "1"), ("b", "(SELECT max(x) FROM t)")),
        where="a IS NULL",
        key=("id",),
        into=Name("public", "copies"),
    )


def test_the_example_reads_and_other_operations_are_passed_over() -> None:
    (one,) = read(EXAMPLE, "drop_column: {table: orders, column: a}")
    assert one.table == Name("public", "orders")
    assert read() == ()


@given(st.sampled_from([name for name in HOSTILE if len(name.encode()) <= 63]))
def test_any_column_is_one(name: str) -> None:
    body = {"table": "t", "set": {name: "1"}, "key": [name]}
    (one,) = read(f"backfill: {json.dumps(body)}")
    assert (one.values, one.key) == (((name, "1"),), (name,))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("backfill: orders", "not a mapping"),
        ("backfill: {set: {a: 1}}", "needs `table:`"),
        ("backfill: {table: t}", "needs `set:`"),
        ("backfill: {table: t, set: {a: 1}, keys: [id]}", "unknown key `keys`"),
        ("backfill: {table: t, set: {a: 1}, key: id}", "no list of columns"),
        ("backfill: {table: t, set: {a: '1, 2'}}", "`a` is no expression"),
        ("backfill: {table: t, set: {a: '1; DROP TABLE t'}}", "`a` is no expression"),
        ("backfill: {table: t, set: {a: [1]}}", "expected SQL as text"),
        ("backfill: {table: t, set: {a: 1}, where: 'a = $1'}", "a parameter is not allowed"),
        ("backfill: {table: t, set: {a: 1}, into: a.b.c}", "schema.name"),
        (f"backfill: {{table: t, set: {{{'x' * 70}: 1}}}}", "63 bytes"),
    ],
)
def test_mistakes_have_their_place(operation: str, said: str) -> None:
    with pytest.raises(SpecProblem) as raised:
        read(operation)
    (finding,) = raised.value.findings
    assert said in finding.message
    assert (finding.file, finding.line) == ("c.yaml", 3)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SpecProblem) as raised:
        read("backfill: {tabel: t, set: {a: '1 +'}}", "backfill: {table: t, set: {}}")
    assert len(raised.value.findings) == 4
