"""Where every column of a target comes from, through whatever SQL is in between; what cannot be told is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.pipeline.lineage import lineages
from data_platform.pipeline.lineage_select import TargetLineage
from data_platform.pipeline.lineage_told import findings_of, mermaid
from data_platform.postgres.pipelines import relations
from data_platform.postgres.server import Database
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline
from pipeline.running import spec_of
from pipeline.sessions import Connection

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "pipelines").glob("*.yaml"))
SOURCES = """
pattern: etl
sources:
  - {name: orders, path: 'o/*.csv', columns: {id: int, customer: text, total: 'numeric(10,2)', "Odd name": text}}
  - {name: customers, path: c.csv, columns: {customer: text, country: text}}
  - {name: unknown, path: u.parquet}
"""


def of(folder: Path, *selects: str) -> TargetLineage:
    """The lineage of the last of these SELECTs, called t1, t2 …"""
    text = "transforms:\n" + "".join(
        f"  - name: t{number}\n    sql: >-\n      {' '.join(sql.split())}\n"
        for number, sql in enumerate(selects, 1)
    )
    (found,) = lineages(spec_of(folder, f"{SOURCES}{text}targets: [{{table: dw.t}}]\n"))
    return found


def told(found: TargetLineage) -> dict[str, set[tuple[str, str, str]]]:
    return {
        column.name: {(o.relation, o.column, o.how) for o in column.origins}
        for column in found.columns
        if not column.unresolved
    }


ID, TOTAL = ("orders", "id", "identity"), ("orders", "total", "identity")
BY_CUSTOMER = [("orders", "total"), ("orders", "customer"), ("orders", "id")]
CASES = {
    "windows by their names": (
        [
            "SELECT row_number() OVER w AS place, sum(total) OVER (v ORDER BY id) AS sofar FROM orders"
            " WINDOW v AS (PARTITION BY customer), w AS (v ORDER BY id)"
        ],
        {
            "place": {("orders", "customer", "transformation"), ("orders", "id", "transformation")},
            "sofar": {(of, name, "aggregation") for of, name in BY_CUSTOMER},
        },
    ),
    "a star": (
        ["SELECT * FROM customers"],
        {
            "customer": {("customers", "customer", "identity")},
            "country": {("customers", "country", "identity")},
        },
    ),
    "a join by USING, and columns without a table": (
        ["SELECT id, country, customer FROM orders JOIN customers USING (customer)"],
        {
            "id": {ID},
            "country": {("customers", "country", "identity")},
            "customer": {
                ("orders", "customer", "transformation"),
                ("customers", "customer", "transformation"),
            },
        },
    ),
    "transforms over transforms": (
        [
            "SELECT id, total * 2 AS twice FROM orders",
            "SELECT *, twice AS again FROM t1",
            "SELECT sum(twice) + max(again) AS s, count(*) AS n FROM t2",
        ],
        {"s": {("orders", "total", "aggregation")}, "n": set()},
    ),
    "common table expressions and unions": (
        [
            "WITH a AS (SELECT id, total FROM orders UNION ALL SELECT 0, 1), b AS (SELECT * FROM a)"
            " SELECT id, total::int AS total FROM b"
        ],
        {"id": {ID}, "total": {("orders", "total", "transformation")}},
    ),
    "windows, cases and subqueries": (
        [
            "SELECT o.id, row_number() OVER (PARTITION BY customer ORDER BY total) AS n,"
            " CASE WHEN total > 1 THEN customer END AS c,"
            " (SELECT max(country) FROM customers k WHERE k.customer = o.customer) AS country FROM orders o"
        ],
        {
            "id": {ID},
            "n": {("orders", "customer", "transformation"), ("orders", "total", "transformation")},
            "c": {("orders", "customer", "transformation"), ("orders", "total", "transformation")},
            "country": {("customers", "country", "aggregation")},
        },
    ),
    "a table of an array's elements": (
        ["SELECT x, n FROM orders o, unnest(ARRAY[o.id]) AS u (x), generate_series(1, 2) AS g (n)"],
        {"x": {("orders", "id", "transformation")}},
    ),
    "names in quotes": (
        ['SELECT "Odd name" AS "Even odder" FROM orders'],
        {"Even odder": {("orders", "Odd name", "identity")}},
    ),
    "a table of the store that is called like a source": (
        ["SELECT o.id, p.total FROM orders o JOIN public.orders p ON p.id = o.id"],
        {"id": {ID}, "total": {("public.orders", "total", "identity")}},
    ),
    "a source that does not say its columns": (
        ["SELECT u.x, lower(y) AS y FROM unknown u"],
        {"x": {("unknown", "x", "identity")}, "y": {("unknown", "y", "transformation")}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_columns_come_from(tmp_path: Path, name: str) -> None:
    selects, wanted = CASES[name]
    assert told(of(tmp_path, *selects)) == wanted


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_column_that_the_server_gives_is_there(connection: Connection, path: Path) -> None:
    """The server's own list of each SELECT's columns is the list that lineage is told for."""
    spec = read_pipeline(document.read(path))
    found = {one.source: [column.name for column in one.columns] for one in lineages(spec)}
    with connection.transaction():
        for source in spec.sources:
            columns = ", ".join(f'"{name}" {type_}' for name, type_ in source.columns.items())
            connection.execute(f'CREATE TEMP TABLE "{source.name}" ({columns}) ON COMMIT DROP'.encode())
        for one in spec.transforms:
            made = relations.create_temporary(connection, one.name, one.sql)
            if one.name in found:
                assert list(made.columns) == found[one.name]
    assert findings_of(spec, lineages(spec)) == ()


def test_expressions_are_in_the_order_of_the_way(tmp_path: Path) -> None:
    found = of(tmp_path, "SELECT id, total * 2 AS twice FROM orders", "SELECT sum(twice) AS s FROM t1")
    assert found.columns[0].expressions == ("t1: orders.total * 2", "t2: SUM(t1.twice)")


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT *, 1 AS one FROM unknown", "takes * of relations whose columns are not known here: unknown"),
        ("SELECT n FROM orders, generate_series(1, 2) AS g (n)", "`n`"),
        ("SELECT nowhere FROM orders, customers", "`nowhere`"),
        ("SELECT row_to_json(orders) AS whole FROM orders", "`orders`"),
        ("SELECT (orders).id FROM orders", "`orders`"),
        ("VALUES (1), (2)", "it is no SELECT"),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, select: str, message: str) -> None:
    found = of(tmp_path, select)
    said = [*found.unresolved, *(one for column in found.columns for one in column.unresolved)]
    assert any(message in one for one in said), found
    spec = spec_of(
        tmp_path, f"{SOURCES}transforms: [{{name: t1, sql: '{select}'}}]\ntargets: [{{table: dw.t}}]\n"
    )
    assert [one.rule for one in findings_of(spec, lineages(spec))] == ["lineage-unresolved"]


def test_a_dimension_has_the_bounds_of_its_versions(tmp_path: Path) -> None:
    text = (
        "pattern: scd\nsources: [{name: p, path: p.csv, deletes: {column: gone},"
        " columns: {id: int, city: text, since: date, gone: bool}}]\n"
        "targets: [{table: dw.p, key: [id], version: since, type: 6}]\n"
    )
    (found,) = lineages(spec_of(tmp_path, text))
    assert {one.name: [o.column for o in one.origins] for one in found.columns} == {
        "id": ["id"],
        "city": ["city"],
        "valid_from": ["since"],
        "valid_to": ["since"],
        "current_city": ["city"],
    }


def test_the_picture_has_every_column_once(tmp_path: Path) -> None:
    picture = mermaid([of(tmp_path, """SELECT "Odd name" || '"<b>' AS x, id FROM orders""")])
    assert picture.startswith("flowchart LR\n")
    assert picture.count('["Odd name"]') == 1
    assert '-.->|"orders.#quot;Odd name#quot; || ' in picture
    assert "<b>" not in picture


def test_the_columns_of_a_dimension_are_those_of_its_table(database: Database, tmp_path: Path) -> None:
    from pipeline.running import ask, do

    (tmp_path / "p.csv").write_text("id,city,since\n1,Bonn,2026-01-01\n")
    for type_ in (1, 2, 6):
        text = (
            "pattern: scd\nsources: [{name: p, path: p.csv, columns: {id: int, city: text, since: date}}]\n"
            f"targets: [{{table: d{type_}.p, key: [id], version: since, type: {type_}}}]\nstate_schema: s{type_}\n"
        )
        do(database, tmp_path, text)
        (found,) = lineages(spec_of(tmp_path, text))
        columns = ask(
            database,
            f"SELECT attname FROM pg_attribute WHERE attrelid = 'd{type_}.p'::regclass AND attnum > 0"
            " AND attgenerated = ''",
        )
        assert {one.name for one in found.columns} == {name for (name,) in columns}


CQRS = """
pattern: cqrs
sources:
  - {name: orders, dsn: target, table: shop.orders, key: [id], columns: {id: int, person: int, total: int, v: 'real[]'}}
  - {name: people, dsn: target, table: shop.people, key: [id], columns: {id: int, name: text}}
