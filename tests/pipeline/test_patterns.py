"""Each pattern on data small enough to see what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, spec_of

ORDERS = "{name: orders, path: 'orders/*.csv', columns: {id: int, customer: text, total: 'numeric(10,2)'}}"
CUSTOMERS = "{name: customers, path: customers.csv, columns: {customer: text, country: text}}"
TOTALS = """
transforms:
  - {name: named, sql: "SELECT o.id, c.country, o.total FROM orders o JOIN customers c USING (customer)"}
  - {name: totals, sql: "SELECT country, sum(total) AS total, count(*) AS orders FROM named GROUP BY country"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "1.csv").write_text("id,customer,total\n1,ann,10\n2,bob,5\n3,ann,1\n")
    (tmp_path / "customers.csv").write_text("customer,country\nann,DE\nbob,FR\n")
    return tmp_path


def more(folder: Path) -> None:
    (folder / "orders" / "2.csv").write_text("id,customer,total\n2,bob,7\n4,bob,1\n")


def test_etl_transforms_all_and_merges(database: Database, folder: Path) -> None:
    text = f"pattern: etl\nsources: [{ORDERS}, {CUSTOMERS}]\n{TOTALS}\n"
    text += "targets: [{table: dw.totals, key: [country]}]\n"
    do(database, folder, text)
    assert ask(database, "SELECT * FROM dw.totals ORDER BY 1") == [("DE", 11, 2), ("FR", 5, 1)]
    assert do(database, folder, text).steps == ()
    more(folder)
    assert do(database, folder, text).counts.updated == 1
    assert ask(database, "SELECT total FROM dw.totals WHERE country = 'FR'") == [(13,)]


def test_elt_keeps_what_came_and_derives_from_it(database: Database, folder: Path) -> None:
    text = (
        f"pattern: elt\nsources: [{ORDERS}, {CUSTOMERS}]\n{TOTALS}\ntargets:\n"
        "  - {table: raw.orders, from: orders, key: [id]}\n"
        "  - {table: raw.customers, from: customers, key: [customer]}\n"
        "  - {table: dw.totals, from: totals, key: [country]}\n  - {table: dw.named, from: named}\n"
    )
    do(database, folder, text)
    assert ask(database, "SELECT * FROM dw.totals ORDER BY 1") == [("DE", 11, 2), ("FR", 5, 1)]
    assert do(database, folder, text).steps == ()
    more(folder)
    ran = do(database, folder, text)
    assert [(step.unit, step.target) for step in ran.steps] == [
        ("orders/2.csv", "raw.orders"),
        ("all", "dw.totals"),
        ("all", "dw.named"),
    ]
    assert ask(database, "SELECT * FROM dw.totals ORDER BY 1") == [("DE", 11, 2), ("FR", 8, 2)]
    assert ask(database, "SELECT count(*) FROM dw.named") == [(4,)]
    # What the SQL does not give any more goes: the derived table equals the query.
    kept = text.replace("GROUP BY country", "GROUP BY country HAVING sum(total) > 10")
    assert do(database, folder, kept).counts.deleted == 1


def test_elt_needs_a_place_for_each_source(database: Database, folder: Path) -> None:
    text = f"pattern: elt\nsources: [{ORDERS}, {CUSTOMERS}]\n{TOTALS}\ntargets: [{{table: dw.totals, from: totals}}]\n"
    with pytest.raises(UsageProblem, match="`orders` is kept nowhere"):
        do(database, folder, text)


@pytest.mark.parametrize("key", ["", ", key: [id]"])
def test_a_snapshot_is_the_whole(database: Database, folder: Path, key: str) -> None:
    text = f"pattern: snapshot\nsources: [{ORDERS}]\ntargets: [{{table: dw.orders{key}}}]\n"
    do(database, folder, text)
    assert ask(database, "SELECT count(*) FROM dw.orders") == [(3,)]
    (folder / "orders" / "1.csv").write_text("id,customer,total\n1,ann,10\n9,eve,1\n")
    do(database, folder, text)
    assert ask(database, "SELECT id FROM dw.orders ORDER BY 1") == [(1,), (9,)]
    assert do(database, folder, text).steps == ()


