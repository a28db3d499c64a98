"""What the server prints is read back to the same print."""

from __future__ import annotations

import psycopg
import pytest

from data_platform.postgres.server import Database
from data_platform.sql.stable import stable

CHECKS = [
    "kind IN ('new', 'done')",
    "kind NOT IN ('new', 'it''s')",
    "kind = 'new' OR kind IN ('a', 'b') AND label IN ('c', 'd')",
    "label = ANY (ARRAY['x'::varchar, 'y'::varchar])",
    "number IN (1, 2)",
    "kind || label = ANY (ARRAY['a]', 'ANY ((ARRAY['])",
    "upper(kind) IN ('A', 'B')",
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_comes_back_as_it_was(database: Database, check: str) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        texts = [check]
        for number in range(3):
            connection.execute(f"CREATE TABLE t{number} (kind varchar(10), label text, number int)".encode())
            connection.execute(f"ALTER TABLE t{number} ADD CONSTRAINT c CHECK ({texts[-1]})".encode())
            query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = %s::regclass"
            row = connection.execute(query, [f"t{number}"]).fetchone()
            assert row is not None
            texts.append(stable(row[0]))
    assert texts[1] == texts[2] == texts[3]


def test_the_servers_own_print_would_not(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (kind varchar(10), CONSTRAINT c CHECK (kind IN ('a', 'b')))")
        query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = %s"
        first = connection.execute(query, ["c"]).fetchone()
        assert first is not None
        connection.execute(f"ALTER TABLE t ADD CONSTRAINT d CHECK ({first[0]})".encode())
        second = connection.execute(query, ["d"]).fetchone()
    assert second is not None
    assert first[0] != second[0]
    assert stable(
        first[0]
    ) == "((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])))".replace(
        "(kind)::text = ANY ((", "(kind) = ANY ("
    ).replace(")))", "))")
