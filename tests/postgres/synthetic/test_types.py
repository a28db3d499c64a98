"""Every type gets values: built-in, of extensions, and made by the user."""

from __future__ import annotations

import pytest

from data_platform.model.database import Name
from postgres.synthetic.conftest import Fill

BUILT_IN = [
    "smallint", "integer", "bigint", "numeric", "numeric(10,2)", "numeric(5,0)", "numeric(3,5)", "numeric(5,-2)",
    "real", "double precision", "money", "boolean", "text", "varchar", "varchar(1)", "varchar(3)", "varchar(20)",
    "char(1)", "char(8)", "char", '"char"', "name", "bytea", "date", "time", "time(0)", "timetz", "timestamp",
    "timestamp(3)", "timestamptz", "timestamptz(0)", "interval", "interval day to second(3)", "uuid", "json", "jsonb",
    "inet", "cidr", "macaddr", "macaddr8", "bit", "bit(3)", "bit(200)", "varbit", "varbit(5)", "point", "line",
    "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery", "int4range", "int8range", "numrange",
    "daterange", "tsrange", "tstzrange", "int4multirange", "int8multirange", "nummultirange", "datemultirange",
    "tsmultirange", "tstzmultirange", "oid", "pg_lsn", "xid8", "pg_snapshot", "jsonpath",
]  # fmt: skip
EXTENDED = ["citext", "hstore", "ltree", "vector(3)", "vector(384)", "halfvec(8)", "sparsevec(50)", "vector"]
MADE = ["mood", "positive", "short", "address", "nested", "solid"]
TYPES = """
CREATE SCHEMA "My types";
CREATE TYPE "My types"."Mood" AS ENUM ('sad', 'so ''la la''', '"ha,ppy"');
CREATE DOMAIN mood AS "My types"."Mood";
CREATE DOMAIN positive AS integer CHECK (VALUE > 0) CHECK (VALUE < 10);
CREATE DOMAIN short AS varchar(5) CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{2}$');
CREATE DOMAIN solid AS short NOT NULL CHECK (VALUE <> 'AA-00');
CREATE TYPE address AS (street text, "zip code" varchar(5), kind "My types"."Mood");
CREATE TYPE nested AS (home address, tags text[], "number" numeric(5,2));
"""
ALL = [*BUILT_IN, *EXTENDED, *MADE]


def table(types: list[str], suffix: str = "") -> str:
    columns = ", ".join(f"c{place} {type_}{suffix}" for place, type_ in enumerate(types))
    return f"CREATE TABLE everything (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns})"


@pytest.mark.parametrize("suffix", [" NOT NULL", "[] NOT NULL"])
def test_every_type_has_values(fill: Fill, suffix: str) -> None:
    types = [t for t in ALL if not (suffix.startswith("[]") and t in ("vector", "vector(384)"))]
    world = fill(TYPES + table(types, suffix), 50, extensions=["citext", "hstore", "ltree", "vector"])
    assert world.filled["everything"].note is None
    assert world.one("SELECT count(*) FROM everything") == 50


def test_values_differ_where_the_type_has_many(fill: Fill) -> None:
    world = fill(TYPES + table(ALL), 200, extensions=["citext", "hstore", "ltree", "vector"])
    for place, type_ in enumerate(ALL):
        distinct = world.one(f"SELECT count(DISTINCT c{place}::text) FROM everything")
        few = {"boolean": 2, "mood": 3, "bit": 2, "bit(3)": 8, "positive": 9}
        assert distinct >= few.get(type_, 10), type_


def test_unique(fill: Fill) -> None:
    no_equality = {
        "json",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "jsonpath",
        "pg_snapshot",
    }
    types = [type_ for type_ in ALL if type_ not in no_equality]
    ddl = "".join(f"CREATE TABLE t{place} (c {type_} UNIQUE);" for place, type_ in enumerate(types))
    world = fill(TYPES + ddl, 60, extensions=["citext", "hstore", "ltree", "vector"])
    few = {
        "boolean": 2,
        "mood": 3,
        "bit": 2,
        "bit(3)": 8,
        "positive": 9,
        "char": 36,
        "char(1)": 36,
        "varbit(5)": 32,
    }
    for place, type_ in enumerate(types):
        filled = world.filled[f"t{place}"]
        assert filled.rows == 60, (type_, filled)
        assert world.one(f"SELECT count(c) FROM t{place}") >= min(few.get(type_, 40), 60), type_


def test_vectors_are_clustered_and_about_unit_length(fill: Fill) -> None:
    world = fill("CREATE TABLE v (e vector(64) NOT NULL)", 500, extensions=["vector"])
    shortest, longest = world.one("SELECT min(vector_norm(e)), max(vector_norm(e)) FROM v")
    assert shortest > 0.4
    assert longest < 2
    near, far = world.one(
        "SELECT min(d), max(d) FROM (SELECT a.e <-> b.e d FROM v a, v b WHERE a.ctid < b.ctid LIMIT 20000) x"
    )
    assert near * 1.8 < far


def test_a_range_type_of_the_users_own(fill: Fill) -> None:
    world = fill(
        """
        CREATE TYPE span AS RANGE (subtype = float8);
        CREATE TABLE measured (id int PRIMARY KEY, s span NOT NULL, CHECK (NOT isempty(s)));
        """
    )
    assert world.filled["measured"].rows == 100
    assert world.one("SELECT count(DISTINCT s) > 50, bool_and(lower(s) <= upper(s)) FROM measured") == (
        True,
        True,
    )


def test_a_type_nobody_knows(fill: Fill) -> None:
    world = fill(
        """
        CREATE TYPE span AS RANGE (subtype = inet);
        CREATE TABLE optional (id int PRIMARY KEY, s span);
        CREATE TABLE defaulted (id int PRIMARY KEY, s span NOT NULL DEFAULT '[10.0.0.1,10.0.0.2)');
        CREATE TABLE needed (id int PRIMARY KEY, s span NOT NULL);
        CREATE TABLE child (id int PRIMARY KEY, needed_id int NOT NULL REFERENCES needed);
        """
    )
    assert world.one("SELECT count(*), count(s) FROM optional") == (100, 0)
    assert world.all("SELECT DISTINCT s::text FROM defaulted") == ["[10.0.0.1,10.0.0.2)"]
    assert world.filled["needed"].rows == 0
    assert world.filled["needed"].note == "no generator for type span of column s"
    assert world.filled["child"].rows == 0
    assert "public.needed" in (world.filled["child"].note or "")


def test_xml_is_made_only_where_the_server_can(fill: Fill) -> None:
    world = fill("CREATE TABLE a (x xml); CREATE TABLE b (x xml NOT NULL)", 10)
    assert world.filled["a"].rows == 10
    assert world.filled["b"].rows == 10 or "xml" in (world.filled["b"].note or "")
    assert world.generator.fresh(world.connection, Name("public", "a")) is not None
