"""How long synthetic data takes: 30 tables of 10,000 rows and 11 columns, with keys, checks and foreign keys.

Run it as a script: `python tests/benchmarks/bench_synthetic.py [TABLES] [ROWS]`. The ratio is to COPY of the very same
bytes into the same tables, with nothing made: what the server needs at least. Exit code 1 when filling 30 x 10,000
rows takes longer than 15 s.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from data_platform.postgres.catalog import read
from data_platform.postgres.server import embedded_server
from data_platform.postgres.synthetic import Generator

ALLOWED_SECONDS = 15.0
TABLE = """
CREATE TABLE t{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {references}
    name text NOT NULL,
    email varchar(80) NOT NULL UNIQUE,
    status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped')),
    shipped_at timestamptz,
    amount numeric(10,2) NOT NULL CHECK (amount > 0),
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 100),
    token uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'shipped') = (shipped_at IS NOT NULL))
);
"""


def ddl(tables: int) -> str:
    """Every table but the first refers to the one before it, and to another one or none."""
    parts = []
    for n in range(tables):
        references = f"parent_id bigint NOT NULL REFERENCES t{n - 1}," if n else ""
        references += f"other_id bigint REFERENCES t{n // 2}," if n > 1 else ""
        parts.append(TABLE.format(n=n, references=references))
    return "".join(parts)


def copy_again(connection: psycopg.Connection[Any], tables: int) -> float:
    """Seconds for COPY of what the tables hold, into the same tables."""
    data = []
    for n in range(tables):
        with connection.cursor().copy(f"COPY t{n} TO STDOUT") as copy:
            data.append(b"".join(copy))
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + ddl(tables))
    start = time.perf_counter()
    for n, content in enumerate(data):
        with connection.cursor().copy(f"COPY t{n} FROM STDIN") as copy:
            copy.write(content)
    return time.perf_counter() - start


def main() -> int:
    tables = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with (
        embedded_server() as server,
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        connection.execute(ddl(tables))
        found = read(connection)
        start = time.perf_counter()
        filled = Generator(found, {table.name: rows for table in found.tables}, {}, 1).fill(connection)
        seconds = time.perf_counter() - start
        bare = copy_again(connection, tables)
    total = sum(table.rows for table in filled)
    print(f"{tables} tables, {total:,} rows: {seconds:.1f} s, {total / seconds:,.0f} rows/s")
    print(f"COPY of the same bytes: {bare:.1f} s; ratio {seconds / bare:.2f}")
    return int(seconds > ALLOWED_SECONDS and (tables, rows) == (30, 10_000))


if __name__ == "__main__":
    sys.exit(main())