projections:
  - name: overview
    tables:
      - CREATE TABLE spent (person int PRIMARY KEY, name text, total int, seen int)
      - CREATE TABLE mirror (id int PRIMARY KEY, person int, total int, at bigint)
      - CREATE INDEX ON mirror (person)
      - CREATE VIEW shown AS SELECT c.id, s.name, c.total * 2 AS twice FROM mirror AS c JOIN spent AS s USING (person)
    handlers:
      orders.upsert: |
        INSERT INTO mirror SELECT r.*, e.position FROM jsonb_populate_record(NULL::mirror, e.payload) AS r
        ON CONFLICT (id) DO UPDATE SET total = excluded.total
      orders.delete: DELETE FROM mirror WHERE id = (e.payload ->> 'id')::int
      people.upsert: |
        INSERT INTO spent (name, person, seen) VALUES (upper(e.payload ->> 'name'), (e.payload ->> 'id')::int, 1)
        ON CONFLICT (person) DO UPDATE SET name = excluded.name, seen = spent.seen + 1
      people.delete: |
        UPDATE spent SET total = total - (e.payload -> 'more' ->> 'sum')::int, name = (SELECT x FROM other)
collections:
  - {name: points, store: Search, url: 'env:Q', collection: found, from: orders, vector: {column: v, dimensions: 2}}
