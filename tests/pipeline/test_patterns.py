"""Each pattern on data small enough to see what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.told import findings_of, report
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


# --- what was lost or doubled without a word ---


def test_two_targets_of_one_source_whose_rows_go(database: Database, folder: Path) -> None:
    text = (
        "pattern: incremental\n"
        "sources: [{name: r, path: 'r/*.csv', columns: {id: int, v: int, gone: bool}, deletes: {column: gone}}]\n"
        "targets: [{table: t.one, key: [id], version: v}, {table: t.two, key: [id], version: v}]\n"
    )
    (folder / "r").mkdir()
    (folder / "r" / "1.csv").write_text("id,v,gone\n1,1,f\n2,1,f\n1,2,t\n")
    do(database, folder, text)
    assert ask(database, "SELECT id FROM t.one") == ask(database, "SELECT id FROM t.two") == [(2,)]


def test_rows_that_several_targets_count_are_told(database: Database, folder: Path) -> None:
    one = f"pattern: incremental\nsources: [{ORDERS}]\ntargets: [{{table: t.one, key: [id]}}]\n"
    both = one.replace("]}]", "]}, {table: t.two, key: [id]}]")
    for text, rows, is_told in ((one, 3, False), (both.replace("t.one", "t.three"), 6, True)):
        if is_told:
            ask(database, "DELETE FROM dpe_pipeline.checkpoints")
        ran = do(database, folder, text)
        counts = ran.counts
        assert counts.read == counts.written + counts.unchanged + counts.quarantined == rows
        told = "".join(map(str, report(spec_of(folder, text), ran, "again", dry_run=False).summary))
        assert ("counted once for each target" in told) is is_told


def test_what_one_target_refuses_the_other_gets(database: Database, folder: Path) -> None:
    ask(
        database,
        "CREATE SCHEMA t; CREATE TABLE t.picky (id int PRIMARY KEY, total numeric CHECK (total > 4))",
    )
    text = (
        "pattern: incremental\n"
        f"sources: [{ORDERS}]\n"
        'transforms: [{name: sums, sql: "SELECT id, total FROM orders"}, {name: same, sql: SELECT * FROM sums}]\n'
        "targets: [{table: t.picky, from: sums, key: [id]}, {table: t.all, from: sums, key: [id]},"
        " {table: t.other, from: same, key: [id]}]\n"
    )
    do(database, folder, text)
    for table, rows in (("picky", 2), ("all", 3), ("other", 3)):
        assert ask(database, f"SELECT count(*) FROM t.{table}") == [(rows,)], table


@pytest.mark.parametrize("torn", ["3,ann,x", "3,ann,-1"])
def test_a_row_in_quarantine_deletes_nothing(database: Database, folder: Path, torn: str) -> None:
    ask(
        database,
        "CREATE SCHEMA dw; CREATE TABLE dw.orders (id int PRIMARY KEY, customer text, total numeric(10,2))",
    )
    ask(database, "ALTER TABLE dw.orders ADD CHECK (total > 0)")
    text = f"pattern: snapshot\nsources: [{ORDERS}]\ntargets: [{{table: dw.orders, key: [id]}}]\n"
    do(database, folder, text)
    (folder / "orders" / "1.csv").write_text(f"id,customer,total\n1,ann,10\n{torn}\n")
    ran = do(database, folder, text)
    assert (ran.counts.quarantined, ran.counts.deleted) == (1, 0)
    assert "deletions-put-off" in [one.rule for one in findings_of(spec_of(folder, text), ran)]
    assert ask(database, "SELECT id FROM dw.orders ORDER BY 1") == [(1,), (2,), (3,)]
    (folder / "orders" / "1.csv").write_text("id,customer,total\n1,ann,10\n3,ann,1\n")
    assert do(database, folder, text).counts.deleted == 1


def test_a_key_in_quarantine_is_not_closed_in_a_dimension(database: Database, folder: Path) -> None:
    source = "{name: p, path: p.csv, columns: {id: int, city: text}, deletes: {missing: true}}"
    text = f"pattern: scd\nsources: [{source}]\ntargets: [{{table: dw.p, key: [id]}}]\n"
    (folder / "p.csv").write_text("id,city\n1,Bonn\n2,Rome\n")
    do(database, folder, text)
    (folder / "p.csv").write_text("id,city\n1,Bonn\ntwo,Ulm\n")
    assert do(database, folder, text).counts.deleted == 0
    (folder / "p.csv").write_text("id,city\n3,Ulm\n")
    with pytest.raises(UsageProblem, match=r"2 of 2 rows of dw\.p"):
        do(database, folder, text)
    (folder / "p.csv").write_text("id,city\n1,Bonn\n")
    assert do(database, folder, text).counts.deleted == 1


def test_a_whole_of_no_files_empties_nothing(database: Database, folder: Path) -> None:
    text = f"pattern: snapshot\nsources: [{ORDERS}]\ntargets: [{{table: dw.orders, key: [id]}}]\n"
    do(database, folder, text)
    (folder / "orders" / "1.csv").unlink()
    with pytest.raises(UsageProblem, match="there is no file for `orders`"):
        do(database, folder, text)
    assert ask(database, "SELECT count(*) FROM dw.orders") == [(3,)]


def test_rows_that_come_whole_each_time_need_a_key(database: Database, folder: Path) -> None:
    ask(database, "CREATE TABLE here (id int); INSERT INTO here VALUES (1)")
    text = (
        "pattern: incremental\nsources: [{name: here, dsn: target, table: here}]\n"
        "targets: [{table: t.there KEY}]\n"
    )
    with pytest.raises(UsageProblem, match="without a key they would be there twice"):
        do(database, folder, text.replace(" KEY", ""))
    for _ in range(2):
        do(database, folder, text.replace(" KEY", ", key: [id]"))
    assert ask(database, "SELECT count(*) FROM t.there") == [(1,)]


def test_elt_adds_each_file_of_each_source(database: Database, folder: Path) -> None:
    text = (
        f"pattern: elt\nsources: [{CUSTOMERS}, {ORDERS}]\ntargets:\n"
        "  - {table: raw.customers, from: customers}\n  - {table: raw.orders, from: orders}\n"
    )
    do(database, folder, text)
    more(folder)
    do(database, folder, text)
    assert ask(database, "SELECT count(*) FROM raw.orders") == [(5,)]


def test_elt_derives_anew_from_a_table_that_changed(database: Database, folder: Path) -> None:
    ask(database, "CREATE TABLE here (id int, n int); INSERT INTO here VALUES (1, 1)")
    text = (
        "pattern: elt\nsources: [{name: here, dsn: target, table: here}]\n"
        "transforms: [{name: total, sql: SELECT sum(n) AS n FROM here}]\n"
        "targets: [{table: raw.here, from: here, key: [id]}, {table: dw.total, from: total}]\n"
    )
    do(database, folder, text)
    ask(database, "UPDATE here SET n = 5")
    do(database, folder, text)
    assert ask(database, "SELECT n FROM dw.total") == [(5,)]


def test_columns_without_an_equality_are_merged(database: Database, folder: Path) -> None:
    columns = "{id: int, j: json, p: point}"
    text = (
        f"pattern: incremental\nsources: [{{name: r, path: 'r/*.csv', columns: {columns}}}]\n"
        "targets: [{table: t.r, key: [id]}]\n"
    )
    (folder / "r").mkdir()
    (folder / "r" / "1.csv").write_text('id,j,p\n1,{},"(1,2)"\n2,[],\n')
    do(database, folder, text)
    (folder / "r" / "2.csv").write_text('id,j,p\n1,{},"(1,2)"\n2,[1],\n')
    counts = do(database, folder, text).counts
    assert (counts.updated, counts.unchanged) == (1, 1)


def test_a_part_is_asked_for_where_there_is_a_cursor(database: Database, folder: Path) -> None:
    text = f"pattern: etl\nsources: [{ORDERS}]\ntargets: [{{table: dw.orders, key: [id]}}]\n"
    with pytest.raises(UsageProblem, match="no source has one"):
        do(database, folder, text, since="2026-01-01")


def test_what_the_server_says_of_a_transform_is_written_down(database: Database, folder: Path) -> None:
    text = (
        f"pattern: etl\nsources: [{ORDERS}]\ntransforms: [{{name: t, sql: SELECT nothing FROM orders}}]\n"
        "targets: [{table: dw.t}]\n"
    )
    with pytest.raises(UsageProblem, match='column "nothing" does not exist'):
        do(database, folder, text)
    row = ask(database, "SELECT status, error FROM dpe_pipeline.runs")[0]
    assert (row[0], 'column "nothing" does not exist' in row[1]) == ("failed", True)


@pytest.mark.parametrize("pattern", ["etl", "cdc", "events", "cqrs", "views"])
def test_a_check_is_on_what_the_run_writes(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SpecProblem) as raised:
        spec_of(tmp_path, f"checks: [{{on: t.t, check: not_null, columns: [id]}}]\npattern: {pattern}\n")
    told = "no target, source or transform of" if pattern == "etl" else "nothing that is written by"
    assert f"`t.t` is {told} this pipeline" in str(raised.value)
    assert "spec.yaml:4:" in str(raised.value)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "torn"])
@pytest.mark.parametrize("pattern", ["etl", "snapshot"])
def test_of_several_files_the_later_one_wins(
    database: Database, tmp_path: Path, kind: str, pattern: str
) -> None:
    """Also where the later file is shorter, and where a file is typed, checked, or split here."""
    (tmp_path / "in").mkdir()
    rows = {
        "1": [(n, "first") for n in range(9)],
        "2": [(8, "second"), (9, "second")],
        "3": [(9, "third"), (2, "third")],
    }
    for name, body in rows.items():
        if kind == "jsonl":
            text = "".join(json.dumps({"id": key, "note": note}) + "\n" for key, note in body)
        else:
            bad = {"csv": "x,bad\n", "torn": "1,2,3\n"}[kind] if name == "2" else ""
            text = "id,note\n" + bad + "".join(f"{key},{note}\n" for key, note in body)
        (tmp_path / "in" / f"{name}.{'jsonl' if kind == 'jsonl' else 'csv'}").write_text(text)
    spec = (
        f"pattern: {pattern}\nsources: [{{name: r, path: 'in/*', format: {'jsonl' if kind == 'jsonl' else 'csv'},"
        " columns: {id: int, note: text}}]\ntargets: [{table: t.r, key: [id]}]\n"
    )
    do(database, tmp_path, spec)
    assert dict(ask(database, "SELECT id, note FROM t.r")) == {
        **dict.fromkeys((0, 1, 3, 4, 5, 6, 7), "first"),
        2: "third",
        8: "second",
        9: "third",
    }