def test_a_dimension_keeps_versions(database: Database, folder: Path) -> None:
    text = (
        "pattern: scd\nsources: [{name: people, path: 'in/*.csv', columns: {id: int, city: text, since: date}}]\n"
        "targets: [{table: dw.people, key: [id], version: since}]\n"
    )
    (folder / "in").mkdir()
    (folder / "in" / "1.csv").write_text(
        "id,city,since\n1,Bonn,2026-01-01\n1,Kiel,2026-03-01\n,Rome,2026-01-01\n"
    )
    ran = do(database, folder, text)
    assert (ran.counts.read, ran.counts.written, ran.counts.quarantined) == (3, 2, 1)
    (folder / "in" / "2.csv").write_text("id,city,since\n1,Ulm,2026-02-01\n")
    do(database, folder, text)
    found = ask(database, "SELECT city, valid_from::text, valid_to::text FROM dw.people ORDER BY 2")
    assert found == [
        ("Bonn", "2026-01-01", "2026-02-01"),
        ("Ulm", "2026-02-01", "2026-03-01"),
        ("Kiel", "2026-03-01", None),
    ]


def test_batches_are_not_joined_with_batches(database: Database, folder: Path) -> None:
    text = (
        f"pattern: incremental\nsources: [{ORDERS}, {CUSTOMERS}]\n{TOTALS}\ntargets: [{{table: dw.totals}}]\n"
    )
    with pytest.raises(UsageProblem, match="needs these sources: orders, customers"):
        do(database, folder, text)


def test_a_lookup_in_the_store_is_no_source(database: Database, folder: Path) -> None:
    ask(
        database,
        "CREATE TABLE countries (customer text PRIMARY KEY, country text); INSERT INTO countries VALUES ('ann', 'DE')",
    )
    text = (
        f"pattern: incremental\nsources: [{ORDERS}]\n"
        "transforms:\n  - name: t\n"
        "    sql: SELECT o.*, c.country FROM orders o LEFT JOIN public.countries c USING (customer)\n"
        "targets: [{table: dw.orders, key: [id]}]\n"
    )
    do(database, folder, text)
    assert ask(database, "SELECT id, country FROM dw.orders ORDER BY 1") == [(1, "DE"), (2, None), (3, "DE")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sources: [{name: a}]", "a source is files, a database or HTTP"),
        ("sources: [{name: a, path: x.csv}]", "these rows do not say their types"),
        ("sources: [{name: a, path: x.csv, columns: {i: nonsense type}}]", "nonsense type"),
        ("sources: [{name: a, path: x, columns: {i: int}}]", "which format?"),
        ("sources: [{name: a, dsn: 'env:X'}]", "a table or a query"),
        ("sources: [{name: a, path: x.parquet, cursor: {column: c}}]", "a cursor is of a database's table"),
        (
            "sources: [{name: a, path: x.parquet}]\ntransforms: [{name: a, sql: SELECT 1}]",
            "`a` is here twice",
        ),
        ("transforms: [{name: a, sql: DELETE FROM b}]", "expected one SELECT"),
        ("targets: [{table: t, from: absent}]", "no source or transform `absent`"),
        ("pattern: scd\nsources: [{name: a, path: x.parquet}]\ntargets: [{table: t}]", "tells rows by a key"),
        (
            "sources: [{name: a, path: x.csv, columns: {i: int}}]\ntargets: [{table: t, key: [j]}]",
            "no column `j`",
        ),
        ("service_levels: {freshness: soon}", "`soon` is no duration"),
        ("sources: [{name: _dpe_x, path: x.parquet}]", "names of ours"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SpecProblem) as raised:
        spec_of(tmp_path, text + "\n")
    assert told in str(raised.value)
    assert "spec.yaml:" in str(raised.value)
