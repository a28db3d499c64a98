"""`swap: true`: a new table under the old name, with all that hung on the old one, never an empty one to a reader."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.pipelines import swapping
from data_platform.postgres.queries import query
from data_platform.postgres.server import Database
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, held, spec_of

PRICES = """
pattern: snapshot
retries: 0
sources: [{name: prices, path: prices.csv, columns: {id: int, name: text, price: "numeric(10,2)", kind: int}}]
targets: [{table: shop.prices, key: [id], swap: true}]
"""
TABLE = """
CREATE SCHEMA shop;
CREATE TABLE shop.kinds (id int PRIMARY KEY);
INSERT INTO shop.kinds VALUES (1), (2);
CREATE FUNCTION shop.touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE shop.prices (
    gone int,
    id int CONSTRAINT prices_key PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT named CHECK (name <> ''),
    price numeric(10,2) DEFAULT 0,
    kind int CONSTRAINT of_a_kind REFERENCES shop.kinds DEFERRABLE,
    doubled numeric GENERATED ALWAYS AS (price * 2) STORED,
    CONSTRAINT one_name UNIQUE (name, kind),
    EXCLUDE USING btree (price WITH =) WHERE (price > 1000)
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE shop.prices DROP COLUMN gone;
CREATE INDEX "cheap ones" ON shop.prices (lower(name), price DESC) INCLUDE (kind) WHERE price < 10;
CREATE STATISTICS shop.together (dependencies) ON name, kind FROM shop.prices;
CREATE TRIGGER touched BEFORE UPDATE OF price ON shop.prices FOR EACH ROW WHEN (NEW.price > 1)
    EXECUTE FUNCTION shop.touched();
ALTER TABLE shop.prices DISABLE TRIGGER touched;
CREATE POLICY readers ON shop.prices FOR SELECT TO PUBLIC USING (kind IN (SELECT id FROM shop.kinds));
CREATE POLICY writers ON shop.prices AS RESTRICTIVE FOR INSERT WITH CHECK (price > 0);
ALTER TABLE shop.prices ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.prices ALTER name SET STATISTICS 300, ALTER name SET (n_distinct = -0.5),
    ALTER name SET STORAGE EXTERNAL;
ALTER TABLE shop.prices CLUSTER ON prices_key, REPLICA IDENTITY USING INDEX prices_key;
GRANT SELECT ON shop.prices TO PUBLIC;
GRANT UPDATE (price, name) ON shop.prices TO pg_monitor WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT DELETE ON TABLES TO pg_monitor;
COMMENT ON TABLE shop.prices IS 'what things cost';
COMMENT ON COLUMN shop.prices.price IS 'in euros';
COMMENT ON CONSTRAINT prices_key ON shop.prices IS 'the key';
COMMENT ON CONSTRAINT of_a_kind ON shop.prices IS 'its kind';
COMMENT ON INDEX shop."cheap ones" IS 'for the shop window';
COMMENT ON TRIGGER touched ON shop.prices IS 'off';
COMMENT ON POLICY readers ON shop.prices IS 'all';
COMMENT ON STATISTICS shop.together IS 'both';
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcollation, attgenerated, attidentity,
       pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid = 'shop.prices'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""
_CONSTRAINTS = """
SELECT conname, contype, pg_get_constraintdef(oid), conindid::regclass::text FROM pg_constraint
 WHERE conrelid = 'shop.prices'::regclass ORDER BY conname
"""


def table(database: Database) -> list[Any]:
    """All that the catalogue says of it."""
    with psycopg.connect(database.conninfo) as connection:
        oid = ask(database, "SELECT 'shop.prices'::regclass::oid::int")[0][0]
        hanging = connection.execute(query("hanging_on"), {"table": oid}).fetchone()
        return [hanging, connection.execute(_COLUMNS).fetchall(), connection.execute(_CONSTRAINTS).fetchall()]


def write(folder: Path, *rows: str) -> None:
    (folder / "prices.csv").write_text("\n".join(["id,name,price,kind", *rows, ""]))


def oid(database: Database) -> int:
    return int(ask(database, "SELECT 'shop.prices'::regclass::oid::int")[0][0])


def test_all_that_hung_on_the_table_hangs_on_the_new_one(database: Database, tmp_path: Path) -> None:
    ask(database, TABLE)
    write(tmp_path, "1,a,5,1", "2,b,7.50,2")
    do(database, tmp_path, PRICES)
    before, first = table(database), oid(database)
    write(tmp_path, "2,b,8,2", "3,c,1,1", "3,d,2,1")
    ran = do(database, tmp_path, PRICES)
    assert (ran.counts.read, ran.counts.inserted, ran.counts.deleted, ran.counts.unchanged) == (3, 2, 2, 1)
    assert ask(database, "SELECT id, name, price, doubled FROM shop.prices ORDER BY 1") == [
        (2, "b", 8, 16),
        (3, "d", 2, 4),
    ]
    assert table(database) == before
    assert oid(database) != first
    leftover = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_dpe%' AND relkind <> 'S' AND relpersistence <> 't'"
    assert ask(database, leftover) == [(0,)]
    assert ask(database, "SELECT reltuples FROM pg_class WHERE oid = 'shop.prices'::regclass") == [(2,)]
    write(tmp_path, "3,d,2,1", "2,b,8.00,2")
    last = oid(database)
    assert do(database, tmp_path, PRICES).counts.unchanged == 2
    assert oid(database) == last


def test_sequences_go_on(database: Database, tmp_path: Path) -> None:
    ask(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.prices (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text,"
        " price numeric(10,2), kind serial);"
        " SELECT setval('shop.prices_id_seq', 40), setval('shop.prices_kind_seq', 7)",
    )
    write(tmp_path, "1,a,5,1")
    do(database, tmp_path, PRICES)
    write(tmp_path, "2,b,8,2")
    do(database, tmp_path, PRICES)
    ask(database, "INSERT INTO shop.prices (name) VALUES ('x')")
    assert ask(database, "SELECT id, kind FROM shop.prices WHERE name = 'x'") == [(41, 8)]
    found = ask(
        database,
        "SELECT pg_get_serial_sequence('shop.prices', 'id'), pg_get_serial_sequence('shop.prices', 'kind')",
    )
    assert found == [("shop.prices_id_seq", "shop.prices_kind_seq")]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("CREATE VIEW shop.cheap AS SELECT id FROM shop.prices", "the view shop.cheap"),
        ("CREATE MATERIALIZED VIEW shop.cheap AS SELECT id FROM shop.prices", "the view shop.cheap"),
        (
            "CREATE TABLE shop.sold (id int CONSTRAINT what REFERENCES shop.prices)",
            "the foreign key what of shop.sold",
        ),
        ("CREATE PUBLICATION all_of_it FOR TABLE shop.prices", "the publication all_of_it"),
        ("CREATE RULE quiet AS ON DELETE TO shop.prices WHERE false DO INSTEAD NOTHING", "the rule quiet"),
        ("CREATE TABLE shop.child () INHERITS (shop.prices)", "the table shop.child, which inherits"),
        ("CREATE TABLE shop.copies (one shop.prices)", "the column one of shop.copies"),
        (
            "CREATE FUNCTION shop.cheapest() RETURNS bigint BEGIN ATOMIC SELECT min(price) FROM shop.prices; END",
            r"the function shop.cheapest\(\)",
        ),
        (
            "ALTER TABLE shop.prices ADD number int GENERATED ALWAYS AS IDENTITY",
            "has columns that its source does not give: number",
        ),
        ("ALTER TABLE shop.prices ADD note text", "has columns that its source does not give: note"),
    ],
)
def test_what_holds_on_to_the_table_is_told(
    database: Database, tmp_path: Path, statement: str, told: str
) -> None:
    write(tmp_path, "1,a,5,1")
    do(database, tmp_path, PRICES)
    ask(database, statement)
    write(tmp_path, "2,b,8,2")
    with pytest.raises(UsageProblem, match=told):
        do(database, tmp_path, PRICES)
    assert ask(database, "SELECT id FROM ONLY shop.prices") == [(1,)]
    do(database, tmp_path, PRICES.replace(", swap: true", ""))
    assert ask(database, "SELECT id FROM ONLY shop.prices") == [(2,)]


