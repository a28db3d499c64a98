"""What history costs: a batch of changes into a dimension, as a ratio to INSERT … ON CONFLICT of the same batch.

python tests/benchmarks/bench_history.py [--rows N] [--changes N] [--json FILE]

Each way has a table of its own with N current rows of 8 attributes. Of the batch three quarters are changed keys, an
eighth new ones, an eighth unchanged. Both are timed in one transaction from the staged rows to the commit.
"""

from __future__ import annotations

# ruff: noqa: E402 - the path comes first
import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from data_platform.model.database import Name
from data_platform.pipeline.history import Dimension, dimension_tables, merge
from data_platform.postgres.server import embedded_server
from data_platform.sql.text import Sql

ATTRIBUTES = {f"a{n}": Sql("text" if n % 2 else "integer") for n in range(8)}
STAGE = Sql("pg_temp.stage")


def measure(connection: psycopg.Connection[Any], rows: int, changes: int) -> dict[str, float]:
    """Seconds of each way."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in ATTRIBUTES.items())
    connection.execute(f"CREATE TABLE plain (id bigint PRIMARY KEY, {columns})")
    names = ", ".join(ATTRIBUTES)
    values = ", ".join(f"'value ' || g % {n + 90}" if n % 2 else f"g % {n + 90}" for n in range(8))
    connection.execute(f"INSERT INTO plain SELECT g, {values} FROM generate_series(1, {rows}) AS g")
    found: dict[str, float] = {}
    for way, given in ways().items():
        connection.execute("VACUUM ANALYZE")
        if given:
            for statement in dimension_tables(given):
                connection.execute(statement.encode())
            since, then = (", valid_from", ", '2020-01-01'") if given.type != 1 else ("", "")
            connection.execute(
                f"INSERT INTO {given.table.name} (id, {names}{since}) SELECT id, {names}"
                f"{then} FROM plain WHERE id <= {rows}"
            )
            connection.execute(f"VACUUM ANALYZE {given.table.name}")
        found[way] = timed(connection, given, rows, changes, values)
    return found


def ways() -> dict[str, Dimension | None]:
    key = {"id": Sql("bigint")}

    def made(name: str, **settings: Any) -> Dimension:
        return Dimension(table=Name("public", name), key=key, attributes=ATTRIBUTES, **settings)

    return {
        "on conflict": None,
        "type 1": made("one", type=1),
        "type 2": made("two"),
        "type 2, rows say their time": made("two_effective", effective="since"),
        "type 2, before 18": made("two_older", server_version=17),
        "type 6": made("six", type=6, tracked=("a0", "a1", "a2", "a3")),
    }


def timed(
    connection: psycopg.Connection[Any], given: Dimension | None, rows: int, changes: int, values: str
) -> float:
    names, step = ", ".join(ATTRIBUTES), rows // changes
    with connection.transaction():
        connection.execute(
            "CREATE TEMP TABLE stage (LIKE plain, since timestamptz, _row bigint) ON COMMIT DROP"
        )
        # g % 8 = 0 unchanged, 1 new, else changed
        connection.execute(
            f"INSERT INTO stage SELECT CASE g % 8 WHEN 1 THEN {rows} + i ELSE g END,"
            f" CASE g % 8 WHEN 0 THEN a0 ELSE -1 END, {names.removeprefix('a0, ')}, '2024-01-01', i"
            f" FROM (SELECT g, g / {step} AS i, {aliased(values)} FROM generate_series({step}, {rows}, {step - 1}) AS g"
            f" LIMIT {changes}) AS x"
        )
        began = time.monotonic()
        if given:
            for statement in merge(given, STAGE):
                connection.execute(statement.encode())
        else:
            sets = ", ".join(f"{name} = excluded.{name}" for name in ATTRIBUTES)
            connection.execute(
                f"INSERT INTO plain SELECT id, {names} FROM stage ON CONFLICT (id) DO UPDATE SET {sets}"
            )
    return time.monotonic() - began


def aliased(values: str) -> str:
    return ", ".join(f"{value} AS a{n}" for n, value in enumerate(values.split(", ")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with embedded_server() as server, server.scratch_database(extensions=["btree_gist"]) as database:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            seconds = measure(connection, asked.rows, asked.changes)
        print(f"{server.describe()}: {asked.changes:,} changes into {asked.rows:,} rows")
        for way, taken in seconds.items():
            print(f"{way:30} {taken:6.2f} s  {taken / seconds['on conflict']:5.1f}")
    if asked.json:
        asked.json.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
