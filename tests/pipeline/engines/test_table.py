"""The page on engines says what was measured: nothing gives other rows in silence."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_platform.postgres.server import Server

_spec = importlib.util.spec_from_file_location("engine_table", Path(__file__).parent / "table.py")
assert _spec
assert _spec.loader
table: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)


@pytest.mark.parametrize(("engine", "place"), [("duckdb", 1), ("spark", 2)])
def test_the_page_says_what_was_measured(server: Server, engine: str, place: int) -> None:
    if engine == "spark" and not shutil.which("java"):
        pytest.skip("Spark needs Java")
    found = table.measured(server, engine)
    assert {name: one.told for name, one in found.items() if one.verdict not in ("same", "refused")} == {}
    said = {row[0]: row[place].replace("\0", "\\|") for row in table.shown()}
    assert said == {name: table.cell(one).replace("|", "\\|") for name, one in found.items()}
