"""A model of 30 tables × 10,000 rows: seconds of the whole proof, beside what the server alone needs for the rows.

python tests/benchmarks/bench_prove.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

TABLES, ROWS = 30, 10_000


def model() -> str:
    """A chain of tables of ten columns each, every third with two parents."""
    tables = {}
    for number in range(TABLES):
        columns: dict[str, object] = {
            "id": {"type": "bigint", "identity": "always", "primary_key": True},
            "code": {"type": "text", "unique": True},
            "email": {"type": "text", "check": "email LIKE '%@%'"},
            "status": {"type": "state", "data": {"values": {"new": 1, "open": 3, "done": 6}}},
            "amount": {"type": "numeric(12, 2)", "check": "amount >= 0"},
            "started_at": "timestamptz",
            "ended_at": {"type": "timestamptz", "nullable": True},
            "attributes": {"type": "jsonb", "default": "'{}'"},
        }
        for parent in {number // 2, number // 3} - {number} if number else set():
            columns[f"t{parent}_id"] = {"references": {"table": f"t{parent}", "on_delete": "cascade"}}
        tables[f"t{number}"] = {"columns": columns, "checks": {f"t{number}_order": "ended_at >= started_at"}}
    patterns = {
        f"by_code_{number}": {
            "sql": f"SELECT id, status FROM t{number} WHERE code = :code",
            "parameters": {"code": "text"},
            "latency_ms": 50,
        }
        for number in range(TABLES)
    }
    spec = {
        "kind": "model",
        "store": "Bench DB",
        "types": {"state": {"enum": ["new", "open", "done"]}},
        "tables": tables,
        "access_patterns": patterns,
    }
    return yaml.safe_dump(spec, sort_keys=False)


def server_alone() -> float:
    """Seconds in which the server makes as many rows of that shape by itself, in tables without constraints."""
    from data_platform.postgres.server import embedded_server

    with (
        embedded_server() as server,
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        started = time.perf_counter()
        for number in range(TABLES):
            connection.execute(
                f"""CREATE TABLE t{number} AS
                    SELECT n AS id, md5(n::text) AS code, n || '@example.org' AS email, 'new' AS status,
                           (n % 1000)::numeric(12, 2) AS amount, now() AS started_at, now() AS ended_at,
                           '{{}}'::jsonb AS attributes, n AS a, n AS b
                    FROM generate_series(1, {ROWS}) AS n"""
            )
        return time.perf_counter() - started


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "CLAUDE.md").write_text(
            "## Project Scope\n### Active Roles\n- Data Platform Engineer: Bench DB\n"
        )
        (project / "model.yaml").write_text(model())
        command = [sys.executable, str(ROOT / "scripts/dpe.py"), "schema", "prove", "model.yaml", "--json"]
        command += ["--rows", str(ROWS), "--output", "proof.json"]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr)
    alone = server_alone()
    print(
        f"{TABLES} tables x {ROWS:,} rows: proof {seconds:.1f} s, CREATE TABLE AS of as many bare rows {alone:.1f} s"
    )
    print(f"ratio {seconds / alone:.1f}; the limit for the proof is 30 s on 2 cores")


if __name__ == "__main__":
    main()
