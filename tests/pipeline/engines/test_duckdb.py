"""The project for DuckDB, rendered, run as its user runs it, and compared row by row with a run of ours."""

from __future__ import annotations

import json
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
from pipeline.engines.shop import (
    BAD,
    CSV,
    JSON_LINES,
    JSON_SPEC,
    JSON_VALUES,
    KEPT,
    KINDS_OF,
    LINES,
    SECOND,
    SOURCE,
    SPECS,
    with_bad,
    write_parquet,
    write_rounded,
)
from pipeline.running import ask, do, spec_of


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
    times = {"updated_at", "valid_from", "valid_to", "seen", "local"}
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


@pytest.mark.parametrize("name", KINDS_OF)
def test_every_kind_of_value_comes_as_it_is(
    server: Server, database: Database, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(LINES)
    write_parquet(tmp_path / "in" / "b.parquet")
    script = rendered(server, tmp_path, KINDS_OF[name])
    do(database, tmp_path, KINDS_OF[name])
    run(script, tmp_path)
    expected, found = both(database, tmp_path)
    assert len(expected) == 5
    assert found == expected


def test_a_text_of_json_stays_one(server: Server, database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(JSON_LINES)
    script = rendered(server, tmp_path, JSON_SPEC)
    do(database, tmp_path, JSON_SPEC)
    run(script, tmp_path)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT note FROM shop.t ORDER BY id").fetchall()
    found = [json.loads(note) if note is not None else None for (note,) in rows]
    assert found == [note for (note,) in ask(database, "SELECT note FROM shop.t ORDER BY id")]
    assert found == [json.loads(value) for value in JSON_VALUES]


@pytest.mark.parametrize(("column", "value"), BAD)
def test_a_value_that_would_be_changed_stops_it(
    server: Server, tmp_path: Path, column: str, value: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(with_bad(column, value))
    told = run(rendered(server, tmp_path, SPECS["added"]), tmp_path, code=1)
    assert value in told
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


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


def test_a_number_of_a_typed_file_is_not_rounded(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_rounded(tmp_path / "in" / "1.parquet")
    text = """pattern: incremental
sources: [{name: rows, path: 'in/*.parquet', columns: {id: bigint, total: 'numeric(12,2)'}}]
targets: [{table: shop.t, key: [id]}]
"""
    assert "total: not numeric(12,2): 1.005" in run(rendered(server, tmp_path, text), tmp_path, code=1)


def test_a_text_with_the_end_of_a_statement_in_it_stays_whole(
    server: Server, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(CSV)
    text = f"""pattern: etl
{KEPT}
transforms: [{{name: ended, sql: "SELECT id, 'a;\\nb' AS updated_at FROM rows WHERE id > 3"}}]
targets: [{{table: shop.t, from: ended}}]
"""
    run(rendered(server, tmp_path, text), tmp_path)
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert set(connection.execute("SELECT updated_at FROM shop.t").fetchall()) == {("a;\nb",)}