"""


def test_read_models_and_collections(tmp_path: Path) -> None:
    found = {one.table: one for one in lineages(spec_of(tmp_path, CQRS))}
    assert set(found) == {"overview.spent", "overview.mirror", "overview.shown", "found"}
    assert told(found["overview.mirror"]) == {
        "id": {("orders", "id", "identity")},
        "person": {("orders", "person", "identity")},
        "total": {("orders", "total", "identity")},
        "at": {("orders", "position", "identity")},
    }
    assert told(found["overview.spent"]) == {
        "person": {("people", "id", "identity")},
        "total": {("people", "more", "aggregation")},
        "seen": set(),
    }
    (name,) = [one for one in found["overview.spent"].columns if one.name == "name"]
    assert {(one.column, one.how) for one in name.origins} == {("name", "transformation")}
    assert name.unresolved == ("`x` is of no event and no column of `spent`",)
    assert told(found["overview.shown"]) == {
        "id": {("orders", "id", "identity")},
        "twice": {("orders", "total", "transformation")},
    }
    assert told(found["found"]) == {
        "id": {("orders", "id", "transformation")},
        "vector": {("orders", "v", "identity")},
        **{f"payload.{one}": {("orders", one, "identity")} for one in ("id", "person", "total")},
    }


def test_a_handler_that_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    merge = "MERGE INTO mirror USING (VALUES (1)) AS x (id) ON mirror.id = x.id WHEN NOT MATCHED THEN INSERT VALUES (1)"
    text = CQRS.replace(
        "orders.delete: DELETE FROM mirror WHERE id = (e.payload ->> 'id')::int", f"orders.delete: {merge}"
    )
    found = {one.table: one for one in lineages(spec_of(tmp_path, text))}
    said = "the handler of `orders.delete` is no INSERT or UPDATE that can be looked into"
    assert found["overview.mirror"].unresolved == found["overview.spent"].unresolved == (said,)


def test_a_payload_that_is_read_as_a_record(tmp_path: Path) -> None:
    record = "jsonb_to_record(e.payload) AS r (id int, person int, total int)"
    text = CQRS.replace("jsonb_populate_record(NULL::mirror, e.payload) AS r", record)
    assert text != CQRS
    found = [{one.table: told(one) for one in lineages(spec_of(tmp_path, one))} for one in (CQRS, text)]
    assert found[0] == found[1]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.stem)
def test_each_pattern_has_its_targets(file: Path) -> None:
    found = lineages(read_pipeline(document.read(file)))
    assert found
    assert all(one.columns and not one.unresolved for one in found)
    assert all(
        column.origins or column.expressions
        for one in found
        for column in one.columns
        if column.name != "closed"
    )


def test_views_and_summaries(tmp_path: Path) -> None:
    text = """
pattern: views
sources: [{name: orders, dsn: target, table: shop.orders, key: [id], columns: {id: int, country: text, total: int}}]
views: [{name: m.daily, sql: "SELECT country, sum(total) AS total, count(*) AS n FROM shop.orders GROUP BY 1",
  unique: [country]}, {name: m.top, sql: "SELECT max(most) AS top FROM m.sums", unique: [top]}]
summaries:
  - {view: m.sums, from: orders, groups: [country], measures: {n: count, most: max(total)}}
"""
    daily, top, sums = lineages(spec_of(tmp_path, text))
    assert told(daily) == {
        "country": {("orders", "country", "identity")},
        "total": {("orders", "total", "aggregation")},
        "n": set(),
    }
    assert told(sums) == {
        "country": {("orders", "country", "identity")},
        "n": set(),
        "most": {("orders", "total", "aggregation")},
    }
    assert told(top) == {"top": {("orders", "total", "aggregation")}}
