"""Import, render and diff of schemas of growing size, beside pg_dump on the same database.

    python tests/benchmarks/bench_import.py [TABLES ...]

Seconds are of whole processes, as a user waits for them; pg_dump runs beside on the same database. Growth is the
exponent of the size between two neighbouring rows: 1 is linear.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.postgres.binaries import find_programs, server_account  # noqa: E402
from data_platform.postgres.load import Script, load  # noqa: E402
from data_platform.postgres.server import embedded_server  # noqa: E402

SIZES = (100, 300, 1000)
SCOPE = "## Project Scope\n\n### Active Roles\n- Data Platform Engineer: Bench\n"
COLUMNS = (
    "text NOT NULL",
    "numeric(12,2)",
    "timestamptz DEFAULT now()",
    "jsonb",
    "boolean DEFAULT false NOT NULL",
)


def schema(tables: int) -> str:
    """Tables of 15 columns with keys, checks, indexes, comments; a view and a function for every fifth."""
    return "\n".join(_table(number) for number in range(tables))


def _table(number: int) -> str:
    columns = ",\n".join(f"  c{i} {COLUMNS[i % len(COLUMNS)]}" for i in range(12))
    parent = f"REFERENCES t{number - 1} ON DELETE CASCADE" if number else ""
    text = f"""
CREATE TABLE t{number} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  parent_id bigint {parent},
  code varchar(20) NOT NULL UNIQUE,
{columns},
  CONSTRAINT t{number}_amount CHECK (c1 >= 0)
);
CREATE INDEX ON t{number} (parent_id);
CREATE INDEX ON t{number} (lower(c0)) WHERE c4;
COMMENT ON TABLE t{number} IS 'Table {number}';
"""
    if number % 5:
        return text
    return f"""{text}
CREATE VIEW v{number} AS SELECT id, code, c1 FROM t{number} WHERE c4;
CREATE FUNCTION f{number}(a bigint) RETURNS bigint LANGUAGE sql STABLE
  AS $$SELECT count(*) FROM t{number} WHERE id < a$$;
"""


def dpe(project: Path, *words: str) -> float:
    """Wall seconds of one command."""
    command = [sys.executable, str(ROOT / "scripts" / "dpe.py"), *words, "--project", str(project)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


def pg_dump_seconds(text: str) -> float:
    """Wall seconds of pg_dump --schema-only on a database with that schema."""
    programs = find_programs(server_account())
    with embedded_server() as server, server.scratch_database() as database:
        load(database, [Script("bench.sql", text)])
        address = conninfo_to_dict(database.conninfo)
        environment = {**os.environ, "PGPASSWORD": str(address.pop("password"))}
        dsn = " ".join(f"{key}='{value}'" for key, value in address.items())
        started = time.perf_counter()
        subprocess.run(
            [programs / "pg_dump", "--schema-only", f"--dbname={dsn}"],
            env=environment,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - started


def measure(tables: int) -> dict[str, float]:
    """Seconds by what was done."""
    text = schema(tables)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "CLAUDE.md").write_text(SCOPE)
        sql, model, again = project / "a.sql", project / "model.yaml", project / "again.yaml"
        sql.write_text(text)
        source = ("--store", "Bench")
        seconds = {
            "import": dpe(project, "schema", "import", "--sql", str(sql), *source, "--output", str(model)),
            "import unchecked": dpe(
                project, "schema", "import", "--sql", str(sql), *source, "--output", str(again), "--no-check"
            ),
            "render": dpe(project, "schema", "render", str(model), "--output", str(project / "out.sql")),
            "diff": dpe(project, "schema", "diff", str(model), str(again)),
        }
    return {**seconds, "pg_dump": pg_dump_seconds(text)}


def main(sizes: Sequence[int]) -> None:
    """Print the table."""
    before: dict[str, float] = {}
    previous = 0
    print(f"{'tables':>7} {'what':<17} {'seconds':>8} {'/ pg_dump':>10} {'growth':>7}")
    for tables in sizes:
        seconds = measure(tables)
        for what, value in seconds.items():
            growth = math.log(value / before[what]) / math.log(tables / previous) if before else float("nan")
            print(f"{tables:>7} {what:<17} {value:>8.2f} {value / seconds['pg_dump']:>10.1f} {growth:>7.2f}")
        before, previous = seconds, tables


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or SIZES)
