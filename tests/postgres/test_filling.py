"""Few rows made into many: as valid as the first ones, and as many as were wanted."""

from __future__ import annotations

import pytest

from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.filling import NotMultipliable, aside, indexes_afterwards, multiply, spreads
from data_platform.postgres.server import Database

BASE = """
CREATE TABLE owners (id bigint PRIMARY KEY);
INSERT INTO owners SELECT generate_series(1, 10);
CREATE TABLE things (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL REFERENCES owners,
    code text NOT NULL UNIQUE, token uuid NOT NULL UNIQUE, at timestamptz NOT NULL, day date NOT NULL, n numeric(20, 2),
    twice numeric GENERATED ALWAYS AS (n * 2) STORED, UNIQUE (owner_id, day), UNIQUE (n, at));
INSERT INTO things (owner_id, code, token, at, day, n)
SELECT 1 + k % 10, 'code ' || k, md5(k::text)::uuid, timestamptz '2025-01-01' + k * interval '1 hour',
       date '2025-01-01' + k, k / 3.0
  FROM generate_series(1, 40) AS k;
CREATE INDEX things_day ON things (day);
"""
THINGS = Name("public", "things")


def test_rows_are_multiplied_and_every_constraint_holds(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(BASE)
        table = read(owner).table(THINGS)
        assert multiply(owner, table, 995) == 995
        assert owner.execute("SELECT count(*), count(DISTINCT id), max(id) FROM things").fetchone() == (
            995,
            995,
            995,
        )
        after = read(owner).table(THINGS)
        assert (after.foreign_keys, after.uniques) == (table.foreign_keys, table.uniques)
        owner.execute(
            "INSERT INTO things (owner_id, code, token, at, day) VALUES (1, 'x', gen_random_uuid(), now(), now())"
        )


def test_enough_rows_are_left_alone(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(BASE)
        assert multiply(owner, read(owner).table(THINGS), 10) == 40


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (a bigint REFERENCES owners, b bigint REFERENCES owners, PRIMARY KEY (a, b))",
        "CREATE TABLE t (a boolean PRIMARY KEY)",
        "CREATE TABLE t (a int4range, EXCLUDE USING gist (a WITH &&))",
    ],
)
def test_keys_that_cannot_be_made_anew_are_told(database: Database, table: str) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(f"{BASE}; {table}".encode())
        with pytest.raises(NotMultipliable):
            spreads(read(owner).table(Name("public", "t")))


def test_nothing_has_happened_when_the_server_refuses(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(
            "CREATE TABLE t (id smallint PRIMARY KEY CHECK (id < 100)); INSERT INTO t SELECT generate_series(1, 50)"
        )
        with pytest.raises(NotMultipliable):
            multiply(owner, read(owner).table(Name("public", "t")), 500)
        assert owner.execute("SELECT count(*) FROM t").fetchone() == (50,)


def test_triggers_and_indexes_are_back_afterwards(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(BASE)
        owner.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
            "CREATE TRIGGER never BEFORE DELETE ON things FOR EACH ROW EXECUTE FUNCTION no()"
        )
        before = read(owner)
        with aside(owner), indexes_afterwards(owner, [before.table(THINGS)]):
            owner.execute("DELETE FROM things WHERE id > 20")
            assert owner.execute("SELECT to_regclass('things_day')").fetchone() == (None,)
        assert read(owner) == before
