"""Outboxes of tables that are not plain: partitions, generated columns, zones, other roles, what goes behind a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.server import Database, Server
from pipeline.running import ask, do, spec_of

ROOMS = '"Ware House"."Select"'
SPEC = """
pattern: cqrs
outbox: "Out box"
sources: [{name: rooms, dsn: target, table: '"Ware House"."Select"', key: %s}]
projections:
  - name: "Room View"
    tables: ['CREATE TABLE "Copy" (id text PRIMARY KEY, doc jsonb)']
    handlers:
      rooms.upsert: |
        INSERT INTO "Copy" VALUES (e.stream, e.payload) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc
      rooms.delete: DELETE FROM "Copy" WHERE id = e.stream
"""
PLAIN = SPEC % "[id]"
PARTED = f"""
CREATE TABLE {ROOMS} (id int PRIMARY KEY, a int) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF {ROOMS} FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF {ROOMS} FOR VALUES FROM (10) TO (20);
INSERT INTO low VALUES (1, 2), (2, 3);
INSERT INTO high VALUES (11, 1);
"""


@pytest.fixture
def house(database: Database) -> Database:
    ask(database, 'CREATE SCHEMA "Ware House"')
    return database


def assert_same(house: Database) -> None:
    """As a session of no special settings writes both."""
    there = ask(house, f"SELECT to_jsonb(r.*)::text FROM {ROOMS} AS r ORDER BY 1")
    assert ask(house, 'SELECT doc::text FROM "Room View"."Copy" ORDER BY 1') == there


def test_a_writers_settings_change_no_value_and_no_key(house: Database, tmp_path: Path) -> None:
    ask(
        house,
        f"CREATE TABLE {ROOMS} (at timestamptz, id float8, b bytea, days daterange, i interval, PRIMARY KEY (at, id))",
    )
    row = "0.1::float8 + 0.2, '\\x00ff', '[2026-03-01,2026-04-02)', '1 day 2 hours'"
    ask(house, f"SET timezone = 'Asia/Tokyo'; INSERT INTO {ROOMS} VALUES ('2026-01-01Z', {row})")
    spec = SPEC % "[at, id]"
    do(house, tmp_path, spec)
    odd = (
        "SET timezone = 'America/New_York'; SET extra_float_digits = -5; SET bytea_output = escape;"
        " SET datestyle = 'German'; SET intervalstyle = 'sql_standard';"
    )
    ask(house, f"{odd} INSERT INTO {ROOMS} VALUES ('infinity', {row}), ('2026-02-01Z', {row})")
    ask(house, f"{odd} UPDATE {ROOMS} SET b = '\\x01' WHERE at = '2026-01-01Z'")
    ask(house, f"{odd} DELETE FROM {ROOMS} WHERE at = '2026-02-01Z'")
    do(house, tmp_path, spec)
    (one, two) = ask(house, 'SELECT doc FROM "Room View"."Copy" ORDER BY doc ->> \'at\'')
    assert (one[0]["b"], two[0]["at"]) == ("\\x01", "infinity")
    assert one[0]["id"] == two[0]["id"] == 0.1 + 0.2
    assert (two[0]["days"], two[0]["i"]) == ("[2026-03-01,2026-04-02)", "1 day 02:00:00")


def test_generated_columns_are_told(house: Database, tmp_path: Path) -> None:
    (version,) = ask(house, "SHOW server_version_num")
    virtual = "VIRTUAL" if int(version[0]) >= 180_000 else "STORED"
    ask(
        house,
        f'CREATE TABLE {ROOMS} (id int PRIMARY KEY, "O""ld" int, b int GENERATED ALWAYS AS ("O""ld" * 2) {virtual},'
        ' c int GENERATED ALWAYS AS ("O""ld" * 3) STORED)',
    )
    ask(house, f"INSERT INTO {ROOMS} VALUES (1, 2), (4, 4)")
    do(house, tmp_path, PLAIN)
    ask(house, f'INSERT INTO {ROOMS} VALUES (2, 3), (3, NULL); UPDATE {ROOMS} SET "O""ld" = 5 WHERE id = 1')
    ask(house, f"DELETE FROM {ROOMS} WHERE id = 4")
    do(house, tmp_path, PLAIN)
    assert_same(house)


def test_writers_need_no_right_to_the_outbox(server: Server, house: Database, tmp_path: Path) -> None:
    ask(house, f"CREATE TABLE {ROOMS} (id int PRIMARY KEY, a int)")
    do(house, tmp_path, PLAIN)
    with psycopg.connect(server.conninfo, dbname=house.name, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE porter")
        try:
            superuser.execute(
                f'GRANT USAGE ON SCHEMA "Ware House" TO porter; GRANT ALL ON {ROOMS} TO porter'.encode()
            )
            superuser.execute("SET ROLE porter")
            superuser.execute(
                f"INSERT INTO {ROOMS} VALUES (1, 1), (2, 2); DELETE FROM {ROOMS} WHERE id = 1".encode()
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                superuser.execute('SELECT FROM "Out box".outbox')
        finally:
            superuser.execute("RESET ROLE; DROP OWNED BY porter; DROP ROLE porter")
    do(house, tmp_path, PLAIN)
    assert_same(house)


def test_partitions_are_followed_when_they_come_and_go(house: Database, tmp_path: Path) -> None:
    ask(house, PARTED)
    do(house, tmp_path, PLAIN)
    ask(house, f"INSERT INTO high VALUES (13, 2); UPDATE {ROOMS} SET id = 12 WHERE id = 1")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=r"TRUNCATE of public\.high"):
        ask(house, "TRUNCATE high")
    do(house, tmp_path, PLAIN)
    assert_same(house)
    # An empty one is nothing new, one with rows is, and so is one that is gone.
    ask(house, f"CREATE TABLE empty PARTITION OF {ROOMS} FOR VALUES FROM (30) TO (40)")
    assert do(house, tmp_path, PLAIN).steps == ()
    ask(house, "INSERT INTO empty VALUES (31, 1)")
    assert [one.way for one in do(house, tmp_path, PLAIN).steps] == ["applied"]
    ask(house, "CREATE TABLE more (id int PRIMARY KEY, a int); INSERT INTO more VALUES (21, 1)")
    ask(house, f"ALTER TABLE {ROOMS} ATTACH PARTITION more FOR VALUES FROM (20) TO (30)")
    assert [one.way for one in do(house, tmp_path, PLAIN).steps] == ["filled", "built anew"]
    assert_same(house)
    ask(house, f"ALTER TABLE {ROOMS} DETACH PARTITION high; DROP TABLE low")
    do(house, tmp_path, PLAIN)
    assert_same(house)
    ask(house, "TRUNCATE high")
    assert do(house, tmp_path, PLAIN).steps == ()


def test_rows_without_a_key_of_their_own_are_refused(house: Database, tmp_path: Path) -> None:
    ask(house, f"CREATE TABLE {ROOMS} (id int UNIQUE, a int)")
    with pytest.raises(UsageProblem, match=r"id of Ware House\.Select may be NULL"):
        do(house, tmp_path, PLAIN)
    ask(house, f"ALTER TABLE {ROOMS} ALTER id SET NOT NULL; CREATE TABLE heir () INHERITS ({ROOMS})")
    with pytest.raises(UsageProblem, match=r"public\.heir inherits from Ware House\.Select"):
        do(house, tmp_path, PLAIN)


@pytest.mark.parametrize("done", ['TRUNCATE "Out box".outbox', 'DROP SCHEMA "Out box" CASCADE'])
def test_an_outbox_that_was_emptied_or_dropped(house: Database, tmp_path: Path, done: str) -> None:
    ask(house, f"CREATE TABLE {ROOMS} (id int PRIMARY KEY, a int); INSERT INTO {ROOMS} VALUES (1, 1), (2, 2)")
    do(house, tmp_path, PLAIN)
    ask(house, f"INSERT INTO {ROOMS} VALUES (3, 3); DELETE FROM {ROOMS} WHERE id = 1; {done}")
    assert [one.way for one in do(house, tmp_path, PLAIN).steps] == ["filled", "built anew"]
    assert_same(house)
    ask(house, f"UPDATE {ROOMS} SET a = 9")
    assert [one.way for one in do(house, tmp_path, PLAIN).steps] == ["applied"]
    assert_same(house)


def test_what_one_pipeline_finds_silent_the_others_of_the_outbox_fill_anew(
    house: Database, tmp_path: Path
) -> None:
    ask(house, f"CREATE TABLE {ROOMS} (id int PRIMARY KEY, a int); INSERT INTO {ROOMS} VALUES (1, 1), (2, 2)")
    other = replace(spec_of(tmp_path, PLAIN.replace("Room View", "Other View")), name="other")
    place = Place(house.conninfo, tmp_path)
    do(house, tmp_path, PLAIN)
    run(other, place)
    ask(house, f"ALTER TABLE {ROOMS} DISABLE TRIGGER ALL; DELETE FROM {ROOMS} WHERE id = 1")
    run(other, place)
    do(house, tmp_path, PLAIN)
    assert_same(house)
    assert do(house, tmp_path, PLAIN).steps == run(other, place).steps == ()
