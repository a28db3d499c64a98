"""A migration of a table of a million rows: seconds of the whole proof, beside filling and applying it with psql.

python tests/benchmarks/bench_migration_prove.py [ROWS]

Both start a server of their own. psql fills the same tables by INSERT … SELECT and applies the same statements, without
clients, kills or a second size: what a person would do to see whether a migration goes through.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

BASE = """
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, name text);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers,
    status text NOT NULL DEFAULT 'new', amount integer NOT NULL, note text,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX orders_created_at ON orders (created_at);
"""
FILL = """
INSERT INTO customers (email, name) SELECT n || '@example.org', 'name ' || n FROM generate_series(1, 10000) AS n;
INSERT INTO orders (customer_id, status, amount, note, created_at)
SELECT 1 + n % 10000, 'new', n % 1000, md5(n::text), now() - n * interval '1 second'
  FROM generate_series(1, {rows}) AS n;
"""
MIGRATIONS = {
    "a type that is rewritten": "ALTER TABLE orders ALTER amount TYPE bigint;",
    "an index, concurrently": "CREATE INDEX CONCURRENTLY i ON orders (status);",
    "a check, validated apart": "ALTER TABLE orders ADD CONSTRAINT c CHECK (amount >= 0) NOT VALID;"
    "ALTER TABLE orders VALIDATE CONSTRAINT c;",
}


def proof(project: Path, rows: int) -> tuple[float, dict[str, object]]:
    """Seconds of `dpe migration prove` as a process, and its result."""
    command = [
        sys.executable,
        str(ROOT / "scripts/dpe.py"),
        "migration",
        "prove",
        "m.sql",
        "--schema",
        "base.sql",
    ]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--rows", str(rows), "--json"], cwd=project, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode > 1:
        sys.exit(done.stdout[-3000:] + done.stderr)
    return seconds, json.loads(done.stdout)["result"]


def psql(project: Path) -> float:
    """Seconds of starting a server, filling it and applying the migration."""
    from data_platform.postgres.binaries import find_programs, server_account
    from data_platform.postgres.server import embedded_server

    program = find_programs(server_account()) / "psql"
    started = time.perf_counter()
    with embedded_server() as server:
        given = conninfo_to_dict(server.conninfo)
        address = [f"--host={given['host']}", f"--username={given['user']}", f"--dbname={given['dbname']}"]
        files = [word for name in ("base.sql", "fill.sql", "m.sql") for word in ("-f", name)]
        subprocess.run(
            [program, *address, "-q", "-v", "ON_ERROR_STOP=1", *files],
            cwd=project,
            env={**os.environ, "PGPASSWORD": str(given["password"])},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{rows:,} rows; the limit for the ratio is 3")
    for name, migration in MIGRATIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder)
            (project / "CLAUDE.md").write_text(
                "## Project Scope\n### Active Roles\n- Data Platform Engineer: Bench DB\n"
            )
            (project / "base.sql").write_text(BASE)
            (project / "fill.sql").write_text(FILL.format(rows=rows))
            (project / "m.sql").write_text(migration)
            alone = psql(project)
            seconds, result = proof(project, rows)
        stall = max(float(s["max_write_stall_s"] or 0) for s in result["statements"])  # type: ignore[attr-defined]
        verdict = str(result["verdict"])
        print(
            f"{name}: proof {seconds:.1f} s, psql {alone:.1f} s, ratio {seconds / alone:.2f}; "
            f"longest stall {stall:.2f} s, {verdict}"
        )


if __name__ == "__main__":
    main()
