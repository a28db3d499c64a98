"""Random models with random constraints that can be satisfied: they fill, and say so truthfully."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Server
from data_platform.postgres.synthetic import Generator

COLUMNS = {
    "int": ["", "CHECK ({c} > 0)", "CHECK ({c} BETWEEN 1 AND 40)", "CHECK ({c} <> 5)", "CHECK ({c} % 3 = 0)"],
    "bigint": ["", "CHECK ({c} >= 10000000000)"],
    "numeric(8,2)": ["", "CHECK ({c} >= 0 AND {c} < 100)", "CHECK (({c} * 7) % 2 < 1.5)"],
    "text": ["", "CHECK ({c} <> '')", "CHECK (length({c}) <= 12)", "CHECK ({c} ~ '^[A-Z]{{2}}-[0-9]{{1,4}}$')",
             "CHECK ({c} IN ('red', 'green', 'blue'))", "CHECK ({c} = lower({c}))"],
    "varchar(6)": ["", "CHECK ({c} !~ '[0-9]')"],
    "boolean": [""],
    "date": ["", "CHECK ({c} > '2022-02-02')"],
    "timestamptz": [""],
    "uuid": [""],
    "jsonb": ["", "CHECK (jsonb_typeof({c}) = 'object')"],
    "mood": ["", "CHECK ({c} <> 'sad')"],
    "int4range": [""],
    "text[]": ["", "CHECK (cardinality({c}) <= 3)"],
}  # fmt: skip
KEYED = sorted(set(COLUMNS) - {"jsonb", "int4range", "text[]"})
PAIRS = [
    "CHECK ({a} IS NULL OR {b} IS NOT NULL)",
    "CHECK (num_nonnulls({a}, {b}) >= 1)",
    "CHECK (({a} IS NULL) = ({b} IS NULL))",
]


@st.composite
def tables(draw: st.DrawFn) -> list[str]:
    """CREATE TABLE statements, each referring to earlier ones or to itself."""
    made: list[str] = []
    for number in range(draw(st.integers(1, 4))):
        columns = {
            f"c{place}": draw(st.sampled_from(sorted(COLUMNS))) for place in range(draw(st.integers(1, 5)))
        }
        nullable = {name for name in columns if draw(st.booleans())}
        parts = [f"id {draw(st.sampled_from(['bigserial', 'uuid', 'int']))} PRIMARY KEY"]
        parts[0] = parts[0].replace("bigserial", "bigint GENERATED ALWAYS AS IDENTITY")
        for name, type_ in columns.items():
            check = draw(st.sampled_from(COLUMNS[type_])).format(c=name)
            parts.append(f"{name} {type_} {'' if name in nullable else 'NOT NULL'} {check}")
        keyed = [name for name, type_ in columns.items() if type_ in KEYED]
        for target in range(number + 1):
            if draw(st.booleans()):
                owner = made[target] if target < number else parts[0]
                type_ = "uuid" if "id uuid" in owner else "int" if "id int" in owner else "bigint"
                null = "" if target == number or draw(st.booleans()) else "NOT NULL"
                parts.append(f"r{target} {type_} {null} REFERENCES t{target} (id)")
                keyed.append(f"r{target}")
        if draw(st.booleans()) and len(keyed) > 1:
            parts.append(f"UNIQUE ({', '.join(draw(st.permutations(keyed))[:2])})")
        if draw(st.booleans()) and keyed:
            parts.append(f"UNIQUE ({draw(st.sampled_from(keyed))})")
        if len(nullable) > 1:
            a, b = sorted(nullable)[:2]
            parts.append(draw(st.sampled_from(PAIRS)).format(a=a, b=b))
        made.append(f"CREATE TABLE t{number} ({', '.join(parts)})")
    return made


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection[Any]]:
    with (
        server.scratch_database() as scratch,
        psycopg.connect(scratch.conninfo, autocommit=True) as connection,
    ):
        yield connection


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.integers(0, 60))
def test_random_models_fill(connection: psycopg.Connection[Any], ddl: list[str], rows: int) -> None:
    connection.execute(
        "DROP SCHEMA IF EXISTS random CASCADE; CREATE SCHEMA random; SET search_path TO random"
    )
    connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');" + ";".join(ddl))
    database = read(connection)
    generator = Generator(database, {table.name: rows for table in database.tables}, {}, seed=3)
    for filled in generator.fill(connection):
        found = connection.execute(f"SELECT count(*) FROM random.{filled.table.name}").fetchone()
        assert found == (filled.rows,)
        assert filled.rows == rows or filled.note, filled
        assert filled.rows > 0 or rows == 0, filled
        if filled.rows == rows > 0 and generator.fresh(connection, Name("random", filled.table.name)) is None:
            assert "UNIQUE" in ddl[int(filled.table.name[1:])], filled
