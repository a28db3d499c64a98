"""The project for DuckDB, rendered, run as its user runs it, and compared row by row with a run of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data_platform.pipeline.engines import duckdb as project
from data_platform.pipeline.engines.look import look
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from pipeline.running import ask, do, spec_of

CSV = """id,customer,status,total,quantity,day,updated_at,deleted
1,7,"",10.50,3,2024-02-29,2026-01-01T00:00:00Z,f
2,8,,-2.50,-7,1969-12-31,2026-01-01T00:00:00Z,f
3,,"say ""so"", ß 🌱",0,0,2000-01-01,2026-01-01T12:00:00+02,f
3,7,Straße,0.01,5,,2026-01-02T00:00:00Z,f
3,7,old,9.99,5,2024-12-30,2025-01-02T00:00:00Z,f
4,9,"two
lines",,,2024-12-30,2026-01-03T00:00:00Z,f
5,9," pad ",7,2,2024-12-30,2026-01-03T00:00:00Z,f
"""
SECOND = """id,customer,status,total,quantity,day,updated_at,deleted
1,7,new,11.00,3,2024-02-29,2026-02-01T00:00:00Z,f
3,7,late,1.00,1,2024-02-29,2025-06-01T00:00:00Z,f
4,9,,,,,2026-02-01T00:00:00Z,t
5,9,gone,,,,2026-02-02T00:00:00Z,t
5,9,late again,1,1,2024-01-01,2026-01-15T00:00:00Z,f
6,10,A,5,9,2024-03-01,2026-02-01T00:00:00Z,f
"""
COLUMNS = (
    "columns: {id: bigint, customer: bigint, status: text, total: 'numeric(12,2)', quantity: integer, day: date,"
    " updated_at: timestamptz, deleted: boolean}"
)
SOURCE = f"sources: [{{name: rows, path: 'in/*.csv', {COLUMNS}, deletes: {{column: deleted}}}}]"
KEPT = SOURCE.replace(", deletes: {column: deleted}", "")
SUMS = "SELECT customer, count(*) AS n, sum(total) AS total FROM rows GROUP BY customer"
TIDY = """
transforms:
  - name: tidy
    sql: |
      SELECT id, coalesce(customer, 0) AS customer, lower(trim(status)) AS status, total * 2 AS total,
             quantity / 2 AS half, quantity % 3 AS rest, day - date '2024-01-01' AS days, updated_at, deleted FROM rows
"""
SPECS = {
    "incremental": f"pattern: incremental\n{SOURCE}{TIDY}targets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "no version": f"pattern: incremental\n{SOURCE}\ntargets: [{{table: shop.t, key: [id]}}]",
    "added": f"pattern: incremental\n{KEPT}\ntargets: [{{table: shop.t}}]",
    "etl": f"pattern: etl\n{SOURCE}{TIDY}targets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "snapshot": f"pattern: snapshot\n{KEPT}\ntargets: [{{table: shop.t, key: [id], version: updated_at}}]",
    "elt": f"""pattern: elt
{SOURCE}
transforms: [{{name: per_customer, sql: "{SUMS}"}}]
targets:
  - {{table: shop.raw, from: rows, key: [id], version: updated_at}}
  - {{table: shop.t, from: per_customer}}
""",
    "scd 2": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 2}}]",
    "scd 2, tracked": f"pattern: scd\n{SOURCE}\n"
    "targets: [{table: shop.t, key: [id], version: updated_at, tracked: [status]}]",
    "scd 6": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 6}}]",
    "scd 1": f"pattern: scd\n{SOURCE}\ntargets: [{{table: shop.t, key: [id], version: updated_at, type: 1}}]",
}


def rendered(server: Server, folder: Path, text: str, *, verify: bool = False) -> Path:
    """The project, written beside the spec."""
    spec = spec_of(folder, text)
    read = document.read(folder / "spec.yaml")
    job, found, _ = look(server, read, spec, "duckdb", ["made in a test"], verify=verify)
    assert [one.message for one in found if one.severity == "error"] == []
    for name, body in project.render(job).files.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(body)
    return folder / "project" / "pipeline.py"


def run(script: Path, folder: Path, *, code: int = 0) -> str:
    command = [sys.executable, str(script), "--base", str(folder), "--warehouse", str(folder / "w.duckdb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout + done.stderr


def both(database: Database, folder: Path) -> tuple[list[Any], list[Any]]:
    """The table in PostgreSQL and in DuckDB, times as texts."""
    names = [
        name
        for (name,) in ask(
            database,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 't'"
            " AND column_name <> 'valid' ORDER BY ordinal_position",
        )
    ]
    times = {"updated_at", "valid_from", "valid_to"}
    there = [f"epoch_us({name})::bigint" if name in times else f'"{name}"' for name in names]
    here = [
        f"(extract(epoch FROM {name}) * 1000000)::bigint" if name in times else f'"{name}"' for name in names
    ]
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        found = connection.execute(f"SELECT {', '.join(there)} FROM shop.t").fetchall()
    return sorted(ask(database, f"SELECT {', '.join(here)} FROM shop.t"), key=str), sorted(found, key=str)


@pytest.mark.parametrize("name", SPECS)
def test_it_gives_the_rows_of_a_run(server: Server, database: Database, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    script = rendered(server, tmp_path, SPECS[name])
    for body in (None, SECOND, None):
        if body:
            (tmp_path / "in" / "2.csv").write_text(body)
        do(database, tmp_path, SPECS[name])
        run(script, tmp_path)
        expected, found = both(database, tmp_path)
        assert found == expected
        assert expected


def test_a_row_that_is_not_of_its_types_stops_it_and_changes_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    script = rendered(server, tmp_path, SPECS["incremental"])
    run(script, tmp_path)
    (tmp_path / "in" / "2.csv").write_text(SECOND.replace("6,10,A,5,9", "6,1.5,A,5,9"))
    assert "customer: not bigint: 1.5" in run(script, tmp_path, code=1)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.t").fetchone() == (5,)
    (tmp_path / "in" / "2.csv").write_text(SECOND.replace("deleted\n", "other\n", 1))
    assert "2.csv has drifted: deleted, other" in run(script, tmp_path, code=1)


def test_what_differs_is_told_at_its_line(server: Server, tmp_path: Path) -> None:
    text = f"""pattern: etl
{SOURCE}
transforms:
  - name: means
    sql: |
      SELECT customer,
             avg(quantity) AS mean
        FROM rows GROUP BY customer
targets: [{{table: shop.t, key: [customer]}}]
"""
    text = text.replace(", deletes: {column: deleted}", "")
    spec = spec_of(tmp_path, text)
    read = document.read(tmp_path / "spec.yaml")
    _, found, judged = look(server, read, spec, "duckdb", [], verify=True)
    lines = (tmp_path / "spec.yaml").read_text().splitlines()
    (one,) = found
    assert one.line is not None
    assert "avg(quantity)" in lines[one.line - 1]
    assert (one.rule, one.severity, judged[0].verdict) == ("engine-refused", "error", "refused")
    assert one.fix
    assert "avg(x::double precision)" in one.fix