def test_rows_that_are_refused_are_set_aside_and_the_rest_is_changed_in_place(
    database: Database, tmp_path: Path
) -> None:
    ask(database, TABLE.replace(" DEFERRABLE", ""))
    write(tmp_path, "1,a,5,1")
    do(database, tmp_path, PRICES)
    first = oid(database)
    write(tmp_path, "2,b,8,2", "3,c,1,9")
    do(database, tmp_path, PRICES)
    assert (held(database)[0][1], oid(database)) == (["violates of_a_kind"], first)
    assert ask(database, "SELECT id FROM shop.prices ORDER BY 1") == [(1,), (2,)]


def test_a_reader_sees_the_old_rows_or_the_new_ones(database: Database, tmp_path: Path) -> None:
    rows = [f"{number},n{number},1,1" for number in range(2_000)]
    write(tmp_path, *rows)
    do(database, tmp_path, PRICES)
    seen: set[tuple[int, int]] = set()
    done = threading.Event()

    def read(isolation: str) -> None:
        with psycopg.connect(database.conninfo) as connection:
            while not done.is_set():
                connection.execute(f"BEGIN ISOLATION LEVEL {isolation}".encode())
                connection.execute(b"SELECT count(*) FROM pg_class")
                time.sleep(0.005)
                row = connection.execute("SELECT count(*), sum(price)::int FROM shop.prices").fetchone()
                assert row is not None
                seen.add(row)
                connection.execute(b"COMMIT")

    readers = [threading.Thread(target=read, args=(how,)) for how in ("READ COMMITTED", "REPEATABLE READ")]
    for one in readers:
        one.start()
    for turn in range(2, 7):
        write(tmp_path, *(row.replace(",1,1", f",{turn},1") for row in rows))
        do(database, tmp_path, PRICES)
    done.set()
    for one in readers:
        one.join()
    assert seen <= {(2_000, 2_000 * turn) for turn in range(1, 7)}
    assert len(seen) > 2


