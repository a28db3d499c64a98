"""A part of tests/benchmarks/run_engines.py: TPC-H's shapes and messy rows on DuckDB, the same or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.postgres.server import Database, Server
from pipeline.engines.compare import There, compare
from pipeline.engines.shapes import MESSY, ROWS, TABLES, TPCH, spec_for, write_messy, write_tpch

SHAPES = ("13 orders a buyer", "21 who kept others waiting")
ODD = ("as it is", "trimmed", "latest")
REFUSED = {"reversed": "stay together", "class of letters": "regular expression"}


@pytest.mark.parametrize("name", [*SHAPES, *ODD, *REFUSED])
def test_nothing_differs_in_silence(server: Server, database: Database, tmp_path: Path, name: str) -> None:
    shaped = name in TPCH
    if shaped:
        write_tpch(tmp_path / "in", 0.0001)
    else:
        write_messy(tmp_path / "in" / "rows.csv", 100, 7)
    text = spec_for({**TPCH, **MESSY}[name], TABLES if shaped else {"rows": ROWS})
    found = compare(server, database, text, [There("duckdb", tmp_path)])["duckdb"]
    assert found.verdict == ("refused" if name in REFUSED else "same"), found.told
    assert REFUSED.get(name, "") in found.told
    assert found.rows or name in REFUSED
