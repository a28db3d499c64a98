"""What is only tried leaves everything as it was, with each pattern and option; parts of a cursor that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.status import status
from data_platform.pipeline.told import status_report
from data_platform.postgres.server import Database
from pipeline.running import ask, do, spec_of
from pipeline.test_odd_pipelines import source

__all__ = ["source"]

FILES = "sources: [{name: t, path: 'in/*.csv', columns: {a: int, b: date}}]\n"
TABLE = "sources: [{name: t, dsn: env:SOURCE, table: t, cursor: {column: b}}]\n"
ONE = "targets: [{table: w.t, key: [a]}]\n"
BOTH = """
transforms: [{name: u, sql: 'SELECT b, count(*) AS n FROM t GROUP BY 1'}]
targets: [{table: w.t, from: t, key: [a]}, {table: w.u, from: u, key: [b]}]
"""
SPECS = {
    "etl": "pattern: etl\n" + FILES + ONE,
    "elt": "pattern: elt\n" + FILES + BOTH,
    "incremental": "pattern: incremental\n" + FILES + ONE,
    "snapshot": "pattern: snapshot\n" + FILES + ONE,
    "swap": "pattern: snapshot\n" + FILES + ONE.replace("}", ", swap: true}"),
    "scd": "pattern: scd\n" + FILES + ONE.replace("}", ", version: b}"),
    "by cursor": "pattern: incremental\n" + TABLE + ONE,
    "elt by cursor": "pattern: elt\n" + TABLE + BOTH,
    "scd by cursor": "pattern: scd\n" + TABLE + ONE.replace("}", ", version: b, type: 6}"),
}
TABLES = """
SELECT n.nspname, c.relname, c.relkind::text, c.relfilenode
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_|^information_schema' ORDER BY 1, 2
"""


def held_by(database: Database) -> list[Any]:
    """Everything that is there, with a sum over the rows of each table."""
    found = ask(database, TABLES)
    rows = [
        ask(database, f'SELECT count(*), sum(hashtext(t::text)) FROM "{schema}"."{name}" t')
        for schema, name, kind, _ in found
        if kind == "r"
    ]
    return [found, rows]


@pytest.fixture
def folder(source: Database, tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("a,b\n1,2026-01-01\n2,2026-01-02\n")
    ask(source, "CREATE TABLE t (a int PRIMARY KEY, b date)")
    ask(source, "INSERT INTO t SELECT n, date '2026-01-01' + n FROM generate_series(1, 9) n")
    return tmp_path


@pytest.mark.parametrize("name", SPECS)
def test_nothing_is_left_of_it(database: Database, source: Database, folder: Path, name: str) -> None:
    spec = SPECS[name]
    options: list[dict[str, Any]] = [{}, {"allow_empty": True}]
    options += [] if name in ("etl", "snapshot", "swap") else [{"reload": True}]
    options += (
        [{"since": "2026-01-03"}, {"since": "2026-01-03", "until": "2026-01-05"}] if "cursor" in name else []
    )
    for again in (False, True):
        before = held_by(database)
        counts = {}
        for option in options:
            counts[str(option)] = do(database, folder, spec, dry_run=True, **option).counts
            assert held_by(database) == before, option
        if not again:
            assert do(database, folder, spec).counts == counts["{}"]
            (folder / "in" / "2.csv").write_text("a,b\n1,2026-03-01\n7,2026-03-02\n")
            ask(source, "INSERT INTO t VALUES (20, '2026-03-01')")


def test_a_part_that_is_none_is_told(database: Database, folder: Path) -> None:
    for option, told in [
        ({"since": "soon"}, "--since soon: invalid input syntax for type date"),
        ({"until": "2026-13-01"}, "--until 2026-13-01: date/time field value out of range"),
        (
            {"since": "2026-02-01", "until": "2026-01-01"},
            "nothing is from 2026-02-01 on and before 2026-01-01",
        ),
    ]:
        with pytest.raises(UsageProblem, match=told):
            do(database, folder, SPECS["by cursor"], **option)


def test_what_never_ran_has_kept_nothing_yet(database: Database, folder: Path) -> None:
    spec = spec_of(folder, SPECS["etl"])
    assert status_report(spec, status(spec, database.conninfo)).verdict == "has not run yet."