def test_one_who_is_older_than_the_new_table_sees_its_rows_and_not_none(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, "1,a,5,1")
    do(database, tmp_path, PRICES)
    with psycopg.connect(database.conninfo) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM pg_class")
        write(tmp_path, "1,a,6,1", "2,b,8,2")
        do(database, tmp_path, PRICES)
        assert old.execute("SELECT count(*) FROM shop.prices").fetchone() == (2,)


def test_a_table_that_is_held_is_not_waited_for_at_length(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapping, "_TRIES", 2)
    write(tmp_path, "1,a,5,1")
    do(database, tmp_path, PRICES)
    write(tmp_path, "2,b,8,2")
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT FROM shop.prices")
        with pytest.raises(EnvironmentProblem, match="is held by somebody"):
            do(database, tmp_path, PRICES)
        assert do(database, tmp_path, PRICES, dry_run=True).counts.inserted == 1
    do(database, tmp_path, PRICES)
    assert ask(database, "SELECT id FROM shop.prices") == [(2,)]


def test_newer_rows_of_the_table_are_kept(database: Database, tmp_path: Path) -> None:
    text = PRICES.replace("key: [id]", "key: [id], version: price")
    write(tmp_path, "1,a,5,1", "2,b,5,1")
    do(database, tmp_path, text)
    first = oid(database)
    write(tmp_path, "1,old,4,1", "2,new,6,1")
    do(database, tmp_path, text)
    assert ask(database, "SELECT name FROM shop.prices ORDER BY id") == [("a",), ("new",)]
    assert oid(database) == first


def test_only_a_whole_can_be_exchanged(tmp_path: Path) -> None:
    with pytest.raises(SpecProblem, match="only a table that is the whole of its source"):
        spec_of(tmp_path, PRICES.replace("pattern: snapshot", "pattern: etl"))
